"""Clips that share an id: rows of one clip, rows repeated word for word, and true duplicates."""

import dataclasses
from collections.abc import Collection, Iterable

from transforms.corpus.clips import AudioNote, Clip, Failure, printable
from transforms.corpus.times import format_seconds

MERGE_LABELS = "merge_labels"
FAIL = "fail"
SAME_CLIP = (MERGE_LABELS, FAIL)
_MAX_SHOWN = 80


@dataclasses.dataclass(frozen=True)
class Resolved:
    """What the clips that share an id become.

    Attributes:
      clip: The clip to keep, with the labels of all its rows.
      failures: A failure for each clip that is another one.
      repeats: Each clip that repeats another one word for word, and that one.
      num_merged: Number of rows whose labels became those of another row's clip.
    """

    clip: Clip
    failures: tuple[Failure, ...] = ()
    repeats: tuple[tuple[Clip, Clip], ...] = ()
    num_merged: int = 0


def resolve_clips(
    clips: Iterable[Clip],
    same_clip: str = MERGE_LABELS,
    keep_columns: Collection[str] | None = None,
) -> Resolved:
    """Makes one clip of the clips that share an id.

    Kept is the first by uri and times, and among rows of one clip, by manifest and line. Clips are
    the same if their recording, times, format and channel are.

    Args:
      clips: At least one clip.
      same_clip: With `MERGE_LABELS`, rows of the same clip that differ in their labels only become
        one clip with the labels of all, in the order of the rows. With `FAIL`, only the first by
        labels is kept.
      keep_columns: The columns that rows of one clip may not differ in, because records have them;
        None for all columns.
    """
    kept, *others = clips = list(clips)
    if not others:
        return Resolved(kept)
    merges = same_clip == MERGE_LABELS
    kept, *others = sorted(clips, key=_row_key if merges else _label_key)
    first = {kept: kept}
    labels = dict.fromkeys(kept.labels)
    failures, repeats, num_merged = [], [], 0
    for clip in others:
        if clip in first:
            repeats.append((clip, first[clip]))
            continue
        first[clip] = clip
        message = _why_other(clip, kept, merges, keep_columns)
        if message:
            failures.append(clip.failure("plan", "duplicate_id", message))
        else:
            labels.update(dict.fromkeys(clip.labels))
            num_merged += 1
    if len(labels) > len(kept.labels):
        kept = dataclasses.replace(kept, labels=tuple(labels))
    return Resolved(kept, tuple(failures), tuple(repeats), num_merged)


def repeat_note(repeat: Clip, first: Clip, split: str) -> AudioNote:
    """Returns the note about a clip that repeats another one."""
    start = float(repeat.start_seconds)
    end = start if repeat.end_seconds is None else float(repeat.end_seconds)
    message = f"{_where(repeat)} repeats {_where(first)}, word for word"
    return AudioNote(repeat.id, repeat.uri, start, end, message, split)


def _why_other(clip: Clip, kept: Clip, merges: bool, keep_columns: Collection[str] | None) -> str:
    """Returns why a clip is not merged into another one of the same id; empty if it is."""
    if _audio(clip) != _audio(kept):
        return _duplicate_message(clip, kept)
    names = {"split": (kept.split, clip.split)}
    columns, others = dict(kept.columns), dict(clip.columns)
    for name in {**columns, **others}:
        if merges and keep_columns is not None and name not in keep_columns:
            continue
        names[f"column {name}"] = (columns.get(name, ""), others.get(name, ""))
    if not merges:
        names["labels"] = (", ".join(kept.labels), ", ".join(clip.labels))
    for name, (mine, other) in names.items():
        if mine != other:
            return (
                f"{_where(kept)} is the same clip and is kept, with {name} {mine[:_MAX_SHOWN]!r}"
                f" instead of {other[:_MAX_SHOWN]!r}; rows of one clip may differ in their labels"
                f" only{'' if merges else ', with --same_clip merge_labels'}"
            )
    return ""


def _audio(clip: Clip) -> tuple[object, ...]:
    """Returns what audio a clip is. Times are those that are written."""
    end = clip.end_seconds
    return (
        clip.uri,
        format_seconds(clip.start_seconds),
        None if end is None else format_seconds(end),
        format_seconds(clip.recording_offset_seconds),
        clip.raw_format,
        clip.channel,
        clip.place,
    )


def _first_keys(clip: Clip) -> tuple[object, ...]:
    return (
        clip.uri,
        clip.start_seconds,
        clip.end_seconds is None,
        clip.end_seconds or 0,
        clip.recording_offset_seconds,
    )


def _label_key(clip: Clip) -> tuple[object, ...]:
    raw = clip.raw_format
    return (
        *_first_keys(clip),
        clip.labels,
        clip.split,
        clip.recording,
        (raw.name, raw.sample_rate_hz, raw.num_channels) if raw else (),
        clip.columns,
        clip.channel or 0,
        clip.manifest,
        clip.line,
        clip.place or (),
    )


def _row_key(clip: Clip) -> tuple[object, ...]:
    return (*_first_keys(clip), clip.manifest, clip.line, _label_key(clip))


def _where(clip: Clip) -> str:
    if clip.manifest:
        return f"line {clip.line} of {printable(clip.manifest)}"
    return f"the input {printable(clip.uri)}"


def _duplicate_message(clip: Clip, kept: Clip) -> str:
    if clip.manifest or kept.manifest:
        where = f"line {kept.line} of {printable(kept.manifest)}" if kept.manifest else "an input"
        return (
            f"{where} has the same id, for {printable(kept.uri)}, and is kept; give each clip a"
            " unique id in the column id, or list each segment once, with all its labels"
        )
    if clip.uri == kept.uri and clip.place != kept.place:
        return "another member of the packed file has the same name and is kept"
    return (
        f"{printable(kept.uri)} has the same id and is kept; pass one --input that"
        " contains both, so that their relative paths differ"
    )
