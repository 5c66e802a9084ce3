"""From a URL, a folder or an archive to a SavedModel folder."""

import http.server
import io
import shutil
import socket
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from transforms.model import resolving
from transforms.model.errors import ModelError

FILES = {"saved_model.pb": b"graph", "variables/variables.index": b"index", "assets/a.txt": b"a"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "hub"))
    return tmp_path / "cache"


def _tar(path: Path, files: dict[str, bytes], *first: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member in first:
            tar.addfile(member)
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def _zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as bundle:
        for name, data in files.items():
            bundle.writestr(name, data)
    return path


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("suffix", resolving.ARCHIVE_SUFFIXES)
@pytest.mark.parametrize("prefix", ["", "./", "vggish_1/"])
def test_an_archive_is_unpacked_once(tmp_path: Path, suffix: str, prefix: str) -> None:
    files = {prefix + name: data for name, data in FILES.items()}
    archive = (_zip if suffix == ".zip" else _tar)(tmp_path / f"model{suffix}", files)
    folder = resolving.resolve(str(archive))
    assert _contents(folder) == FILES
    (folder / "mark").touch()
    assert (resolving.resolve(str(archive)) / "mark").exists()


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "a/../../outside", "..\\outside"])
@pytest.mark.parametrize("suffix", [".tar.gz", ".zip"])
def test_an_archive_cannot_write_outside_its_folder(tmp_path: Path, name: str, suffix: str) -> None:
    archive = (_zip if suffix == ".zip" else _tar)(tmp_path / f"m{suffix}", {**FILES, name: b"x"})
    with pytest.raises(ModelError, match="outside its folder"):
        resolving.resolve(str(archive))
    assert not list(tmp_path.rglob("outside"))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_in_an_archive_are_refused(tmp_path: Path, kind: bytes) -> None:
    member = tarfile.TarInfo("variables/link")
    member.type = kind
    member.linkname = "/etc/passwd"
    archive = _tar(tmp_path / "model.tar.gz", FILES, member)
    with pytest.raises(ModelError, match="is not a regular file"):
        resolving.resolve(str(archive))


def test_an_archive_that_unpacks_to_too_much_is_refused_and_leaves_nothing(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolving, "MAX_UNPACKED_BYTES", 1_000)
    archive = _tar(tmp_path / "model.tar.gz", {**FILES, "zeros": bytes(2_000)})
    with pytest.raises(ModelError, match="unpacks to more than 1000 bytes"):
        resolving.resolve(str(archive))
    assert not [path for path in cache.rglob("*") if path.is_file()]


@pytest.mark.parametrize("suffix", [".tar.gz", ".zip"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_cut_archive_is_refused_and_leaves_nothing(
    tmp_path: Path, cache: Path, suffix: str, share: float
) -> None:
    files = {**FILES, "variables/data": bytes(range(256)) * 40}
    archive = (_zip if suffix == ".zip" else _tar)(tmp_path / f"model{suffix}", files)
    data = archive.read_bytes()
    archive.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ModelError, match="cannot unpack the model archive"):
        resolving.resolve(str(archive))
    assert not [path for path in cache.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "files", [{"readme": b"x"}, {"a/saved_model.pb": b"", "b/saved_model.pb": b""}]
)
def test_an_archive_without_one_saved_model_is_refused(tmp_path: Path, files: dict) -> None:
    with pytest.raises(ModelError, match=r"holds [02] SavedModels"):
        resolving.resolve(str(_zip(tmp_path / "model.zip", files)))


def test_what_is_no_model_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "model.h5").touch()
    for name, why in [
        ("absent", "does not exist"),
        ("empty", "holds no saved_model.pb"),
        ("model.h5", "neither a folder nor an archive"),
    ]:
        with pytest.raises(ModelError, match=f"{name}.*{why}.*allowed: a hub URL"):
            resolving.check_model_name(str(tmp_path / name))
    with pytest.raises(ModelError, match="storage that models cannot be read from"):
        resolving.check_model_name("gs://bucket/model")


def test_a_fingerprint_follows_contents_and_names_only(tmp_path: Path) -> None:
    one = resolving.fingerprint(resolving.resolve(str(_zip(tmp_path / "1.zip", FILES))))
    other = {**FILES, "fingerprint.pb": b"a random id"}
    assert resolving.fingerprint(resolving.resolve(str(_zip(tmp_path / "2.zip", other)))) == one
    changed = {**FILES, "assets/a.txt": b"b"}
    assert resolving.fingerprint(resolving.resolve(str(_zip(tmp_path / "3.zip", changed)))) != one


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[str]:
    """A hub on this machine: every model is the archive in `served/`."""
    served = tmp_path / "served"
    served.mkdir()
    folders = [tarfile.TarInfo(name) for name in ("variables", "assets")]
    for folder in folders:
        folder.type = tarfile.DIRTYPE
    _tar(served / "model", FILES, *folders)  # tensorflow_hub makes no folders of its own
    _tar(served / "without_folders", FILES)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(served))  # type: ignore[arg-type]

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_model_comes_from_a_hub_and_is_kept(hub: str, tmp_path: Path) -> None:
    folder = resolving.resolve(f"{hub}/model")
    assert {name: data for name, data in _contents(folder).items() if name in FILES} == FILES
    shutil.rmtree(tmp_path / "served")
    assert resolving.resolve(f"{hub}/model") == folder


def test_a_model_that_the_hub_does_not_have_is_an_error_with_the_way_out(hub: str) -> None:
    timeout = socket.getdefaulttimeout()
    with pytest.raises(ModelError, match=r"cannot fetch .*/absent.*404.*--model"):
        resolving.resolve(f"{hub}/absent")
    assert socket.getdefaulttimeout() == timeout


@pytest.mark.parametrize("name", ["page", "without_folders"])
def test_a_hub_that_answers_something_else_is_an_error(hub: str, tmp_path: Path, name: str) -> None:
    (tmp_path / "served/page").write_text("<html>sign in</html>")
    with pytest.raises(ModelError, match="cannot fetch"):
        resolving.resolve(f"{hub}/{name}")
