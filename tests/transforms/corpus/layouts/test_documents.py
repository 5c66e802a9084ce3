"""The page of layouts: its table is the list of the layouts and of their commands."""

from tests.documents import pages
from transforms.corpus.layouts.catalogue import layouts

PAGE = "docs/layouts.md"


def table() -> str:
    """Returns the table of the page."""
    lines = ["| layout | what it is | `embed …` |", "| --- | --- | --- |"]
    for layout in layouts().values():
        commands = "<br>".join(f"`{command}`" for command in layout.commands)
        lines.append(f"| [{layout.name}]({layout.source}) | {layout.description} | {commands} |")
    return "".join(f"{line}\n" for line in lines)


def test_the_page_lists_every_layout_with_its_commands() -> None:
    assert pages.read(PAGE).split("## Layouts\n\n")[1] == table()
