"""Corpora, models and datasets on object storages, against stand-ins on this machine."""

import json
from pathlib import Path

import pytest

from tests.running import embed
from tests.sounds import noise, write_wav
from tests.stand_ins import fault_proxy, gcs, s3
from tests.stand_ins.object_storages import ADDRESSES
from transforms.storage import files


def _put(path: str, data: bytes) -> None:
    files.write_atomically(path, [data])


def _copy(folder: Path, path: str) -> None:
    for file in filter(Path.is_file, folder.rglob("*")):
        _put(f"{path}/{file.relative_to(folder)}", file.read_bytes())


def _published(folder: str | Path) -> dict[str, bytes]:
    """Returns the files of a dataset that do not hold its path."""
    contents = {}
    for name in files.list_names(str(folder)):
        if not name.endswith(".json"):
            with files.open_to_read(f"{folder}/{name}") as file:
                contents[name] = file.read()
    return contents


@pytest.fixture
def corpus(tmp_path: Path, stand_in_model: str, pca_file: str) -> Path:
    """A folder with recordings and all that a run reads besides, a model included."""
    folder = tmp_path / "corpus"
    for index in range(6):
        write_wav(folder / f"audio/söng #{index} [live].wav", noise(48_000 + index, index))
    write_wav(folder / "audio/long.wav", noise(16_000 * 200, 7), 44_100)
    rows = [f"audio/söng #{index} [live].wav,l{index % 2}" for index in range(6)]
    rows += ["audio/long.wav,l0", "audio/absent.wav,l1"]
    (folder / "m.csv").write_text("\n".join(["uri,labels", *rows]) + "\n")
    (folder / "classes.csv").write_text("index,mid,display_name\n0,l0,Zero\n1,l1,One\n")
    (folder / "pca.npz").write_bytes(Path(pca_file).read_bytes())
    model = Path(stand_in_model)
    for file in filter(Path.is_file, model.rglob("*")):
        target = folder / "model" / file.relative_to(model)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    return folder


def _flags(folder: str | Path) -> list[str]:
    return [
        f"--manifest={folder}/m.csv",
        f"--class_map={folder}/classes.csv",
        f"--pca={folder}/pca.npz",
        f"--model={folder}/model",
        "--num_shards=3",
        "--max_failed_ratio=1",
    ]


@pytest.mark.slow
def test_a_run_on_a_storage_gives_what_a_run_here_gives(
    server: tuple[str, str],
    bucket: str,
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert embed(tmp_path / "out", *_flags(corpus)) == 0
    expected = {
        name: data
        for name, data in _published(tmp_path / "out").items()
        if "failures" not in name  # it says where the recording is
    }
    assert len([name for name in expected if name.endswith(".tfrecord")]) == 3
    _copy(corpus, f"{bucket}/corpus")

    def check(output: str) -> None:
        published = _published(output)
        (failure,) = published.pop("audio-failures.jsonl").splitlines()
        assert json.loads(failure)["reason"] == "not_found"
        assert published == expected

    _put(f"{bucket}/out/mine.txt", b"mine")
    expected["mine.txt"] = b"mine"
    assert embed(f"{bucket}/out", *_flags(f"{bucket}/corpus"), "--overwrite") == 0
    check(f"{bucket}/out")
    # In the place of the other, and through a storage that fails again and again.
    with (
        fault_proxy.running(server[1], fault_proxy.ALL, every=6) as faulty,
        monkeypatch.context() as patch,
    ):
        patch.setenv(ADDRESSES[server[0]], faulty.address)
        more = ["--overwrite", "--num_shards=3"]
        assert embed(f"{bucket}/out", *_flags(f"{bucket}/corpus"), *more) == 0
        assert faulty.num_faults > 10
    check(f"{bucket}/out")
    names = files.list_names(f"{bucket}/out")
    assert not [name for name in names if "tmp" in name or "incomplete" in name]


@pytest.mark.slow
def test_beams_flags_for_storages_reach_the_workers(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3.running() as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", address)
        bucket = f"s3://{s3.BUCKET}"
        _copy(corpus, f"{bucket}/corpus")
        for name in (*s3.ENVIRONMENT, "AWS_ENDPOINT_URL_S3"):
            monkeypatch.delenv(name)
        reach = [
            f"--s3_endpoint_url={address}",
            "--s3_access_key_id=testing",
            "--s3_secret_access_key=testing",
            "--s3_region_name=us-east-1",
        ]
        for mode in ("multi_threading", "multi_processing"):
            how = [f"--direct_running_mode={mode}", "--direct_num_workers=2"]
            assert embed(f"{bucket}/{mode}", *_flags(f"{bucket}/corpus"), *reach, *how) == 0
        assert _published(f"{bucket}/multi_threading") == _published(f"{bucket}/multi_processing")


@pytest.mark.slow
def test_recordings_are_anywhere(
    stand_in_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with gcs.running() as google, s3.running() as amazon:
        monkeypatch.setenv(ADDRESSES["gs"], google)
        monkeypatch.setenv(ADDRESSES["s3"], amazon)
        uris = [
            f"gs://{gcs.BUCKET}/sound 1.wav",
            f"s3://{s3.BUCKET}/sound 2.wav",
            f"{google}/{gcs.BUCKET}/sound 1.wav",  # as the web has it
            f"{google}/{gcs.BUCKET}/absent.wav",
            "sound 3.wav",
        ]
        for index, uri in enumerate(uris[:2]):
            path = tmp_path / f"{index}.wav"
            write_wav(path, noise(60_000, index))
            _put(uri, path.read_bytes())
        write_wav(tmp_path / "sound 3.wav", noise(60_000, 3))
        (tmp_path / "m.csv").write_text("\n".join(["uri", *uris]) + "\n")
        output = f"s3://{s3.BUCKET}/out"
        flags = [f"--manifest={tmp_path}/m.csv", f"--model={stand_in_model}", "--profile=raw"]
        assert embed(output, *flags, "--max_failed_ratio=0.2") == 0
        with files.open_to_read(f"{output}/dataset.json") as file:
            assert json.load(file)["counts"]["records"] == 4
        with files.open_to_read(f"{output}/audio-failures.jsonl") as file:
            failure = json.loads(file.read())
        assert (failure["uri"], failure["reason"]) == (uris[3], "not_found")
