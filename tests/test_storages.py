"""Corpora, models and datasets on object storages, against stand-ins on this machine."""

import contextlib
import functools
import io
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import soundfile
from apache_beam.io.filesystems import FileSystems

from tests.running import embed
from tests.sounds import noise, write_wav
from tests.stand_ins import fault_proxy, gcs, s3
from tests.stand_ins.fault_proxy import FaultProxy
from transforms.audio.span_decoding import decode_spans
from transforms.corpus import listing
from transforms.corpus.clips import Clip, Failure
from transforms.corpus.runs import DecodedClip
from transforms.corpus.spans import FramingConfig, single_task
from transforms.plan_spans import PlanSpans, _PlanFn
from transforms.storage import files, retries
from transforms.storage.gcs import GcsSettings, GcsStore, _credentials
from transforms.storage.retries import RetryPolicy
from transforms.storage.s3 import S3Settings, S3Store
from transforms.storage.store import Store

STAND_INS = {"gs": gcs, "s3": s3}
ADDRESSES = {"gs": "STORAGE_EMULATOR_HOST", "s3": "AWS_ENDPOINT_URL_S3"}
CUTTING = FramingConfig(
    patch_samples=15_600,
    hop_samples=15_360,
    max_rows=None,
    pad_short_clips=False,
    clip_seconds=None,
    channel=None,
)


@pytest.fixture(scope="module", params=["gs", "s3"])
def server(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """Scheme and address of a storage."""
    with STAND_INS[request.param].running() as address:
        yield request.param, address


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("AWS_", "GOOGLE_"))]:
        if name != "AWS_CA_BUNDLE":
            monkeypatch.delenv(name)
    for name, value in s3.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(FileSystems, "_pipeline_options", None)


