"""The survey of the recordings of a corpus: sums that can be added in any order."""

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeVar

from transforms.corpus.clips import Clip, RawFormat
from transforms.corpus.serialization import CompactPickle
from transforms.packed.address import Place

NUM_NAMED = 3
# Recordings to keep for a trial: enough to fill it with short ones, and a few of each kind.
_NUM_CANDIDATES = 300
_NUM_OF_KIND = 4
_Value = TypeVar("_Value")


@dataclasses.dataclass(frozen=True)
class Failed(CompactPickle):
    """Clips that fail for one reason.

    Attributes:
      num_clips: The number of clips.
      names: The first few of their ids, sorted.
    """

    num_clips: int = 0
    names: tuple[str, ...] = ()

    def __add__(self, other: "Failed") -> "Failed":
        names = tuple(sorted({*self.names, *other.names})[:NUM_NAMED])
        return Failed(self.num_clips + other.num_clips, names)


@dataclasses.dataclass(frozen=True)
class Sums(CompactPickle):
    """Sums over clips.

    Attributes:
      num_recordings: The number of their recordings.
      num_clips: The number of clips that become records.
      num_rows: The rows of these records.
      seconds: The audio of these records.
      decoded_seconds: The audio that is decoded for them.
    """

    num_recordings: int = 0
    num_clips: int = 0
    num_rows: int = 0
    seconds: float = 0.0
    decoded_seconds: float = 0.0

    def __add__(self, other: "Sums") -> "Sums":
        pairs = zip(_values(self), _values(other), strict=True)
        return Sums(*(own + others for own, others in pairs))


@dataclasses.dataclass(frozen=True)
class Header(CompactPickle):
    """The facts in the header of a recording.

    Attributes:
      kind: Format, sample rate and channels, as text.
      seconds: The length; None where the header does not tell it.
      can_seek: Whether the recording is read where its clips are, instead of from its start.
      missing: What is missing at its end, as text; None where nothing is known to be.
    """

    kind: str
    seconds: Fraction | None
    can_seek: bool
    missing: str | None = None


@dataclasses.dataclass(frozen=True)
class Candidate(CompactPickle):
    """A recording that a trial can use.

    Attributes:
      position: The position among all, evenly spread, which depends on the name alone.
      header: Its header.
      clips: Its first clips.
    """

    position: int
    header: Header
    clips: tuple[Clip, ...]


@dataclasses.dataclass(frozen=True)
class Survey(CompactPickle):
    """The survey of some recordings.

    Attributes:
      num_recordings: The number of recordings that exist.
      num_listed: The number of their listed clips, before any is cut into more.
      rows_squared: The sum of squares over the recordings, for the error of a sample.
      header_seconds: The time it took to open them.
      kinds: Sums over those that can be opened, by format.
      splits: The same sums, by split.
      failures: The failed clips, by reason.
      counts: Numbers by name: `padded`, `truncated`, `damaged`, `unknown_length`.
      candidates: Recordings for a trial, by position.
    """

    num_recordings: int = 0
    num_listed: int = 0
    rows_squared: float = 0.0
    header_seconds: float = 0.0
    kinds: Mapping[str, Sums] = dataclasses.field(default_factory=dict)
    splits: Mapping[str, Sums] = dataclasses.field(default_factory=dict)
    failures: Mapping[str, Failed] = dataclasses.field(default_factory=dict)
    counts: Mapping[str, int] = dataclasses.field(default_factory=dict)
    candidates: tuple[Candidate, ...] = ()

    def __add__(self, other: "Survey") -> "Survey":
        return Survey(
            self.num_recordings + other.num_recordings,
            self.num_listed + other.num_listed,
            self.rows_squared + other.rows_squared,
            self.header_seconds + other.header_seconds,
            _merged(self.kinds, other.kinds, Sums()),
            _merged(self.splits, other.splits, Sums()),
            _merged(self.failures, other.failures, Failed()),
            _merged(self.counts, other.counts, 0),
            _first([*self.candidates, *other.candidates]),
        )

    @property
    def sums(self) -> Sums:
        """The sums over all kinds."""
        return sum(self.kinds.values(), Sums())

    @property
    def num_failed(self) -> int:
        """The number of clips that fail, for any reason."""
        return sum(each.num_clips for each in self.failures.values())

    def to_json(self) -> bytes:
        """Returns the survey as one line."""
        return json.dumps(dataclasses.asdict(self), default=str).encode()

    @classmethod
    def from_json(cls, line: bytes) -> "Survey":
        """Returns a survey from its line; raises `ValueError` for anything else."""
        try:
            values: dict[str, Any] = json.loads(line)
            for name in ("kinds", "splits"):
                values[name] = {key: Sums(**each) for key, each in values[name].items()}
            values["failures"] = {
                reason: Failed(each["num_clips"], tuple(each["names"]))
                for reason, each in values["failures"].items()
            }
            values["candidates"] = tuple(map(_candidate, values["candidates"]))
            return cls(**values)
        except (AttributeError, KeyError, TypeError, ArithmeticError) as error:
            raise ValueError(f"not a survey: {error}") from error


def total(surveys: Iterable[Survey]) -> Survey:
    """Returns the sum of surveys."""
    return sum(surveys, Survey())


def _values(sums: Sums) -> Iterator[Any]:
    return (getattr(sums, field.name) for field in dataclasses.fields(sums))


def _merged(
    own: Mapping[str, _Value], others: Mapping[str, _Value], nothing: _Value
) -> dict[str, _Value]:
    merged = dict(own)
    for key, value in others.items():
        merged[key] = merged.get(key, nothing) + value  # type: ignore[operator]
    return dict(sorted(merged.items()))


def _first(candidates: list[Candidate]) -> tuple[Candidate, ...]:
    """Keeps the first ones of all and of each kind, whatever the order of adding."""
    kept = []
    of_kind: dict[str, int] = {}
    ordered = sorted(candidates, key=lambda each: (each.position, each.clips[0].uri))
    for index, each in enumerate(ordered):
        of_kind[each.header.kind] = number = of_kind.get(each.header.kind, 0) + 1
        if index < _NUM_CANDIDATES or number <= _NUM_OF_KIND:
            kept.append(each)
    return tuple(kept)


def _candidate(values: dict[str, Any]) -> Candidate:
    header = values["header"]
    seconds = header["seconds"]
    header["seconds"] = None if seconds is None else Fraction(seconds)
    return Candidate(values["position"], Header(**header), tuple(map(_clip, values["clips"])))


def _clip(values: dict[str, Any]) -> Clip:
    for name in ("start_seconds", "end_seconds", "recording_offset_seconds"):
        values[name] = None if values[name] is None else Decimal(values[name])
    values["labels"] = tuple(values["labels"])
    values["columns"] = tuple((name, value) for name, value in values["columns"])
    raw = values["raw_format"]
    place = values["place"]
    values["place"] = None if place is None else Place(*place)
    values["raw_format"] = None if raw is None else RawFormat(**raw)
    return Clip(**values)
