"""One declaration of each option: a dataclass field from which all else follows.

The parser of the command line, the validation of values, absolute paths and the parameters of the
Dataflow template are derived from the fields of a dataclass, each made with `option`. The flag is
named like the field unless the declaration says otherwise; the field's default is the flag's.
"""

import argparse
import dataclasses
import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pipeline.errors import UsageError
from transforms.storage import schemes


class PathKind(enum.Enum):
    """What reads or writes the path of an option."""

    OUTPUT = "written by the workers"
    WORKERS = "read by the workers"
    LAUNCHER = "read by the launcher"
    FETCHED = "a path or the URL of a hub, fetched where it is needed"


@dataclasses.dataclass(frozen=True)
class ValueType:
    """A type of values on the command line.

    Attributes:
      parse: Returns the value of a text, or raises `argparse.ArgumentTypeError`.
      pattern: A regular expression of the texts, for the Dataflow template.
    """

    parse: Callable[[str], Any]
    pattern: str


@dataclasses.dataclass(frozen=True)
class Option:
    """The declaration of an option, besides its name, type and default.

    Attributes:
      help: The text of `--help`; `%(default)s` stands for the default.
      flag: The flag, where it differs from the name of the field.
      group: The title under which `--help` lists the flag.
      metavar: The placeholder of the value in `--help`.
      type: The type of the value; None for text.
      choices: The allowed values; as a mapping, from the allowed texts to the values.
      path: What reads or writes the path that the value is; None where it is no path.
      requires: The fields of which one must be given with this one.
      check: Returns the rest of a refusal, behind the flag, or nothing for an allowed value.
      label: The label of the Dataflow template's parameter; empty where there is none.
    """

    help: str
    flag: str = ""
    group: str = ""
    metavar: str | None = None
    type: ValueType | None = None
    choices: Sequence[str] | Mapping[str, Any] = ()
    path: PathKind | None = None
    requires: tuple[str, ...] = ()
    check: Callable[[Any], str] | None = None
    label: str = ""


def option(default: Any = dataclasses.MISSING, **declaration: Any) -> Any:
    """Returns a dataclass field that declares an option; see `Option`.

    Args:
      default: The default; without one the option is required. A tuple makes an option that takes
        several values, a bool one that takes none and gives the opposite.
      **declaration: The attributes of `Option`.
    """
    return dataclasses.field(default=default, metadata={"option": Option(**declaration)})


def declared(settings: Any) -> Iterator[tuple[str, "dataclasses.Field[Any]", Option]]:
    """Yields flag, field and declaration of each option of a dataclass."""
    for field in dataclasses.fields(settings):
        declaration: Option = field.metadata["option"]
        yield declaration.flag or f"--{field.name}", field, declaration


def flags(settings: Any) -> list[str]:
    """Returns all flags, with their dashes."""
    return ["--help", *(flag for flag, _, _ in declared(settings))]


def add_arguments(parser: argparse.ArgumentParser, settings: Any) -> None:
    """Adds the flags to a parser, in the order of the fields."""
    groups: dict[str, Any] = {"": parser}
    for flag, field, declaration in declared(settings):
        title = declaration.group
        if title not in groups:
            groups[title] = parser.add_argument_group(title)
        groups[title].add_argument(
            flag, dest=field.name, help=declaration.help, **_arguments(field, declaration)
        )


def values_of(arguments: argparse.Namespace, settings: Any) -> dict[str, Any]:
    """Returns the values of parsed arguments by field, with paths that hold in every process."""
    values = {}
    for _, field, declaration in declared(settings):
        value = getattr(arguments, field.name)
        if isinstance(field.default, tuple):
            value = tuple(dict.fromkeys(_absolute(each, declaration) for each in value or ()))
        elif value is not None:
            value = _absolute(value, declaration)
        if isinstance(declaration.choices, Mapping) and isinstance(value, str):
            value = declaration.choices[value]
        values[field.name] = value
    return values


def validate(settings: Any) -> None:
    """Validates each option by its declaration.

    Raises:
      UsageError: Names the flag, its value and what is allowed.
    """
    for flag, field, declaration in declared(settings):
        value = getattr(settings, field.name)
        if declaration.path and not all(_several(value)):
            raise UsageError(f"{flag} cannot be empty")
    flag_of = {field.name: flag for flag, field, _ in declared(settings)}
    for flag, field, declaration in declared(settings):
        value = getattr(settings, field.name)
        if value == field.default:
            continue
        required = declaration.requires
        if required and not any(getattr(settings, name) for name in required):
            raise UsageError(f"{flag} requires {' or '.join(flag_of[name] for name in required)}")
        if declaration.check and (refusal := declaration.check(value)):
            raise UsageError(f"{flag}{refusal}")


def paths(settings: Any, *kinds: PathKind) -> Iterator[tuple[str, str]]:
    """Yields each flag with each path of some kinds that it names."""
    for flag, field, declaration in declared(settings):
        if declaration.path in kinds:
            for path in _several(getattr(settings, field.name)):
                yield flag, path


def shared_values(settings: Any, other: Any) -> dict[str, Any]:
    """Returns the options that another dataclass has fields of the same name for."""
    names = {field.name for field in dataclasses.fields(other)}
    return {
        field.name: getattr(settings, field.name)
        for field in dataclasses.fields(settings)
        if field.name in names
    }


def _arguments(field: "dataclasses.Field[Any]", declaration: Option) -> dict[str, Any]:
    """Returns the arguments of `add_argument`."""
    if isinstance(field.default, bool):
        action = "store_false" if field.default else "store_true"
        return {"action": action, "default": field.default}
    arguments: dict[str, Any] = {"metavar": declaration.metavar}
    if declaration.type:
        arguments["type"] = declaration.type.parse
    if declaration.choices:
        arguments["choices"] = sorted(declaration.choices)
    if isinstance(field.default, tuple):
        return arguments | {"nargs": "+", "action": "extend"}
    if field.default is dataclasses.MISSING:
        return arguments | {"required": True}
    return arguments | {"default": field.default}


def _absolute(value: Any, declaration: Option) -> Any:
    """Returns a path as an absolute one; an empty one, which is refused later, stays empty."""
    if declaration.path is None or not value:
        return value
    return schemes.absolute(value)


def _several(value: Any) -> tuple[Any, ...]:
    if isinstance(value, tuple):
        return value
    return () if value is None else (value,)
