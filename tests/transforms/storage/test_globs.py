"""Globs: what is one, where its folder ends, and how a path is quoted."""

import fnmatch
import glob
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from transforms.storage.globs import glob_root, is_glob, quote_glob


def test_the_root_of_a_glob_ends_before_its_first_special_segment() -> None:
    roots = {
        "/a/b/*.wav": "/a/b/",
        "/a/b*/c.wav": "/a/",
        "/a/**/c.wav": "/a/",
        "/a/b/c?.wav": "/a/b/",
        "/a/b/[cd].wav": "/a/b/",
        "/*": "/",
        "*.wav": "",
        "gs://bucket/a/*.wav": "gs://bucket/a/",
        "gs://bucket/*": "gs://bucket/",
        "/a/b/c.wav": "/a/b/",
        "/a]b/*.wav": "/a]b/",
    }
    assert {pattern: glob_root(pattern) for pattern in roots} == roots


def test_special_characters_make_a_glob() -> None:
    assert all(map(is_glob, ("/a/*", "/a?", "[a]")))
    assert not any(map(is_glob, ("/a/b.wav", "/a]", "")))


@given(path=st.text("ab*?[]!^-\\/.\n ", max_size=12), other=st.text("ab*?[]!-", max_size=12))
def test_a_quoted_path_matches_itself_and_nothing_else(path: str, other: str) -> None:
    assert fnmatch.fnmatchcase(path, quote_glob(path))
    assert fnmatch.fnmatchcase(other, quote_glob(path)) == (other == path)


def test_a_quoted_path_finds_its_file_among_those_it_would_match_unquoted(tmp_path: Path) -> None:
    names = ["a [live].wav", "a l.wav", "b*.wav", "bc.wav", "d?.wav", "de.wav", "[!f].wav", "g.wav"]
    for name in names:
        (tmp_path / name).touch()
    for name in names:
        path = str(tmp_path / name)
        assert glob.glob(quote_glob(path)) == [path]
