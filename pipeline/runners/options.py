"""From Beam's flags to options, with the defaults that this program needs on each runner."""

import contextlib
import difflib
import json
import os
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from apache_beam.options.pipeline_options import (
    DebugOptions,
    DirectOptions,
    FlinkRunnerOptions,
    GoogleCloudOptions,
    PipelineOptions,
    PortableOptions,
    SetupOptions,
    StandardOptions,
)
from apache_beam.runners.runner import create_runner

from pipeline.errors import UsageError
from pipeline.options import declaration
from pipeline.options.settings import EmbedSettings

# Beam's names of the runner in this process; None without --runner.
_LOCAL = {None, "directrunner", "direct", "fnapirunner", "fnapi"}
_REFUSED = {
    "daskrunner": "it drops all outputs of a step but the main one, without an error",
    "switchingdirectrunner": "it chooses one of two runners by itself; remove --runner for the"
    " local runner",
}
# At least two threads, so that decoding overlaps with the model, which uses all cores itself.
_LOCAL_DEFAULTS = (
    f"--direct_num_workers={max(2, os.cpu_count() or 1)}",
    "--direct_running_mode=multi_threading",
)
_ONE_PROCESS = "no_use_multiple_sdk_containers"
# Half of it was measured with batches of 64 rows of VGGish and two threads; the other half is for
# more threads and for what Dataflow's own processes take.
_WORKER_MEMORY_BYTES = 3 * 2**30

# The number of workers where the options do not tell.
_DEFAULT_WORKERS = 4
_WORKER_OPTIONS = ("num_workers", "max_num_workers", "parallelism")


def runner_name(options: PipelineOptions) -> str | None:
    """Returns the name of the runner's class, or None for the default."""
    name = options.view_as(StandardOptions).runner
    return None if name is None else name.rpartition(".")[2]


def is_local(options: PipelineOptions) -> bool:
    """Returns whether the runner is in this process."""
    name = runner_name(options)
    return name is None or name.lower() in _LOCAL


def is_in_processes(options: PipelineOptions) -> bool:
    """Returns whether the runner is in this process, and its workers in others on this machine."""
    mode = options.view_as(DirectOptions).direct_running_mode
    return is_local(options) and mode == "multi_processing"


def is_dataflow(options: PipelineOptions) -> bool:
    """Returns whether the runner is Dataflow."""
    return (runner_name(options) or "").lower() in {"dataflowrunner", "dataflow"}


def is_flink(options: PipelineOptions) -> bool:
    """Returns whether the runner is Beam's runner for Flink."""
    return (runner_name(options) or "").lower() in {"flinkrunner", "flink"}


def is_loopback(options: PipelineOptions) -> bool:
    """Returns whether the runner is another process, but its workers are threads of this one."""
    portable = options.view_as(PortableOptions)
    if portable.environment_type is not None:
        return portable.environment_type.upper() == "LOOPBACK"
    # The default of the runners that Beam starts itself.
    is_prism = (runner_name(options) or "").lower() in {"prismrunner", "prism"}
    flink_master = options.view_as(FlinkRunnerOptions).flink_master
    return is_prism or (is_flink(options) and flink_master in {"[local]", "[auto]"})


def is_elsewhere(options: PipelineOptions) -> bool:
    """Returns whether the workers may be on other machines."""
    return not (is_local(options) or is_loopback(options))


def has_accelerator(options: PipelineOptions) -> bool:
    """Returns whether the workers on other machines are to have accelerators, such as GPUs."""
    cloud = options.view_as(GoogleCloudOptions).dataflow_service_options or []
    hints = options.view_as(StandardOptions).resource_hints or []
    return any("accelerator" in each for each in (*cloud, *hints))


def flink_master(options: PipelineOptions) -> str:
    """Returns the address of a Flink cluster's REST interface; empty if it is unknown."""
    master = options.view_as(FlinkRunnerOptions).flink_master.strip()
    # A job server takes the flag as well, in place of its own.
    by_server = options.view_as(PortableOptions).job_endpoint and "://" in master
    return master if (is_flink(options) or by_server) and master[:1] != "[" else ""


def pool_address(options: PipelineOptions) -> str:
    """Returns the address of the pool that workers come from; empty if they come from elsewhere."""
    portable = options.view_as(PortableOptions)
    if (portable.environment_type or "").upper() != "EXTERNAL":
        return ""
    address = portable.environment_config or portable.lookup_environment_option(
        "external_service_address"
    )
    with contextlib.suppress(ValueError, LookupError, TypeError):  # Beam takes JSON as well
        address = str(json.loads(address)["url"])
    return address


