"""An open recording: its blocks of samples at one rate, and the damage in it."""

import functools
from typing import NamedTuple

import numpy as np

from transforms.audio.decoders import choosing
from transforms.audio.decoders.choosing import PartDecoder
from transforms.audio.decoders.decoder import DamagedError, FilePart
from transforms.audio.errors import AudioError
from transforms.audio.evidence.account import Account
from transforms.audio.resampling import Resampler
from transforms.corpus.spans import SAMPLE_RATE_HZ

# Samples of all channels per block: 1 MB, about 3 s of 44.1 kHz stereo.
BLOCK_VALUES = 2**18
# Damage of unknown length counts as one frame of a typical codec.
_MIN_DAMAGE_SECONDS = 0.02
# Priming and padding, by which what is decoded may be shorter than what is there.
_LENGTH_SLACK_SECONDS = 0.25


class DamagedRange(NamedTuple):
    """Audio frames of a recording that are damaged or missing, `[start, end)`."""

    start: int
    end: int
    message: str


class Recording:
    """An open recording.

    Attributes:
      decoder: Name and version of the decoder.
      format: Container and codec, by the decoder's names.
      num_channels: Number of channels at the beginning.
      sample_rate_hz: Sample rate of the recording. That of a file with parts of several rates is
        16 kHz, to which each part is resampled.
      num_frames: Exact length of a seekable recording; None if it is not seekable.
      header_seconds: Approximate length by the header; None if unknown.
      is_float: Whether the samples are stored as floats, so that they may be anything.
      missing: Description of what the file's bytes show to be damaged; None if nothing is.
      damaged: The damage found so far, if it is kept.
    """

    def __init__(
        self,
        account: Account,
        first: PartDecoder,
        later_parts: list[FilePart],
        channel: int | None,
        keep_damaged: bool,
    ) -> None:
        self._decoder = first
        self._later_parts = later_parts
        self._channel = channel
        self._keep_damaged = keep_damaged
        self._is_empty = True
        self.damaged: list[DamagedRange] = []
        self.decoder = first.name
        self.format = first.format
        self.num_channels = first.num_channels
        several_rates = len(set(account.rates_hz)) > 1
        self.sample_rate_hz = SAMPLE_RATE_HZ if several_rates else first.sample_rate_hz
        self.num_frames = None if later_parts or several_rates else first.num_frames
        self.header_seconds = account.num_seconds or first.header_seconds
        self.is_float = first.is_float
        self.missing = account.damages[0].message if account.damages else None
        self._account = account
        self._damages = list(account.damages)
        self.position = 0
        self._is_ended = False
        self._resampler: Resampler | None = None
        self._rest = np.empty(0, np.float32)

    def seek(self, frame: int) -> None:
        """Goes to a frame, at most to the end; only forwards if `num_frames` is None.

        Raises:
          AudioError, OSError: As for `read`. Seeking to the end checks that the recording is
            complete.
        """
        if self.num_frames is not None:
            self._seek(min(frame, self.num_frames - 1))
        while self.position < frame and len(self.read(frame - self.position)):
            pass

    def read(self, num_frames: int | None = None) -> np.ndarray:
        """Returns the next block, mixed to mono; an empty block at the end.

        Args:
          num_frames: Maximum length of the block, in addition to the internal one.

        Raises:
          AudioError: `empty`, `no_channel`, or `decode_error` with the position in seconds.
          OSError: The storage failed.
        """
        block_frames = max(1, BLOCK_VALUES // self._decoder.num_channels)
        limit = self._limit(min(block_frames, num_frames or block_frames))
        while not len(self._rest):
            block = self._decoded(limit)
            if block is None:
                break
            self._rest = block
        block, self._rest = self._rest[:limit], self._rest[limit:]
        self.position += len(block)
        if len(block):
            self._is_empty = False
        elif self._is_empty and not self.position:
            if self.damaged:
                raise AudioError("decode_error", f"nothing decodes: {self.damaged[0].message}")
            raise AudioError("empty", "the file contains no samples")
        return block

    def close(self) -> None:
        """Closes the decoder, but not the file."""
        self._decoder.close()

    def _seek(self, frame: int) -> None:
        self.position = frame
        self._is_ended = False
        self._damages = [
            each
            for each in self._account.damages
            if each.start_seconds is None or each.start_seconds * self.sample_rate_hz >= frame
        ]
        try:
            self._decoder.seek(frame)
        except DamagedError as damage:
            self._report(str(damage), damage.num_seconds)
            self._is_ended = True

    def _limit(self, num_frames: int) -> int:
        """Returns how many frames come before the next damage of the account, and reports it."""
        while self._damages and self._damages[0].start_seconds is not None:
            start = round(self._damages[0].start_seconds * self.sample_rate_hz)
            if start > self.position:
                return min(num_frames, start - self.position)
            damage = self._damages.pop(0)
            self._report(damage.message, damage.num_seconds)
        return num_frames

    def _decoded(self, num_frames: int) -> np.ndarray | None:
        """Returns the next samples at the recording's rate, possibly none; None at the end."""
        if self._is_ended:
            # The later spans of a clip were planned by this length.
            rest = max(0, (self.num_frames or 0) - self.position)
            return np.zeros(min(num_frames, rest), np.float32) if rest else None
        nothing = np.empty(0, np.float32)
        try:
            block = self._decoder.read(num_frames)
        except DamagedError as damage:
            self._report(str(damage), damage.num_seconds)
            if not damage.is_end:
                return nothing
            block = nothing
        if len(block):
            return self._at_own_rate(self._mix(block))
        if self._resampler is not None:
            resampler, self._resampler = self._resampler, None
            return resampler.finish()
        if self._open_next_part():
            return nothing
        self._is_ended = True
        self._report_missing_end()
        return self._decoded(num_frames)

    def _at_own_rate(self, mono: np.ndarray) -> np.ndarray:
        rate_hz = self._decoder.sample_rate_hz
        last = self._resampler
        if last is None and rate_hz == self.sample_rate_hz:
            return mono
        if last is not None and last.rate_hz == rate_hz:
            return last.push(mono)
        rest = np.empty(0, np.float32) if last is None else last.finish()
        self._resampler = None
        if rate_hz != self.sample_rate_hz:
            self._resampler = Resampler(rate_hz, self.sample_rate_hz)
            mono = self._resampler.push(mono)
        return np.concatenate([rest, mono])

    def _open_next_part(self) -> bool:
        """Goes on to the next part that can be opened; returns whether there is one."""
        while self._later_parts:
            part = self._later_parts.pop(0)
            try:
                decoder = choosing.open_part(part, None, self._account)
            except AudioError as error:
                self._report(f"a part of the file: {error}", 0.0)
                continue
            self._decoder.close()
            self._decoder = decoder
            return True
        return False

    def _report_missing_end(self) -> None:
        if self._decoder.is_complete() and not self._account.is_open:
            self._damages.clear()
        while self._damages:
            damage = self._damages.pop(0)
            # The end is missing: of what the header says, if its length is not known otherwise.
            rest = (self.header_seconds or 0.0) - self.position / self.sample_rate_hz
            self._report(f"truncated: {damage.message}", damage.num_seconds or rest)
        if self.num_frames is not None:
            due, slack = self.num_frames / self.sample_rate_hz, 0.0
        else:
            due, slack = self._account.num_seconds or 0.0, _LENGTH_SLACK_SECONDS
        missing = due - self.position / self.sample_rate_hz
        if missing > slack:
            self._report(f"the last {missing:.3f} s do not decode", missing)

    def _report(self, message: str, num_seconds: float) -> None:
        """Notes damage at the current position, or raises it."""
        if not self._keep_damaged:
            raise AudioError("decode_error", self._at_position(message))
        num_frames = round(max(num_seconds, _MIN_DAMAGE_SECONDS) * self.sample_rate_hz)
        self.damaged.append(DamagedRange(self.position, self.position + num_frames, message))

    def _at_position(self, message: str) -> str:
        return f"decoding failed after {self.position / self.sample_rate_hz:.3f} s: {message}"

    def _mix(self, block: np.ndarray) -> np.ndarray:
        num_channels = block.shape[1]
        if self._channel is not None:
            if self._channel > num_channels:
                raise AudioError(
                    "no_channel",
                    f"--channel={self._channel}, and the recording has {num_channels} channels",
                )
            return block[:, self._channel - 1]
        if num_channels == 1:
            return block[:, 0]
        with np.errstate(invalid="ignore", over="ignore"):  # validate_samples rejects them later
            # Channel by channel: NumPy's mean over such a short axis takes ten times as long.
            mono: np.ndarray = functools.reduce(np.add, block.T)
            mono /= np.float32(num_channels)
        return mono
