"""The choice of the decoder of a file, and of another one where the first breaks.

libsndfile decodes the encodings in which every frame has its place, FLAC, and those of which FFmpeg
loses the last frames; FFmpeg decodes all others, and what libsndfile breaks on.
"""

import numpy as np

from transforms.audio import not_audio
from transforms.audio.decoders import libsndfile
from transforms.audio.decoders.decoder import (
    DamagedError,
    Decoder,
    FilePart,
    NoAudioError,
    UnknownFormatError,
)
from transforms.audio.decoders.ffmpeg import FfmpegDecoder
from transforms.audio.decoders.libsndfile import LibsndfileDecoder, RawEncoding
from transforms.audio.decoders.raw_formats import LIBSNDFILE_RAW_FORMATS, SUFFIXES
from transforms.audio.errors import AudioError
from transforms.audio.evidence.account import Account
from transforms.audio.signatures import has_audio_header
from transforms.corpus.clips import RawFormat

# Beyond it libsndfile's arguments overflow.
_MAX_INT = 2**31 - 1
_SLACK_SECONDS = 0.25


class PartDecoder:
    """The decoder of a file, which changes to FFmpeg where libsndfile breaks.

    The formats that libsndfile breaks on are lossless, so that the samples join exactly. Its
    attributes are those of `Decoder`.
    """

    def __init__(self, part: FilePart, decoder: Decoder) -> None:
        self._part = part
        self._decoder = decoder
        self._can_hand_over = isinstance(decoder, LibsndfileDecoder)
        self._position = 0
        self._pending: DamagedError | None = None
        self.name = decoder.name
        self.format = decoder.format
        self.num_channels = decoder.num_channels
        self.num_frames = decoder.num_frames
        self.header_seconds = decoder.header_seconds
        self.is_float = decoder.is_float

    @property
    def sample_rate_hz(self) -> int:
        """Sample rate of the block read last, or else of the first one."""
        return self._decoder.sample_rate_hz

    def seek(self, frame: int) -> None:
        """Goes to a frame of a seekable recording.

        Raises:
          DamagedError: The frame cannot be reached.
        """
        if isinstance(self._decoder, FfmpegDecoder):
            self._skip(frame)
            return
        self._position = frame
        try:
            self._decoder.seek(frame)
        except DamagedError as error:
            self._hand_over(error)

    def read(self, num_frames: int) -> np.ndarray:
        """Returns the next float32 `[up to num_frames, num_channels]`; none at the end.

        Raises:
          DamagedError: Damage. All frames before it have been returned.
          OSError: The storage failed.
        """
        if self._pending is not None:
            pending, self._pending = self._pending, None
            raise pending
        try:
            block = self._decoder.read(num_frames)
        except DamagedError as error:
            self._hand_over(error)
            return self.read(num_frames)
        self._position += len(block)
        return block

    def is_complete(self) -> bool:
        """Returns whether all audio has been decoded that the container lists."""
        return self._decoder.is_complete()

    def close(self) -> None:
        """Closes the decoder, but not the file."""
        self._decoder.close()

    def _hand_over(self, error: DamagedError) -> None:
        """Continues with FFmpeg at the same frame, or raises the error again."""
        if not self._can_hand_over:
            raise error
        self._can_hand_over = False
        try:
            other = FfmpegDecoder(self._part)
        except UnknownFormatError:
            raise error from None
        if other.sample_rate_hz != self.sample_rate_hz or other.num_channels != self.num_channels:
            other.close()
            raise error
        self._decoder.close()
        self._decoder = other
        frame, self._position = self._position, 0
        self._skip(frame)

    def _skip(self, frame: int) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            self._keep(pending, frame)
        while self._position < frame:
            try:
                block = self._decoder.read(frame - self._position)
            except DamagedError as damage:
                self._keep(damage, frame)
                continue
            if not len(block):
                return
            self._position += len(block)

    def _keep(self, damage: DamagedError, frame: int) -> None:
        """Keeps what of damage at the current position lies after a later frame, for `read`."""
        rest_seconds = damage.num_seconds - (frame - self._position) / self.sample_rate_hz
        if rest_seconds > 0:
            self._pending = DamagedError(str(damage), rest_seconds)


