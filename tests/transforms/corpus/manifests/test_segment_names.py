"""Names of segments' files: as downloaders give them, and by a template."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.corpus.manifests.segment_names import (
    AmbiguousNameError,
    TemplateError,
    check_template,
    find_segment_audio,
    format_name,
    has_times,
    possible_ids,
)
from transforms.corpus.manifests.segments import Segment
from transforms.corpus.times import parse_seconds

# As they occur in AudioSet, and as they are most easily mistaken for times or for a wrapping.
IDS = [
    "--PJHxphWEs",
    "-0DdlOuIFUI",
    "_-Qj4tzBIlI",
    "abcdefgh_12",
    "abcdefg-123",
    "ab_30_40_cd",
    "ab-30-40[x]",
    "1_2_3_4_5_6",
    "30_40_30_40",
    "12345678901",
    "YabcYdefYgh",
    "id_abcdefgh",
    "vabcdefg_40",
    "abcdefg_out",
    "-----------",
    "___________",
    "_________30",
]
WHOLE_NAMES = ["{id}", "Y{id}", "id_{id}"]
CUT_NAMES = [
    "{id}_30000_40000",
    "{id}_30.0-40.0",
    "{id}_30.000",
    "{id}_30",
    "{id}_000030",
    "{id}_000030_000040",
    "[{id}]-[30-40]",
    "v{id}_30_40_out",
]
TITLED_NAMES = [
    "Title [{id}]",
    "Title, with [brackets] and-hyphens [{id}]",
    "Title [{id}].f140",
    "Title [{id}].f251-drc",
    "Title-{id}",
    "A B-C_D-{id}.f251",
    "{id}.f140",
    "[{id}].f140",
    "12_30_40-{id}",
]
OTHER_CUT_NAMES = ["Y{id}_30.000", "Y{id}_30_40", "id_{id}_30_40", "{id}_30.000_40.000"]


def segment(id: str = "--PJHxphWEs", start: str = "30.000", end: str = "40.000") -> Segment:
    return Segment(id, parse_seconds(start), parse_seconds(end), (), "/m.csv", 1)


def _path(name: str, id: str, suffix: str = ".wav") -> str:
    return f"/root/a/{name.replace('{id}', id)}{suffix}"


def test_a_file_that_is_named_by_the_id_may_hold_the_whole_recording() -> None:
    for name, suffix, id in itertools.product(WHOLE_NAMES, [".wav", ".m4a", ""], IDS):
        path = _path(name, id, suffix)
        assert id in possible_ids(path)
        assert find_segment_audio(segment(id), [path]) == (path, False)


def test_a_file_that_is_named_by_id_and_times_as_a_downloader_does_was_cut() -> None:
    for name, id in itertools.product(CUT_NAMES + OTHER_CUT_NAMES, IDS):
        path = _path(name, id)
        assert id in possible_ids(path)
        assert find_segment_audio(segment(id), [path]) == (path, True)


def test_the_default_names_of_yt_dlp_and_youtube_dl_are_found_with_and_without_times() -> None:
    for name, id in itertools.product(TITLED_NAMES, [id for id in IDS if "[" not in id]):
        for times, is_cut in (("", False), ("_30_40", True), ("_30.000-40.000", True)):
            stem, dot, rest = _path(name, id, "").partition(".f")
            path = f"{stem}{times}{dot}{rest}.m4a"
            assert id in possible_ids(path), path
            found = find_segment_audio(segment(id), [path])
            assert found is not None
            assert found[0] == path
            # An id such as abcdefgh_30 is found by itself, too.
            assert found[1] == is_cut or id[-3:] in ("_30", "_40")
        assert find_segment_audio(segment(id[::-1] + "x"), [path]) is None


def test_the_last_id_of_a_title_with_several_is_the_one_that_counts() -> None:
    a, b = "AAAAAAAAAAA", "-BBBBBBBBB_"
    for path in (f"/{a}-{b}.wav", f"/T [{a}]-{b}.wav", f"/T-{a} [{b}].wav", f"/[{a}] [{b}].wav"):
        assert find_segment_audio(segment(b), [path]) == (path, False)
        assert find_segment_audio(segment(a), [path]) is None


def test_an_exact_name_is_taken_before_a_title_and_a_merged_file_before_one_format() -> None:
    id = "abcdefghijk"
    for paths, expected in [
        ([f"/A [{id}].wav", f"/z/{id}.wav"], f"/z/{id}.wav"),
        ([f"/A-{id}.wav", f"/z/Y{id}.wav", f"/B-{id}.wav"], f"/z/Y{id}.wav"),
        ([f"/{id}.f140.m4a", f"/T [{id}].webm"], f"/T [{id}].webm"),
        ([f"/{id}.f137.mp4", f"/{id}.f251.webm"], f"/{id}.f251.webm"),
        ([f"/{id}.f137.mp4"], f"/{id}.f137.mp4"),
        ([f"/T [{id}].m4a", f"/T-{id}.wav"], f"/T [{id}].m4a"),
    ]:
        for order in (paths, paths[::-1]):
            assert find_segment_audio(segment(id), order) == (expected, False)


def test_files_with_different_titles_and_one_id_are_ambiguous_and_said_to_be() -> None:
    id = "abcdefghijk"
    for paths in ([f"/A [{id}].m4a", f"/B [{id}].m4a"], [f"/A-{id}.wav", f"/A-B-{id}.wav"]):
        for order in (paths, paths[::-1]):
            with pytest.raises(AmbiguousNameError, match=r"A.* and .* may both be it: keep one"):
                find_segment_audio(segment(id), order)


def test_a_file_that_was_cut_to_other_times_is_not_taken() -> None:
    for times, name in itertools.product(
        [("20.000", "30.000"), ("300", "400"), ("31", "41"), ("3", "4")],
        CUT_NAMES + OTHER_CUT_NAMES,
    ):
        assert (
            find_segment_audio(segment("--PJHxphWEs", *times), [_path(name, "--PJHxphWEs")]) is None
        )


def test_the_end_counts_where_it_is_named() -> None:
    wanted = segment("a", "30", "35")
    assert find_segment_audio(wanted, ["/a_30_40.wav"]) is None
    assert find_segment_audio(wanted, ["/a_30000_35000.wav"]) == ("/a_30000_35000.wav", True)
    assert find_segment_audio(wanted, ["/a_30.wav"]) == ("/a_30.wav", True)


def test_times_are_seconds_whole_seconds_or_milliseconds_which_may_be_one_too_few() -> None:
    for start, name, is_found in [
        ("4.020", "a_4020", True),
        ("4.020", "a_4019", True),
        ("4.020", "a_4018", False),
        ("4.020", "a_4021", False),
        ("4.020", "a_4.020", True),
        ("4.020", "a_4.02", True),
        ("4.020", "a_4.019", False),
        ("4.020", "a_4", True),
        ("4.020", "a_000004", True),
        ("4.020", "a_5", False),
        ("4.0205", "a_4020", True),
        ("0.000", "a_0", True),
        ("0.000", "a_000000", True),
        ("0.000", "a_0.000", True),
        ("0.000", "a_1", False),
        ("1.000", "a_999", True),
        ("1.000", "a_998", False),
    ]:
        found = find_segment_audio(segment("a", start, "14.020"), [f"/{name}.wav"])
        assert found == ((f"/{name}.wav", True) if is_found else None)


@given(start_ms=st.integers(0, 10**8), num_ms=st.integers(1, 10_000), id=st.sampled_from(IDS))
def test_milliseconds_that_were_multiplied_in_binary_and_truncated_are_found(
    start_ms: int, num_ms: int, id: str
) -> None:
    times = [f"{ms // 1000}.{ms % 1000:03}" for ms in (start_ms, start_ms + num_ms)]
    name = "_".join([id, *(str(int(float(text) * 1000)) for text in times)])
    assert find_segment_audio(segment(id, *times), [f"{name}.flac"]) == (f"{name}.flac", True)


def test_the_file_of_another_id_is_not_taken() -> None:
    for name, id in itertools.product(WHOLE_NAMES + CUT_NAMES, IDS):
        path = _path(name, id)
        for other in (id[:-1], "x" + id, id + "a", id[:5] + id[6:], id.swapcase(), ""):
            if other != id:
                assert find_segment_audio(segment(other), [path]) is None


def test_a_name_that_reads_in_two_ways_is_the_file_of_either_segment() -> None:
    path = "/ab_30_40.wav"
    assert possible_ids(path) == {"ab_30_40", "ab_30", "ab"}
    assert find_segment_audio(segment("ab", "30", "40"), [path]) == (path, True)
    assert find_segment_audio(segment("ab_30", "40", "50"), [path]) == (path, True)
    assert find_segment_audio(segment("ab_30_40", "7", "8"), [path]) == (path, False)


def test_a_cut_file_is_taken_before_a_whole_one_and_of_several_the_first_by_name() -> None:
    for paths, expected in [
        (["/a.wav", "/z/a_30.wav"], ("/z/a_30.wav", True)),
        (["/z/a_30.wav", "/a.wav", "/Ya.wav"], ("/z/a_30.wav", True)),
        (["/b/a.wav", "/a/a.wav"], ("/a/a.wav", False)),
        (["/a_30_40.wav", "/a_30.wav"], ("/a_30.wav", True)),
        (["/a_20_30.wav", "/a.wav"], ("/a.wav", False)),
        (["/a_20_30.wav"], None),
        ([], None),
    ]:
        for order in (paths, paths[::-1]):
            assert find_segment_audio(segment("a"), iter(order)) == expected


def test_a_name_without_id_or_times_is_only_itself() -> None:
    for path in [
        "",
        "/",
        "/.wav",
        "/_30.wav",
        "/a_1234567890.wav",
        "/a_30_.wav",
        "/a_30.40.50.wav",
        "/Y.wav",
    ]:
        (id,) = possible_ids(path)
        assert id == path.rpartition("/")[2].removesuffix(".wav") or path == "/.wav"


@given(name=st.text("ab_-.[]03٣", max_size=30), start=st.sampled_from(["0", "30", "0.3"]))
def test_any_name_is_looked_at_and_what_is_found_is_a_possible_id(name: str, start: str) -> None:
    for id in possible_ids(name):
        find_segment_audio(segment(id, start, "40"), [name])
    assert find_segment_audio(segment("another", start, "40"), [name]) is None


def test_a_template_names_the_file_of_a_segment() -> None:
    for template, name, with_times in [
        ("{id}.wav", "--PJHxphWEs.wav", False),
        ("Y{id}/{id}.flac", "Y--PJHxphWEs/--PJHxphWEs.flac", False),
        ("{id}_{start}_{end}.wav", "--PJHxphWEs_4.02_40.wav", True),
        ("{id}_{start_ms}_{end_ms}.wav", "--PJHxphWEs_4020_40000.wav", True),
        ("{id}_{start:.3f}.wav", "--PJHxphWEs_4.020.wav", True),
        ("{id}_{end:06d}.wav", "--PJHxphWEs_000040.wav", True),
        ("{id}_{{x}}.wav", "--PJHxphWEs_{x}.wav", False),
        ("[{id}]-[x].wav", "[--PJHxphWEs]-[x].wav", False),
        ("{id!s:>12}", " --PJHxphWEs", False),
    ]:
        check_template(template)
        assert format_name(template, segment(start="4.020")) == name
        assert has_times(template) is with_times


def test_whole_seconds_are_written_without_a_decimal_point() -> None:
    assert format_name("{id}_{start}_{end}", segment("a", "30.000", "1E+2")) == "a_30_100"


def test_times_that_do_not_fit_into_the_template_are_an_error_of_their_segment_only() -> None:
    check_template("{id}_{start:06d}")
    assert format_name("{id}_{start:06d}", segment("a")) == "a_000030"
    with pytest.raises(ValueError, match=r"."):
        format_name("{id}_{start:06d}", segment("a", "4.020"))


def test_an_invalid_template_is_rejected_with_what_is_allowed() -> None:
    for template, message in [
        ("", r"\{id\} is missing \(allowed: \{id\} \{start\} \{end\} \{start_ms\} \{end_ms\}\)"),
        ("a.wav", r"\{id\} is missing"),
        ("{start}_{end}.wav", r"\{id\} is missing"),
        ("{{id}}", r"\{id\} is missing"),
        ("{ID}", r"\{ID\} is unknown \(allowed: \{id\} "),
        ("{id}{ytid}", r"\{ytid\} is unknown"),
        ("{id}{}", r"\{\} is unknown"),
        ("{id}{0}", r"\{0\} is unknown"),
        ("{id}{id.x}", r"\{id.x\} is unknown"),
        ("{id}{id[0]}", r"\{id\[0\]\} is unknown"),
        ("{ id}", r"\{ id\} is unknown"),
        ("{id", "expected '}'.*allowed"),
        ("id}", "Single '}'.*allowed"),
        ("{id!x}", "conversion.*allowed"),
        ("{id:d}", "format code 'd'.*allowed"),
        ("{id}{start:s}", "format code 's'.*allowed"),
        ("{id}{start:{x}}", "'x'.*allowed"),
        ("{id}{start:{}}", "allowed"),
        ("{id}{start:{id.x}}", "no attribute 'x'.*allowed"),
        ("{id}{start:{id[x]}}", "indices.*allowed"),
        ("{id}*.wav", "without a template, the usual names are searched"),
        ("{id}?.wav", "are not allowed; without"),
        ("{id}\0", "are not allowed; without"),
    ]:
        with pytest.raises(TemplateError, match=message):
            check_template(template)


@given(template=st.text("{}id:!.[]st0 *", max_size=12))
def test_any_template_names_files_or_is_rejected(template: str) -> None:
    try:
        check_template(template)
    except TemplateError:
        return
    assert "--PJHxphWEs" in format_name(template, segment())
