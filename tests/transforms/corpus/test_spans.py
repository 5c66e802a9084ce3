"""Spans, decode tasks and pieces: nothing twice, nothing lost, and no task much too long."""

import dataclasses
import itertools
import math
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.corpus.clips import Clip
from transforms.corpus.spans import (
    SPAN_ROWS,
    DecodeTask,
    FramingConfig,
    Span,
    cut_into_pieces,
    requested_seconds,
    single_task,
    split_into_tasks,
)

VGGISH = FramingConfig(15_600, 15_360)
MOST_FOUND = 20_000

times = st.integers(0, 10**9).map(lambda number: Decimal(number).scaleb(-6))
lengths = st.integers(1, 10**9).map(lambda number: Decimal(number).scaleb(-6))


@st.composite
def clip_lists(draw: st.DrawFn, max_size: int = 6) -> list[Clip]:
    clips = []
    for index in range(draw(st.integers(1, max_size))):
        zero = draw(st.sampled_from([Decimal(0), Decimal("2.5")]))
        start = zero + draw(times)
        length = draw(st.none() | lengths)
        end = None if length is None else start + length
        clips.append(
            Clip(f"{index}", "u", start, end, recording_offset_seconds=zero, labels=("l",))
        )
    return clips


recordings = st.fractions(Fraction(1, 1_000), 2_000)
cuttings = st.builds(
    FramingConfig,
    patch_samples=st.just(15_600),
    hop_samples=st.sampled_from([15_360, 16_000, 40_000]),
    max_rows=st.none() | st.integers(1, 1_000),
)


def spread(
    clips: Iterable[Clip], seconds: Fraction, framing: FramingConfig, span_rows: int
) -> list[DecodeTask]:
    found = split_into_tasks(clips, seconds, framing, span_rows)
    decode_tasks = list(itertools.islice(found, MOST_FOUND))
    assert next(found, None) is None, "no end is in sight"
    return decode_tasks


def rows_about(clip: Clip, seconds: Fraction, framing: FramingConfig) -> int:
    end = seconds + Fraction(clip.recording_offset_seconds)
    if clip.end_seconds is not None:
        end = min(end, Fraction(clip.end_seconds))
    return framing.num_rows(end - Fraction(clip.start_seconds))


def test_so_many_rows_are_in_so_many_seconds() -> None:
    for seconds, max_rows, num_rows in [
        ("0", None, 0),
        ("-7", None, 0),
        ("0.974", None, 0),
        ("0.975", None, 1),
        ("1.934", None, 1),
        ("1.935", None, 2),
        ("10", None, 10),
        ("3600", None, 3_749),
        ("3600", 300, 300),
        ("10", 300, 10),
    ]:
        assert FramingConfig(15_600, 15_360, max_rows).num_rows(Fraction(seconds)) == num_rows


@given(clips=clip_lists(), data=st.data())
def test_one_task_holds_every_clip_once_in_the_order_of_their_places(
    clips: list[Clip], data: st.DataObject
) -> None:
    decode_task = single_task(iter(data.draw(st.permutations(clips))))
    assert decode_task == single_task(clips)
    assert decode_task.uri == "u"
    assert sorted((span.clip for span in decode_task.spans), key=lambda clip: clip.id) == clips
    assert {dataclasses.replace(span, clip=clips[0]) for span in decode_task.spans} == {
        Span(clips[0])
    }
    places = [
        span.clip.start_seconds - span.clip.recording_offset_seconds for span in decode_task.spans
    ]
    assert places == sorted(places)


@given(clips=clip_lists())
def test_the_requested_length_is_the_sum_of_the_clips_unless_an_end_is_unknown(
    clips: list[Clip],
) -> None:
    wanted = requested_seconds(clips)
    if any(clip.end_seconds is None for clip in clips):
        assert wanted is None
    else:
        assert wanted is not None
        ends = (Fraction(clip.end_seconds) for clip in clips if clip.end_seconds is not None)
        starts = (Fraction(clip.start_seconds) for clip in clips)
        assert Fraction(wanted) == sum(ends) - sum(starts)