def open_part(part: FilePart, raw_format: RawFormat | None, account: Account) -> PartDecoder:
    """Opens a file, or a part of one, with the decoder that its content calls for.

    Args:
      part: The file.
      raw_format: Encoding of a file without a header; None for all other files.
      account: What the bytes of the file prove.

    Raises:
      AudioError: `unsupported_format` or `decode_error`.
      OSError: The storage failed.
    """
    if raw_format is not None:
        return PartDecoder(part, _open_raw(part, raw_format))
    part.seek(0)
    beginning = part.read(not_audio.NUM_BYTES)
    description = not_audio.describe(beginning, part.size)
    if description and any(beginning[:4]):  # zeros may be padding before audio
        raise AudioError("unsupported_format", description)  # decoders find audio in archives
    errors = []
    if libsndfile.is_better(beginning) and not (_is_ogg(beginning) and account.damages):
        try:
            decoder = _open_with_libsndfile(part, account)
            if decoder.is_better and not _falls_short(decoder, account):
                return PartDecoder(part, decoder)
            decoder.close()
        except UnknownFormatError as error:
            errors.append(str(error))
    # libsndfile's decoder of MPEG audio prints notes, and takes many files for it.
    takes_mpeg = beginning.startswith((b"\xff", b"ID3"))
    for decode in (FfmpegDecoder,) if takes_mpeg else (FfmpegDecoder, LibsndfileDecoder):
        try:
            return PartDecoder(part, decode(part))
        except NoAudioError as error:
            raise AudioError("unsupported_format", str(error)) from error
        except UnknownFormatError as error:
            if str(error) not in errors:
                errors.append(str(error))
    if has_audio_header(beginning):
        errors += [damage.message for damage in account.damages[:1]]
        raise AudioError("decode_error", f"no decoder can open the file: {'; '.join(errors)}")
    message = description or f"no decoder takes the file: {'; '.join(errors)}"
    raise AudioError("unsupported_format", message)


def raw_format_of(suffix: str, beginning: bytes) -> RawFormat | None:
    """Returns the encoding of a file without a header, by its suffix; None for all other files.

    Args:
      suffix: Suffix of the file's name, in lower case and with the dot.
      beginning: First `not_audio.NUM_BYTES` of the file: what they are overrules the suffix.
    """
    raw_format = SUFFIXES.get(suffix)
    if raw_format is None or has_audio_header(beginning):
        return None
    is_other = any(beginning[:4]) and not_audio.describe(beginning, len(beginning))
    return None if is_other else raw_format


def _open_with_libsndfile(part: FilePart, account: Account) -> LibsndfileDecoder:
    samples = account.samples
    if samples is None or max(samples.rate_hz, samples.num_channels) > _MAX_INT:
        return LibsndfileDecoder(part, num_frames=account.num_frames)
    # The header is wrong about its length.
    part.seek(0)
    encoding = RawEncoding(
        samples.subtype,
        samples.endian,
        samples.rate_hz,
        samples.num_channels,
        libsndfile.container_of(part.read(4)),
    )
    samples_part = part.part(samples.start, samples.end)
    return LibsndfileDecoder(samples_part, encoding, account.num_frames)


def _falls_short(decoder: LibsndfileDecoder, account: Account) -> bool:
    """Returns whether libsndfile knows less of a file than there is.

    libvorbis drops audio that shares a page with the headers, without an error.
    """
    if account.parts or account.num_seconds is None or decoder.header_seconds is None:
        return False
    return decoder.header_seconds + _SLACK_SECONDS < account.num_seconds


def _is_ogg(beginning: bytes) -> bool:
    return beginning.startswith(b"OggS")


def _open_raw(part: FilePart, raw_format: RawFormat) -> Decoder:
    try:
        if raw_format.name in LIBSNDFILE_RAW_FORMATS:
            subtype, endian = LIBSNDFILE_RAW_FORMATS[raw_format.name]
            encoding = RawEncoding(
                subtype, endian, raw_format.sample_rate_hz, raw_format.num_channels
            )
            return LibsndfileDecoder(part, encoding)
        return FfmpegDecoder(part, raw_format.name)
    except UnknownFormatError as error:
        raise AudioError("unsupported_format", str(error)) from error