@pytest.fixture
def proxy(server: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """A proxy that only counts, before the storage, which is empty."""
    scheme, address = server
    STAND_INS[scheme].empty(address)
    with fault_proxy.running(address) as running:
        monkeypatch.setenv(ADDRESSES[scheme], running.address)
        yield running


@pytest.fixture
def bucket(server: tuple[str, str], proxy: FaultProxy) -> str:
    """Path of an empty bucket."""
    return f"{server[0]}://{STAND_INS[server[0]].BUCKET}"


def _put(path: str, data: bytes) -> None:
    files.write_atomically(path, [data])


def _copy(folder: Path, path: str) -> None:
    for file in filter(Path.is_file, folder.rglob("*")):
        _put(f"{path}/{file.relative_to(folder)}", file.read_bytes())


def _published(folder: str | Path) -> dict[str, bytes]:
    """Returns the files of a dataset that do not say where it is."""
    contents = {}
    for name in files.list_names(str(folder)):
        if not name.endswith(".json"):
            with files.open_to_read(f"{folder}/{name}") as file:
                contents[name] = file.read()
    return contents


def test_names_are_kept_as_they_are(bucket: str) -> None:
    folder = f"{bucket}/a b#%1%20ü [x]*?/ö"
    for name in ("b.wav", "a/c d.flac", "empty.mp3", "e.txt", "100%.wav"):
        _put(f"{folder}/{name}", b"" if name == "empty.mp3" else name.encode())
    assert files.list_names(folder) == ["100%.wav", "a/c d.flac", "b.wav", "e.txt", "empty.mp3"]
    clips = [each for each in listing.list_input(folder) if isinstance(each, Clip)]
    assert sorted(each.id for each in clips) == ["100%.wav", "a/c d.flac", "b.wav", "empty.mp3"]
    assert {each.id: each.num_bytes for each in clips}["a/c d.flac"] == 10
    for name in files.list_names(folder):
        with files.open_to_read(f"{folder}/{name}") as file:
            assert file.read() == (b"" if name == "empty.mp3" else name.encode())
    (clip,) = listing.list_input(f"{folder}/b.wav")
    assert clip == Clip("b.wav", f"{folder}/b.wav")
    assert files.matching_files(f"{bucket}/a b*/ö/**/*.wav") == [
        f"{folder}/100%.wav",
        f"{folder}/b.wav",
    ]
    assert files.exists(folder)
    assert files.exists(f"{folder}/a")
    assert not files.exists(f"{folder}/b")
    assert files.info(f"{folder}/b.wav").version


def test_what_is_renamed_again_or_deleted_again_is_no_error(bucket: str) -> None:
    sources = [f"{bucket}/staged/{index}" for index in range(12)]
    targets = [f"{bucket}/out/{index}" for index in range(12)]
    for path in sources:
        _put(path, path.encode())
    _put(targets[0], b"of before")
    files.rename(sources[:6], targets[:6])
    # A crash after the copy and before the deletion leaves both.
    _put(sources[3], sources[3].encode())
    files.rename(sources, targets)
    files.rename(sources, targets)
    assert files.list_names(f"{bucket}/staged") == []
    for source, target in zip(sources, targets, strict=True):
        with files.open_to_read(target) as file:
            assert file.read() == source.encode()
    with pytest.raises(FileNotFoundError, match="staged/absent does not exist"):
        files.rename([f"{bucket}/staged/absent"], [f"{bucket}/out/absent"])
    files.delete_files([*targets, f"{bucket}/absent"])
    files.delete_folder(f"{bucket}/out")
    assert files.list_names(bucket) == []


def test_a_block_that_raises_leaves_no_object(bucket: str) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        files.write_atomically(f"{bucket}/a", broken())
    assert files.list_names(bucket) == []
    with pytest.raises(FileNotFoundError, match="absent does not exist"):
        files.open_to_read(f"{bucket}/absent")


def test_what_is_not_there_has_the_reason_not_found(bucket: str) -> None:
    for uri in (f"{bucket}/absent.wav", f"{bucket}x/absent.wav"):
        decode_task = single_task([Clip("a", uri)])
        (failure,) = decode_spans(functools.partial(files.open_to_read, uri), decode_task, CUTTING)
        assert isinstance(failure, Failure)
        assert failure.reason == "not_found"


@pytest.mark.slow
def test_little_more_moves_than_is_wanted_of_a_large_recording(
    bucket: str, proxy: FaultProxy
) -> None:
    uri = f"{bucket}/large.wav"
    sound = np.random.default_rng(0).integers(-3_000, 3_000, (25 * 2**20, 2), np.int16)
    wav = io.BytesIO()
    soundfile.write(wav, sound, 44_100, format="WAV")
    _put(uri, wav.getvalue())
    moved, asked = proxy.num_body_bytes, len(proxy.requests)
    clip = Clip("a", uri, Decimal("301.7"), Decimal("311.7"))
    found = list(decode_spans(lambda: files.open_to_read(uri), single_task([clip]), CUTTING))
    assert isinstance(found[-1], DecodedClip)
    assert proxy.num_body_bytes - moved < 3_000_000, "10 s are 1,764,000 bytes"
    assert len(proxy.requests) - asked <= 6
    moved, asked = proxy.num_body_bytes, len(proxy.requests)
    plan = _PlanFn(PlanSpans(CUTTING, span_rows=100))
    assert len(list(plan._decode_tasks([Clip("a", uri, num_bytes=wav.tell())]))) > 1
    assert proxy.num_body_bytes - moved < 600_000, "its length is in its header"
    # Google's client does not tell how large an object is of which it gives a part.
    assert len(proxy.requests) - asked == (2 if uri.startswith("gs") else 1)


def test_the_beginning_of_a_table_is_not_all_of_it(bucket: str, proxy: FaultProxy) -> None:
    _put(f"{bucket}/m.csv", b"uri\n" + b"a.wav\n" * 5_000_000)
    moved = proxy.num_body_bytes
    with files.open_decompressed(f"{bucket}/m.csv") as file:
        file.read(2**20)
    assert proxy.num_body_bytes - moved <= 2 * 2**20


def test_a_public_bucket_needs_no_credentials(
    bucket: str, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put(f"{bucket}/a", b"public")
    if bucket.startswith("s3"):
        s3.make_public(proxy.address, "a")
    for name in s3.ENVIRONMENT:
        monkeypatch.delenv(name)
    with fault_proxy.running(f"http://127.0.0.1:{proxy.target[1]}") as fresh:
        for variable in ADDRESSES.values():
            monkeypatch.setenv(variable, fresh.address)
        files.check_reachable(f"{bucket}/a")
        with files.open_to_read(f"{bucket}/a") as file:
            assert file.read() == b"public"
        assert files.list_names(bucket) == ["a"]
        assert len(fresh.requests) == 3
        assert fresh.num_signed == 0


def test_where_google_knows_nobody_nobody_is_asked_for_long(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    begun = time.monotonic()
    credentials = _credentials(GcsSettings(scopes=("https://example.test/scope",)))
    assert time.monotonic() - begun < 60  # and not for minutes
    assert type(credentials).__name__ == "AnonymousCredentials"
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "absent.json"))
    with pytest.raises(PermissionError, match=r"GOOGLE_APPLICATION_CREDENTIALS: .*absent.json"):
        _credentials(GcsSettings(scopes=("https://example.test/other",)))


def _store(scheme: str, address: str, with_patience: RetryPolicy) -> Store:
    if scheme == "gs":
        return GcsStore(GcsSettings(emulator=address), with_patience)
    return S3Store(S3Settings(endpoint_url=address), with_patience)


@pytest.mark.slow
def test_a_connection_that_stalls_is_given_up_and_another_taken(
    server: tuple[str, str], bucket: str
) -> None:
    _put(f"{bucket}/a", b"sound")
    impatient = RetryPolicy(connect_seconds=30, read_seconds=3, total_seconds=300)
    with fault_proxy.running(server[1], [fault_proxy.STALL], every=2, stall_seconds=12) as stalling:
        store = _store(server[0], stalling.address, impatient)
        for _ in range(2):
            with store.open(f"{bucket}/a") as file:
                assert file.read() == b"sound"
        assert stalling.num_faults


def test_a_storage_that_goes_away_is_never_the_end_of_a_recording(
    server: tuple[str, str], bucket: str
) -> None:
    wav = io.BytesIO()
    soundfile.write(wav, noise(16_000 * 60), 16_000, format="WAV", subtype="PCM_16")
    _put(f"{bucket}/a.wav", wav.getvalue())
    decode_task = single_task([Clip("a", f"{bucket}/a.wav")])
    impatient = RetryPolicy(connect_seconds=30, read_seconds=30, total_seconds=0.2)
    for fault in (fault_proxy.UNAVAILABLE, fault_proxy.TRUNCATE, fault_proxy.DROP):
        with fault_proxy.running(server[1], [fault]) as failing:
            store = _store(server[0], failing.address, impatient)

            def open_file(
                store: Store = store, failing: FaultProxy = failing
            ) -> contextlib.AbstractContextManager[BinaryIO]:
                file = store.open(f"{bucket}/a.wav", whole_bytes=0)
                failing.every = 1  # from the second request on
                return file

            found = list(decode_spans(open_file, decode_task, CUTTING))
        assert isinstance(found[-1], Failure)
        assert found[-1].reason == "unreadable"
        assert not any(isinstance(each, DecodedClip) for each in found)


@pytest.mark.slow
def test_faults_are_not_seen(
    server: tuple[str, str], bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "_FIRST_WAIT_SECONDS", 0.05)
    contents = {f"{index:02d}": noise(400_000, index).tobytes() for index in range(20)}
    with fault_proxy.running(server[1], fault_proxy.ALL, every=3) as faulty:
        monkeypatch.setenv(ADDRESSES[server[0]], faulty.address)
        for name, data in contents.items():
            _put(f"{bucket}/a/{name}", data)
        sources = [f"{bucket}/a/{name}" for name in contents]
        files.rename(sources, [f"{bucket}/b/{name}" for name in contents])
        assert files.list_names(bucket) == [f"b/{name}" for name in contents]
        for name, data in contents.items():
            with files.open_to_read(f"{bucket}/b/{name}") as file:
                assert file.read() == data
        files.delete_folder(f"{bucket}/b")
        assert not files.exists(f"{bucket}/b")
        assert faulty.num_faults > 50


def test_a_large_file_is_sent_again_from_its_beginning(
    server: tuple[str, str], bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "_FIRST_WAIT_SECONDS", 0.05)
    data = np.random.default_rng(0).bytes(20 * 2**20)
    with fault_proxy.running(server[1], [fault_proxy.DROP]) as faulty:
        store = _store(server[0], faulty.address, retries.DEFAULT_RETRY)
        store.upload(f"{bucket}/a", io.BytesIO(data), len(data))
        faulty.every = 2 * len(faulty.requests)  # the last request of another upload
        store.upload(f"{bucket}/b", io.BytesIO(data), len(data))
        assert faulty.num_faults == 1
        with store.open(f"{bucket}/b") as file:
            assert file.read() == data


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
def test_beams_flags_say_where_a_storage_is_to_workers_too(
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


class _Refusing(BaseHTTPRequestHandler):
    """Denies access in the words of either storage."""

    def do_GET(self) -> None:
        is_google = "/storage/v1/" in self.path
        body = (
            b'{"error": {"code": 403, "message": "no storage.objects.list access"}}'
            if is_google
            else b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        )
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_PUT = do_POST = do_GET  # noqa: N815 - the names that http.server looks for

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def refusing() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Refusing) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def _refusal(path: str, to_write: bool = False) -> str:
    begun = time.monotonic()
    with pytest.raises(OSError, match=r".") as raised:
        files.check_reachable(path, to_write)
    # Half a minute was promised (see test_patience), and a busy machine adds to it.
    assert time.monotonic() - begun < 120
    return str(raised.value)


@pytest.mark.parametrize(
    ("scheme", "anonymous", "named"),
    [
        ("gs", "no Google credentials; log in with `gcloud", ""),
        ("s3", "no AWS credentials; set AWS_ACCESS", "access is denied to your AWS credentials"),
    ],
)
def test_access_that_is_denied_is_told_with_the_way_out(
    refusing: str, monkeypatch: pytest.MonkeyPatch, scheme: str, anonymous: str, named: str
) -> None:
    monkeypatch.setenv(ADDRESSES[scheme], refusing)
    if named:
        assert named in _refusal(f"{scheme}://corpora/a")
        for name in s3.ENVIRONMENT:
            monkeypatch.delenv(name)
        # Another address in name only, so that a client is made anew.
        monkeypatch.setenv(ADDRESSES[scheme], refusing.replace("127.0.0.1", "localhost"))
    for path in ("corpora/a", "corpora", "corpora/*.wav"):
        assert anonymous in _refusal(f"{scheme}://{path}")


def test_a_bucket_that_is_missing_is_named(server: tuple[str, str], bucket: str) -> None:
    assert _refusal(f"{bucket}x/a.wav") == f"there is no bucket {bucket}x"
    assert _refusal(f"{bucket}x/out", to_write=True) == f"there is no bucket {bucket}x"
    assert _refusal(f"{server[0]}://") == f"{server[0]}:// names no bucket"
    files.check_reachable(f"{bucket}/absent*")
    files.check_reachable(f"{bucket}/absent", to_write=True)
    assert files.list_names(bucket) == []


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("gcs://b/a", "no storage is known for gcs://; did you mean gs://?"),
        ("S3://b/a", "no storage is known for S3://; did you mean s3://?"),
        ("g3://b/a", "no storage is known for g3://; did you mean s3:// or gs://?"),
        ("S3:/b/a", "there is no folder S3:; did you mean s3://?"),
        ("gs:/b/a", "there is no folder gs:; did you mean gs://?"),
        ("strange://b", "no storage is known for strange:// (there are: gs://, s3://,"),
        ("hdfs://b/a", "hdfs:// cannot be used"),
    ],
)
def test_a_scheme_that_is_misspelt_is_named_with_the_nearest(path: str, words: str) -> None:
    assert words in _refusal(path)
    assert files.absolute(path) == path


