"""DecodePatches."""

import os
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.memory_filesystem import MemoryFileSystem
from tests.running import counted, outputs
from tests.sounds import noise, write_wav
from transforms import decode_patches
from transforms.corpus.clips import Clip, Failure, RawFormat
from transforms.corpus.runs import DamagedAudio, DecodedClip, PatchRun
from transforms.corpus.serialization import deserialize
from transforms.corpus.spans import DecodeTask, FramingConfig, single_task, split_into_tasks
from transforms.decode_patches import DECODE_RESULTS, DecodePatches
from transforms.metrics.reporting import REPORTS
from transforms.storage import files

VGGISH = FramingConfig(15_600, 15_360)


def decode(
    decode_tasks: list[DecodeTask], framing: FramingConfig = VGGISH
) -> tuple[
    dict[str, list[PatchRun]],
    list[tuple[str, DecodedClip | DamagedAudio | Failure]],
    dict[tuple[str, str], int],
]:
    """Returns the runs of each clip, the results and the counts."""
    runs, decode_results, reports = outputs(
        DecodePatches(framing), decode_tasks, "patches", DECODE_RESULTS, REPORTS
    )
    by_clip: dict[str, list[PatchRun]] = {}
    for run in runs:
        by_clip.setdefault(run.clip_id, []).append(run)
    results = [(clip_id, deserialize(result)) for clip_id, result in decode_results]
    return by_clip, results, counted(reports)


def sliced(waveform: np.ndarray) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(waveform, 15_600)[::15_360]


def joined(runs: list[PatchRun]) -> np.ndarray:
    in_order = sorted(runs, key=lambda run: run.first_row)
    patches = np.concatenate([run.patches for run in in_order])
    ends = np.cumsum([len(run.patches) for run in in_order]).tolist()
    assert [run.first_row for run in in_order] == [0, *ends[:-1]]
    return patches


def test_every_clip_gets_one_verdict_and_the_patches_that_it_promises(tmp_path: Path) -> None:
    waveform = write_wav(tmp_path / "good.wav", noise(50_000))
    write_wav(tmp_path / "short.wav", noise(100))
    cut = (tmp_path / "good.wav").read_bytes()[:80_000]
    (tmp_path / "cut.wav").write_bytes(cut)
    names = ("good.wav", "short.wav", "cut.wav", "absent.wav")
    clips = {name: Clip(name, f"{tmp_path}/{name}") for name in names}
    runs, decode_results, done = decode([single_task([clip]) for clip in clips.values()])
    by_id = dict(decode_results)
    assert len(decode_results) == len(by_id) == 4
    assert done == {("", "decode_tasks_done"): 4}
    for name, (num_rows, num_samples) in {"good.wav": (3, 50_000), "short.wav": (1, 100)}.items():
        decoded = by_id[name]
        assert isinstance(decoded, DecodedClip)
        assert decoded == DecodedClip(
            clips[name],
            num_rows,
            num_samples,
            num_samples / 16_000,
            decoded.decoder,
            padded=name == "short.wav",
        )
        assert decoded.decoder.startswith("libsndfile ")
    for name, reason in (("cut.wav", "decode_error"), ("absent.wav", "not_found")):
        failure = by_id[name]
        assert isinstance(failure, Failure)
        assert (failure.id, failure.uri) == (name, f"{tmp_path}/{name}")
        assert (failure.step, failure.reason) == ("decode", reason)
    np.testing.assert_array_equal(joined(runs["good.wav"]), sliced(waveform))


def test_a_recording_is_opened_once_for_all_its_clips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waveform = write_wav(tmp_path / "a.wav", noise(160_000))
    uri = f"{tmp_path}/a.wav"
    opened: list[str] = []
    open_to_read = files.open_to_read

    def remembering(path: str) -> object:
        opened.append(path)
        return open_to_read(path)

    monkeypatch.setattr(files, "open_to_read", remembering)
    clips = [Clip(f"{start}", uri, Decimal(start), Decimal(start + 3)) for start in range(7)]
    runs, decode_results, done = decode([single_task(clips)])
    assert opened == [uri]
    assert done == {("", "decode_tasks_done"): 1}
    assert sorted(clip_id for clip_id, _ in decode_results) == [clip.id for clip in clips]
    for clip in clips:
        start = int(clip.start_seconds) * 16_000
        np.testing.assert_array_equal(
            joined(runs[clip.id]), sliced(waveform[start : start + 48_000])
        )