@given(clips=clip_lists(), seconds=recordings, framing=cuttings, span_rows=st.integers(20, 700))
def test_the_spans_of_a_clip_follow_each_other_and_the_last_one_is_open(
    clips: list[Clip], seconds: Fraction, framing: FramingConfig, span_rows: int
) -> None:
    decode_tasks = spread(clips, seconds, framing, span_rows)
    spans = [span for decode_task in decode_tasks for span in decode_task.spans]
    assert {decode_task.uri for decode_task in decode_tasks} == {"u"}
    assert all(decode_task.spans for decode_task in decode_tasks)
    by_clip: dict[Clip, list[Span]] = {}
    for span in spans:
        by_clip.setdefault(span.clip, []).append(span)
    assert sorted(by_clip, key=lambda clip: clip.id) == clips
    for clip, own in by_clip.items():
        first_row = 0
        for span in own[:-1]:
            assert (span.first_row, span.num_rows) == (first_row, span_rows)
            first_row += span_rows
        assert (own[-1].first_row, own[-1].num_rows) == (first_row, None)
        rest = rows_about(clip, seconds, framing) - first_row
        assert rest < 2 * span_rows
        assert len(own) == 1 or rest >= span_rows
    assert not any(span.is_remainder for span in spans)


@given(clips=clip_lists(), seconds=recordings, framing=cuttings, span_rows=st.integers(20, 700))
def test_tasks_are_about_as_long_as_they_should_be(
    clips: list[Clip], seconds: Fraction, framing: FramingConfig, span_rows: int
) -> None:
    sizes = []
    for decode_task in spread(clips, seconds, framing, span_rows):
        num_rows = [
            span.num_rows or rows_about(span.clip, seconds, framing) - span.first_row
            for span in decode_task.spans
        ]
        sizes.append(sum(num_rows))
        assert len(num_rows) == 1 or sizes[-1] <= span_rows
        assert sizes[-1] < 2 * span_rows
    for size, following in itertools.pairwise(sizes):
        assert size + following > span_rows, "two tasks where one would do"


@given(clips=clip_lists(), seconds=recordings, data=st.data())
def test_tasks_do_not_depend_on_the_order_of_the_clips(
    clips: list[Clip], seconds: Fraction, data: st.DataObject
) -> None:
    expected = spread(clips, seconds, VGGISH, 50)
    assert spread(data.draw(st.permutations(clips)), seconds, VGGISH, 50) == expected
    firsts = [
        span.clip.start_seconds - span.clip.recording_offset_seconds
        for decode_task in expected
        for span in decode_task.spans
    ]
    assert firsts == sorted(firsts)


def test_many_short_clips_are_read_together_up_to_the_size_of_a_task() -> None:
    clips = [Clip(f"{index:03}", "u", Decimal(index), Decimal(index + 10)) for index in range(100)]
    decode_tasks = spread(clips, Fraction(200), VGGISH, 65)
    assert [len(decode_task.spans) for decode_task in decode_tasks] == [6] * 16 + [4]
    assert [span.clip for decode_task in decode_tasks for span in decode_task.spans] == clips


def test_an_hour_is_read_in_parts_of_about_ten_minutes() -> None:
    decode_tasks = spread([Clip("a", "u")], Fraction(3_600), VGGISH, SPAN_ROWS)
    (*_, last), *others = (
        [span for span in decode_task.spans] for decode_task in decode_tasks[::-1]
    )
    assert [span.first_row for (span,) in others[::-1]] == [0, 640, 1_280, 1_920]
    assert last == Span(Clip("a", "u"), 2_560)
    assert 9 * 60 < SPAN_ROWS * 0.96 < 11 * 60


def test_a_clip_is_split_from_two_spans_on() -> None:
    for num_rows, num_tasks in [(19, 1), (20, 2), (29, 2), (30, 3)]:
        seconds = Fraction(240 + num_rows * 15_360, 16_000)
        assert len(spread([Clip("a", "u")], seconds, VGGISH, 10)) == num_tasks
        limited = dataclasses.replace(VGGISH, max_rows=19)
        assert len(spread([Clip("a", "u")], seconds, limited, 10)) == 1


def test_a_clip_beyond_the_end_is_in_a_task_all_the_same() -> None:
    clips = [Clip("a", "u", Decimal(50), Decimal(60)), Clip("b", "u", Decimal(70))]
    (decode_task,) = spread(clips, Fraction(10), VGGISH, 5)
    assert decode_task == single_task(clips)


def cut(clip: Clip, clip_seconds: Decimal) -> list[Clip]:
    found = list(itertools.islice(cut_into_pieces(clip, clip_seconds), 1_000))
    assert len(found) < 1_000, "no end is in sight"
    return found