def test_a_path_of_this_machine_is_one_whatever_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s3:").mkdir()
    for name in ("s3:/a", "12:30/a.wav", "a:b", "C/x"):
        files.check_reachable(name)
        assert files.absolute(name) == f"{tmp_path}/{name}"


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["gs", "s3", "http"])
@pytest.mark.parametrize("listens", [True, False])
def test_a_storage_that_does_not_answer_is_told_within_half_a_minute(
    monkeypatch: pytest.MonkeyPatch, scheme: str, listens: bool
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if listens:
            silent.listen(50)
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        for variable in ADDRESSES.values():
            monkeypatch.setenv(variable, f"http://{address}")
        told = _refusal(
            f"{address if scheme == 'http' else 'corpora'}/a".join([f"{scheme}://", ""])
        )
        assert f"{address} does not answer: " in told
        assert ("it takes too long" if listens else "Connection refused") in told


def test_the_flag_is_named_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for flags, words in [
        (["--input=gcs://b/a"], "--input=gcs://b/a: no storage is known for gcs://; did you mean"),
        (["--input=S3:/b/a"], "--input=S3:/b/a: there is no folder S3:; did you mean s3://?"),
        (["--manifest=g3://b/m.csv"], "--manifest=g3://b/m.csv: no storage is known for g3://"),
    ]:
        assert embed(tmp_path / "out", *flags) == 2
        assert words in capsys.readouterr().err
        assert not (tmp_path / "out").exists()
    write_wav(tmp_path / "in/a.wav", noise(20_000))
    assert embed("https://h/out", f"--input={tmp_path}/in") == 2
    told = capsys.readouterr().err
    assert "--output=https://h/out: " in told
    assert "the web can only be read; write to a folder, gs:// or s3://" in told