def test_a_clip_of_several_readings_gets_one_verdict_and_every_row_once(tmp_path: Path) -> None:
    waveform = write_wav(tmp_path / "a.wav", noise(320_000))
    clip = Clip("a", f"{tmp_path}/a.wav")
    decode_tasks = list(split_into_tasks([clip], Fraction(20), VGGISH, 5))
    assert len(decode_tasks) == 4
    runs, decode_results, done = decode(decode_tasks)
    assert done == {("", "decode_tasks_done"): 4}
    ((clip_id, decoded),) = decode_results
    assert clip_id == "a"
    assert isinstance(decoded, DecodedClip)
    assert (decoded.num_rows, decoded.num_samples) == (20, 320_000)
    np.testing.assert_array_equal(joined(runs["a"]), sliced(waveform))


def test_each_span_that_fails_says_so(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", noise(320_000))
    cut = (tmp_path / "a.wav").read_bytes()[:400_044]
    (tmp_path / "a.wav").write_bytes(cut)
    clip = Clip("a", f"{tmp_path}/a.wav")
    _, decode_results, done = decode(list(split_into_tasks([clip], Fraction(20), VGGISH, 5)))
    assert done == {("", "decode_tasks_done"): 4}
    reasons = [each.reason for _, each in decode_results if isinstance(each, Failure)]
    assert reasons == ["decode_error"] * len(decode_results)
    assert 2 <= len(reasons) <= 3, "the first spans are whole"


def test_pieces_get_verdicts_of_their_own(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", noise(100_000))
    framing = FramingConfig(15_600, 15_360, clip_seconds=Decimal(2))
    decode_tasks = [single_task([Clip("a", f"{tmp_path}/a.wav")])]
    runs, decode_results, _ = decode(decode_tasks, framing)
    assert sorted(runs) == sorted(clip_id for clip_id, _ in decode_results) == ["a#0", "a#2", "a#4"]
    for clip_id, decoded in decode_results:
        assert isinstance(decoded, DecodedClip)
        assert decoded.clip.id == clip_id


def test_damage_goes_the_way_of_the_other_results(monkeypatch: pytest.MonkeyPatch) -> None:
    damages = [DamagedAudio("a", start, start + 0.5, "a hole") for start in (1.0, 2.0)]
    decoded = DecodedClip(Clip("a", "/a.wav"), 3, 46_320, 2.895, "a decoder")
    run = PatchRun("a", 0, np.zeros((3, 15_600), np.float32))
    found = [damages[0], run, damages[1], decoded]
    monkeypatch.setattr(decode_patches, "decode_spans", lambda *_: iter(found))
    runs, decode_results, done = decode([single_task([decoded.clip])])
    assert list(runs) == ["a"]
    assert decode_results == [("a", each) for each in (*damages, decoded)]
    assert done == {("", "decode_tasks_done"): 1}


def test_a_raw_format_and_a_name_that_is_not_utf_8_reach_the_decoder(tmp_path: Path) -> None:
    samples = noise(16_000)
    data = (samples * 2**15).astype("<i2").tobytes()
    uri = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.raw")
    Path(uri).write_bytes(data)
    clip = Clip("a", uri, raw_format=RawFormat("s16le", 16_000))
    runs, ((_, verdict),), _ = decode([single_task([clip])])
    assert isinstance(verdict, DecodedClip)
    assert verdict.clip == clip
    np.testing.assert_array_equal(joined(runs["a"]), sliced(samples))


def test_the_suffix_tells_a_format_without_a_header_in_any_case(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not of this machine: the name of a local file FFmpeg would see by itself.
    data = (shared / "data/audio/prompt.g722").read_bytes()
    uris = ("mem://bucket/a.G722", "mem://bucket/a")
    for uri in uris:
        monkeypatch.setitem(MemoryFileSystem.objects, uri, data)
    _, decode_results, _ = decode([single_task([Clip(uri, uri)]) for uri in uris])
    by_suffix, without = (dict(decode_results)[uri] for uri in uris)
    assert isinstance(by_suffix, DecodedClip)
    assert by_suffix.num_samples == 2 * len(data)
    assert isinstance(without, Failure)
    assert without.reason == "unsupported_format"


def test_what_is_no_file_is_unreadable(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "folder.wav").mkdir()
    names = ("pipe.wav", "folder.wav")
    _, decode_results, _ = decode(
        [single_task([Clip(name, f"{tmp_path}/{name}")]) for name in names]
    )
    assert sorted(
        (name, each.reason) for name, each in decode_results if isinstance(each, Failure)
    ) == [
        ("folder.wav", "unreadable"),
        ("pipe.wav", "unreadable"),
    ]
