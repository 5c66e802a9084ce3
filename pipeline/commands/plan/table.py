"""A plan as a table: a line or two for each question before a large run."""

from collections.abc import Iterator

from pipeline.commands.plan.estimate import Estimate, Expected
from pipeline.commands.plan.speed import Speed
from pipeline.terminal.wrapping import wrap

_MAX_KINDS = 6
_WORKERS = (1, 10, 100)
_GB = 10**9
_LABEL_WIDTH = 12
_UNITS = ((48 * 3_600, 86_400, "days"), (2 * 3_600, 3_600, "h"), (120, 60, "min"))


def table(estimate: Estimate) -> str:
    """Returns the table."""
    lines: list[str] = []
    for label, text in _rows(estimate):
        lines += wrap(text, label.ljust(_LABEL_WIDTH), " " * _LABEL_WIDTH)
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """Returns a time in a suitable unit."""
    for bound, unit, name in _UNITS:
        if seconds >= bound:
            return f"{_short(seconds / unit)} {name}"
    return f"{_short(seconds)} s"


def _rows(estimate: Estimate) -> Iterator[tuple[str, str]]:
    survey = estimate.survey
    about = "" if survey.factor == 1 else "about "
    yield (
        "clips",
        f"{about}{estimate.num_clips:,.0f}, of {survey.listed.num_recordings:,} existing"
        f" recordings; {about}{estimate.records:,.0f} would become records{_changed(estimate)}",
    )
    error = f" (± {_percent(estimate.error)})" if estimate.error else ""
    unknown = survey.opened.counts.get("unknown_length", 0)
    guessed = f"; {unknown} recordings are of unknown length" if unknown else ""
    yield "audio", f"{about}{_hours(estimate.hours)}{error}{guessed}"
    yield "rows", f"{about}{estimate.rows:,.0f}{error}"
    if survey.factor != 1:
        yield (
            "sample",
            f"the headers of {survey.opened.num_recordings:,} recordings, chosen by their names;"
            " numbers that are extrapolated from them are marked as about",
        )
    yield from _formats(estimate)
    yield "would fail", _failed(estimate)
    for reason, expected in estimate.failures.items():
        yield "", f"{_number(expected)} {reason}: {_named(expected)}"
    if estimate.speed is not None:
        yield from _cost(estimate, estimate.speed)
    elif estimate.trial is None:
        yield "time", "not measured: there was no clip to try"
    else:
        yield "time", "not measured: no clip of the trial became a record"


def _changed(estimate: Estimate) -> str:
    texts = {
        "padded": "are too short for a row, and are padded",
        "truncated": "are truncated by the end of their recording",
        "damaged": "are damaged, and are kept as far as they decode",
    }
    survey = estimate.survey
    return "".join(
        f"; {survey.factor * survey.opened.counts[name]:,.0f} {text}"
        for name, text in texts.items()
        if survey.opened.counts.get(name)
    )


def _formats(estimate: Estimate) -> Iterator[tuple[str, str]]:
    """Yields a line for each of the most frequent formats."""
    kinds = estimate.survey.opened.kinds
    by_number = sorted(kinds.items(), key=lambda item: -item[1].num_recordings)
    in_all = sum(sums.num_recordings for sums in kinds.values())
    label = "formats"
    for kind, sums in by_number[:_MAX_KINDS]:
        yield label, f"{_percent(sums.num_recordings / in_all)} {kind}"
        label = ""
    if more := by_number[_MAX_KINDS:]:
        share = sum(sums.num_recordings for _, sums in more) / in_all
        yield "", f"{_percent(share)} in {_plural(len(more), 'other')}"


def _failed(estimate: Estimate) -> str:
    number = estimate.num_failed
    ratio = number / estimate.num_clips if estimate.num_clips else 0.0
    about = "" if all(each.is_exact for each in estimate.failures.values()) else "about "
    text = f"{about}{number:,.0f} clips ({_percent(ratio)})" if number else "no failure is known"
    trial = estimate.trial
    if trial is None:
        return text
    tried = trial.info["counts"]["clips"]
    return f"{text}; {tried:,} clips were decoded, of the others at most the headers were read"


def _number(expected: Expected) -> str:
    return f"{'' if expected.is_exact else 'about '}{expected.num_clips:,.0f}"


def _named(expected: Expected) -> str:
    more = ", …" if expected.num_clips > len(expected.names) else ""
    concluded = "" if expected.is_exact else " (extrapolated)"
    return f"{', '.join(expected.names)}{more}{concluded}"


def _cost(estimate: Estimate, speed: Speed) -> Iterator[tuple[str, str]]:
    assert estimate.trial is not None
    assert estimate.num_bytes is not None
    assert estimate.num_shards is not None
    assert estimate.seconds is not None
    assert estimate.work_seconds is not None
    shards = _plural(estimate.num_shards, "shard")
    yield "dataset", f"about {_bytes(estimate.num_bytes)} in {shards}"
    begin = estimate.seconds - estimate.work_seconds
    yield (
        "time",
        f"about {duration(estimate.seconds)} on {_plural(speed.num_workers, 'worker')} like the"
        f" trial's: {duration(begin)} to start and to end, {duration(estimate.work_seconds)} for"
        " the rows",
    )
    info = estimate.trial.info
    yield (
        "trial",
        f"{info['counts']['rows']:,} rows of {info['counts']['clips']:,} clips in"
        f" {_plural(speed.num_batches, 'batch', 'batches')}, bound by"
        f" {info['run']['bounded_by']}; {_short(estimate.rows_per_second)} rows/s after the start",
    )
    per_worker = estimate.work_seconds * speed.num_workers
    times = (f"{number}: {duration(begin + per_worker / number)}" for number in _WORKERS)
    yield "workers", f"like these, {', '.join(times)}"
    if speed.peak_bytes:
        yield "memory", f"up to {speed.peak_bytes / _GB:.1f} GB in a worker process"


def _short(number: float) -> str:
    return f"{number:.2g}" if number < 10 else f"{number:,.0f}"


def _plural(number: int, one: str, many: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def _hours(hours: float) -> str:
    return f"{hours:,.1f} h" if hours >= 10 else f"{hours:.3g} h"


def _percent(share: float) -> str:
    percent = 100 * share
    return f"{percent:.0f}%" if percent >= 9.95 or not percent else f"{percent:.2g}%"


def _bytes(number: float) -> str:
    for unit, name in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB")):
        if number >= unit:
            return f"{number / unit:.3g} {name}"
    return f"{number / 1_000:.3g} kB"
