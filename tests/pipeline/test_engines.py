"""Engines."""

import os
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import DirectOptions
from apache_beam.runners.worker import data_plane

from pipeline import engines
from pipeline.settings import UsageError


def test_the_default_engine_is_the_one_in_this_process_with_two_threads_or_more() -> None:
    options = engines.beam_options([], [])
    direct = options.view_as(DirectOptions)
    assert type(engines._local_runner(options)).__name__ == "FnApiRunner"
    assert direct.direct_num_workers == max(2, os.cpu_count() or 1)
    assert direct.direct_running_mode == "multi_threading"


def test_threads_and_mode_that_the_user_names_stay() -> None:
    options = engines.beam_options(
        ["--direct_num_workers", "1", "--direct_running_mode=multi_processing"], []
    )
    direct = options.view_as(DirectOptions)
    assert (direct.direct_num_workers, direct.direct_running_mode) == (1, "multi_processing")


def test_a_runner_that_beam_does_not_know_is_refused() -> None:
    with pytest.raises(UsageError, match="--runner=Nope"):
        engines.beam_options(["--runner=Nope"], [])


def test_a_misspelt_flag_is_refused_with_the_nearest_of_ours_and_of_beams() -> None:
    with pytest.raises(UsageError, match=r"--ouput is unknown; did you mean --output\?"):
        engines.beam_options(["--ouput=x"], ["--output"])
    with pytest.raises(UsageError, match=r"--runer is unknown; did you mean --runner\?"):
        engines.beam_options(["--runer=x"], ["--output"])


def test_what_a_thread_writes_is_handed_on_between_elements_and_not_by_the_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Beam's stream with a clock cuts elements into halves, which are read as garbage.
    with_clock = data_plane.TimeBasedBufferingClosableOutputStream
    made: list[object] = []

    class Noted(with_clock):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            made.append(self)
            super().__init__(*arguments, **options)

    monkeypatch.setattr(data_plane, "TimeBasedBufferingClosableOutputStream", Noted)

    def build(pipeline: beam.Pipeline) -> None:
        _ = pipeline | beam.Create([1, 2]) | beam.Reshuffle() | beam.Map(str)

    engines.run(engines.beam_options([], []), build)
    assert not made
