"""Files on object storages, against stand-ins on this machine."""

import contextlib
import functools
import io
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import soundfile

from tests.sounds import noise
from tests.stand_ins import fault_proxy, s3
from tests.stand_ins.fault_proxy import FaultProxy
from tests.stand_ins.object_storages import ADDRESSES
from transforms.audio.span_decoding import decode_spans
from transforms.corpus import listing
from transforms.corpus.clips import Clip, Failure
from transforms.corpus.runs import DecodedClip
from transforms.corpus.spans import FramingConfig, single_task
from transforms.plan_spans import PlanSpans, _PlanFn
from transforms.storage import files, retries
from transforms.storage.gcs import GcsStore
from transforms.storage.gcs_client import GcsSettings, find_credentials
from transforms.storage.retries import RetryPolicy
from transforms.storage.s3 import S3Settings, S3Store
from transforms.storage.store import Store

FRAMING = FramingConfig(
    patch_samples=15_600,
    hop_samples=15_360,
    max_rows=None,
    pad_short_clips=False,
    clip_seconds=None,
    channel=None,
)


def _put(path: str, data: bytes) -> None:
    files.write_atomically(path, [data])


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


def test_renames_and_deletions_may_be_repeated(bucket: str) -> None:
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


def test_an_absent_recording_has_the_reason_not_found(bucket: str) -> None:
    for uri in (f"{bucket}/absent.wav", f"{bucket}x/absent.wav"):
        decode_task = single_task([Clip("a", uri)])
        (failure,) = decode_spans(functools.partial(files.open_to_read, uri), decode_task, FRAMING)
        assert isinstance(failure, Failure)
        assert failure.reason == "not_found"


@pytest.mark.slow
def test_a_piece_of_a_large_recording_costs_little_more_than_itself(
    bucket: str, proxy: FaultProxy
) -> None:
    uri = f"{bucket}/large.wav"
    sound = np.random.default_rng(0).integers(-3_000, 3_000, (25 * 2**20, 2), np.int16)
    wav = io.BytesIO()
    soundfile.write(wav, sound, 44_100, format="WAV")
    _put(uri, wav.getvalue())
    moved, num_requests = proxy.num_body_bytes, len(proxy.requests)
    clip = Clip("a", uri, Decimal("301.7"), Decimal("311.7"))
    found = list(decode_spans(lambda: files.open_to_read(uri), single_task([clip]), FRAMING))
    assert isinstance(found[-1], DecodedClip)
    assert proxy.num_body_bytes - moved < 3_000_000, "10 s are 1,764,000 bytes"
    assert len(proxy.requests) - num_requests <= 6
    moved, num_requests = proxy.num_body_bytes, len(proxy.requests)
    plan = _PlanFn(PlanSpans(FRAMING, span_rows=100))
    assert len(list(plan._decode_tasks([Clip("a", uri, num_bytes=wav.tell())]))) > 1
    assert proxy.num_body_bytes - moved < 600_000, "its length is in its header"
    # Google's client does not tell how large an object is of which it gives a part.
    assert len(proxy.requests) - num_requests == (2 if uri.startswith("gs") else 1)


def test_the_beginning_of_a_table_does_not_cost_all_of_it(bucket: str, proxy: FaultProxy) -> None:
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


def test_absent_google_credentials_cost_little_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    begun = time.monotonic()
    credentials = find_credentials(GcsSettings(scopes=("https://example.test/scope",)))
    assert time.monotonic() - begun < 60  # and not for minutes
    assert type(credentials).__name__ == "AnonymousCredentials"
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "absent.json"))
    with pytest.raises(PermissionError, match=r"GOOGLE_APPLICATION_CREDENTIALS: .*absent.json"):
        find_credentials(GcsSettings(scopes=("https://example.test/other",)))


def _store(scheme: str, address: str, retry_policy: RetryPolicy) -> Store:
    if scheme == "gs":
        return GcsStore(GcsSettings(emulator=address), retry_policy)
    return S3Store(S3Settings(endpoint_url=address), retry_policy)


@pytest.mark.slow
def test_a_stalled_connection_is_replaced(server: tuple[str, str], bucket: str) -> None:
    _put(f"{bucket}/a", b"sound")
    policy = RetryPolicy(connect_seconds=30, read_seconds=3, total_seconds=300)
    with fault_proxy.running(server[1], [fault_proxy.STALL], every=2, stall_seconds=12) as stalling:
        store = _store(server[0], stalling.address, policy)
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
    policy = RetryPolicy(connect_seconds=30, read_seconds=30, total_seconds=0.2)
    for fault in (fault_proxy.UNAVAILABLE, fault_proxy.TRUNCATE, fault_proxy.DROP):
        with fault_proxy.running(server[1], [fault]) as failing:
            store = _store(server[0], failing.address, policy)

            def open_file(
                store: Store = store, failing: FaultProxy = failing
            ) -> contextlib.AbstractContextManager[BinaryIO]:
                file = store.open(f"{bucket}/a.wav", whole_bytes=0)
                failing.every = 1  # from the second request on
                return file

            found = list(decode_spans(open_file, decode_task, FRAMING))
        assert isinstance(found[-1], Failure)
        assert found[-1].reason == "unreadable"
        assert not any(isinstance(each, DecodedClip) for each in found)


@pytest.mark.slow
def test_transient_faults_are_hidden(
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
