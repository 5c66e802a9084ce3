"""From an archive, which may hold anything, to a SavedModel folder."""

import random
import shutil
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.archives import FILES, archive_bytes, contents, make_archive, make_tar, make_zip
from transforms.model.errors import ModelError
from transforms.model.sources import names, resolving, writing
from transforms.model.sources.unpacking import unpack

pytestmark = pytest.mark.usefixtures("cache")


def _kept(cache: Path) -> list[str]:
    return [path.name for path in cache.glob("*") if path.suffix != ".lock"]


@pytest.mark.parametrize("suffix", names.ARCHIVE_SUFFIXES)
def test_an_archive_is_unpacked_once(tmp_path: Path, suffix: str) -> None:
    for prefix in ("", "./", "vggish_1/"):
        files = {prefix + name: data for name, data in FILES.items()}
        archive = make_archive(tmp_path / f"model{suffix}", files)
        folder = resolving.resolve(str(archive))
        assert contents(folder) == FILES
        (folder / "mark").touch()
        assert (resolving.resolve(str(archive)) / "mark").exists()


@pytest.mark.parametrize("suffix", [".tar.gz", ".zip"])
def test_an_archive_cannot_write_outside_its_folder(tmp_path: Path, suffix: str) -> None:
    for name in ("../outside", "/tmp/outside", "a/../../outside", "..\\outside"):
        archive = make_archive(tmp_path / f"m{suffix}", {**FILES, name: b"x"})
        with pytest.raises(ModelError, match="outside its folder"):
            resolving.resolve(str(archive))
    assert not list(tmp_path.rglob("*outside"))


def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path) -> None:
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
        member = tarfile.TarInfo("variables/link")
        member.type = kind
        member.linkname = "/etc/passwd"
        archive = make_tar(tmp_path / "model.tar.gz", FILES, member)
        with pytest.raises(ModelError, match="is not a regular file"):
            resolving.resolve(str(archive))


def test_a_tar_is_refused_where_python_has_no_data_filter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(tarfile, "data_filter")
    archive = make_tar(tmp_path / "model.tar", FILES, compression="")
    with pytest.raises(ModelError, match=r"cannot unpack safely \(needed: 3\.10\.12"):
        resolving.resolve(str(archive))


def test_links_in_a_zip_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("variables/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive = make_zip(tmp_path / "model.zip", FILES)
    with zipfile.ZipFile(archive, "a") as bundle:
        bundle.writestr(link, "/etc/passwd")
    with pytest.raises(ModelError, match="is not a regular file"):
        resolving.resolve(str(archive))


@pytest.mark.parametrize("files", [{"zeros": bytes(2_000)}, {str(n): b"" for n in range(20)}])
def test_an_archive_that_unpacks_to_too_much_is_refused_and_leaves_nothing(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]
) -> None:
    monkeypatch.setattr(writing, "MAX_FILES", 10)
    archive = make_tar(tmp_path / "model.tar.gz", {**FILES, **files})
    with pytest.raises(ModelError, match=r"unpacks to more than 1000 bytes|more than 10 files"):
        resolving.resolve(str(archive), max_bytes=1_000)
    assert _kept(cache) == []


def test_an_archive_never_takes_the_rest_of_the_disk(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = make_tar(tmp_path / "model.tar.gz", {**FILES, "zeros": bytes(2**20)})
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2**20))
    with pytest.raises(ModelError, match=r"unpacks to more than the 996147 bytes that .* has free"):
        resolving.resolve(str(archive))
    assert _kept(cache) == []


@pytest.mark.parametrize("suffix", [".tar.gz", ".tar", ".zip"])
def test_a_cut_archive_is_refused_and_leaves_nothing(
    tmp_path: Path, cache: Path, suffix: str
) -> None:
    files = {**FILES, "variables/data": random.Random(0).randbytes(40_000)}
    archive = make_archive(tmp_path / f"model{suffix}", files)
    data = archive.read_bytes()
    for share in (0.0, 0.3, 0.7):
        archive.write_bytes(data[: int(share * len(data))])
        with pytest.raises(ModelError, match=r"cannot unpack the model archive .*/model"):
            resolving.resolve(str(archive))
    assert _kept(cache) == []


def test_a_tar_that_is_cut_between_two_members_is_refused(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "model.tar", FILES, compression="")
    archive.write_bytes(archive.read_bytes()[: 2 * 2 * tarfile.BLOCKSIZE])
    with pytest.raises(ModelError, match="it is truncated or damaged"):
        resolving.resolve(str(archive))


def test_a_tar_gz_whose_last_bytes_are_missing_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(archive_bytes(FILES)[:-1])
    with pytest.raises(ModelError, match="cannot unpack the model archive"):
        resolving.resolve(str(archive))


@pytest.mark.parametrize(
    "files",
    [
        {"readme": b"x"},
        {"a/saved_model.pb": b"", "b/saved_model.pb": b""},
        {"model.tar.gz": archive_bytes(FILES)},
    ],
)
def test_an_archive_without_one_saved_model_is_refused(
    tmp_path: Path, cache: Path, files: dict[str, bytes]
) -> None:
    archive = make_zip(tmp_path / "model.zip", files)
    for _ in range(2):
        with pytest.raises(ModelError, match=r"holds [02] SavedModels"):
            resolving.resolve(str(archive))
    assert _kept(cache) == []


@pytest.mark.parametrize("suffix", [".tar.gz", ".tar", ".zip"])
def test_a_damaged_archive_is_unpacked_whole_or_refused(tmp_path: Path, suffix: str) -> None:
    archive = make_archive(tmp_path / f"model{suffix}", FILES)
    data = archive.read_bytes()
    chance = random.Random(suffix)
    for number in range(60):
        damaged = bytearray(data)
        for _ in range(chance.randint(1, 20)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        archive.write_bytes(damaged)
        folder = tmp_path / f"unpacked{number}"
        try:
            unpack(archive, folder, "the archive")
        except (ModelError, OSError):
            continue
        # Of the three, only gzip has a checksum of all that an archive says.
        assert contents(folder) == FILES or suffix != ".tar.gz"
