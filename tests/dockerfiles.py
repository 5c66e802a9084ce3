"""Dockerfiles: read, and their steps done in a folder that stands for the image's root.

Knows the few instructions and forms that ours have, and refuses others.
"""

import copy
import dataclasses
import os
import re
import shlex
import shutil
import string
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests import optional

# Absolute paths of the image that steps may name.
_PATH = re.compile(r"(?<![\w./}])/(?=(?:opt|tmp)\b)")


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One of a Dockerfile, as `COPY pipeline /opt/program/pipeline`."""

    name: str
    text: str

    @property
    def words(self) -> list[str]:
        return shlex.split(self.text)


def read(dockerfile: Path) -> list[Instruction]:
    """Returns the instructions, with lines that go on put together."""
    lines = [line for line in dockerfile.read_text().splitlines() if not line.startswith("#")]
    whole = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [Instruction(*line.split(maxsplit=1)) for line in whole.splitlines() if line.strip()]


@dataclasses.dataclass
class Image:
    """What the steps of a Dockerfile's last stage have made.

    Attributes:
      root: Stands for `/`.
      environment: Of programs in it; the paths are those below `root`.
      folder: Where they start.
      entry_point: What starts by default.
    """

    root: Path
    environment: dict[str, str]
    folder: Path
    entry_point: list[str] = dataclasses.field(default_factory=list)

    def run(self, command: str) -> None:
        """Does a RUN step."""
        done = subprocess.run(
            ["/bin/sh", "-c", self.here(command)],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-2_000:]}\n{done.stderr[-4_000:]}"

    def here(self, text: str) -> str:
        """Puts paths of the image below the root."""
        return _PATH.sub(f"{self.root}/", text)


def build(
    dockerfile: Path,
    context: Path,
    root: Path,
    arguments: dict[str, str],
    from_other_image: Callable[[str, str, Path], None],
    base: Image | None = None,
) -> Image:
    """Does the steps of the last stage.

    Packages of the distribution are not installed: their programs have to be on this machine.

    Args:
      dockerfile: To follow.
      context: What COPY copies from.
      root: An empty folder.
      arguments: As given with `--build-arg`.
      from_other_image: Copies `(image or stage, path in it, target)`.
      base: What the last stage is from, with the same root; None for an image with nothing of ours.
    """
    (root / "tmp").mkdir(exist_ok=True)
    path = os.environ["PATH"]
    image = copy.deepcopy(base) if base else Image(root, {"PATH": path}, root)
    known: dict[str, str] = {}  # of the Dockerfile's top
    for instruction in read(dockerfile):
        words = instruction.words
        if instruction.name == "FROM":
            scope = {} if base else {"PATH": path}
        elif instruction.name == "ARG":
            name, _, default = instruction.text.partition("=")
            value = arguments.get(name, default or known.get(name, ""))
            known[name] = value
            image.environment[name] = value
        elif instruction.name == "ENV":
            for word in words:
                name, _, value = word.partition("=")
                scope[name] = string.Template(value).substitute(image.environment | scope)
                image.environment[name] = image.here(scope[name])
        elif instruction.name == "COPY":
            _copy(image, context, words, from_other_image)
        elif instruction.name == "RUN" and words[0] == "apt-get":
            for package in _packages(words):
                optional.program(package, f"apt-get install {package}")
        elif instruction.name == "RUN":
            image.run(instruction.text)
        elif instruction.name == "WORKDIR":
            image.folder = Path(image.here(instruction.text))
        elif instruction.name == "ENTRYPOINT":
            image.entry_point = [image.here(word.strip('[],"')) for word in words]
        else:
            raise ValueError(f"{instruction.name} is not among the steps that can be done here")
    return image


def _packages(words: list[str]) -> list[str]:
    """Returns the names behind `apt-get install`."""
    names = words[words.index("install") + 1 :]
    return [name for name in names[: names.index("&&")] if not name.startswith("-")]


def _copy(
    image: Image,
    context: Path,
    words: list[str],
    from_other_image: Callable[[str, str, Path], None],
) -> None:
    words = [string.Template(word).substitute(image.environment) for word in words]
    options = [word for word in words if word.startswith("--")]
    *sources, target = [word for word in words if not word.startswith("--")]
    to = Path(image.here(target))
    for option in options:
        assert option.startswith("--from="), option
        from_other_image(option.removeprefix("--from="), sources[0], to)
        return
    for source in sources:
        origin = context / source
        if origin.is_dir():
            shutil.copytree(origin, to, dirs_exist_ok=True)
        else:
            file = to / origin.name if target.endswith("/") else to
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(origin, file)
