"""The fuzzer finds faults that are planted, and makes the same files again."""

import contextlib
import itertools
import math
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import av
import av.error
import numpy as np
import pytest

from tests.fuzz import cases, command, corpus, mutations, structures, supervision, targets
from tests.fuzz.cases import Case
from tests.fuzz.corpus import CANARY, Seed
from tests.fuzz.supervision import Limits, Report
from transforms.audio import codecs
from transforms.audio.evidence.account import Account, Damage, LinearSamples
from transforms.corpus.clips import Clip, Failure
from transforms.corpus.runs import DamagedAudio, DecodedClip, PatchRun
from transforms.corpus.spans import FramingConfig

LIMITS = Limits(seconds=5, peak_mb=200)
SEEDS = [
    Seed("tones", path.name, path.suffix, path.read_bytes())
    for path in sorted(codecs.FOLDER.iterdir())
]


def nothing() -> None:
    os.write(2, b"words that a library prints")


def bug() -> None:
    raise ZeroDivisionError


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def exit_silently() -> None:
    os._exit(0)


def hang() -> None:
    os.write(2, b"more words")
    time.sleep(600)


def hang_deaf() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGABRT])
    time.sleep(600)


def waste() -> None:
    np.ones(25_000_000)


def open_neighbour() -> None:
    Path(CANARY.decode()).read_bytes()  # in the folder in which the worker is, as the file is


def open_neighbour_natively() -> None:
    with contextlib.suppress(av.error.FFmpegError):
        av.open(CANARY.decode())


def start_process() -> None:
    os.system("true")


# Faults, the kinds as which they must be told, and words of the text.
FAULTS: tuple[tuple[Callable[[], object], str, str], ...] = (
    (bug, "exception", "ZeroDivisionError"),
    (crash, "crash", "killed by SIGSEGV"),
    (exit_silently, "crash", "ended with status 0"),
    (hang, "hang", "in hang"),
    (hang_deaf, "hang", ""),
    (waste, "memory", "allowed: 200"),
    (open_neighbour, "exception", "opened besides the file: canary.wav"),
    (open_neighbour_natively, "exception", "opened besides the file: canary.wav"),
    (start_process, "exception", "os.system"),
)
HARMS = [harm for fault, _, _ in FAULTS for harm in (fault, nothing)]


def planted(case: Case, path: Path) -> Counter[str]:
    """Has a fault in every second case; a target, which workers import from here."""
    assert path.read_bytes() == case.data
    HARMS[int(case.key.split()[1])]()
    return Counter({"fine": 1})


@pytest.fixture(scope="module")
def reports() -> dict[int, Report]:
    numbers = iter(range(len(HARMS)))
    found = supervision.run_cases(numbers, SEEDS, 0, f"{__name__}:planted", 2, LIMITS)
    return {report.number: report for report in found}


@pytest.mark.slow
@pytest.mark.parametrize("index", range(len(FAULTS)), ids=[fault[0].__name__ for fault in FAULTS])
def test_a_planted_fault_is_found_and_costs_one_file(
    reports: dict[int, Report], index: int
) -> None:
    _, kind, text = FAULTS[index]
    assert reports[2 * index].kind == kind
    assert text in reports[2 * index].text
    assert "\0" not in reports[2 * index].text
    assert reports[2 * index + 1].kind == ""
    assert reports[2 * index + 1].outcomes == {"fine": 1}
    assert reports[2 * index + 1].peak_mb > 10


@pytest.mark.slow
def test_each_file_is_run_once(reports: dict[int, Report]) -> None:
    assert sorted(reports) == list(range(len(HARMS)))


