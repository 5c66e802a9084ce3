"""What columns mean by their names: understood, refused or told, and never passed over."""

import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.manifests import as_json, clips_of, only, only_failure, read
from transforms.corpus.manifests.column_names import ColumnNames
from transforms.corpus.manifests.columns import match_columns
from transforms.corpus.manifests.errors import ManifestError
from transforms.corpus.manifests.manifest import ManifestOptions, check_manifest, read_manifest

FIELD = "data/field"


def meaning(*names: str) -> dict[str, str]:
    return dict(match_columns(names).meaning())


def refused(text: str) -> str:
    """Returns why a table is refused before its job starts."""
    with pytest.raises(ManifestError) as error:
        check_manifest(io.BytesIO(text.encode()), "/data/m.csv", ManifestOptions())
    with pytest.raises(ManifestError):
        list(read_manifest(io.BytesIO(text.encode()), "/data/m.csv", ManifestOptions()))
    return str(error.value)


def test_start_end_and_label_are_understood(shared: Path) -> None:
    data = (shared / FIELD / "02-label-start-end-ignored/m1_startend.csv").read_bytes()
    dog, cat = clips_of(data)
    assert (dog.id, dog.start_seconds, dog.end_seconds, dog.labels) == ("s1", 1, 2, ("dog",))
    assert (cat.start_seconds, cat.end_seconds, cat.labels) == (Decimal("0.5"), 1, ("cat",))


def test_a_classification_manifest_of_nemo_has_labels(shared: Path) -> None:
    data = (shared / FIELD / "02-label-start-end-ignored/manifest.json").read_bytes()
    clips = clips_of(data)
    assert [clip.labels for clip in clips] == [("yes",), ("no",), ("no",)]
    ends = [(clip.start_seconds, clip.end_seconds) for clip in clips]
    assert ends == [(Decimal("0.5"), Decimal("1.7")), (0, Decimal("1.2")), (0, 1)]


def test_an_offset_beside_an_onset_is_an_end(shared: Path) -> None:
    data = (shared / FIELD / "03-dcase-offset-is-end/m2_dcase.tsv").read_bytes()
    dog, cat = clips_of(data)
    assert (dog.id, dog.start_seconds, dog.end_seconds) == ("d1", Decimal("0.2"), Decimal("1.5"))
    assert (cat.start_seconds, cat.end_seconds) == (1, Decimal("2.2"))
    assert (dog.labels, cat.labels) == (("dog",), ("cat",))


def test_an_onset_with_a_duration_is_a_start_with_a_length(shared: Path) -> None:
    data = (shared / FIELD / "03-dcase-offset-is-end/m3_bids.csv").read_bytes()
    clip = only(data)
    assert (clip.start_seconds, clip.end_seconds) == (1, Decimal("2.2"))
    assert (clip.id, clip.labels) == ("b1", ("dog",))


UNDERSTOOD: list[tuple[str, str, str]] = [
    *((name, "uri", f"{{{name}}}") for name in ("file", "filename", "file_name", "fname", "wav")),
    *((name, "uri", f"{{{name}}}") for name in ("audio", "audio_path", "wav_filename", "filePath")),
    *((name, "uri", f"{{{name}}}") for name in ("File", "FileName", "Begin Path", "AUDIO_FILE")),
]
TIMES: list[tuple[str, str, str]] = [
    *((name, "start", f"{{{name}}}") for name in ("start", "begin", "onset", "t_start")),
    *((name, "start", f"{{{name}}}") for name in ("start_time", "begin_time", "Start (s)")),
    *((name, "start", f"{{{name}}}") for name in ("Begin Time (s)", "startTime", "START")),
    *((name, "start", f"{{{name}}}") for name in ("event_onset", "starttime", "start_sec")),
    *((name, "end", f"{{{name}}}") for name in ("end", "stop", "t_end", "End Time (s)", "tmax")),
    *((name, "end", f"{{{name}}}") for name in ("end_time", "stop_s", "clip_end", "EndSeconds")),
    *((name, "duration", f"{{{name}}}") for name in ("duration", "Duration", "duration_s")),
    ("start_ms", "start", "{start_ms:millis}"),
    ("onset_msec", "start", "{onset_msec:millis}"),
    ("end_us", "end", "{end_us:micros}"),
]


def test_usual_names_are_understood_whatever_their_case() -> None:
    for name, field, template in UNDERSTOOD:
        assert meaning(name, "x") == {field: template}
    for name, field, template in TIMES:
        assert meaning("uri", name) == {"uri": "{uri}", field: template}
    for name in ("labels", "label", "Label", "event_label", "class", "category", "tags", "Species"):
        assert meaning("uri", name)["labels"] == f"{{{name}}}"


def test_names_that_only_resemble_times_are_other_columns() -> None:
    for name in ("start_date", "end_file", "startup", "length", "num_samples", "backend", "time"):
        assert meaning("uri", name) == {"uri": "{uri}"}


