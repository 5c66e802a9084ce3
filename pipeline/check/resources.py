"""Memory and disk: what a run takes, and what there is of it."""

from collections.abc import Sequence

from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.check import table
from pipeline.check.table import Placed
from pipeline.engines import flags
from pipeline.settings import EmbedSettings
from transforms import storage
from transforms.preflight import host
from transforms.preflight.findings import NOTE, OK, Finding, Report
from transforms.worker_checks import GB

# Peak of a process that embeds batches of 64 rows with VGGish (1.46 GB measured, with two threads),
# and what a thread decodes with.
_PROCESS_BYTES = 1.5 * GB
_THREAD_BYTES = 0.1 * GB
# Of rows: 3750 an hour, of 128 bytes or, as floats, of four times as many.
_BYTES_OF_AN_HOUR = 3_750 * 128
_FLOAT_BYTES = 4
_FEW_HOURS = 100


def notes(settings: EmbedSettings, options: PipelineOptions) -> list[str]:
    """Returns what is worth knowing before a run starts and takes no time to find out."""
    found = [disk_of_output(settings), *_memory_of_launcher(options)]
    return [
        f"{each.check}: {table.text([each])}; {each.way_out}" for each in found if each.result != OK
    ]


def disk_of_output(settings: EmbedSettings) -> Finding:
    """Says for how many hours of sound there is room."""
    if not storage.is_local(settings.output):
        return Finding("disk", OK, "the output is on a storage without a known end")
    free = host.free_disk(settings.output)
    hours = free / (_BYTES_OF_AN_HOUR * (1 if settings.profile.quantised else _FLOAT_BYTES))
    text = f"{free / GB:.1f} GB are free for the output, rows of {hours:,.0f} hours of sound"
    if hours >= _FEW_HOURS:
        return Finding("disk", OK, text)
    return Finding("disk", NOTE, text, "make room, or name another --output")


def memory_of_workers(reports: Sequence[Report]) -> list[Placed]:
    """Compares, machine by machine, what all its processes take with what is free."""
    placed = []
    for report in reports:
        alike = [each for each in reports if each.host == report.host]
        free = [each.free_memory for each in alike if each.free_memory is not None]
        # The most that one has seen: those who looked later saw the others' models loaded.
        finding = _memory(max(free) if free else None, len(alike), 1)
        placed.append((report.where, finding))
    return placed


def _memory_of_launcher(options: PipelineOptions) -> list[Finding]:
    """Looks at this machine's memory, if the workers are on it."""
    if not flags.is_local(options):
        return []
    number = flags.num_workers(options)
    in_processes = options.get_all_options()["direct_running_mode"] == "multi_processing"
    num_processes, num_threads = (number, 1) if in_processes else (1, number)
    return [_memory(host.free_memory(), num_processes, num_threads)]


def _memory(free: int | None, num_processes: int, num_threads: int) -> Finding:
    needed = num_processes * (_PROCESS_BYTES + num_threads * _THREAD_BYTES)
    processes = "a worker process" if num_processes == 1 else f"{num_processes} worker processes"
    text = f"for {processes} with VGGish about {needed / GB:.1f} GB are wanted"
    if free is None:
        return Finding("memory", OK, f"{text}; how much is free, this system does not say")
    figures = (("{} GB are free", round(free / GB, 1)),)
    if free >= needed:
        return Finding("memory", OK, text, figures=figures)
    way_out = "a run may be killed for want of memory: fewer workers, or a machine with more"
    return Finding("memory", NOTE, text, way_out, figures)
