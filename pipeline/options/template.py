"""The parameters of the Dataflow template, generated from the options.

`python -m pipeline.options.template > deploy/dataflow/metadata.json` writes its file.
"""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.errors import UsageError
from pipeline.options.declaration import Option, PathKind, declared
from pipeline.options.settings import EmbedSettings

_SWITCH = {"true": True, "false": False}
# Values of paths, and of options that are none. {} is a character, of lists none of their commas.
_PATHS = {
    PathKind.OUTPUT: "(?:gs|s3)://{}+",
    PathKind.WORKERS: "(?:gs|s3|https?)://{}+",
    PathKind.LAUNCHER: "(?:gs|s3|https?)://{}+|/{}+",  # of the image as well
    PathKind.FETCHED: "(?:gs|s3|https?)://[^/]+{}*|/{}+",
    None: "{}+",
}
# The parameters that are Beam's.
_IMAGE = {
    "name": "sdk_container_image",
    "label": "Image of the workers",
    "helpText": "The image that this template was built from: workers have the program from it.",
    "regexes": ["^[^\\s]+/[^\\s]+$"],
}
_THREADS = {
    "name": "number_of_worker_harness_threads",
    "label": "Threads of a worker",
    "helpText": "Threads of the one process of each worker, which share one model. Two for each"
    " core is a good start.",
    "isOptional": True,
    "regexes": ["^[1-9][0-9]*$"],
    "defaultValue": "8",
}
_SERVICE = {
    "name": "dataflow_service_options",
    "label": "Options of the service",
    "helpText": "For GPUs: worker_accelerator=type:nvidia-tesla-t4;count:1;install-nvidia-driver",
    "isOptional": True,
    "regexes": ["^[^,\\s]+(,[^,\\s]+)*$"],
}


def metadata() -> dict[str, Any]:
    """Returns the content of `metadata.json`."""
    return {
        "name": "Audio embeddings",
        "description": "Turns a corpus of audio into TFRecord SequenceExamples of embeddings, in"
        " the layout of AudioSet.",
        "parameters": [*_parameters(), _IMAGE, _THREADS, _SERVICE],
    }


def arguments(parameters: Mapping[str, str]) -> list[str]:
    """Returns parameters as the flags of `embed`, but those without a value.

    Args:
      parameters: The values by name. A switch has `true` or `false`, several values are separated
        by commas.

    Raises:
      UsageError: A switch has another value.
    """
    declarations = {flag: (field, option) for flag, field, option in declared(EmbedSettings)}
    words = []
    for name, value in parameters.items():
        flag = f"--{name}"
        field, option = declarations.get(flag, (None, None))
        default = field.default if field else None
        if not value:
            continue
        if isinstance(default, bool):
            if value not in _SWITCH:
                raise UsageError(f"{flag}={value!r} (allowed: {', '.join(_SWITCH)})")
            words += [flag] if _SWITCH[value] else []
        elif isinstance(default, tuple) and option and not option.type:
            words += [f"{flag}={each.strip()}" for each in value.split(",") if each.strip()]
        else:  # a type of several values parses all of them in one text
            words.append(f"{flag}={value}")
    return words


def _parameters() -> Iterator[dict[str, Any]]:
    for flag, field, option in declared(EmbedSettings):
        if not option.label:
            continue
        default = _default(field, option)
        text = option.help.removesuffix(" (default: %(default)s)")
        is_required = field.default is dataclasses.MISSING
        yield {
            "name": flag.removeprefix("--"),
            "label": option.label,
            "helpText": text,
            **({} if is_required else {"isOptional": True}),
            "regexes": [f"^(?:{_pattern(field, option)})$"],
            **({"defaultValue": default} if default else {}),
        }


def _default(field: "dataclasses.Field[Any]", option: Option) -> str:
    if isinstance(field.default, bool):
        return str(field.default).lower()
    if isinstance(option.choices, Mapping):
        return next(text for text, value in option.choices.items() if value == field.default)
    return str(field.default) if isinstance(field.default, str | int | float) else ""


def _pattern(field: "dataclasses.Field[Any]", option: Option) -> str:
    if isinstance(field.default, bool):
        return "|".join(_SWITCH)
    if option.choices:
        return "|".join(option.choices)
    if option.type:
        return option.type.pattern
    if not isinstance(field.default, tuple):
        return _PATHS[option.path].replace("{}", ".")
    one = _PATHS[option.path].replace("{}", "[^,]")
    return f"{one}(,{one})*"


if __name__ == "__main__":
    print(json.dumps(metadata(), indent=2))
