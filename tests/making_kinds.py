"""The files of `tests.kinds`, and what FFmpeg's program decodes from them."""

import io
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile

from tests.kinds import Kind, Sound

NUM_SECONDS = 2.5
# Neither whole blocks of a codec nor whole milliseconds.
ODD_FRAMES = 37


def source(rate_hz: int, num_channels: int, num_frames: int | None = None) -> np.ndarray:
    """Returns float32 `[num_frames, num_channels]`: a sweep, a chord, bursts of noise, a pause."""
    if num_frames is None:
        num_frames = int(NUM_SECONDS * rate_hz) + ODD_FRAMES
    time = np.arange(num_frames) / rate_hz
    random = np.random.default_rng(0)
    sweep = np.sin(2 * np.pi * (100 * time + 500 * time**2))
    chord = sum(np.sin(2 * np.pi * frequency * time) for frequency in (220, 277.2, 329.6)) / 3
    bursts = random.normal(0, 0.2, num_frames) * (np.sin(2 * np.pi * 3 * time) > 0.6)
    sounding = ~((time > 1.2) & (time < 1.4))
    channels = [
        sounding * (0.3 * sweep * 0.8**index + 0.2 * chord + bursts * (index + 1) / num_channels)
        for index in range(num_channels)
    ]
    samples = np.clip(np.stack(channels, axis=1), -1, 1 - 2**-15)
    return (np.round(samples * 2**15) / 2**15).astype(np.float32)