@given(
    start=times,
    length=st.integers(1, 200 * 10**6).map(lambda number: Decimal(number).scaleb(-6)),
    clip_seconds=st.integers(975_000, 60 * 10**6).map(lambda number: Decimal(number).scaleb(-6)),
)
def test_pieces_follow_each_other_from_the_start_to_the_end(
    start: Decimal, length: Decimal, clip_seconds: Decimal
) -> None:
    clip = Clip("a", "u", start, start + length, labels=("l",), split="s", columns=(("c", "v"),))
    found = cut(clip, clip_seconds)
    assert len(found) == math.ceil(Fraction(length) / Fraction(clip_seconds))
    assert found[0].start_seconds == start
    assert found[-1].end_seconds == start + length
    for before, behind in itertools.pairwise(found):
        assert before.end_seconds == behind.start_seconds == before.start_seconds + clip_seconds
    assert len({piece.id for piece in found}) == len(found)
    for piece in found:
        assert Decimal(piece.id.removeprefix("a#")) == piece.start_seconds
        end = start + length
        same = dataclasses.replace(
            piece, id="a", start_seconds=start, end_seconds=end, recording=""
        )
        assert same == clip
        assert piece.recording == "a"


def test_the_id_of_a_piece_says_where_it_begins() -> None:
    for start, clip_seconds, ids in [
        ("0", "10", ["a#0", "a#10", "a#20"]),
        ("1.50", "10", ["a#1.5", "a#11.5", "a#21.5"]),
        ("100", "0.975", ["a#100", "a#100.975", "a#101.95"]),
        ("0.000001", "1E+2", ["a#0.000001", "a#100.000001", "a#200.000001"]),
    ]:
        clip = Clip("a", "u", Decimal(start))
        assert [
            piece.id for piece in itertools.islice(cut_into_pieces(clip, Decimal(clip_seconds)), 3)
        ] == ids


def test_pieces_of_a_clip_without_end_go_on_and_keep_its_recordings_name() -> None:
    clip = Clip("a", "u", recording="r", recording_offset_seconds=Decimal(5))
    piece = next(itertools.islice(cut_into_pieces(clip, Decimal(2)), 10_000, None))
    assert (piece.start_seconds, piece.end_seconds) == (20_000, 20_002)
    assert (piece.recording, piece.recording_offset_seconds) == ("r", 5)


@given(
    clips=clip_lists(max_size=3),
    seconds=recordings,
    clip_seconds=st.integers(975, 60_000).map(lambda number: Decimal(number).scaleb(-3)),
    max_rows=st.none() | st.integers(1, 50),
    span_rows=st.integers(20, 700),
)
def test_parts_of_a_clip_that_is_cut_are_whole_numbers_of_pieces(
    clips: list[Clip],
    seconds: Fraction,
    clip_seconds: Decimal,
    max_rows: int | None,
    span_rows: int,
) -> None:
    framing = FramingConfig(15_600, 15_360, max_rows, clip_seconds=clip_seconds)
    decode_tasks = spread(clips, seconds, framing, span_rows)
    by_id: dict[str, list[Span]] = {}
    for decode_task in decode_tasks:
        for span in decode_task.spans:
            by_id.setdefault(span.clip.id, []).append(span)
    assert sorted(by_id) == [clip.id for clip in clips]
    for clip in clips:
        spans = by_id[clip.id]
        assert {(span.first_row, span.num_rows, span.is_remainder) for span in spans} == {
            (0, None, False)
        }
        parts = [span.clip for span in spans]
        assert parts[0].start_seconds == clip.start_seconds
        assert parts[-1].end_seconds == clip.end_seconds
        for part, following in itertools.pairwise(parts):
            assert part.end_seconds == following.start_seconds
            assert (following.start_seconds - part.start_seconds) % clip_seconds == 0
            assert part.end_seconds < seconds + Fraction(clip.recording_offset_seconds)
            num_rows = framing.num_rows(Fraction(clip_seconds))
            num_pieces = (following.start_seconds - part.start_seconds) / clip_seconds
            assert num_pieces == 1 or num_rows * num_pieces <= span_rows
        start, end = clip.start_seconds, clip.end_seconds
        same = {dataclasses.replace(each, start_seconds=start, end_seconds=end) for each in parts}
        assert same == {clip}


@pytest.mark.parametrize("end", [None, Decimal(95), Decimal(120)])
def test_pieces_of_the_parts_are_the_pieces_of_the_whole(end: Decimal | None) -> None:
    framing = dataclasses.replace(VGGISH, clip_seconds=Decimal(4))
    clip = Clip("a", "u", Decimal("1.5"), end)
    decode_tasks = spread([clip], Fraction(100), framing, 13)
    parts = [span.clip for decode_task in decode_tasks for span in decode_task.spans]
    assert len(parts) == len(decode_tasks) >= 5
    together = [
        piece
        for part in parts
        for piece in itertools.islice(cut_into_pieces(part, Decimal(4)), 30)
        if piece.start_seconds < 100
    ]
    whole = itertools.islice(cut_into_pieces(clip, Decimal(4)), 30)
    assert together == [piece for piece in whole if piece.start_seconds < 100]
