"""The page of layouts: its table is the list of the layouts and of their commands."""

import pytest

from pipeline import cli
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


def test_the_command_lists_every_layout_with_its_source(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["layouts"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for layout in layouts().values():
        (start,) = (n for n, line in enumerate(lines) if line.startswith(f"{layout.name}  ("))
        assert ("--manifest" in lines[start]) == bool(layout.tables)
        assert ("--input" in lines[start]) == bool(layout.folders)
        assert f"    {layout.source}" in lines[start : start + 5]
