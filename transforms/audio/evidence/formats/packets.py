"""The lengths of packets of Vorbis, Opus, FLAC and Speex, by their first bytes."""

from collections.abc import Callable
from typing import NamedTuple

# Of a Vorbis setup header: up to 64 modes of 41 bits, the framing bit, and padding.
SETUP_TAIL_BYTES = 400
_MODE_BITS = 41
_NOT_AUDIO = (
    b"\x80theora",
    b"fishead\0",
    b"\x80kate",
    b"BBCD",
    b"OVP80",
    b"\x01video",
    b"\x01text",
)


class Identity(NamedTuple):
    """What the first packet of a stream says.

    Attributes:
      may_be_audio: Whether the encoding is not known to be another one.
      rate_hz: The rate of granule positions; 0 if it is unknown.
      delay: How many of them come before the audio.
      num_headers: Number of packets in front of the audio, as far as it is always the same.
      lengths: Returns a function from the first two bytes of a packet to its length, if it is given
        the end of the last header; a length of 0 is unknown.
    """

    may_be_audio: bool
    rate_hz: int = 0
    delay: int = 0
    num_headers: int = 1
    lengths: "Callable[[bytes], Callable[[bytes], int]] | None" = None


def identify(packet: bytes) -> Identity:
    """Returns what the first packet of a stream says."""

    def number(start: int, end: int) -> int:
        return int.from_bytes(packet[start:end], "little")

    if packet[:7] == b"\x01vorbis" and len(packet) >= 29:
        sizes = 1 << (packet[28] & 15), 1 << (packet[28] >> 4)
        return Identity(True, number(12, 16), 0, 3, lambda setup: _vorbis(sizes, setup))
    if packet[:8] == b"OpusHead" and len(packet) >= 12:
        return Identity(True, 48_000, number(10, 12), 2, lambda _: _opus_samples)
    if packet[:5] == b"\x7fFLAC" and len(packet) >= 30:
        return _flac(packet[9:])
    if packet[:4] == b"fLaC" and len(packet) >= 21:
        return _flac(packet)
    if packet[:8] == b"Speex   " and len(packet) >= 68:
        samples = min(number(56, 60) * max(1, number(64, 68)), number(36, 40))
        return Identity(True, number(36, 40), 0, 2, lambda _: lambda _: samples)
    return Identity(not packet.startswith(_NOT_AUDIO))


def _flac(streaminfo: bytes) -> Identity:
    rate_hz = int.from_bytes(streaminfo[18:21], "big") >> 4
    most = int.from_bytes(streaminfo[10:12], "big")
    return Identity(True, rate_hz, 0, 1, lambda _: lambda _: most)


def _opus_samples(packet: bytes) -> int:
    """Returns the length of a packet of Opus at 48 kHz (RFC 6716, 3.1)."""
    if not packet:
        return 0
    config, code = packet[0] >> 3, packet[0] & 3
    if config < 12:
        frame_samples = (480, 960, 1_920, 2_880)[config & 3]
    else:
        frame_samples = (480, 960)[config & 1] if config < 16 else 120 << (config & 3)
    num_frames = (1, 2, 2)[code] if code < 3 else (packet[1] & 63 if len(packet) > 1 else 0)
    return min(frame_samples * num_frames, 5_760)


def _vorbis(sizes: tuple[int, int], setup: bytes) -> Callable[[bytes], int]:
    """Returns the lengths of packets of Vorbis: half of what two blocks overlap (4.3.8).

    Args:
      sizes: Short and long block size.
      setup: The end of the setup header, where the modes are, which are read backwards.
    """
    modes = _vorbis_modes(setup)
    mask = (1 << (len(modes) - 1).bit_length()) - 1 if modes else 0
    last = 0

    def length(packet: bytes) -> int:
        nonlocal last
        if not modes:
            return sizes[1] // 2
        if not packet or packet[0] & 1:
            return 0
        mode = packet[0] >> 1 & mask
        size = sizes[modes[mode]] if mode < len(modes) else sizes[1]
        samples = last // 4 + size // 4 if last else 0
        last = size
        return samples

    return length


def _vorbis_modes(setup: bytes) -> list[int]:
    """Returns whether each mode has long blocks; nothing if the setup cannot be read."""
    bits = int.from_bytes(setup, "little")
    position = bits.bit_length() - 1  # of the framing bit
    flags: list[int] = []
    modes: list[int] = []
    while position >= _MODE_BITS + 6 and len(flags) < 64:
        position -= _MODE_BITS
        mode = bits >> position
        # A flag, 16 bits of window type and 16 of transform type, which are zero, and the mapping.
        if mode >> 1 & 0xFFFF_FFFF or mode >> 33 & 0xFF > 63:
            break
        flags.insert(0, mode & 1)
        if (bits >> position - 6 & 63) + 1 == len(flags):
            modes = list(flags)
    return modes
