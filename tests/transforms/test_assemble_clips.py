"""AssembleClips."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from transforms.assemble_clips import AssembleClips
from transforms.corpus.clips import AudioNote, Clip
from transforms.corpus.labels import ClassMap
from transforms.corpus.runs import DamagedAudio, DecodedClip, RowRun
from transforms.corpus.serialization import serialize
from transforms.dataset.profiles import DAMAGED_KEY, PROFILES
from transforms.dataset.shards import RECORD_BYTES
from transforms.dataset.table_files import FAILURES, NOTES
from transforms.metrics.reporting import COUNT, REPORTS, TOTALS, SelectReports

A = Clip("a", "/a", labels=("y", "x"), columns=(("note", "n"),), manifest="/m.csv", line=2)
B = Clip("b", "/b", split="train")
LABELS = ClassMap(((3, "x", "x"), (7, "y", "y")))
ROWS = np.arange(12, dtype=np.float32).reshape(3, 4)


def _check(
    tf: Any,
    decode_results: list[Any],
    rows: list[Any],
    model_failures: list[Any],
    records: list[str],
    failures: list[tuple[str, str]],
    tallies: dict[tuple[str, str], int] | None = None,
    keep_damaged: bool = False,
    notes: Sequence[AudioNote] = (),
) -> None:
    def content(record: Any) -> tuple[str, str, list[int], list[list[float]]]:
        import tensorflow

        example = tensorflow.train.SequenceExample.FromString(record.data)
        features = example.feature_lists.feature_list["audio_embedding"].feature
        labels = list(example.context.feature["labels"].int64_list.value)
        rows = [list(row.float_list.value) for row in features]
        return record.clip_id, record.split, labels, rows

    whole = {
        "a": ("a", "", [3, 7], ROWS.tolist()),
        "b": ("b", "train", [], ROWS.tolist()),
    }

    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        inputs = {
            "decode_results": pipeline
            | "decode_results"
            >> beam.Create([(clip_id, serialize(each)) for clip_id, each in decode_results]),
            "rows": pipeline | "rows" >> beam.Create([*rows, *model_failures]),
        }
        class_map = pipeline | "class map" >> beam.Create([LABELS])
        profile = PROFILES["raw"]
        if keep_damaged:
            profile = dataclasses.replace(profile, damaged_key=DAMAGED_KEY)
        assembled = inputs | AssembleClips(profile, beam.pvalue.AsSingleton(class_map))
        reports = (assembled[REPORTS],)
        assert_that(reports | NOTES >> SelectReports(NOTES), equal_to(list(notes)), label="notes")
        assert_that(
            assembled.records | beam.Map(content),
            equal_to([whole[clip_id] for clip_id in records]),
            label="records",
        )
        assert_that(
            reports
            | FAILURES >> SelectReports(FAILURES)
            | "reasons" >> beam.Map(lambda each: (each.id, each.reason)),
            equal_to(failures),
            label="failures",
        )
        if tallies is not None:
            assert_that(
                reports
                | TOTALS >> SelectReports(TOTALS)
                | beam.FlatMap(dict.items)
                | beam.Filter(lambda item: item[0][0] == COUNT and item[0][2] != RECORD_BYTES)
                | beam.CombinePerKey(sum),
                equal_to([((COUNT, *key), count) for key, count in tallies.items()]),
                label="tallies",
            )


A_DECODED = DecodedClip(A, 3, 46_320, 2.895, "libsndfile", num_rows_skipped=2)
B_DECODED = DecodedClip(B, 3, 46_320, 2.895, "ffmpeg", truncated=True)
A_ROWS = [("a", RowRun(2, ROWS[2:])), ("a", RowRun(0, ROWS[:2]))]
B_ROWS = [("b", RowRun(0, ROWS))]


def test_rows_in_any_order_and_rows_that_come_twice_make_one_record_a_clip(tf: Any) -> None:
    _check(
        tf,
        [("a", A_DECODED), ("b", B_DECODED), ("b", B_DECODED)],
        [*A_ROWS, *B_ROWS, *A_ROWS],
        [],
        ["a", "b"],
        [],
        {
            ("", "records"): 1,
            ("", "rows"): 3,
            ("", "samples"): 46_320,
            ("", "rows_skipped"): 2,
            ("", "decoders/libsndfile"): 1,
            ("train", "records"): 1,
            ("train", "rows"): 3,
            ("train", "samples"): 46_320,
            ("train", "truncated_clips"): 1,
            ("train", "decoders/ffmpeg"): 1,
        },
    )


def test_a_clip_that_was_padded_is_counted(tf: Any) -> None:
    padded = DecodedClip(A, 3, 100, 0.00625, "libsndfile", padded=True)
    tallies = {"records": 1, "rows": 3, "samples": 100, "padded_clips": 1}
    _check(
        tf,
        [("a", padded)],
        A_ROWS,
        [],
        ["a"],
        [],
        {("", name): count for name, count in (tallies | {"decoders/libsndfile": 1}).items()},
    )


def test_damage_is_noted_and_counted_in_microseconds_and_a_failed_clip_has_no_note(
    tf: Any,
) -> None:
    damages = [DamagedAudio("b", 0.1, 0.2, "hole"), DamagedAudio("b", 0.15, 0.4, "hole")]
    damages.append(DamagedAudio("b", 2.895, 2.895, "cut"))
    given = [("b", each) for each in (damages[2], B_DECODED, damages[1], damages[0], damages[0])]
    given += [("a", DamagedAudio("a", 0, 1, "hole")), ("a", A_DECODED)]
    given += [("b#2", DamagedAudio("b#2", 0, 1, "of a remainder without a row"))]
    counts = {"records": 1, "rows": 3, "samples": 46_320, "truncated_clips": 1}
    counts |= {"decoders/ffmpeg": 1, "damaged_clips": 1, "damaged_microseconds": 300_000}
    _check(
        tf,
        given,
        [*A_ROWS[:1], *B_ROWS],
        [],
        ["b"],
        [("a", "incomplete")],
        {("train", name): count for name, count in (counts | {"notes": 2}).items()}
        | {("", "failures/incomplete"): 1},
        keep_damaged=True,
        notes=[
            AudioNote("b", "/b", 0.1, 0.4, "hole", "train"),
            AudioNote("b", "/b", 2.895, 2.895, "cut", "train"),
        ],
    )


A_HOLE = DamagedAudio("a", 0, 1, "hole")
A_CUT = A.failure("decode", "decode_error", "cut")


@pytest.mark.parametrize(
    ("decode_results", "rows", "model_failures", "reason"),
    [
        ([A_DECODED], A_ROWS[:1], [], "incomplete"),
        ([A_DECODED], A_ROWS[1:], [], "incomplete"),
        ([A_DECODED], [], [], "incomplete"),
        ([], A_ROWS, [], "incomplete"),
        ([A_CUT], A_ROWS, [], "decode_error"),
        ([A_DECODED, A_CUT], A_ROWS, [], "decode_error"),
        ([A_DECODED], A_ROWS, [("a", "NaN")], "model_error"),
        ([A_CUT], A_ROWS, [("a", "NaN")], "decode_error"),
        ([A_DECODED, A_HOLE], A_ROWS, [], "decode_error"),
        ([A_HOLE], A_ROWS, [], "incomplete"),
    ],
)
def test_a_clip_that_is_not_complete_fails_and_makes_no_record(
    tf: Any, decode_results: list[Any], rows: list[Any], model_failures: list[Any], reason: str
) -> None:
    given = [("b", B_DECODED), *(("a", verdict) for verdict in decode_results)]
    _check(tf, given, rows + B_ROWS, model_failures, ["b"], [("a", reason)])
