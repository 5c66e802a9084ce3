"""A walk over the frames of an elementary stream: MPEG audio, ADTS and their like.

Every byte is accounted for. A frame counts if its successor is where the frame's header says, or a
tag, padding or the end; what is neither is damage.
"""

import abc
import re
from typing import NamedTuple

from transforms.audio.evidence.account import Account, DamageList
from transforms.audio.evidence.formats import tags
from transforms.audio.evidence.source import Source

TAG_STARTS = rb"ID3[\x02-\x04]|APETAGEX|LYRICSBEGIN|TAG"
_TAG_START_BYTES = 11
# Parts of a chain whose sample rates differ; more of them are no recording.
_MOST_RATES = 1_000
_MOST_PARTS = 10_000
_STREAM_HEADER_BYTES = 256
# A header that counts this many frames more than there are was written before a file was cut.
_SLACK_FRAMES = 4
_SLACK_SECONDS = 0.25


class Header(NamedTuple):
    """What the header of a frame says.

    Attributes:
      key: What all frames of a stream have in common.
      num_bytes: Size of the frame.
      num_samples: Length of the frame per channel.
      rate_hz: Sample rate.
    """

    key: int
    num_bytes: int
    num_samples: int
    rate_hz: int


class Codec(abc.ABC):
    """How frames of one encoding begin.

    Attributes:
      name: Name of a frame in messages.
      header_bytes: Number of bytes that `parse` needs.
      sync: Pattern of the first bytes of every frame, or of a tag.
      tells_rate: Whether decoded audio has the sample rate of the header.
    """

    name: str
    header_bytes: int
    sync: "re.Pattern[bytes]"
    tells_rate = True

    @abc.abstractmethod
    def parse(self, head: bytes) -> Header | None:
        """Returns the header at the start of `head`; None if no frame begins there."""

    def needs_predecessor(self, head: bytes) -> bool:
        """Whether the frame that begins with `head` uses bytes of frames before it."""
        del head
        return False

    def declared_frames(self, head: bytes) -> int | None:
        """Number of frames that follow, if this one is a header of the stream; None if audio."""
        del head
        return None

    def trimmed_samples(self, head: bytes) -> int:
        """Number of samples that decoders drop, by a header of the stream."""
        del head
        return 0


def is_stream(source: Source, start: int, codec: Codec) -> bool:
    """Whether at least two frames stand at the start of a stream, or one that is all of it."""
    return _Walk(source, start, source.size, codec).is_chain(start, 2)


def start_of_stream(source: Source, start: int, end: int, codec: Codec) -> int:
    """Returns where ten or more frames in a row begin, in `[start, end)`; `end` if nowhere."""
    walk = _Walk(source, start, source.size, codec)
    while start < end:
        start = source.find(codec.sync, start, end, _TAG_START_BYTES)
        if start < end and walk.is_chain(start, 10):
            break
        start += 1
    return min(start, end)


def walk(source: Source, start: int, end: int, codec: Codec) -> Account:
    """Walks the frames of a stream.

    Args:
      source: The file.
      start: Where the stream begins, or the tags in front of it.
      end: Where it ends, or the padding behind it; without tags at the end of the file.
      codec: Its encoding.
    """
    return _Walk(source, start, end, codec).account()


