"""The launcher's choice of the engine, and what it says. The choice itself is a fake."""

from typing import Any

import pytest

from pipeline.commands import engine_choice
from pipeline.errors import UsageError
from pipeline.options.settings import EmbedSettings
from pipeline.runners.options import beam_options
from transforms.dataset.profiles import PROFILES
from transforms.model import choosing
from transforms.model.choosing import EngineChoice
from transforms.model.errors import ModelError
from transforms.model.native.library import ENGINE_VERSION
from transforms.model.native.proving import Proof

PROOF = Proof("f" * 64, ENGINE_VERSION, 35, 5.4e-6, 1e-6, None, "ab" * 32, -1, "2.21.0", "avx2")
PORTABLE = ["--runner=PortableRunner", "--job_endpoint=localhost:1"]
DATAFLOW = ["--runner=DataflowRunner", "--region=r", "--project=p", "--temp_location=gs://b/t"]


def _settings(engine: str, model: str = "/absent") -> EmbedSettings:
    return EmbedSettings(
        output="/out", inputs=("/in",), profile=PROFILES["raw"], engine=engine, model=model
    )


def _choose_as(monkeypatch: pytest.MonkeyPatch, found: EngineChoice | Exception) -> None:
    def choose(*_: Any) -> EngineChoice:
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(choosing, "choose", choose)


def test_a_fallback_is_one_line_and_the_native_engine_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _choose_as(monkeypatch, EngineChoice("native", proof=PROOF))
    assert engine_choice.choose(_settings("auto"), beam_options([])).proof == PROOF
    assert capsys.readouterr().err == ""
    _choose_as(monkeypatch, EngineChoice("tensorflow", "the model is not VGGish"))
    assert engine_choice.choose(_settings("auto"), beam_options([])).engine == "tensorflow"
    assert capsys.readouterr().err == "engine: TensorFlow, because the model is not VGGish\n"


@pytest.mark.parametrize(
    ("choice", "text"),
    [
        (
            EngineChoice("native", proof=PROOF),
            "native 1, proved with 35 probes: rows differ from TensorFlow's by 5e-06 of their"
            " standard deviation at most",
        ),
        (EngineChoice("tensorflow"), "TensorFlow, as chosen"),
    ],
)
def test_check_describes_the_choice(choice: EngineChoice, text: str) -> None:
    assert engine_choice.description(choice) == text


def test_a_model_that_only_workers_see_is_tensorflows() -> None:
    choice = engine_choice.find(_settings("auto"), beam_options(PORTABLE))
    assert choice.engine == "tensorflow"
    assert "look into the model: '/absent' does not exist" in choice.why or (
        "native engine is not available" in choice.why
    )
    with pytest.raises(UsageError):
        engine_choice.find(_settings("native"), beam_options(PORTABLE))


def test_a_model_that_workers_here_would_not_find_either_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _choose_as(monkeypatch, ModelError("cannot fetch"))
    with pytest.raises(ModelError, match="cannot fetch"):
        engine_choice.find(_settings("auto"), beam_options([]))
    assert engine_choice.find(_settings("auto"), beam_options(PORTABLE)).engine == "tensorflow"


def test_workers_with_accelerators_compute_in_tensorflow() -> None:
    accelerated = [*DATAFLOW, "--dataflow_service_options=worker_accelerator=type:nvidia-tesla-t4"]
    choice = engine_choice.find(_settings("auto"), beam_options(accelerated))
    assert choice == EngineChoice("tensorflow", "the workers have accelerators")
    with pytest.raises(UsageError, match="--engine=native: the workers have accelerators"):
        engine_choice.find(_settings("native"), beam_options(accelerated))
