"""Archives made to take memory, disk or time: refused early, in little memory."""

import gzip
import io
import stat
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.archives import FILES, contents, make_tar, make_zip
from transforms.model.errors import ModelError
from transforms.model.sources import unpacking
from transforms.model.sources.unpacking import unpack

BLOCK = tarfile.BLOCKSIZE
MODEL = {"saved_model.pb": b"graph"}


def _header(kind: bytes, size: int, name: str = "saved_model.pb") -> bytes:
    member = tarfile.TarInfo(name)
    member.type = kind
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT)


def _tar(*parts: bytes) -> bytes:
    return b"".join(part + bytes(-len(part) % BLOCK) for part in parts) + bytes(2 * BLOCK)


def _pax(text: bytes) -> bytes:
    return _tar(_header(tarfile.XHDTYPE, len(text)), text, _header(tarfile.REGTYPE, 0))


SPARSE = b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"
TARS: dict[str, tuple[Callable[[], bytes], str]] = {
    "a long PAX header": (lambda: _pax(bytes(2**20)), "a header of 1048576 bytes"),
    "a long GNU name": (
        lambda: _tar(_header(tarfile.GNUTYPE_LONGNAME, 2**20), b"a" * 2**20),
        "a header of 1048576 bytes",
    ),
    "a long GNU link": (
        lambda: _tar(_header(tarfile.GNUTYPE_LONGLINK, 2**40)),
        "a header of 1099511627776 bytes",
    ),
    "a global header": (
        lambda: _tar(_header(tarfile.XGLTYPE, 2**30)),
        "a header of 1073741824 bytes",
    ),
    "a negative size": (
        lambda: _tar(_header(tarfile.XHDTYPE, -(2**20))) + bytes(2**20),
        "a header of more than 65536 bytes",
    ),
    "a member that ends before its beginning": (
        lambda: _tar(
            _header(tarfile.XHDTYPE, 16), b"15 size=-10240\n", _header(tarfile.REGTYPE, 0)
        ),
        "not a regular file|cannot unpack",
    ),
    "a chain of headers": (
        lambda: _tar(*[_header(tarfile.GNUTYPE_LONGNAME, 1) + b"a"] * 3_000),
        "cannot unpack",
    ),
    "many folders": (
        lambda: _tar(*[_header(tarfile.DIRTYPE, 0, "a")] * 5_000),
        "more than 2097152 bytes of headers",
    ),
    "a PAX header of digits": (lambda: _pax(b"1" * 2**16), "a number of 256 digits"),
    "a sparse member": (
        lambda: _pax(SPARSE + b"29 GNU.sparse.realsize=99999\n"),
        "not a regular file|cannot unpack",
    ),
    "an old sparse member": (
        lambda: _tar(_header(tarfile.GNUTYPE_SPARSE, 0)),
        "not a regular file|cannot unpack",
    ),
}


@pytest.mark.parametrize("name", TARS)
@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["tar", "tar.gz"])
def test_a_tar_whose_headers_take_memory_or_time_is_refused(
    tmp_path: Path, name: str, compress: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "_MAX_TAR_HEADERS_BYTES", 2**21)
    make, why = TARS[name]
    archive = tmp_path / "model.tar"
    archive.write_bytes(compress(make()))
    with pytest.raises(ModelError, match=why):
        unpack(archive, tmp_path / "model", str(archive))


def _peak_bytes(archive: Path, folder: Path) -> int:
    code = (
        "import resource, sys, pathlib\n"
        "from transforms.model.sources import unpacking\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n"
        "    unpacking.unpack(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), 'm')\n"
        "except unpacking.ModelError: pass\n"
        "else: raise SystemExit('it was unpacked')\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    command = [sys.executable, "-c", code, str(archive), str(folder)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) * 1024


def test_two_megabytes_with_a_header_of_two_gigabytes_take_no_memory(tmp_path: Path) -> None:
    for kind in (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME):
        archive = tmp_path / "model.tar.gz"
        with gzip.open(archive, "wb", compresslevel=1) as file:
            file.write(_header(kind, 2**28))
            for _ in range(2**4):  # the rest of what it claims is not needed to show it
                file.write(bytes(2**24))
        assert archive.stat().st_size < 2**22
        assert _peak_bytes(archive, tmp_path / kind.decode()) < 2**26


def test_a_zip_whose_directory_takes_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = make_zip(tmp_path / "m.zip", {**MODEL, **{f"{n:0200}": b"" for n in range(200)}})
    monkeypatch.setattr(unpacking, "_MAX_ZIP_READ_BYTES", 10_000)
    with pytest.raises(ModelError, match=r"a header of \d+ bytes \(allowed: up to 10000 bytes\)"):
        unpack(archive, tmp_path / "model", "m")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_with_a_method_that_takes_memory_is_refused(tmp_path: Path, method: int) -> None:
    archive = tmp_path / "m.zip"
    with zipfile.ZipFile(archive, "w", method) as bundle:
        bundle.writestr("saved_model.pb", bytes(2**20))
    with pytest.raises(ModelError, match=f"compressed with method {method} of zip"):
        unpack(archive, tmp_path / "model", "m")


def test_devices_in_a_zip_are_refused(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "m.zip", MODEL)
    for kind in (stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFBLK):
        entry = zipfile.ZipInfo("device")
        entry.external_attr = (kind | 0o666) << 16
        with zipfile.ZipFile(archive, "w") as bundle:
            bundle.writestr(entry, b"")
        with pytest.raises(ModelError, match="is not a regular file"):
            unpack(archive, tmp_path / str(kind), "m")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    twice = tmp_path / "m.zip"
    with zipfile.ZipFile(twice, "w") as bundle:
        for name in ("saved_model.pb", "./saved_model.pb"):
            bundle.writestr(name, b"")
    with pytest.raises(ModelError, match="two members"):
        unpack(twice, tmp_path / "a", "m")
    first = io.BytesIO(_tar(_header(tarfile.REGTYPE, 0), _header(tarfile.REGTYPE, 0)))
    (tmp_path / "m.tar").write_bytes(first.getvalue())
    with pytest.raises(ModelError, match=r"two members 'saved_model\.pb'"):
        unpack(tmp_path / "m.tar", tmp_path / "b", "m")


def test_names_as_long_as_a_file_system_takes_are_unpacked(tmp_path: Path) -> None:
    name = "/".join(["f" * 200] * 5)
    for format in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        archive = tmp_path / f"{format}.tar"
        with tarfile.open(archive, "w", format=format) as tar:
            for each in (*FILES, name):
                tar.addfile(tarfile.TarInfo(each), io.BytesIO())
        folder = unpack(archive, tmp_path / f"to{format}", "m")
        assert set(contents(folder)) == {*FILES, name}
    assert contents(unpack(make_tar(tmp_path / "m.tgz", FILES), tmp_path / "m", "m")) == FILES
