"""Beam's flags."""

import os
from pathlib import Path
from typing import Any

import pytest
from apache_beam.options.pipeline_options import DirectOptions, SetupOptions

from pipeline.errors import UsageError
from pipeline.runners.options import (
    beam_options,
    is_dataflow,
    is_flink,
    is_local,
    is_loopback,
    num_workers,
    pool_address,
    request_memory,
)

DATAFLOW = [
    "--runner=DataflowRunner",
    "--project=project-1",
    "--region=us-central1",
    "--temp_location=gs://bucket/temp",
]
PORTABLE = ["--runner=PortableRunner", "--job_endpoint=localhost:1"]
SETUP = str(Path(__file__).parents[3] / "setup.py")


def of(*flags: str, model_bytes: int = 0) -> dict[str, Any]:
    options = beam_options(flags)
    request_memory(options, lambda: model_bytes)
    return options.get_all_options()


def test_the_default_has_two_threads_or_more() -> None:
    direct = beam_options([]).view_as(DirectOptions)
    assert direct.direct_num_workers == max(2, os.cpu_count() or 1)
    assert direct.direct_running_mode == "multi_threading"


def test_threads_and_mode_of_the_user_stay() -> None:
    options = of("--direct_num_workers", "1", "--direct_running_mode=multi_processing")
    assert options["direct_num_workers"] == 1
    assert options["direct_running_mode"] == "multi_processing"


@pytest.mark.parametrize(
    ("flags", "local", "loopback", "dataflow", "flink"),
    [
        ([], True, False, False, False),
        (["--runner=DirectRunner"], True, False, False, False),
        (["--runner=FnApiRunner"], True, False, False, False),
        (PORTABLE, False, False, False, False),
        ([*PORTABLE, "--environment_type=LOOPBACK"], False, True, False, False),
        (["--runner=PrismRunner"], False, True, False, False),
        (["--runner=FlinkRunner"], False, True, False, True),
        (["--runner=FlinkRunner", "--flink_master=host:8081"], False, False, False, True),
        (DATAFLOW, False, False, True, False),
    ],
)
def test_kinds_of_runners_are_recognised(
    flags: list[str], local: bool, loopback: bool, dataflow: bool, flink: bool
) -> None:
    options = beam_options(flags)
    assert is_local(options) == local
    assert is_loopback(options) == loopback
    assert is_dataflow(options) == dataflow
    assert is_flink(options) == flink


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--runner=Nope"], "--runner=Nope"),
        (
            ["--runner=apache_beam.runners.dask.dask_runner.DaskRunner"],
            "DaskRunner is refused: it drops all outputs of a step but the main one",
        ),
        (["--runner=SwitchingDirectRunner"], "is refused: it chooses one of two runners"),
        (["--runner=PortableRunner"], "requires a job server: pass its --job_endpoint"),
        (["stray"], "'stray' belongs to no flag"),
    ],
)
def test_invalid_flags_of_beam_are_refused(flags: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        beam_options(flags)


def test_a_misspelt_flag_is_refused_with_the_nearest_of_ours_and_of_beams() -> None:
    with pytest.raises(UsageError, match=r"--ouput is unknown; did you mean --output\?"):
        beam_options(["--ouput=x"])
    with pytest.raises(UsageError, match=r"--runer is unknown; did you mean --runner\?"):
        beam_options(["--runer=x"])


def test_other_runners_get_this_program_unless_their_workers_are_here() -> None:
    assert of()["setup_file"] is None
    assert of(*PORTABLE, "--environment_type=LOOPBACK")["setup_file"] is None
    assert of(*PORTABLE)["setup_file"] == SETUP
    assert of("--runner=FlinkRunner", "--flink_master=host:8081")["setup_file"] == SETUP
    assert of(*DATAFLOW)["setup_file"] == SETUP
    assert of(*DATAFLOW, "--setup_file=./mine.py")["setup_file"] == "./mine.py"
    assert of(*DATAFLOW, "--extra_package=x.tar.gz")["setup_file"] is None


def test_dataflow_gets_one_process_a_worker_no_main_session_and_memory_for_the_model() -> None:
    options = of(*DATAFLOW, model_bytes=2**30)
    assert options["experiments"] == ["no_use_multiple_sdk_containers"]
    assert options["resource_hints"] == ["min_ram=5GB"]
    assert beam_options(DATAFLOW).view_as(SetupOptions).save_main_session is False
    assert of(*DATAFLOW)["resource_hints"] == ["min_ram=3GB"]
    assert not of()["resource_hints"]


def test_options_of_the_user_for_dataflow_stay() -> None:
    options = of(
        *DATAFLOW,
        "--experiments=use_multiple_sdk_containers",
        "--experiments=shuffle_mode=service",
        "--resource_hint=minRam=8GB",
        "--save_main_session",
    )
    assert options["experiments"] == ["use_multiple_sdk_containers", "shuffle_mode=service"]
    assert options["resource_hints"] == ["minRam=8GB"]
    assert options["save_main_session"] is True


@pytest.mark.parametrize(
    ("flags", "number"),
    [
        (["--direct_num_workers=7"], 7),
        (["--runner=PortableRunner", "--job_endpoint=localhost:1"], 4),
        (["--runner=FlinkRunner", "--flink_master=h:1", "--parallelism=8"], 8),
    ],
)
def test_the_number_of_workers(flags: list[str], number: int) -> None:
    assert num_workers(beam_options(flags)) == number


@pytest.mark.parametrize("config", ["pool:1", '{"url": "pool:1"}'])
def test_the_address_of_a_pool_is_read_from_json_as_well(config: str) -> None:
    flags = ["--runner=FlinkRunner", "--environment_type=EXTERNAL"]
    assert pool_address(beam_options([*flags, f"--environment_config={config}"])) == "pool:1"
