"""The documents' pages, and the fenced blocks that stand in them."""

import dataclasses
import re
import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/*.md", "deploy/*/README.md", "benchmarks/README.md")
    for path in ROOT.glob(pattern)
)
# The program, as the documents call it.
PROGRAMS = ("./run_local.sh", "beam-audio-embeddings")
JOBS = ("embed", "check", "plan")
_HEADING = re.compile(r"^#+ (?P<title>.*)$", re.MULTILINE)
_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>.*)\n(?P<text>(?:.*\n)*?)(?P=indent)```$", re.MULTILINE
)


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
      key: Page and heading, and a number from the second block of a language on.
      language: What stands behind the fence.
      text: The content, without the indentation of a list.
    """

    key: str
    language: str
    text: str

    @property
    def commands(self) -> list[list[str]]:
        """The words of each command of a block of shell, without comments."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [words for line in lines if (words := shlex.split(line, comments=True))]


def read(page: str) -> str:
    """Returns the text of a page."""
    return (ROOT / page).read_text(encoding="utf-8")


def sections(page: str) -> dict[str, str]:
    """Returns the text below each heading of any depth, up to the next one."""
    text = _FENCE.sub(lambda fence: fence[0].replace("\n#", "\n\0"), read(page))
    headings = [*_HEADING.finditer(text)]
    ends = [*(each.start() for each in headings), len(text)][1:]
    return {
        heading["title"]: text[heading.end() : end].replace("\n\0", "\n#")
        for heading, end in zip(headings, ends, strict=True)
    }


def blocks(page: str) -> Iterator[Block]:
    """Yields the blocks of a page, in order."""
    for title, text in sections(page).items():
        seen: dict[str, int] = {}
        for fence in _FENCE.finditer(text):
            language = fence["language"].strip()
            number = seen[language] = seen.get(language, 0) + 1
            suffix = f" {number}" if number > 1 else ""
            name = f"{page}: {title}, {language}{suffix}"
            yield Block(name, language, textwrap.dedent(fence["text"]))


BLOCKS = {block.key: block for page in PAGES for block in blocks(page)}