def test_a_fault_is_told_with_its_file_and_its_reproduction(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    summary = command.Summary(SEEDS, 7, "--target decode ")
    summary.add(Report(1, {"record": 2}, 0.5, 80))
    for number in range(2, 9):
        summary.add(Report(number, kind="crash", text="killed by SIGSEGV"))
    printed = capsys.readouterr().out
    assert "python -m tests.fuzz --target decode --seed 7 --file 2\n" in printed
    assert printed.count("--file") == 3  # of those that look alike
    (saved,) = tmp_path.glob("fuzz-7-2*")
    assert saved.read_bytes() == cases.make(SEEDS, 7, 2).data
    assert summary.num_faults == 7
    assert "  record: 2" in summary.lines()


@pytest.mark.parametrize(("number", "status"), [(HARMS.index(nothing), 0), (HARMS.index(bug), 1)])
def test_the_status_tells_whether_there_was_a_fault(
    number: int, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(corpus, "build", lambda: SEEDS)
    monkeypatch.setitem(command.TARGETS, "decode", f"{__name__}:planted")
    monkeypatch.setattr(sys, "argv", ["fuzz", "--seed=0", f"--file={number}"])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == status
    assert ("ZeroDivisionError" in capsys.readouterr().out) == (status == 1)


def test_files_are_made_again_whichever_were_made_before() -> None:
    made = [cases.make(SEEDS, 5, number) for number in range(200)]
    assert [cases.make(SEEDS, 5, number) for number in reversed(range(200))] == made[::-1]
    assert cases.make(SEEDS, 6, 0) != made[0]
    assert len({case.data for case in made}) > 190
    assert {seed.data for seed in SEEDS}.isdisjoint(case.data for case in made if case.data)


@pytest.mark.slow
def test_the_corpus_is_the_same_each_time() -> None:
    first = corpus.build()
    time.sleep(1.1)  # some formats have the time in seconds
    assert corpus.build() == first
    families = {seed.family for seed in first}
    assert {"tones", "FFmpeg", "raw", "texts", "libsndfile WAV", "libsndfile FLAC"} <= families


@pytest.mark.parametrize(
    "seed",
    [seed for seed in SEEDS if seed.suffix not in (".g722", ".amr")],  # these have none
    ids=lambda seed: seed.name,
)
def test_the_structure_of_a_file_is_found(seed: Seed) -> None:
    found = structures.units(seed.data)
    assert len(found) >= 2
    assert any(unit.fields for unit in found)
    assert all(0 <= unit.start < unit.end <= len(seed.data) for unit in found)


@pytest.mark.parametrize(
    ("name", "kind", "num_bytes", "value"),
    [
        ("pcm.wav", "little", 4, 4_036),  # RIFF, without its own 8 bytes
        ("pcm.aiff", "big", 4, 4_046),
        ("vorbis.ogg", "little", 8, 4_000),  # the last granule position
    ],
)
def test_the_numbers_of_a_structure_are_read_where_they_are(
    name: str, kind: str, num_bytes: int, value: int
) -> None:
    (seed,) = [seed for seed in SEEDS if seed.name == name]
    fields = itertools.chain.from_iterable(unit.fields for unit in structures.units(seed.data))
    values = [
        int.from_bytes(seed.data[field.start : field.start + num_bytes], field.kind)  # type: ignore[arg-type]
        for field in fields
        if (field.kind, field.num_bytes) == (kind, num_bytes)
    ]
    assert value in values


def test_checksums_of_pages_are_those_of_the_encoder() -> None:
    (seed,) = [seed for seed in SEEDS if seed.name == "vorbis.ogg"]
    assert structures.with_valid_checksums(seed.data) == seed.data
    damaged = seed.data[:100] + b"\xff" + seed.data[101:]
    assert structures.with_valid_checksums(damaged) != damaged


CLIP = Clip("0", "u", end_seconds=Decimal(1))
FRAMING = FramingConfig(400, 160, keep_damaged=True)
PATCHES = np.zeros((2, 400), np.float32)
DECODED = DecodedClip(CLIP, 2, 560, 0.035, "some decoder")


def _with_nan() -> np.ndarray:
    patches = PATCHES.copy()
    patches[1, 399] = np.nan
    return patches


@pytest.mark.parametrize(
    "found",
    [
        [],
        [PatchRun("0", 0, PATCHES)],
        [DECODED],
        [PatchRun("0", 0, PATCHES), DECODED, DECODED],
        [PatchRun("0", 1, PATCHES), DECODED],
        [PatchRun("0", 0, PATCHES[:1]), DECODED],
        [PatchRun("0", 0, _with_nan()), DECODED],
        [PatchRun("0", 0, PATCHES.astype(float)), DECODED],
        [PatchRun("0", 0, PATCHES), DecodedClip(CLIP, 2, 800, 0.05, "some decoder")],
        [PatchRun("0", 0, PATCHES), DecodedClip(CLIP, 2, 560, float("nan"), "some decoder")],
        [PatchRun("1", 0, PATCHES), PatchRun("0", 0, PATCHES), DECODED],
        [Failure("0", "u", "decode", "unreadable", "Invalid argument")],
        [Failure("0", "u", "decode", "decode_error", "")],
        [Failure("0", "u", "decode", "decode_error", "\udcff")],
        [Failure("1", "u", "decode", "decode_error", "of another clip")],
        [DamagedAudio("0", 0, 0, "a hole")],
        [DamagedAudio("0", 1, 0, "a hole"), PatchRun("0", 0, PATCHES), DECODED],
        [DamagedAudio("0", 0, math.inf, "a hole"), PatchRun("0", 0, PATCHES), DECODED],
        [DamagedAudio("0", 0, 0, ""), PatchRun("0", 0, PATCHES), DECODED],
    ],
    ids=range(19),
)
def test_results_that_cannot_be_are_told(
    found: list[PatchRun | DamagedAudio | DecodedClip | Failure],
) -> None:
    with pytest.raises(AssertionError):
        targets.check_outcomes(found, [CLIP], FRAMING)


def test_results_that_can_be_are_counted() -> None:
    found: list[PatchRun | DamagedAudio | DecodedClip | Failure] = [
        PatchRun("0", 0, PATCHES),
        DECODED,
    ]
    assert targets.check_outcomes(found, [CLIP], FRAMING) == {"record": 1}
    damaged = [DamagedAudio("0", 0.01, 0.02, "a hole"), *found]
    assert targets.check_outcomes(damaged, [CLIP], FRAMING) == {"damaged record": 1}
    fail = FramingConfig(400, 160)
    assert targets.check_outcomes(damaged, [CLIP], fail) == {"decode_error": 1}
    failure = Failure("0", "u", "decode", "empty", "the file has no bytes")
    assert targets.check_outcomes([failure], [CLIP], FRAMING) == {"empty": 1}
    pieces = FramingConfig(400, 160, clip_seconds=Decimal(1))
    piece = Failure("0#0", "u", "decode", "empty", "the file has no bytes")
    assert targets.check_outcomes([piece], [CLIP], pieces) == {"empty": 1}


@pytest.mark.parametrize(
    "account",
    [
        Account(num_frames=-1),
        Account(num_seconds=math.nan),
        Account(rates_hz=(0,)),
        Account(parts=((0, 60), (50, 100))),
        Account(parts=((0, 101),)),
        Account(audio_range=(0, 101)),
        Account(samples=LinearSamples(0, 102, "PCM_16", "LITTLE", 8_000, 1)),
        Account(samples=LinearSamples(0, 100, "PCM_16", "LITTLE", 8_000, 0)),
        Account(damages=(Damage(2, 0, "late"), Damage(1, 0, "early"))),
        Account(damages=(Damage(None, math.inf, "long"),)),
        Account(damages=(Damage(None, 0, ""),)),
    ],
    ids=range(11),
)
def test_accounts_that_cannot_be_are_told(account: Account) -> None:
    with pytest.raises(AssertionError):
        targets.check_account(account, 100)
    targets.check_account(Account(num_frames=1, audio_range=(0, 100)), 100)


def test_mutations_differ_and_stay_small() -> None:
    names: Counter[str] = Counter()
    for number in range(300):
        case = cases.make(SEEDS, 1, number)
        names.update(case.name.split(": ")[1].split())
        assert len(case.data) <= mutations.MOST_BYTES
    assert len(names) == 13
