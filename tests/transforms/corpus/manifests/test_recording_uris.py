"""Locations of the recordings in a manifest, and their names."""

from pathlib import Path

import pytest

from transforms.corpus.manifests.recording_uris import recording_folder


def test_a_recording_is_found_and_named() -> None:
    for manifest, audio_root, written, uri, name in [
        ("/m/a.csv", None, "b.wav", "/m/b.wav", "b.wav"),
        ("/m/a.csv", None, "./b//c/../d.wav", "/m/b/d.wav", "b/d.wav"),
        ("/m/n/a.csv", None, "../b.wav", "/m/b.wav", "../b.wav"),
        ("a.csv", None, "b.wav", "b.wav", "b.wav"),
        ("file:///m/a.csv", None, "b.wav", "/m/b.wav", "b.wav"),
        ("/m/a.csv", "/r", "b.wav", "/r/b.wav", "b.wav"),
        ("/m/a.csv", "/r/", "file:///r/c/a%20b%2520.wav", "/r/c/a b%20.wav", "c/a b%20.wav"),
        ("/m/a.csv", "/r/", "FILE://LocalHost/r/b.wav", "/r/b.wav", "b.wav"),
        ("/m/a.csv", "/r/", " file:/r/50%, ok.wav", "/r/50%, ok.wav", "50%, ok.wav"),
        ("/m/a.csv", "/r/", "file:///r/%ff.wav", "/r/\udcff.wav", "\udcff.wav"),
        ("/m/a.csv", "/r/", "file:b.wav", "/r/file:b.wav", "file:b.wav"),
        ("/m/a.csv", "/r/", " s3://b/c.wav ", "s3://b/c.wav ", "s3://b/c.wav "),
        ("/m/a.csv", "/r/", " b.wav ", "/r/ b.wav ", " b.wav "),
        ("/m/a.csv", "/r/", "a\\b.wav", "/r/a\\b.wav", "a\\b.wav"),
        ("/m/a.csv", "file:///r", "b.wav", "/r/b.wav", "b.wav"),
        ("/m/a.csv", "/", "b.wav", "/b.wav", "b.wav"),
        ("/m/a.csv", "r", "b.wav", "r/b.wav", "b.wav"),
        ("/m/a.csv", "", "b.wav", "/m/b.wav", "b.wav"),
        ("gs://m/x/a.csv", None, "b.wav", "gs://m/x/b.wav", "b.wav"),
        ("gs://m/x/a.csv", None, ".//./b/../c.wav", "gs://m/x/b/../c.wav", "c.wav"),
        ("gs://m/x/a.csv", None, "/b.wav", "/b.wav", "b.wav"),
        ("/m/a.csv", "s3://r/y/", "b c.wav", "s3://r/y/b c.wav", "b c.wav"),
        ("/m/a.csv", None, "/m/b.wav", "/m/b.wav", "m/b.wav"),
        ("/m/a.csv", "/r", "/r/c/../b.wav", "/r/b.wav", "b.wav"),
        ("/m/a.csv", "/r", "/rest/b.wav", "/rest/b.wav", "rest/b.wav"),
        ("/m/a.csv", "/r/./s/..", "//r/b.wav", "/r/b.wav", "b.wav"),
        ("/m/a.csv", "/r", "file:///r/b.wav", "/r/b.wav", "b.wav"),
        ("/m/a.csv", "gs://r", "gs://r/b.wav", "gs://r/b.wav", "b.wav"),
        ("/m/a.csv", "gs://r", "gs://rest/b.wav", "gs://rest/b.wav", "gs://rest/b.wav"),
        ("/m/a.csv", None, "s3://h/../b", "s3://h/../b", "s3://h/../b"),
        ("/m/a.csv", "gs://r", "gs://r/", "gs://r/", "gs://r/"),
        ("/m/a.csv", None, "a:b.wav", "/m/a:b.wav", "a:b.wav"),
        ("/m\udcff/a.csv", None, "b.wav", "/m\udcff/b.wav", "b.wav"),
    ]:
        assert recording_folder(manifest, audio_root).find(written) == (uri, name)


def test_what_names_the_folder_itself_is_no_recording() -> None:
    for written in [".", "./", "././/", "file://", "b/..", "file://c/b.wav", "file://C:/b.wav"]:
        with pytest.raises(ValueError, match="does not name a file"):
            recording_folder("/m/a.csv", None).find(written)


def test_a_file_url_of_a_program_that_does_not_quote_names_the_file_that_exists(
    tmp_path: Path,
) -> None:
    folder = recording_folder(f"{tmp_path}/a.csv", None)
    (tmp_path / "a%20b.wav").touch()
    assert folder.find(f"file://{tmp_path}/a%20b.wav")[0] == f"{tmp_path}/a%20b.wav"
    (tmp_path / "a b.wav").touch()
    assert folder.find(f"file://{tmp_path}/a%20b.wav")[0] == f"{tmp_path}/a b.wav"


def test_a_member_of_a_packed_file_is_named_as_the_listing_of_the_file_names_it() -> None:
    folder = recording_folder("/data/m.csv", None)
    assert folder.find("tar://a/dog.flac::x.tar") == (
        "tar://a/dog.flac::/data/x.tar",
        "x.tar/a/dog.flac",
    )
    assert folder.find("zip://dog.flac::s3://b/x.zip")[0] == "zip://dog.flac::s3://b/x.zip"
