"""Memory and disk: what a run needs, and what is free."""

from collections.abc import Sequence

from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.options.settings import EmbedSettings
from pipeline.runners.options import is_in_processes, is_local, num_workers
from transforms.metrics import host
from transforms.model.engines import NATIVE, TENSORFLOW
from transforms.preflight.findings import NOTE, OK, Finding, Placed, Report, text
from transforms.preflight.worker_checks import GB
from transforms.storage import files

# Peak of a process that embeds batches of 64 rows with VGGish (1.46 GB measured with TensorFlow and
# two threads, 0.69 GB with the native engine), and what a thread decodes with.
_PROCESS_BYTES = {TENSORFLOW: 1.5 * GB, NATIVE: 0.6 * GB}
_THREAD_BYTES = 0.1 * GB
# 3750 rows an hour, of 128 bytes, or of four times as many as floats.
_BYTES_OF_AN_HOUR = 3_750 * 128
_FLOAT_BYTES = 4
_FEW_HOURS = 100


def notes(settings: EmbedSettings, options: PipelineOptions, engine: str = TENSORFLOW) -> list[str]:
    """Returns warnings about a run that take no time to find."""
    found = [disk_of_output(settings), *_memory_of_launcher(options, engine)]
    return [f"{each.check}: {text([each])}; {each.hint}" for each in found if each.result != OK]


def disk_of_output(settings: EmbedSettings) -> Finding:
    """Returns how many hours of audio the free space of the output holds the rows of."""
    if not files.is_local(settings.output):
        return Finding("disk", OK, "the output is on a storage without a known limit")
    free = host.free_disk(settings.output)
    hours = free / (_BYTES_OF_AN_HOUR * (1 if settings.profile.quantised else _FLOAT_BYTES))
    found = f"{free / GB:.1f} GB are free for the output, rows of {hours:,.0f} hours of audio"
    if hours >= _FEW_HOURS:
        return Finding("disk", OK, found)
    return Finding("disk", NOTE, found, "free some space, or choose another --output")


def memory_of_workers(reports: Sequence[Report], engine: str = TENSORFLOW) -> list[Placed]:
    """Compares, on each machine, the memory of all worker processes with the free memory."""
    placed = []
    for report in reports:
        alike = [each for each in reports if each.host == report.host]
        free = [each.free_memory for each in alike if each.free_memory is not None]
        # The largest: processes that measured later saw the others' models loaded.
        finding = _memory(max(free) if free else None, len(alike), 1, engine)
        placed.append((report.where, finding))
    return placed


def _memory_of_launcher(options: PipelineOptions, engine: str) -> list[Finding]:
    """Compares this machine's memory with what local workers need."""
    if not is_local(options):
        return []
    number = num_workers(options)
    num_processes, num_threads = (number, 1) if is_in_processes(options) else (1, number)
    return [_memory(host.free_memory(), num_processes, num_threads, engine)]


def _memory(free: int | None, num_processes: int, num_threads: int, engine: str) -> Finding:
    needed = num_processes * (_PROCESS_BYTES[engine] + num_threads * _THREAD_BYTES)
    processes = "1 worker process" if num_processes == 1 else f"{num_processes} worker processes"
    found = f"VGGish in {processes} needs about {needed / GB:.1f} GB"
    if free is None:
        return Finding("memory", OK, f"{found}; this system does not report how much is free")
    figures = (("{} GB are free", round(free / GB, 1)),)
    if free >= needed:
        return Finding("memory", OK, found, figures=figures)
    hint = "the run may be killed for lack of memory: use fewer workers, or a larger machine"
    return Finding("memory", NOTE, found, hint, figures)
