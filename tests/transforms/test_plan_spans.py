"""PlanSpans."""

import dataclasses
import os
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
import soundfile
from apache_beam import pvalue

from tests.memory_filesystem import MemoryFileSystem
from tests.packing import wav, write_shard
from tests.running import outputs
from tests.sounds import noise, write_wav
from transforms.corpus.clips import Clip, Failure, RawFormat
from transforms.corpus.packed import list_recordings
from transforms.corpus.spans import (
    DecodeTask,
    FramingConfig,
    Span,
    single_task,
    split_into_tasks,
)
from transforms.corpus.splits import Splits
from transforms.dataset.table_files import FAILURES
from transforms.metrics.reporting import REPORTS, SelectReports
from transforms.plan_spans import PlanSpans
from transforms.storage import files

VGGISH = FramingConfig(15_600, 15_360)
# Looks into every file, and splits 20 rows.
EAGER = PlanSpans(VGGISH, min_bytes=0, span_rows=10)


@dataclasses.dataclass
class Both(beam.PTransform):
    """Gives all outputs as one."""

    planned: PlanSpans

    def expand(self, clips: pvalue.PCollection) -> pvalue.PCollection:
        given = clips | self.planned
        failures = (given[REPORTS],) | SelectReports(FAILURES)
        return [given["decode_tasks"], failures] | beam.Flatten()


def plan(transform: PlanSpans, clips: list[Clip]) -> tuple[list[DecodeTask], list[Failure]]:
    (found,) = outputs(Both(transform), clips, "both")
    decode_tasks = [each for each in found if isinstance(each, DecodeTask)]
    failures = [each for each in found if isinstance(each, Failure)]
    assert len(decode_tasks) + len(failures) == len(found)
    return sorted(decode_tasks, key=str), sorted(failures)