class _Options(PipelineOptions):
    """Options whose views are made once each.

    A view is an argument parser, 0.8 ms. While Beam builds a job of ours it asks for 800 of them,
    nearly all the same.
    """

    def view_as(self, cls: type) -> Any:
        views = _VIEWS.setdefault(self, {})
        if cls not in views:
            views[cls] = super().view_as(cls)
        return views[cls]


# Not in the options themselves, which are pickled.
_VIEWS: weakref.WeakKeyDictionary[PipelineOptions, dict[type, Any]] = weakref.WeakKeyDictionary()


def beam_options(flags: Sequence[str]) -> PipelineOptions:
    """Parses Beam's flags.

    Args:
      flags: The flags that are not the program's own.

    Raises:
      UsageError: A flag is unknown, or Beam refuses a value, or the runner is refused.
    """
    try:
        given = PipelineOptions(flags)
        options = _Options([*_defaults(given), *flags])
        known = options.get_all_options()
        unknown = set(options.get_all_options(retain_unknown_options=True)) - set(known)
    except SystemExit as error:
        raise UsageError("Beam refuses the flags above") from error
    _check_runner(options)
    if unknown:
        candidates = [*declaration.flags(EmbedSettings), *(f"--{name}" for name in known)]
        raise UsageError("; ".join(_unknown(f"--{name}", candidates) for name in sorted(unknown)))
    for before, word in zip(["", *flags], flags, strict=False):
        if not word.startswith("-") and (not before.startswith("-") or "=" in before):
            raise UsageError(f"{word!r} belongs to no flag")
    return options


def num_workers(options: PipelineOptions) -> int:
    """Returns the number of workers in the options, or a guess."""
    values = options.get_all_options()
    if is_local(options):
        return int(values["direct_num_workers"] or 1)
    known = max(int(values.get(name) or 0) for name in _WORKER_OPTIONS)
    return known if known > 0 else _DEFAULT_WORKERS


def request_memory(options: PipelineOptions, model_bytes: Callable[[], int]) -> None:
    """Requests the memory of the model on Dataflow, unless the user has requested some.

    Args:
      options: Beam's options, changed in place.
      model_bytes: Returns the size of the model's files; 0 if unknown.
    """
    standard = options.view_as(StandardOptions)
    hints = standard.resource_hints or []
    if is_dataflow(options) and not any("ram" in hint.lower() for hint in hints):
        # Loading needs memory for the files and the variables.
        gigabytes = -(-(_WORKER_MEMORY_BYTES + 2 * model_bytes()) // 2**30)
        standard.resource_hints = [*hints, f"min_ram={gigabytes}GB"]


def _check_runner(options: PipelineOptions) -> None:
    if is_local(options):
        return
    name = options.view_as(StandardOptions).runner
    if why := _REFUSED.get((runner_name(options) or "").lower()):
        raise UsageError(f"--runner={name} is refused: {why}")
    try:
        create_runner(name)
    except (ValueError, ImportError, AttributeError) as error:
        raise UsageError(f"--runner={name}: {error}") from error
    portable = options.view_as(PortableOptions)
    if (runner_name(options) or "").lower() == "portablerunner" and not portable.job_endpoint:
        raise UsageError(
            f"--runner={name} requires a job server: pass its --job_endpoint=HOST:PORT"
        )


def _defaults(given: PipelineOptions) -> list[str]:
    """Returns flags for the front of the user's, which may override them."""
    if is_local(given):
        return [*_LOCAL_DEFAULTS]
    defaults = ["--no_save_main_session"]
    setup = given.view_as(SetupOptions)
    if not is_loopback(given) and setup.setup_file is None and not setup.extra_packages:
        # Workers get this very program, even if their image has another version of it. An installed
        # program has no source to send: there the workers use their own.
        source = Path(__file__).resolve().parents[2] / "setup.py"
        defaults += [f"--setup_file={source}"] if source.is_file() else []
    if is_dataflow(given):
        experiments = [each.split("=")[0] for each in given.view_as(DebugOptions).experiments or ()]
        # One process for each worker with many threads, which share one model: Dataflow would start
        # one process for each core.
        if not {_ONE_PROCESS, _ONE_PROCESS.removeprefix("no_")} & {*experiments}:
            defaults.append(f"--experiments={_ONE_PROCESS}")
    return defaults


def _unknown(flag: str, candidates: Sequence[str]) -> str:
    nearest = difflib.get_close_matches(flag, candidates, n=1)
    return f"{flag} is unknown" + (f"; did you mean {nearest[0]}?" if nearest else "")
