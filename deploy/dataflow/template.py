"""What a Flex Template runs: `embed`, with the template's parameters as flags.

The launcher gives each parameter as `--name=value`. A switch of `embed` takes no value, and several
paths are several words.
"""

import sys
from collections.abc import Iterable

from pipeline.cli import main

SWITCHES = ("overwrite", "segments_are_cut")
LISTS = ("input", "manifest", "audioset_segments", "keep_columns")


def arguments(parameters: Iterable[str]) -> list[str]:
    """Returns the arguments of the program.

    Args:
      parameters: As the launcher gives them. Those without a value are left out.
    """
    words = ["embed"]
    for parameter in parameters:
        flag, equals, value = parameter.partition("=")
        name = flag.removeprefix("--")
        if name in SWITCHES and equals:
            words += [flag] if value.lower() == "true" else []
        elif name in LISTS and equals:
            words += [f"{flag}={path.strip()}" for path in value.split(",") if path.strip()]
        elif value or not equals:
            words.append(parameter)
    return words


if __name__ == "__main__":
    raise SystemExit(main(arguments(sys.argv[1:])))
