"""Globs: what is one, where its folder ends, and how a path is quoted."""

import fnmatch
import glob
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.storage.globs import glob_root, is_glob, quote_glob


@pytest.mark.parametrize(
    ("pattern", "root"),
    [
        ("/a/b/*.wav", "/a/b/"),
        ("/a/b*/c.wav", "/a/"),
        ("/a/**/c.wav", "/a/"),
        ("/a/b/c?.wav", "/a/b/"),
        ("/a/b/[cd].wav", "/a/b/"),
        ("/*", "/"),
        ("*.wav", ""),
        ("gs://bucket/a/*.wav", "gs://bucket/a/"),
        ("gs://bucket/*", "gs://bucket/"),
        ("/a/b/c.wav", "/a/b/"),
        ("/a]b/*.wav", "/a]b/"),
    ],
)
def test_the_root_of_a_glob_ends_before_its_first_special_segment(pattern: str, root: str) -> None:
    assert glob_root(pattern) == root


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a/b.wav", False),
        ("/a/*", True),
        ("/a?", True),
        ("[a]", True),
        ("/a]", False),
        ("", False),
    ],
)
def test_special_characters_make_a_glob(path: str, expected: bool) -> None:
    assert is_glob(path) == expected


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