class Maker:
    """Makes the files of kinds in a folder, and decodes them with FFmpeg's program."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._parts: dict[str, list[list[Path]]] = {}  # in lists of one sample rate

    def make(self, kind: Kind) -> Path:
        """Makes the file of a kind."""
        path = self._folder / f"{_file_stem(kind.name)}{kind.suffix}"
        if kind.encoding.startswith("@"):
            path.write_bytes(_MAKERS[kind.encoding[1:]](self, kind))
        else:
            self._encode(kind, str(path))
        return path

    def encode(
        self, kind: Kind, suffix: str, encoding: str, rate_hz: int | None = None, cut: str = ""
    ) -> bytes:
        """Returns the bytes of a file of the samples of a kind.

        Args:
          kind: The kind.
          suffix: Suffix of the file; none for one that is written to a pipe.
          encoding: Arguments of FFmpeg's program.
          rate_hz: Sample rate, if it is not that of the kind.
          cut: Arguments that make another file of it.
        """
        sound = Sound(rate_hz or kind.sound.rate_hz, kind.sound.num_channels)
        part = Kind("part", suffix, encoding, sound, num_frames=kind.num_frames)
        if not suffix:
            return self._encode(part, "pipe:1")
        path = self._folder / f"part{suffix}"
        self._encode(part, str(path))
        if cut:
            whole = path.rename(self._folder / f"whole{suffix}")
            self._run("-i", str(whole), *cut.split(), str(path))
        return path.read_bytes()

    def _encode(self, kind: Kind, output: str) -> bytes:
        wav = (
            self._folder
            / f"source-{kind.sound.rate_hz}-{kind.sound.num_channels}-{kind.num_frames}.wav"
        )
        if not wav.exists():
            samples = source(kind.sound.rate_hz, kind.sound.num_channels, kind.num_frames)
            soundfile.write(wav, samples, kind.sound.rate_hz, subtype="FLOAT")
        inputs = ["-i", str(wav)]
        if kind.audio_delay is not None:
            video = f"testsrc=size=64x64:rate=25:duration={NUM_SECONDS}"
            inputs = ["-f", "lavfi", "-i", video, "-itsoffset", str(kind.audio_delay), *inputs]
        return self._run(*inputs, *kind.encoding.split(), "-bitexact", output)

    def concatenate(self, kind: Kind, suffix: str, encoding: str, rates_hz: Sequence[int]) -> bytes:
        """Returns the bytes of files of several rates, one after the other."""
        parts = []
        for index, rate_hz in enumerate(rates_hz):
            parts.append(self._folder / f"part{index}-{_file_stem(kind.name)}{suffix}")
            parts[-1].write_bytes(self.encode(kind, suffix, encoding, rate_hz))
        is_one_rate = len(set(rates_hz)) == 1
        self._parts[kind.name] = [parts] if is_one_rate else [[part] for part in parts]
        return b"".join(part.read_bytes() for part in parts)

    def decode(self, kind: Kind, path: Path) -> tuple[np.ndarray, np.ndarray]:
        """Decodes a file with FFmpeg's program, in presentation time.

        Of chained recordings each is decoded alone, because FFmpeg's program leaves remains of one
        in the next.

        Returns:
          float32 `[num_frames, num_channels]` at the file's rate, and `[num_samples]` of the mean
          of the channels at 16 kHz, by soxr.
        """
        decoded = [self._decode(kind, parts) for parts in self._parts.get(kind.name, [[path]])]
        native, resampled = zip(*decoded, strict=True)
        return np.concatenate(native), np.concatenate(resampled)

    def _decode(self, kind: Kind, parts: list[Path]) -> tuple[np.ndarray, np.ndarray]:
        num_channels = kind.sound.num_channels
        mean = "+".join(f"{1 / num_channels}*c{index}" for index in range(num_channels))
        timing = "aresample=async=1:first_pts=0," if kind.is_timed else ""
        if kind.num_silent:
            timing = f"adelay=delays={kind.num_silent}S:all=1,"
        inputs = "".join(f"[{index}:a:0]" for index in range(len(parts)))
        if len(parts) > 1:
            inputs += f"concat=n={len(parts)}:v=0:a=1,"
        graph = (
            f"{inputs}{timing}asplit[native][b];[b]aformat=sample_fmts=dblp,pan=mono|c0={mean},"
            "aresample=16000:resampler=soxr:precision=28:tsf=dblp:osf=flt[resampled]"
        )
        native, resampled = self._folder / "native.raw", self._folder / "resampled.raw"
        outputs = ["-map", "[native]", "-f", "f32le", str(native)]
        outputs += ["-map", "[resampled]", "-f", "f32le", str(resampled)]
        reading = [each for part in parts for each in (*kind.reading.split(), "-i", str(part))]
        self._run(*reading, "-filter_complex", graph, *outputs)
        samples = np.fromfile(native, "<f4").reshape(-1, num_channels)
        return samples, np.fromfile(resampled, "<f4")

    def _run(self, *arguments: str) -> bytes:
        command = [self._program, "-hide_banner", "-v", "error", "-nostdin", "-y", *arguments]
        ran = subprocess.run(command, capture_output=True, timeout=60)
        assert not ran.returncode, f"{' '.join(command)}: {ran.stderr.decode()}"
        return ran.stdout


def _file_stem(name: str) -> str:
    return "".join(each if each.isalnum() else "-" for each in name)


def _with_soundfile(file_format: str, subtype: str) -> Callable[[Maker, Kind], bytes]:
    def make(maker: Maker, kind: Kind) -> bytes:
        file = io.BytesIO()
        samples = source(kind.sound.rate_hz, kind.sound.num_channels, kind.num_frames)
        soundfile.write(file, samples, kind.sound.rate_hz, format=file_format, subtype=subtype)
        return file.getvalue()

    return make


def _concatenated(suffix: str, encoding: str, *rates_hz: int) -> Callable[[Maker, Kind], bytes]:
    return lambda maker, kind: maker.concatenate(kind, suffix, encoding, rates_hz)


def _mp3_with_ape_tag(maker: Maker, kind: Kind) -> bytes:
    item = (5).to_bytes(4, "little") + bytes(4) + b"Title\0Title"
    fields = [2_000, len(item) + 32, 1]
    numbers = b"".join(each.to_bytes(4, "little") for each in fields)
    header = b"APETAGEX" + numbers + (0xA0000000).to_bytes(4, "little") + bytes(8)
    footer = b"APETAGEX" + numbers + (0x80000000).to_bytes(4, "little") + bytes(8)
    return maker.encode(kind, ".mp3", "-c:a libmp3lame") + header + item + footer


def _piped(encoding: str) -> Callable[[Maker, Kind], bytes]:
    return lambda maker, kind: maker.encode(kind, "", encoding)


def _m4a_cut(maker: Maker, kind: Kind) -> bytes:
    """Starts within a packet, which an edit list says."""
    return maker.encode(kind, ".m4a", "-c:a aac", cut="-ss 0.53 -c copy")


_PLAIN_MP3 = "-c:a libmp3lame -write_xing 0 -id3v2_version 0"
_MAKERS: dict[str, Callable[[Maker, Kind], bytes]] = {
    "wav_pipe": _piped("-c:a pcm_s16le -f wav"),
    "au_pipe": _piped("-c:a pcm_s16be -f au"),
    "flac_pipe": _piped("-c:a flac -sample_fmt s16 -f flac"),
    "webm_pipe": _piped("-c:a libopus -f webm"),
    "gsm": _with_soundfile("RAW", "GSM610"),
    "gsm_wav": _with_soundfile("WAV", "GSM610"),
    "nist": _with_soundfile("NIST", "PCM_16"),
    "flac": _with_soundfile("FLAC", "PCM_16"),
    "flac_8_bit": _with_soundfile("FLAC", "PCM_S8"),
    "vorbis": _with_soundfile("OGG", "VORBIS"),
    "mp3": _with_soundfile("MP3", "MPEG_LAYER_III"),
    "mp3_ape": _mp3_with_ape_tag,
    "mp3_twice": _concatenated(".mp3", "-c:a libmp3lame", 44_100, 44_100),
    "mp3_plain_twice": lambda maker, kind: 2 * maker.encode(kind, ".mp3", _PLAIN_MP3),
    "mp3_two_rates": _concatenated(".mp3", _PLAIN_MP3, 44_100, 22_050),
    "vorbis_twice": _concatenated(".ogg", "-c:a libvorbis", 44_100, 44_100),
    "vorbis_two_rates": _concatenated(".ogg", "-c:a libvorbis", 44_100, 22_050),
    "opus_twice": _concatenated(".opus", "-c:a libopus", 48_000, 48_000),
    "m4a_cut": _m4a_cut,
}
