"""Text in lines that fit the terminal."""

import shutil
import textwrap

_DEFAULT_WIDTH = 100
_MIN_WIDTH, _MAX_WIDTH = 80, 160


def wrap(text: str, first: str = "", others: str = "") -> list[str]:
    """Returns a text as lines; words stay whole, so that paths and flags can be copied.

    Args:
      text: One paragraph.
      first: The indent of the first line.
      others: The indent of the other lines.
    """
    columns = shutil.get_terminal_size((_DEFAULT_WIDTH, 24)).columns
    return textwrap.wrap(
        text,
        min(max(columns, _MIN_WIDTH), _MAX_WIDTH),
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )
