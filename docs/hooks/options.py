"""Writes all options into their page when the site is built, from the program's own help."""

import argparse
import re
from typing import Any

from pipeline import cli

_PLACE = "<!-- all options"


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Puts the tables in the place of a comment; mkdocs calls this for each page."""
    if page.file.src_path != "options.md":
        return markdown
    before, place, rest = markdown.partition(_PLACE)
    if not place:
        raise ValueError(f"docs/options.md has no comment {_PLACE!r} ... -->")
    return before + tables() + rest.partition("-->")[2]


def tables() -> str:
    """Returns a table for each group of the options of `embed`, in Markdown."""
    actions = cli._parser()._actions
    commands = next(each for each in actions if isinstance(each, argparse._SubParsersAction))
    embed = commands.choices["embed"]
    parts = []
    for group in embed._action_groups:
        rows = [_row(embed, action) for action in group._group_actions if action.option_strings]
        if rows:
            title = group.title or "options"
            title = f"### {title[:1].upper()}{title[1:]}\n"
            parts.append("\n".join([title, "| option | meaning |", "| --- | --- |", *rows]))
    return "\n\n".join(parts)


def _row(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    names = ", ".join(action.option_strings)
    formatter = parser._get_formatter()
    value = "" if action.nargs == 0 else formatter._format_args(action, _metavar(action))
    text = re.sub(r"[\\*_|<`]", r"\\\g<0>", formatter._expand_help(action)) if action.help else ""
    return f"| `{f'{names} {value}'.strip()}` | {text} |"


def _metavar(action: argparse.Action) -> str:
    if action.choices is not None:
        return "\\|".join(map(str, action.choices))
    return action.dest.upper()
