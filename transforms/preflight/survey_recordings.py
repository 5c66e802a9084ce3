"""SurveyRecordings: from clips to a forecast by the headers of their recordings."""

import dataclasses
import functools
import itertools
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.transforms.combiners import Count
from apache_beam.transforms.window import GlobalWindows
from apache_beam.typehints.decorators import no_annotations

from transforms.audio.errors import AudioError
from transforms.corpus import recordings
from transforms.corpus.clips import Clip, Failure, group_recordings, unit_of
from transforms.corpus.serialization import deserialize, serialize
from transforms.corpus.spans import FramingConfig
from transforms.corpus.splits import Splits, assign_splits
from transforms.preflight import forecast
from transforms.preflight.headers import read_opened_header
from transforms.preflight.survey import Survey, total
from transforms.storage import files

OPENED = "opened"
# A core opens 1,080 headers of WAV a second, 510 of Ogg and 370 of MP3 (5 s long; these two are
# read to their ends), 440 of FLAC: this many take about 10 seconds, and estimate a share of 1 % to
# within 0.3 %.
MAX_RECORDINGS = 4_000
# Tasks of many recordings each, whose headers are read from a storage concurrently.
_NUM_TASKS = 64
_NUM_REQUESTS = 8


@dataclasses.dataclass
class SurveyRecordings(beam.PTransform):
    """Counts the recordings of clips, and opens a sample of them.

    Input: `Clip`s with distinct ids. Outputs: `listed` (`Survey`s of all recordings and clips, with
    the failures that are known without opening) and `opened` (`Survey`s of the sample).

    Attributes:
      framing: How clips become patches.
      splits: Shares of the recordings, or None.
      max_recordings: About how many recordings are opened, chosen by their names alone.
    """

    framing: FramingConfig
    splits: Splits | None = None
    max_recordings: int = MAX_RECORDINGS

    @no_annotations
    def expand(self, clips: pvalue.PCollection[Clip]) -> dict[str, pvalue.PCollection]:
        present = (
            clips
            | beam.Map(recordings.by_spelled_recording).with_output_types(tuple[bytes, bytes])
            | beam.GroupByKey()
            | beam.ParDo(_FindRecordingsFn(self.splits)).with_outputs("listed", main="there")
        )
        number = present.there | Count.Globally()
        opened = (
            present.there
            | beam.ParDo(_SampleFn(self.max_recordings), number=pvalue.AsSingleton(number))
            | "Spread" >> beam.GroupByKey()
            | beam.ParDo(_OpenFn(self.framing))
        )
        return {"listed": present.listed, OPENED: opened}


@dataclasses.dataclass
class SurveyFailures(beam.PTransform):
    """Counts failures.

    Input: `Failure`s. Output: `Survey`s.
    """

    def expand(self, failures: pvalue.PCollection[Failure]) -> pvalue.PCollection[Survey]:
        return failures | beam.ParDo(_FailuresFn())


class _SumFn(beam.DoFn):
    """Sums the surveys of a bundle, so that one goes on instead of millions."""

    def start_bundle(self) -> None:
        self._found = Survey()

    def _add(self, survey: Survey) -> None:
        self._found += survey

    def _sum(self) -> Any:
        return GlobalWindows.windowed_value(self._found)


class _FailuresFn(_SumFn):
    def process(self, failure: Failure) -> None:
        self._add(Survey(failures={failure.reason: forecast.failed(failure)}))

    def finish_bundle(self) -> Iterator[Any]:
        yield self._sum()


class _FindRecordingsFn(_SumFn):
    def __init__(self, splits: Splits | None) -> None:
        self._splits = splits

    def process(self, element: tuple[bytes, Iterable[bytes]]) -> Iterator[bytes]:
        for recording in group_recordings(map(deserialize, element[1])):
            clips = list(assign_splits(recording, self._splits))
            if recordings.is_absent(clips[0].uri):
                broken = forecast.of_broken(clips, "not_found")
                self._add(Survey(failures=broken.failures))
            else:
                self._add(Survey(num_recordings=1, num_listed=len(clips)))
                yield serialize(clips)

    def finish_bundle(self) -> Iterator[Any]:
        yield pvalue.TaggedOutput("listed", self._sum())


class _SampleFn(beam.DoFn):
    def __init__(self, max_recordings: int) -> None:
        self._max_recordings = max_recordings

    def process(self, packed: bytes, number: int) -> Iterator[tuple[int, bytes]]:
        clip = deserialize(packed)[0]
        if forecast.is_in_sample(clip.uri, number, self._max_recordings):
            # By the lowest digits: the highest ones are alike in a small sample. All of a part of a
            # packed file go to one task, which reads it once.
            yield forecast.position_of(unit_of(clip)) % _NUM_TASKS, packed


class _OpenFn(beam.DoFn):
    def __init__(self, framing: FramingConfig) -> None:
        self._framing = framing

    def process(self, element: tuple[int, Iterable[bytes]]) -> Iterator[Survey]:
        units: dict[str, list[list[Clip]]] = {}
        for clips in map(deserialize, element[1]):
            units.setdefault(unit_of(clips[0]), []).append(clips)
        started = time.monotonic()
        if all(map(files.is_local, units)):
            found = [survey for unit in units.values() for survey in self._survey_unit(unit)]
        else:
            with ThreadPoolExecutor(_NUM_REQUESTS) as pool:
                surveys = pool.map(lambda unit: [*self._survey_unit(unit)], units.values())
                found = list(itertools.chain.from_iterable(surveys))
        seconds = time.monotonic() - started
        yield dataclasses.replace(total(found), header_seconds=seconds)

    def _survey_unit(self, unit: list[list[Clip]]) -> Iterator[Survey]:
        """Yields the surveys of recordings that are read in one pass."""
        unit.sort(key=lambda clips: (clips[0].place or (), clips[0].uri))
        if unit[0][0].place is None:
            for clips in unit:
                yield self._survey(
                    clips, functools.partial(recordings.open_recording_file, clips[0], True)
                )
            return
        opened = recordings.open_all((clips[0] for clips in unit), in_parts=True)
        for clips, (_, open_file) in zip(unit, opened, strict=True):
            yield self._survey(clips, open_file)

    def _survey(self, clips: list[Clip], open_file: recordings.Open) -> Survey:
        surveys = []
        for kind in dict.fromkeys((clip.raw_format, clip.channel) for clip in clips):
            alike = [clip for clip in clips if (clip.raw_format, clip.channel) == kind]
            try:
                with open_file() as file:
                    header = read_opened_header(file, alike[0], self._framing.channel)
            except AudioError as error:
                surveys.append(forecast.of_broken(alike, error.reason))
            except FileNotFoundError:
                surveys.append(forecast.of_broken(alike, "not_found"))
            except OSError:
                surveys.append(forecast.of_broken(alike, "unreadable"))
            else:
                surveys.append(forecast.of_recording(alike, header, self._framing))
        return dataclasses.replace(total(surveys), num_recordings=1)
