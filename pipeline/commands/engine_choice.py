"""The engine that computes the rows of a job, chosen before it starts."""

import sys

from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.errors import UsageError
from pipeline.options.settings import EmbedSettings
from pipeline.runners.options import has_accelerator, is_elsewhere
from transforms.model import choosing
from transforms.model.choosing import EngineChoice
from transforms.model.engines import NATIVE, TENSORFLOW
from transforms.model.errors import ModelError
from transforms.model.native import proving


def choose(settings: EmbedSettings, options: PipelineOptions) -> EngineChoice:
    """Returns the engine; prints why it is TensorFlow, unless the user has chosen it or is quiet.

    Raises:
      ModelError: A model for workers on this machine cannot be fetched.
      UsageError: `--engine=native` is not possible.
    """
    choice = find(settings, options)
    if choice.why and not settings.quiet:
        print(f"engine: {description(choice)}", file=sys.stderr)
    return choice


def find(settings: EmbedSettings, options: PipelineOptions) -> EngineChoice:
    """Returns the engine. The launcher fetches the model for that, if it can.

    Raises:
      ModelError, UsageError: As for `choose`.
    """
    engine = settings.engine
    if engine != TENSORFLOW and has_accelerator(options):
        why = "the workers have accelerators"
        if engine == NATIVE:
            raise UsageError(f"--engine=native: {why}, which it does not use; remove one of them")
        return EngineChoice(TENSORFLOW, why)
    try:
        return choosing.choose(
            engine,
            settings.model,
            settings.precision,
            settings.trust_model,
            settings.max_model_bytes,
            None if settings.quiet else _announce,
        )
    except ModelError as error:
        if engine == NATIVE:
            raise UsageError(str(error)) from error
        if not is_elsewhere(options):
            raise
        return EngineChoice(TENSORFLOW, f"the launcher cannot look into the model: {error}")


def _announce() -> None:
    print(
        "comparing the native engine with TensorFlow, once for this model …",
        file=sys.stderr,
        flush=True,
    )


def description(choice: EngineChoice) -> str:
    """Returns the engine, and its proof or why there is none, in one line."""
    if choice.proof is None:
        return f"TensorFlow, because {choice.why}" if choice.why else "TensorFlow, as chosen"
    return f"native {choice.proof.engine_version}, {proving.description(choice.proof)}"
