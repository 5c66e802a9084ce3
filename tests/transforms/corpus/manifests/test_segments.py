"""Segment lists: the released one, and malformed ones."""

import dataclasses
import gzip
import io
import itertools
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.corpus.clips import Failure
from transforms.corpus.manifests.errors import ManifestError
from transforms.corpus.manifests.segments import (
    Segment,
    check_segments,
    clip_ids,
    read_segments,
)

HEAD = (
    "# Segments csv created Sun Mar  5 10:54:31 2017\n"
    "# num_ytids=1, num_segs=1\n"
    "# YTID, start_seconds, end_seconds, positive_labels\n"
)
ROW = '--PJHxphWEs, 30.000, 40.000, "/m/09x0r,/t/dd00088"\n'
SEGMENT = Segment(
    "--PJHxphWEs",
    Decimal(30),
    Decimal(40),
    ("/m/09x0r", "/t/dd00088"),
    manifest="/data/eval.csv",
    line=4,
)


def read(text: str) -> list[Segment | Failure]:
    return list(read_segments(io.BytesIO(text.encode()), "/data/eval.csv"))


def test_the_released_file_is_read_without_failure(shared: Path) -> None:
    path = shared / "data" / "audioset" / "balanced_train_segments.csv"
    with open(path, "rb") as file:
        check_segments(file)
    with open(path, "rb") as file:
        found = list(read_segments(file, str(path)))
    segments = [segment for segment in found if isinstance(segment, Segment)]
    assert len(segments) == len(found) == 22160
    assert segments[0] == dataclasses.replace(SEGMENT, manifest=str(path))
    assert [segment.line for segment in segments] == list(range(4, 22164))
    short = [s for s in segments if s.end_seconds - s.start_seconds < 10]
    assert len(short) == 345
    assert len({label for segment in segments for label in segment.labels}) == 527
    assert sum(len(segment.labels) for segment in segments) == 52882


def test_comments_blank_lines_and_a_header_are_no_segments() -> None:
    for text in [
        HEAD + ROW,
        (HEAD + ROW).replace("\n", "\r\n"),
        (HEAD + ROW).replace("\n", "\r"),
        "\n\n\n" + ROW,
        "\n\n  # x\n" + ROW.replace(", ", ","),
        "\n\nYTID,start_seconds,end_seconds,positive_labels\n" + ROW,
        "\n\n ytid , a\n" + ROW.replace(", ", ",   "),
        '\n# a "quote, open\n#\n' + ROW + "\n# the end\n\n",
    ]:
        assert read(text) == [SEGMENT]


BAD_ROWS = [
    ("id, 0, 10", "id", "invalid_row", "3 cells (expected 4"),
    ("id, 0, 10, /m/a, /m/b", "id", "invalid_row", "5 cells (expected 4"),
    (', 0, 10, "/m/a"', "eval.csv:5", "invalid_row", "allowed: 1 to 4096"),
    ("x" * 4097 + ', 0, 10, "/m/a"', "eval.csv:5", "invalid_row", "allowed: 1 to 4096"),
    ('id, 0, 10, "/m/a', "eval.csv:5", "invalid_row", "a quote is not closed"),
    ('id, 0, 10, "/m/a" ,', "eval.csv:5", "invalid_row", "not CSV"),
    ("x" * (1 << 20), "eval.csv:5", "invalid_row", "longer than 1048576 bytes"),
    ('id, x, 10, "/m/a"', "id", "invalid_time", "'x' is not a number of seconds"),
    ('id, 0, nan, "/m/a"', "id", "invalid_time", "'nan' is not a number of seconds"),
    ('id, , 10, "/m/a"', "id", "invalid_time", "'' is not a number of seconds"),
    ('id, -1, 10, "/m/a"', "id", "invalid_time", "from -1 to 10 s"),
    ('id, 10, 10, "/m/a"', "id", "invalid_time", "from 10 to 10 s"),
]


def test_a_malformed_row_is_a_failure_and_the_next_one_is_read() -> None:
    for row, id, reason, message in BAD_ROWS:
        first, failure, last = read(HEAD + ROW + row + "\n" + ROW)
        assert first == SEGMENT
        assert isinstance(failure, Failure)
        assert (failure.id, failure.step, failure.reason) == (id, "list", reason)
        assert message in failure.message
        assert (failure.manifest, failure.line, failure.uri) == ("/data/eval.csv", 5, "")
        assert isinstance(last, Segment)
        assert last.line == 6


def test_other_files_are_rejected_with_the_layout() -> None:
    for data, message in [
        (b"", "no segment"),
        (HEAD.encode(), 'no segment.*id, start_seconds, end_seconds, "label,label"'),
        (b"YTID,start_seconds,end_seconds,positive_labels\n", "no segment"),
        (b"uri,labels\na.wav,b\n", "line 1.*2 cells .expected 4"),
        (b"# x\n\nid, 0, 10, /m/a, /m/b\n", "line 3.*5 cells .expected 4"),
        (b'id, 0, 10, "/m/a\n', "line 1.*a quote is not closed"),
        (gzip.compress(ROW.encode(), mtime=0), "gzip"),
    ]:
        with pytest.raises(ManifestError, match=message):
            check_segments(io.BytesIO(data))
        with pytest.raises(ManifestError, match=message):
            next(read_segments(io.BytesIO(data), "eval.csv"))


def test_the_name_of_the_file_is_reported_in_valid_unicode() -> None:
    rows = ROW + "id, 0, x, /m/a\n"
    segment, failure = read_segments(io.BytesIO(rows.encode()), "/d\udcff/eval.csv")
    assert (segment.manifest, segment.line) == ("/d\\xff/eval.csv", 1)
    assert (failure.manifest, failure.line) == ("/d\\xff/eval.csv", 2)


def test_labels_are_distinct_and_stripped() -> None:
    (segment,) = read('id, 0, 1, "/m/b, /m/a,,/m/b "\n')
    assert isinstance(segment, Segment)
    assert segment.labels == ("/m/b", "/m/a")


def test_a_check_reads_the_beginning_only() -> None:
    file = io.BytesIO((HEAD + ROW * 100_000).encode())
    check_segments(file)
    assert file.tell() <= 1 << 20


@given(data=st.binary(max_size=100))
def test_any_bytes_are_segments_or_failures_or_a_manifest_error(data: bytes) -> None:
    head = (HEAD + ROW).encode()
    try:
        found = list(read_segments(io.BytesIO(head + data), "/data/eval.csv"))
    except ManifestError:
        return
    assert found[0] == SEGMENT


def test_only_the_segments_of_a_repeated_video_get_ids_of_their_own_in_any_order() -> None:
    for times, expected in [
        (["30 40"], ["v"]),
        (["30 40", "30 40"], ["v", "v"]),
        (["0 10", "20 30"], ["v_0", "v_20000"]),
        (["0.5 1", "0.0005 1", "100 200"], ["v_500", "v_0.5", "v_100000"]),
        (["0 10", "0 20", "5 6"], ["v_0_10000", "v_0_20000", "v_5000"]),
        ([], []),
    ]:
        segments = [
            Segment("v", Decimal(start), Decimal(end), (f"/m/{line}",), "/s.csv", line)
            for line, (start, end) in enumerate(map(str.split, times))
        ]
        for order in itertools.permutations(segments):
            by_line = sorted((segment.line, id) for segment, id in clip_ids(order))
            assert [id for _, id in by_line] == expected
