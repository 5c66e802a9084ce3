"""What a mutated file is run through, and what may come of it."""

import contextlib
import dataclasses
import functools
import io
import itertools
import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import numpy as np

from tests.fuzz.cases import Case
from transforms.audio import decoding
from transforms.audio.errors import AudioError
from transforms.audio.evidence import examination
from transforms.audio.evidence.account import Account
from transforms.audio.span_decoding import decode_spans
from transforms.corpus.clips import REASONS, Clip, Failure
from transforms.corpus.runs import DamagedAudio, DecodedClip, PatchRun, RowRun, complete_clip
from transforms.corpus.spans import (
    DecodeTask,
    FramingConfig,
    count_patches,
    single_task,
    split_into_tasks,
)
from transforms.storage import files

# The storage's failures: whatever is in a file, it can be read.
_NOT_OF_CONTENT = ("not_found", "unreadable")

_MOST_SPLIT_SECONDS = 20
_Open = Callable[[], contextlib.AbstractContextManager[BinaryIO]]

# Runs a case whose file is at a path; returns how often each outcome occurred. Raises, whatever it
# is, for an outcome that must not occur.
Target = Callable[[Case, Path], Counter[str]]


def decode(case: Case, path: Path) -> Counter[str]:
    """Decodes clips of a file, as `DecodePatches` does."""
    rng = case.rng()
    framing = _framing(rng)
    uri = str(path)
    clips = [dataclasses.replace(each, uri=uri, raw_format=case.raw_format) for each in _clips(rng)]
    # A file of this machine, and one that is read through Python, as those of object storages are.
    open_file: _Open = rng.choice(
        (functools.partial(files.open_to_read, uri), functools.partial(io.BytesIO, case.data))
    )
    tasks = [single_task(clips)]
    if rng.random() < 0.25:
        tasks = _split(rng, open_file, clips, framing, case.suffix) or tasks
    found = itertools.chain.from_iterable(
        decode_spans(open_file, task, framing, case.suffix) for task in tasks
    )
    return check_outcomes(found, clips, framing, is_split=len(tasks) > 1)


def _split(
    rng: random.Random, open_file: _Open, clips: list[Clip], framing: FramingConfig, suffix: str
) -> list[DecodeTask]:
    """Returns the tasks of a long recording, as `PlanSpans` does; none if it cannot be split."""
    try:
        with (
            open_file() as file,
            decoding.open_recording(file, suffix, clips[0].raw_format) as recording,
        ):
            seconds = Fraction(recording.num_frames or 0, recording.sample_rate_hz)
    except AudioError:
        return []
    if not 0 < seconds < _MOST_SPLIT_SECONDS:
        return []
    span_rows = 1 + framing.num_rows(seconds) // rng.choice((2, 5, 20))
    return list(split_into_tasks(clips, seconds, framing, span_rows))


def _clips(rng: random.Random) -> list[Clip]:
    if rng.random() < 0.5:
        return [Clip("whole", "")]
    clips = []
    for index in range(rng.choice((1, 2, 4))):
        start = Decimal(rng.choice((0, 0, 100, rng.randrange(3_000), 10**9))).scaleb(-3)
        length = Decimal(rng.choice((1, 250, rng.randrange(1, 4_000), 10**9))).scaleb(-3)
        offset = rng.choice((Decimal(0), start))
        end = rng.choice((None, start + length))
        clips.append(Clip(f"{index}", "", start, end, recording_offset_seconds=offset))
    return clips


def _framing(rng: random.Random) -> FramingConfig:
    framing = rng.choice((FramingConfig(), FramingConfig(400, 160)))
    pieces = Decimal(rng.choice(("0.1", "0.5", "1", "10", "3600")))
    return dataclasses.replace(
        framing,
        max_rows=rng.choice((None, None, 3)),
        pad_short_clips=rng.random() < 0.7,
        channel=rng.choice((None, None, None, None, 1, 2)),
        clip_seconds=rng.choice((None, None, pieces)),
        keep_damaged=rng.random() < 0.5,
    )


def check_outcomes(
    found: Iterable[PatchRun | DamagedAudio | DecodedClip | Failure],
    clips: list[Clip],
    framing: FramingConfig,
    is_split: bool = False,
) -> Counter[str]:
    """Counts the outcomes of decoding, and raises if a clip has none or one that cannot be.

    Args:
      found: Results of decoding.
      clips: The clips that were to be decoded.
      framing: How they are cut.
      is_split: Whether clips were decoded in several tasks, each of which may fail.

    Raises:
      AssertionError: Patches are not finite or not complete, or a result contradicts another.
    """
    rows: dict[str, list[RowRun]] = defaultdict(list)
    results: dict[str, list[DamagedAudio | DecodedClip | Failure]] = defaultdict(list)
    verdicts: dict[str, DecodedClip | Failure] = {}
    for each in found:
        if isinstance(each, PatchRun):
            _check_patches(each, framing)
            next_row = sum(len(run.rows) for run in rows[each.clip_id])
            assert is_split or each.first_row == next_row, f"row {each.first_row} of {next_row}"
            assert is_split or each.clip_id not in verdicts, "patches behind a clip's result"
            rows[each.clip_id].append(_row_run(each))
            continue
        if isinstance(each, DamagedAudio):
            _check_damage(each)
            clip_id = each.clip_id
        else:
            clip_id = each.clip.id if isinstance(each, DecodedClip) else each.id
            assert is_split or clip_id not in verdicts, "two results of a clip"
            if not isinstance(verdicts.get(clip_id), Failure):
                verdicts[clip_id] = each
        results[clip_id].append(each)
    expected = {clip.id for clip in clips}
    if framing.clip_seconds is None:
        assert set(verdicts) == expected, f"results of {sorted(verdicts)}, and not of {expected}"
    else:
        assert {each.partition("#")[0] for each in verdicts} == expected, "clips without a piece"
    assert set(rows) <= set(verdicts), "patches without a result"
    outcomes = Counter[str]()
    for clip_id in results:
        of_clip = [*results[clip_id], *rows[clip_id]]
        completed = complete_clip(clip_id, of_clip, framing.keep_damaged)
        outcomes[_check_clip(completed, verdicts.get(clip_id), framing)] += 1
    return outcomes


