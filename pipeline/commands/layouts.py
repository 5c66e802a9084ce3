"""The command `layouts`: lists the known layouts."""

import textwrap

from pipeline.terminal import summary
from transforms.corpus.layouts.catalogue import layouts

_COLUMNS = 96


def run() -> int:
    """Prints the known layouts and returns the exit status."""
    for layout in layouts().values():
        flags = [
            *(["--manifest"] if layout.tables else []),
            *(["--input"] if layout.folders else []),
        ]
        print(f"{layout.name}  ({', '.join(flags)})")
        for line in textwrap.wrap(layout.description, _COLUMNS - 4):
            print(f"    {line}")
        print(f"    {layout.source}")
    print("A manifest is recognised by its columns; otherwise name the layout, as --layout gtzan.")
    return summary.SUCCESS