class _Walk:
    def __init__(self, source: Source, start: int, end: int, codec: Codec) -> None:
        self._source = source
        self._codec = codec
        self._start, self._end = start, end
        self._key: int | None = None
        self._seconds = 0.0
        self._trimmed_seconds = 0.0  # by encoders' delay and padding, of which damage is no part
        self._audio_bytes = 0
        self._rates_hz: list[int] = []
        self._declared: int | None = None
        self._num_frames = 0  # since the header that declares their number
        self._lost_seconds = 0.0  # since that header, and told
        self._sync = b""
        self._zeros = (0, 0)
        self._damages = DamageList()
        self._frame_seconds = 0.0
        self._parts: list[tuple[int, int]] = []
        self._ends_part = False

    def account(self) -> Account:
        position = self._start
        while position < self._end:
            after = self._count_frames(position)
            if after == position:
                after = self._skip_tag_or_padding(position)
                self._ends_part |= after > position
            if after == position:
                after = self._skip_junk(position)
            position = after
        self._check_declared(is_end=True)
        parts = self._parts if len(self._parts) <= _MOST_PARTS else []
        return Account(
            num_seconds=max(0.0, self._seconds - self._trimmed_seconds),
            rates_hz=tuple(self._rates_hz) if self._codec.tells_rate else (),
            parts=tuple(parts) if len(parts) > 1 else (),
            damages=self._damages.ordered(),
            audio_range=(parts[0][0], parts[-1][1]) if parts else None,
        )

    def _count_frames(self, position: int) -> int:
        """Counts consecutive frames of one stream, and returns where they end."""
        at, parse, size = self._source.at, self._codec.parse, self._codec.header_bytes
        header = parse(at(position, size))
        if header is None or not (header.key == self._key or self._is_confirmed(position, header)):
            return position
        self._begin_stream(position, header)
        while header is not None and header.key == self._key:
            following = position + header.num_bytes
            if following > self._end:
                break
            successor = parse(at(following, size))
            if (successor is None or successor.key != self._key) and not self._begins(following):
                break
            self._count(position, header)
            position, header = following, successor
            if position >= self._end:
                break
        return position

    def _begin_stream(self, position: int, header: Header) -> None:
        self._ends_part |= header.key != self._key
        self._key = header.key
        self._sync = self._source.at(position, 2)
        self._frame_seconds = header.num_samples / header.rate_hz
        if self._rates_hz[-1:] != [header.rate_hz] and len(self._rates_hz) < _MOST_RATES:
            self._rates_hz.append(header.rate_hz)

    def _count(self, position: int, header: Header) -> None:
        """Counts a frame: as audio, or as the header of a stream."""
        head = self._source.at(position, 6)
        if not (head[4] or head[5]):  # cheap, and true of all headers of streams
            head = self._source.at(position, _STREAM_HEADER_BYTES)
            declared = self._codec.declared_frames(head)
            if declared is not None:
                trimmed_seconds = self._codec.trimmed_samples(head) / header.rate_hz
                self._trimmed_seconds += min(trimmed_seconds, declared * self._frame_seconds)
                self._check_declared(is_end=False)
                self._declared, self._num_frames, self._lost_seconds = declared, 0, 0.0
                self._ends_part |= bool(self._audio_bytes)
                self._add_to_part(position, header)
                return
        self._num_frames += 1
        self._seconds += header.num_samples / header.rate_hz
        self._audio_bytes += header.num_bytes
        self._add_to_part(position, header)

    def _add_to_part(self, position: int, header: Header) -> None:
        """Extends the last part by a frame, or begins one: after a tag, and with a new header."""
        end = position + header.num_bytes
        if self._parts and not self._ends_part:
            self._parts[-1] = self._parts[-1][0], end
        else:
            self._parts.append((position, end))
        self._ends_part = False

    def _check_declared(self, is_end: bool) -> None:
        """Compares the frames that were counted with those that the stream's header declares."""
        if self._declared is not None:
            missing = self._declared - self._num_frames
            seconds = missing * self._frame_seconds
            seconds -= self._lost_seconds
            if missing > _SLACK_FRAMES and seconds > _SLACK_SECONDS:
                message = f"the header declares {self._declared} frames, there are"
                message = f"{message} {self._num_frames}"
                self._damages.add(None if is_end else self._seconds, seconds, message)

    def _skip_tag_or_padding(self, position: int) -> int:
        tag_end = tags.end_of_tag(self._source, position, self._end)
        if tag_end > position or self._source.at(position, 1) != b"\0":
            return tag_end
        if not self._is_padding(position):
            return position
        zeros_end = self._end_of_zeros(position)
        if zeros_end == self._end:
            return zeros_end
        head = self._source.at(zeros_end, self._codec.header_bytes + 8)
        if self._codec.parse(head) and self._codec.needs_predecessor(head) and self._audio_bytes:
            self._add_damage(zeros_end - position, f"{zeros_end - position} bytes are zero")
        return zeros_end

    def _skip_junk(self, position: int) -> int:
        """Returns where the next frame or tag begins, and tells what was lost up to there."""
        header = self._codec.parse(self._source.at(position, self._codec.header_bytes))
        if header is not None and header.key != self._key:
            header = None
        found = self._next_start(position + 1, self._end)
        num_bytes = found - position
        if found < self._end:
            if not self._audio_bytes:
                self._lead(found, num_bytes)
            elif header is not None and self._is_headerless_ape(position + header.num_bytes, found):
                self._count(position, header)
            elif not self._is_headerless_ape(position, found):
                self._add_damage(num_bytes, f"{num_bytes} bytes are no {self._codec.name}")
            return found
        if header is not None:
            if position + header.num_bytes > self._end:
                missing = position + header.num_bytes - self._end
                message = f"the last {self._codec.name} lacks {missing} bytes"
                self._damages.add(None, self._frame_seconds, message)
                self._lost_seconds += self._frame_seconds
                return found
            self._count(position, header)
            num_bytes -= header.num_bytes
        if self._is_cut_header(position, num_bytes):
            message = f"the last {self._codec.name} is cut in its header"
            self._damages.add(None, self._frame_seconds, message)
        elif self._audio_bytes and not self._is_little(num_bytes):
            seconds = num_bytes * self._seconds / self._audio_bytes
            message = f"{num_bytes} bytes at the end are no {self._codec.name}"
            self._damages.add(None, seconds, message)
        return found

    def _lead(self, found: int, num_bytes: int) -> None:
        """Tells what was lost in front of the first frame: nothing, if a stream begins there."""
        head = self._source.at(found, self._codec.header_bytes + 8)
        header = self._codec.parse(head)
        if header is None or num_bytes < header.num_bytes:
            return
        if self._codec.needs_predecessor(head):
            seconds = num_bytes / header.num_bytes * header.num_samples / header.rate_hz
            message = f"{num_bytes} bytes in front are no {self._codec.name}"
            self._damages.add(0.0, seconds, message)

    def _add_damage(self, num_bytes: int, message: str) -> None:
        seconds = num_bytes * self._seconds / self._audio_bytes if self._audio_bytes else 0.0
        seconds = max(seconds, self._frame_seconds)
        self._lost_seconds += seconds
        self._damages.add(self._seconds, seconds, message)

    def _is_little(self, num_bytes: int) -> bool:
        """Whether bytes are fewer than an average frame has."""
        if not self._seconds:
            return True
        return num_bytes < max(4, self._frame_seconds * self._audio_bytes / self._seconds)

    def _is_headerless_ape(self, position: int, found: int) -> bool:
        """Whether what was skipped is an APEv1 tag, which has a footer only."""
        foot = self._source.at(found, 16)
        size = int.from_bytes(foot[12:16], "little")
        return foot[:8] == b"APETAGEX" and found + 32 - size <= position

    def _next_start(self, position: int, end: int) -> int:
        """Returns where the next frames or tag begin; `end` if nowhere."""
        sync = self._codec.sync
        while position < end:
            position = self._source.find(sync, position, end, _TAG_START_BYTES)
            if position >= end:
                break
            header = self._codec.parse(self._source.at(position, self._codec.header_bytes))
            if header is None:
                tag_end = tags.end_of_tag(self._source, position, end)
                if tag_end > position and (tag_end == end or self._begins(tag_end)):
                    return position
            elif self.is_chain(position, 2 if header.key == self._key else 3):
                return position
            position += 1
        return end

    def is_chain(self, position: int, num_frames: int) -> bool:
        """Whether frames of one stream stand in a row, or fewer up to the end or a tag."""
        key = None
        for index in range(num_frames):
            header = self._codec.parse(self._source.at(position, self._codec.header_bytes))
            if header is None or (key is not None and header.key != key):
                return index > 0 and self._begins_no_frame(position)
            key = header.key
            position += header.num_bytes
            if position >= self._end:
                return position == self._end or index > 0
        return True

    def _is_confirmed(self, position: int, header: Header) -> bool:
        return position + header.num_bytes <= self._end and self.is_chain(position, 2)

    def _begins(self, position: int) -> bool:
        """Whether the end, a tag, padding or another stream is at a position."""
        return self._begins_no_frame(position) or self.is_chain(position, 2)

    def _begins_no_frame(self, position: int) -> bool:
        if position + self._codec.header_bytes > self._end:
            return position <= self._end
        tag_end = tags.end_of_tag(self._source, position, self._end)
        return tag_end > position or self._is_padding(position)

    def _is_padding(self, position: int) -> bool:
        """Whether zeros are at a position that lead to the end, a tag or a frame."""
        if self._source.at(position, 4) != bytes(4):
            return False
        end = self._end_of_zeros(position)
        if end == self._end or tags.end_of_tag(self._source, end, self._end) > end:
            return True
        header = self._codec.parse(self._source.at(end, self._codec.header_bytes))
        if header is None or header.key == self._key:
            return header is not None
        following = end + header.num_bytes
        head = self._source.at(following, self._codec.header_bytes)
        if following >= self._end or head == bytes(len(head)):
            return True
        successor = self._codec.parse(head)
        return successor is not None and successor.key == header.key

    def _end_of_zeros(self, position: int) -> int:
        """Returns where zeros end, found once for each run of them."""
        start, end = self._zeros
        if not start <= position < end:
            end = self._source.end_of_zeros(position, self._end)
            self._zeros = position, end
        return end

    def _is_cut_header(self, position: int, num_bytes: int) -> bool:
        """Whether the last bytes are the first ones of a header."""
        if not 0 < num_bytes < self._codec.header_bytes or self._end - num_bytes < position:
            return False
        return self._source.at(self._end - num_bytes, min(num_bytes, 2)) == self._sync[:num_bytes]
