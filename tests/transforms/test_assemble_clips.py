"""AssembleClips."""

from typing import Any

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from transforms.assemble_clips import FAILURES, TALLIES, AssembleClips
from transforms.corpus.clips import Clip, Failure
from transforms.corpus.rows import Decoded, RowRun
from transforms.dataset.profiles import PROFILES

A = Clip("a", "/a")
B = Clip("b", "/b")
ROWS = np.arange(12, dtype=np.float32).reshape(3, 4)


def _check(
    tf: Any,
    verdicts: list[Any],
    rows: list[Any],
    refusals: list[Any],
    records: list[str],
    failures: list[tuple[str, str]],
    tallies: dict[str, int] | None = None,
) -> None:
    def rows_of(record: Any) -> tuple[str, list[list[float]]]:
        import tensorflow

        example = tensorflow.train.SequenceExample.FromString(record.data)
        features = example.feature_lists.feature_list["audio_embedding"].feature
        return record.clip_id, [list(row.float_list.value) for row in features]

    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        inputs = {
            "clips": pipeline | "clips" >> beam.Create([A, B]),
            "verdicts": pipeline | "verdicts" >> beam.Create(verdicts),
            "rows": pipeline | "rows" >> beam.Create(rows),
            "refusals": pipeline | "refusals" >> beam.Create(refusals),
        }
        assembled = inputs | AssembleClips(PROFILES["raw"])
        assert_that(
            assembled.records | beam.Map(rows_of),
            equal_to([(clip, ROWS.tolist()) for clip in records]),
            label="records",
        )
        assert_that(
            assembled[FAILURES] | "reasons" >> beam.Map(lambda each: (each.id, each.reason)),
            equal_to(failures),
            label="failures",
        )
        if tallies is not None:
            assert_that(
                assembled[TALLIES] | beam.CombinePerKey(sum),
                equal_to(list(tallies.items())),
                label="tallies",
            )


DECODED = Decoded(3, 46_320, 2.895, num_rows_left_out=2)
A_ROWS = [("a", RowRun(2, ROWS[2:])), ("a", RowRun(0, ROWS[:2]))]
B_ROWS = [("b", RowRun(0, ROWS))]


def test_rows_in_any_order_and_rows_that_come_twice_make_one_record_a_clip(tf: Any) -> None:
    _check(
        tf,
        [("a", DECODED), ("b", DECODED), ("b", DECODED)],
        [*A_ROWS, *B_ROWS, *A_ROWS],
        [],
        ["a", "b"],
        [],
        {"rows": 6, "samples": 92_640, "padded_clips": 0, "rows_left_out": 4},
    )


@pytest.mark.parametrize(
    ("verdict", "rows", "refusals", "reason"),
    [
        (DECODED, A_ROWS[:1], [], "incomplete"),
        (DECODED, A_ROWS[1:], [], "incomplete"),
        (DECODED, [], [], "incomplete"),
        (None, A_ROWS, [], "incomplete"),
        (Failure("a", "/a", "decode", "decode_error", "cut"), A_ROWS, [], "decode_error"),
        (DECODED, A_ROWS, [("a", "NaN")], "model_error"),
    ],
)
def test_a_clip_that_is_not_complete_fails_and_makes_no_record(
    tf: Any, verdict: Any, rows: list[Any], refusals: list[Any], reason: str
) -> None:
    verdicts = [("b", DECODED)] + ([("a", verdict)] if verdict else [])
    _check(tf, verdicts, rows + B_ROWS, refusals, ["b"], [("a", reason)])