def readings_of(transform: PlanSpans, clips: list[Clip]) -> list[DecodeTask]:
    decode_tasks, failures = plan(transform, clips)
    assert failures == []
    return decode_tasks


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were looked into."""
    paths: list[str] = []
    open_to_read = files.open_to_read

    def remembering(path: str) -> Any:
        paths.append(path)
        return open_to_read(path)

    monkeypatch.setattr(files, "open_to_read", remembering)
    return paths


@pytest.fixture
def long_wav(tmp_path: Path) -> str:
    """A recording of 60 s."""
    write_wav(tmp_path / "long.wav", noise(960_000))
    return f"{tmp_path}/long.wav"


def test_clips_are_read_together_that_are_of_one_recording(tmp_path: Path) -> None:
    uris = [f"{tmp_path}/a.wav", f"{tmp_path}/b.wav", f"{tmp_path}/\udce9.wav"]
    clips: list[Clip] = []
    for uri in uris:
        Path(uri).touch()
        clips += [Clip(f"{len(clips)}", uri, Decimal(3), Decimal(4)), Clip(f"x{len(clips)}", uri)]
    decode_tasks = readings_of(PlanSpans(VGGISH), clips)
    expected = [single_task([clip for clip in clips if clip.uri == uri]) for uri in uris]
    assert decode_tasks == sorted(expected, key=str)


def test_a_small_file_is_not_opened(long_wav: str, opened: list[str]) -> None:
    size = files.size(long_wav)
    clips = [Clip("a", long_wav)]
    small = PlanSpans(VGGISH, min_bytes=size + 1, span_rows=10)
    assert readings_of(small, clips) == [single_task(clips)]
    assert opened == []
    assert len(readings_of(dataclasses.replace(small, min_bytes=size), clips)) > 1
    assert opened == [long_wav]


def test_a_file_of_some_megabytes_is_small_unless_it_is_said_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_wav(tmp_path / "a.wav", noise(2**21))

    def fail(path: str) -> Any:
        raise AssertionError(f"{path} is opened")

    monkeypatch.setattr(files, "open_to_read", fail)
    clips = [Clip("a", f"{tmp_path}/a.wav")]
    assert readings_of(PlanSpans(VGGISH, span_rows=10), clips) == [single_task(clips)]
    with pytest.raises(AssertionError, match="is opened"):
        plan(EAGER, clips)


def test_a_file_is_not_opened_for_little_that_is_wanted_of_it(
    long_wav: str, opened: list[str]
) -> None:
    little = [Clip(f"{start}", long_wav, Decimal(start), Decimal(start + 3)) for start in (0, 40)]
    assert readings_of(EAGER, little) == [single_task(little)]
    assert opened == []
    much = [*little, Clip("much", long_wav, Decimal(10), Decimal(24))]
    assert [len(each.spans) for each in readings_of(EAGER, much)] == [1, 1, 1]
    assert opened == [long_wav]


def test_a_long_recording_that_can_be_read_from_anywhere_gives_several_readings(
    long_wav: str,
) -> None:
    clip = Clip("a", long_wav)
    decode_tasks = readings_of(EAGER, [clip])
    assert decode_tasks == sorted(split_into_tasks([clip], Fraction(60), VGGISH, 10), key=str)
    spans = sorted((each.spans for each in decode_tasks), key=lambda spans: spans[0].first_row)
    assert [span.num_rows for (span,) in spans] == [10, 10, 10, 10, 10, None]
    assert [span.first_row for (span,) in spans] == [0, 10, 20, 30, 40, 50]


def test_pieces_to_be_cut_are_spread_as_well(long_wav: str) -> None:
    framing = dataclasses.replace(VGGISH, clip_seconds=Decimal(5))
    decode_tasks = readings_of(dataclasses.replace(EAGER, framing=framing), [Clip("a", long_wav)])
    starts = sorted(span.clip.start_seconds for each in decode_tasks for span in each.spans)
    assert starts == [0, 10, 20, 30, 40, 50]
    assert len(decode_tasks) == 6


def test_only_the_length_of_the_recording_itself_is_spread(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", noise(160_000))
    clips = [Clip("a", f"{tmp_path}/a.wav", Decimal(0), Decimal(10**6))]
    assert readings_of(EAGER, clips) == [single_task(clips)]


@pytest.mark.parametrize("name", ["stream.ogg", "text.wav", "none.wav", "folder.wav", "cut.wav"])
def test_what_cannot_be_read_from_anywhere_or_at_all_is_one_reading(
    name: str, tmp_path: Path, opened: list[str]
) -> None:
    path = tmp_path / name
    if name == "stream.ogg":
        soundfile.write(path, noise(960_000), 16_000)
    elif name == "folder.wav":
        path.mkdir()
    elif name == "cut.wav":
        write_wav(path, noise(960_000))
        path.write_bytes(path.read_bytes()[:40])
    else:
        path.write_bytes(b"" if name == "none.wav" else b"no sound" * 100)
    clips = [Clip("a", str(path)), Clip("b", str(path), Decimal(1))]
    assert readings_of(EAGER, clips) == [single_task(clips)]
    assert opened == [str(path)]


def test_a_recording_on_an_object_storage_is_spread_as_well(
    long_wav: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = "mem://bucket/long.wav"
    monkeypatch.setitem(MemoryFileSystem.objects, uri, Path(long_wav).read_bytes())
    assert len(readings_of(EAGER, [Clip("a", uri)])) == 6


def test_a_recording_on_a_storage_that_is_not_known_is_left_to_decoding() -> None:
    clips = [Clip("a", "nowhere://bucket/absent.wav")]
    assert readings_of(EAGER, clips) == [single_task(clips)]


def test_a_recording_of_this_machine_that_is_not_there_fails_at_once(tmp_path: Path) -> None:
    clips = [Clip("a", f"{tmp_path}/absent.wav"), Clip("b", f"{tmp_path}/absent.wav", Decimal(2))]
    decode_tasks, failures = plan(EAGER, clips)
    assert decode_tasks == []
    assert [(each.id, each.step, each.reason) for each in failures] == [
        ("a", "plan", "not_found"),
        ("b", "plan", "not_found"),
    ]
    hint = "its folder has 0 files, and none of this name"
    assert {each.message for each in failures} == {f"{os.strerror(2)}; {hint}"}
    framing = dataclasses.replace(VGGISH, clip_seconds=Decimal(2))
    _, failures = plan(PlanSpans(framing), clips)
    assert [each.id for each in failures] == ["a#0", "b#2"], "as decoding would name them"


HALVES = Splits((("left", Fraction(1, 2)), ("right", Fraction(1, 2))))


def names_in(split: str) -> list[str]:
    return [name for name in map(str, range(100)) if HALVES.split_of(name) == split]


def test_clips_of_one_recording_under_several_names_are_in_one_split(tmp_path: Path) -> None:
    left, right = names_in("left")[0], names_in("right")[0]
    first = min(left, right)
    (tmp_path / "a.wav").touch()
    (tmp_path / "b.wav").touch()
    clips = [
        Clip("left", f"{tmp_path}/a.wav", recording=left),
        Clip("right", f"{tmp_path}/a.wav", Decimal(5), recording=right),
        Clip("given", f"{tmp_path}/a.wav", Decimal(7), split="own", recording=left),
        Clip("alone left", f"{tmp_path}/b.wav", recording=left),
    ]
    decode_tasks = readings_of(PlanSpans(VGGISH, HALVES), clips)
    splits = {span.clip.id: span.clip.split for each in decode_tasks for span in each.spans}
    assert splits == {
        "left": HALVES.split_of(first),
        "right": HALVES.split_of(first),
        "given": "own",
        "alone left": "left",
    }
    without = readings_of(PlanSpans(VGGISH), clips)
    assert {span.clip for each in without for span in each.spans} == set(clips)


def test_clips_of_one_recording_in_several_raw_formats_are_in_one_split_and_read_apart(
    tmp_path: Path,
) -> None:
    uri = f"{tmp_path}/a.raw"
    Path(uri).write_bytes(bytes(64_000))
    formats = [None, RawFormat("s16le", 16_000), RawFormat("s16le", 8_000), RawFormat("u8", 16_000)]
    clips = [
        Clip(f"{index} from {start}", uri, Decimal(start), recording="r", raw_format=each)
        for index, each in enumerate(formats)
        for start in (0, 1)
    ]
    decode_tasks = readings_of(PlanSpans(VGGISH, HALVES), clips)
    found = {each.spans[0].clip.raw_format: each for each in decode_tasks}
    assert len(found) == len(decode_tasks) == 4
    for each in formats:
        own = [
            Span(dataclasses.replace(clip, split=HALVES.split_of("r")))
            for clip in clips
            if clip.raw_format == each
        ]
        assert found[each] == DecodeTask(uri, tuple(own))


def test_the_length_of_a_recording_without_a_header_follows_from_its_format(tmp_path: Path) -> None:
    uri = f"{tmp_path}/a.raw"
    Path(uri).write_bytes(bytes(2 * 60 * 8_000))
    for raw_format, num_readings in (
        (RawFormat("s16le", 8_000), 6),
        (RawFormat("s16le", 8_000, 2), 3),
        (RawFormat("s16le", 96_000), 1),
    ):
        clips = [Clip("a", uri, raw_format=raw_format)]
        assert len(readings_of(EAGER, clips)) == num_readings


def test_members_of_packed_files_are_tasks_together_unless_they_are_long(
    tmp_path: Path, long_wav: str
) -> None:
    sounds = {"long.wav": Path(long_wav).read_bytes(), "a.wav": wav(1), "b.wav": wav(1)}
    alone = readings_of(EAGER, [Clip("x", long_wav)])
    assert len(alone) > 2
    for name, num_tasks in (("x.tar", len(alone) + 1), ("x.tar.gz", 1), ("x.zip", 1)):
        shard = write_shard(tmp_path / name, sounds)
        clips = [each for each in list_recordings(str(shard)) if isinstance(each, Clip)]
        tasks = readings_of(EAGER, clips)
        assert len(tasks) == num_tasks
        spans = [span for task in tasks for span in task.spans if span.clip == clips[0]]
        if num_tasks > 1:
            rows = [(span.first_row, span.num_rows) for task in alone for span in task.spans]
            assert sorted((span.first_row, span.num_rows) for span in spans) == sorted(rows)
        else:
            assert [span.first_row for span in spans] == [0]