def test_the_names_of_old_come_first() -> None:
    assert meaning("uri", "filename") == {"uri": "{uri}"}
    assert meaning("path", "file", "wav") == {"uri": "{path}"}
    assert meaning("uri", "start", "start_seconds")["start"] == "{start_seconds}"
    assert meaning("uri", "label", "labels", "class")["labels"] == "{labels}"
    assert meaning("uri", "class", "label")["labels"] == "{label}"


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("file,wav", "more than one of them names the recording (file, wav;"),
        ("uri,start,begin", "columns start, begin both look like the start of clips"),
        ("uri,start,start_ms", "columns start, start_ms both look like the start"),
        ("uri,end,stop", "columns end, stop both look like the end of clips"),
        ("uri,class,category", "columns class, category both look like the labels"),
        ("uri,onset,offset,duration", "found columns offset and duration"),
        ("uri,start,end,duration", "found columns end and duration"),
        ("uri,onset,end,offset", "found columns end and offset"),
        ("uri,start,offset", "found columns start and offset"),
        ("uri,end,offset", "found columns end and offset"),
        ("uri,start_sample,end_sample", "start_sample looks like the start of clips"),
        ("uri,start,length", "length looks like the duration of clips"),
        ("uri,begin,num_frames", "num_frames looks like the duration of clips"),
        ("uri,onset_frame", "does not tell the unit"),
        ("uri,start_min", "does not tell the unit"),
    ],
)
def test_what_contradicts_itself_or_has_no_unit_is_refused(header: str, why: str) -> None:
    for row in ("", "a.wav" + ",1" * header.count(",") + "\n"):
        assert why in refused(f"{header}\n{row}")
    record: dict[str, Any] = {name: "1" for name in header.split(",")}
    assert why in only_failure(as_json(**record)).message


def test_an_offset_whose_onset_is_missing_in_its_line_is_an_end_all_the_same() -> None:
    lines = [
        as_json(uri="a.wav", onset=1, offset=3),
        as_json(uri="b.wav", onset=None, offset=3),
        as_json(uri="c.wav", offset=3),
    ]
    for clip in clips_of("\n".join(lines))[1:]:
        assert (clip.start_seconds, clip.end_seconds) == (0, 3)
    assert only("uri,onset,offset\na.wav,,3\n").end_seconds == 3
    assert only(as_json(uri="a.wav", offset=3)).start_seconds == 3


def test_times_of_a_recording_that_the_file_was_cut_from_are_not_read(shared: Path) -> None:
    data = (shared / FIELD / "07-dataset-csvs/02_us8k_metadata_UrbanSound8K.csv").read_bytes()
    assert ColumnNames(data.decode().splitlines()[0].split(",")).times(frozenset()) == {}


def test_a_channel_is_a_number_from_one_and_part_of_the_id() -> None:
    left, second, whole = clips_of("uri,channel\na.wav,left\na.wav,2\na.wav,\n")
    assert [clip.channel for clip in (left, second, whole)] == [1, 2, None]
    assert [clip.id for clip in (left, second, whole)] == ["a.wav@1", "a.wav@2", "a.wav"]
    assert only("uri,Channel,start\na.wav,3.0,1\n").id == "a.wav@3#1"
    for value in ("0", "-1", "1025", "BBC", "1.5"):
        failure = only_failure(f"uri,channel\na.wav,{value}\n")
        assert "it must be left, right, or 1 to 1024" in failure.message
    why = refused_by_check("uri,channel\na.wav,BBC\nb.wav,CNN\n")
    assert "the first 2 rows are all invalid; line 2: channel='BBC'" in why


def refused_by_check(text: str) -> str:
    with pytest.raises(ManifestError) as error:
        check_manifest(io.BytesIO(text.encode()), "/data/m.csv", ManifestOptions())
    return str(error.value)


def test_columns_that_all_first_rows_contradict_are_refused_by_the_check_only() -> None:
    text = "uri,start\na.wav,07:00 pm\nb.wav,08:00 pm\n"
    assert "line 2: start: '07:00 pm' is not a number" in refused_by_check(text)
    assert len(read(text)[0]) == 2
    assert len(read(text + "c.wav,1\n")[0]) == 3
    # A name that was always understood has rows that fail, not a table that is refused.
    text = "uri,start_seconds\na.wav,soon\n"
    reading = check_manifest(io.BytesIO(text.encode()), "m.csv", ManifestOptions())
    assert [outcome.line for outcome in reading.outcomes] == [2]


def test_columns_that_are_read_by_another_name_can_be_kept() -> None:
    clip = only("fname,class,fold\na.wav,dog,1\n")
    assert clip.columns == (("fname", "a.wav"), ("class", "dog"), ("fold", "1"))


def test_a_recording_that_is_an_object_says_how_to_name_what_is_in_it() -> None:
    line = '{"audio": {"path": "a.wav", "bytes": null}, "text": "hello"}\n'
    why = refused_by_check(2 * line)
    assert "it must be the path or URL of a recording: say --columns 'uri={audio.path}'" in why
    assert "or --input for a Parquet file" in why
    recording = '{"id": "r", "sources": [{"type": "file", "source": "a.flac"}]}'
    why = refused_by_check(f'{{"id": "c", "start": 1, "recording": {recording}}}\n')
    assert "say --columns 'uri={recording.sources.0.source}'" in why
    assert "--input" not in why


def test_a_column_is_found_among_a_hundred_thousand() -> None:
    names = ["uri", *(f"x{number}" for number in range(100_000)), "start", "label"]
    columns = match_columns(names)
    assert dict(columns.meaning()) == {"uri": "{uri}", "start": "{start}", "labels": "{label}"}