def _row_run(patches: PatchRun) -> RowRun:
    return RowRun(patches.first_row, np.zeros((len(patches.patches), 1), np.uint8))


def _check_clip(
    completed: tuple[DecodedClip, np.ndarray] | Failure | None,
    verdict: DecodedClip | Failure | None,
    framing: FramingConfig,
) -> str:
    """Checks what becomes of a clip, and names it."""
    if completed is None:  # there is damage, and behind it nothing
        assert verdict is None
        assert framing.clip_seconds is not None
        return "no piece"
    assert verdict is not None, "damage without a result"
    if isinstance(completed, Failure):
        _check_failure(completed)
        return completed.reason
    decoded, rows = completed
    _check_decoded(decoded, len(rows), framing)
    if not decoded.damages:
        return "padded" if decoded.padded else "record"
    for damage in decoded.damages:
        _check_damage(damage)
    if decoded.clip.end_seconds is not None:  # else what is missing may be any length
        length = float(decoded.clip.end_seconds - decoded.clip.start_seconds)
        assert decoded.damaged_seconds <= length + 0.001, f"{decoded.damages} of {length} s"
    return "damaged record"


def _check_damage(damage: DamagedAudio) -> None:
    assert 0 <= damage.start_seconds <= damage.end_seconds < math.inf, damage
    assert damage.message
    assert damage.message.isprintable(), ascii(damage.message)


def _check_patches(run: PatchRun, framing: FramingConfig) -> None:
    patches = run.patches
    assert patches.dtype == np.float32
    assert len(patches)
    assert patches.shape[1:] == (framing.patch_samples,), patches.shape
    # Patches overlap: each sample is looked at once, which is what it costs.
    assert np.isfinite(patches[:, : framing.hop_samples]).all(), "patches not finite"
    assert np.isfinite(patches[-1]).all(), "patches not finite"


def _check_decoded(decoded: DecodedClip, num_rows: int, framing: FramingConfig) -> None:
    assert decoded.num_rows == num_rows > 0, f"{num_rows} rows of {decoded.num_rows}"
    assert decoded.decoder
    assert math.isfinite(decoded.end_seconds)
    assert decoded.end_seconds >= float(decoded.clip.start_seconds)
    num_patches = count_patches(decoded.num_samples, framing.patch_samples, framing.hop_samples)
    if decoded.padded:
        assert num_rows == 1
        assert num_patches == 0
        assert decoded.num_samples >= 0  # 0 of one audio frame at a higher rate
        assert framing.pad_short_clips
    else:
        assert num_patches == num_rows + decoded.num_rows_skipped, decoded


def _check_failure(failure: Failure) -> None:
    assert failure.step == "decode", failure  # and not "assemble": rows are missing
    assert failure.reason in REASONS
    assert failure.reason not in _NOT_OF_CONTENT, f"{failure.reason}: {failure.message}"
    assert failure.message
    assert failure.message.isprintable(), ascii(failure.message)  # nor has it surrogates


def evidence(case: Case, path: Path) -> Counter[str]:
    """Accounts for the bytes of a file."""
    file = io.BytesIO(case.data)
    account = examination.examine(file)
    check_account(account, len(case.data))
    outcomes = Counter({"damages" if account.damages else "no damage": 1})
    outcomes["exact length"] += account.num_frames is not None
    outcomes["length in seconds"] += account.num_seconds is not None
    outcomes["parts"] += bool(account.parts)
    outcomes["linear samples"] += account.samples is not None
    return outcomes


def check_account(account: Account, size: int) -> None:
    """Raises AssertionError if the account of a file of `size` bytes contradicts itself."""
    assert account.num_frames is None or account.num_frames >= 0, account
    assert account.num_seconds is None or 0 <= account.num_seconds < math.inf, account
    assert all(rate_hz > 0 for rate_hz in account.rates_hz), account.rates_hz
    position = 0
    for start, end in account.parts:
        assert position <= start < end <= size, account.parts
        position = end
    ranges = [account.audio_range or (0, 0)]
    if samples := account.samples:
        ranges.append((samples.start, samples.end))
        assert samples.rate_hz > 0
        assert samples.num_channels > 0
    assert all(0 <= start <= end <= size for start, end in ranges), ranges
    starts = [each.start_seconds for each in account.damages if each.start_seconds is not None]
    assert starts == sorted(starts), account.damages
    for damage in account.damages:
        assert damage.start_seconds is None or 0 <= damage.start_seconds < math.inf, damage
        assert 0 <= damage.num_seconds < math.inf, damage
        assert damage.message.isprintable(), ascii(damage.message)
        assert damage.message
