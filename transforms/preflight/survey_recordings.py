"""SurveyRecordings: from clips to what their recordings' headers promise."""

import dataclasses
import posixpath
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.transforms.combiners import Count
from apache_beam.transforms.window import GlobalWindows

from transforms.audio import decoding
from transforms.audio.decoding import Recording
from transforms.audio.errors import AudioError
from transforms.corpus.clips import Clip, Failure, by_recording
from transforms.corpus.serialization import deserialize, serialize
from transforms.corpus.spans import FramingConfig
from transforms.corpus.splits import Splits, assign_splits
from transforms.preflight import forecast
from transforms.preflight.survey import Header, Survey, total
from transforms.storage import files

OPENED = "opened"
# A core opens 1,080 headers of WAV a second, 510 of Ogg and 370 of MP3 (5 s long; these two are
# walked to their ends), 440 of FLAC: so many take about 10 seconds, and tell a share of 1 % to
# within 0.3 %.
MAX_RECORDINGS = 4_000
# Tasks of many recordings each, whose headers are fetched at the same time from a storage.
_NUM_TASKS = 64
_NUM_REQUESTS = 8


@dataclasses.dataclass
class SurveyRecordings(beam.PTransform):
    """Counts the recordings of clips, and opens those of a sample.

    Input: `Clip`s, one an id. Outputs: `listed` (`Survey`s of all: recordings and clips, and of the
    failures those that are known without opening) and `opened` (`Survey`s of the sample).

    Attributes:
      framing: How clips become patches.
      splits: Shares of the recordings, or None.
      max_recordings: About how many are opened; which, follows from their names alone.
    """

    framing: FramingConfig
    splits: Splits | None = None
    max_recordings: int = MAX_RECORDINGS

    def expand(self, clips: pvalue.PCollection[Clip]) -> dict[str, pvalue.PCollection]:
        looked_for = (
            clips
            | beam.Map(by_recording).with_output_types(tuple[bytes, bytes])
            | beam.GroupByKey()
            | beam.ParDo(_LookForFn(self.splits)).with_outputs("listed", main="there")
        )
        number = looked_for.there | Count.Globally()
        opened = (
            looked_for.there
            | beam.ParDo(_SampleFn(self.max_recordings), number=pvalue.AsSingleton(number))
            | "Spread" >> beam.GroupByKey()
            | beam.ParDo(_OpenFn(self.framing))
        )
        return {"listed": looked_for.listed, OPENED: opened}


@dataclasses.dataclass
class SurveyFailures(beam.PTransform):
    """Counts failures.

    Input: `Failure`s. Output: `Survey`s.
    """

    def expand(self, failures: pvalue.PCollection[Failure]) -> pvalue.PCollection[Survey]:
        return failures | beam.ParDo(_FailuresFn())


class _Adding(beam.DoFn):
    """Puts together what is found in a bundle: of millions of small surveys one goes on."""

    def start_bundle(self) -> None:
        self._found = Survey()

    def _add(self, survey: Survey) -> None:
        self._found += survey

    def _sum(self) -> Any:
        return GlobalWindows.windowed_value(self._found)


class _FailuresFn(_Adding):
    def process(self, failure: Failure) -> None:
        self._add(Survey(failures={failure.reason: forecast.failed(failure)}))

    def finish_bundle(self) -> Iterator[Any]:
        yield self._sum()


class _LookForFn(_Adding):
    def __init__(self, splits: Splits | None) -> None:
        self._splits = splits

    def process(self, element: tuple[bytes, Iterable[bytes]]) -> Iterator[bytes]:
        clips = list(assign_splits(map(deserialize, element[1]), self._splits))
        if files.is_absent(clips[0].uri):
            broken = forecast.of_broken(clips, "not_found")
            self._add(Survey(failures=broken.failures))
        else:
            self._add(Survey(num_recordings=1, num_asked=len(clips)))
            yield serialize(clips)

    def finish_bundle(self) -> Iterator[Any]:
        yield pvalue.TaggedOutput("listed", self._sum())


class _SampleFn(beam.DoFn):
    def __init__(self, max_recordings: int) -> None:
        self._max_recordings = max_recordings

    def process(self, packed: bytes, number: int) -> Iterator[tuple[int, bytes]]:
        uri = deserialize(packed)[0].uri
        if forecast.is_in_sample(uri, number, self._max_recordings):
            # The lowest digits, as the highest ones are alike in a small sample.
            yield forecast.place_of(uri) % _NUM_TASKS, packed


class _OpenFn(beam.DoFn):
    def __init__(self, framing: FramingConfig) -> None:
        self._framing = framing

    def process(self, element: tuple[int, Iterable[bytes]]) -> Iterator[Survey]:
        recordings: list[list[Clip]] = list(map(deserialize, element[1]))
        started = time.monotonic()
        if all(files.is_local(clips[0].uri) for clips in recordings):
            found = list(map(self._look_into, recordings))
        else:
            with ThreadPoolExecutor(_NUM_REQUESTS) as pool:
                found = list(pool.map(self._look_into, recordings))
        seconds = time.monotonic() - started
        yield dataclasses.replace(total(found), header_seconds=seconds)

    def _look_into(self, clips: list[Clip]) -> Survey:
        surveys = []
        for raw_format in dict.fromkeys(clip.raw_format for clip in clips):
            alike = [clip for clip in clips if clip.raw_format == raw_format]
            try:
                header = look_into(alike[0], self._framing.channel)
            except AudioError as error:
                surveys.append(forecast.of_broken(alike, error.reason))
            except FileNotFoundError:
                surveys.append(forecast.of_broken(alike, "not_found"))
            except OSError:
                surveys.append(forecast.of_broken(alike, "unreadable"))
            else:
                surveys.append(forecast.of_recording(alike, header, self._framing))
        return dataclasses.replace(total(surveys), num_recordings=1)


def look_into(clip: Clip, channel: int | None = None) -> Header:
    """Opens a clip's recording, and decodes its first block and what is cheap of its end.

    Raises:
      AudioError: It cannot be decoded.
      OSError: It cannot be read.
    """
    suffix = posixpath.splitext(clip.uri)[1].lower()
    with (
        files.open_to_read(clip.uri, in_parts=True) as file,
        decoding.open_recording(file, suffix, clip.raw_format, channel) as recording,
    ):
        decoding.validate_samples(recording.read(), 0, recording.sample_rate_hz)
        seconds: Fraction | None = None
        if recording.num_frames is not None:
            seconds = Fraction(recording.num_frames, recording.sample_rate_hz)
        elif recording.header_seconds is not None:
            seconds = Fraction(recording.header_seconds)
        channels = f"{recording.num_channels} channel{'s' * (recording.num_channels > 1)}"
        return Header(
            f"{recording.format}, {recording.sample_rate_hz} Hz, {channels}",
            seconds,
            recording.num_frames is not None,
            recording.missing or _missing_end(recording),
        )


def _missing_end(recording: Recording) -> str | None:
    """Says what is missing at the end of a recording that can be read from there, or None."""
    if recording.num_frames is None:
        return None
    try:
        recording.seek(recording.num_frames)
        recording.read()
    except AudioError as error:
        return str(error)
    return None
