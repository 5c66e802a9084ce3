"""What a Flex Template runs: `embed`, with the template's parameters as flags.

The launcher gives each parameter as `--name=value`; other words are passed on.
"""

import sys
from collections.abc import Iterable

from pipeline.cli import main
from pipeline.options import template


def arguments(parameters: Iterable[str]) -> list[str]:
    """Returns the arguments of the program.

    Args:
      parameters: The words of the launcher. Parameters without a value are dropped.
    """
    words = ["embed"]
    for word in parameters:
        name, equals, value = word.removeprefix("--").partition("=")
        words += template.arguments({name: value}) if equals else [word]
    return words


if __name__ == "__main__":
    raise SystemExit(main(arguments(sys.argv[1:])))
