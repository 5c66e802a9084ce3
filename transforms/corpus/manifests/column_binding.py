"""Templates of a mapping, bound to the columns of one table."""

import dataclasses
import difflib
from collections.abc import Iterable, Mapping, Sequence

from transforms.corpus.manifests.errors import ManifestError
from transforms.corpus.manifests.headerless import format_names
from transforms.corpus.manifests.mapping import DURATION, END, ID, URI, ColumnMapping
from transforms.corpus.manifests.templates import (
    Placeholder,
    Template,
    column_template,
    find_value,
    parse_template,
)

# Names that are compared with a misspelt one.
_MAX_COMPARED = 1000
_QUOTES = "'\""


@dataclasses.dataclass(frozen=True)
class BoundMapping:
    """A mapping whose templates name columns of one table.

    Attributes:
      templates: Field and template.
      given: Fields that no column has by its name.
    """

    templates: tuple[tuple[str, Template], ...]
    given: frozenset[str]


def bind_mapping(
    mapping: ColumnMapping, header: Sequence[str] | None, records: Iterable[Mapping[str, object]]
) -> BoundMapping:
    """Finds the columns of a mapping's templates.

    Args:
      mapping: The mapping.
      header: Names in the header; None for JSON lines.
      records: The first records, from which the names in JSON lines are taken.

    Raises:
      ManifestError: A template names a column that does not exist.
    """
    given = {field for field, _ in mapping.templates}
    if any(text and field in (END, DURATION) for field, text in mapping.templates):
        given |= {END, DURATION}
    records = list(records)
    names = list(header) if header is not None else list(dict.fromkeys(names_in(records)))
    bind = _Binder(names, None if header is not None else records)
    templates = tuple(
        (field, bind.template(field, text)) for field, text in mapping.templates if text
    )
    return BoundMapping(templates, frozenset(given))


class _Binder:
    def __init__(
        self, names: Sequence[str], records: Sequence[Mapping[str, object]] | None
    ) -> None:
        self._names = names
        self._records = records

    def template(self, field: str, text: str) -> Template:
        parts = parse_template(text)
        if len(parts) == 1 and isinstance(parts[0], str) and parts[0] == text:
            return self._bare(field, text)
        bound = tuple(
            part if isinstance(part, str) else self._placeholder(field, text, part)
            for part in parts
        )
        return Template(text, bound)

    def _bare(self, field: str, text: str) -> Template:
        """Returns a column of this name, or else a constant."""
        if len(text) > 1 and text[0] == text[-1] and text[0] in _QUOTES:
            return Template(text, (text[1:-1],))
        key = self._find(text)
        if key is not None:
            return Template(f"{{{key}}}", column_template(key).parts)
        near = self._near(text)
        if near or field == ID or (field == URI and not {"/", "."} & set(text)):
            hint = f"; nearest: {format_names(near)}" if near else ""
            raise ManifestError(
                f"--columns {field}={text}: there is no column {text} (there are:"
                f" {format_names(self._names)}{hint}); for the text itself write"
                f" {field}='{text}' with its quotes"
            )
        return Template(text, (text,))

    def _placeholder(self, field: str, text: str, part: Placeholder) -> Placeholder:
        whole = self._find(part.body)
        if whole is not None:
            return Placeholder(whole, (), part.body)
        key = self._find(part.column)
        if key is not None:
            return dataclasses.replace(part, column=key)
        near = self._near(part.column)
        hint = f"; nearest: {format_names(near)}" if near else ""
        raise ManifestError(
            f"--columns {field}={text}: there is no column {part.column} (there are:"
            f" {format_names(self._names)}{hint})"
        )

    def _find(self, name: str) -> str | None:
        if name in self._names:
            return name
        alike = [each for each in self._names if _folded(each) == _folded(name)]
        if len(alike) == 1:
            return alike[0]
        if self._records is None:
            return None
        if not self._records:  # an empty table refuses nothing
            return name
        part = Placeholder(name, (), name)
        is_there = any(find_value(record, part) is not None for record in self._records)
        return name if is_there else None

    def _near(self, name: str) -> list[str]:
        by_fold = {_folded(each): each for each in self._names[:_MAX_COMPARED]}
        near = difflib.get_close_matches(_folded(name), by_fold, n=3, cutoff=0.75)
        return [by_fold[each] for each in near]


def names_in(records: Iterable[Mapping[str, object]]) -> Iterable[str]:
    """Yields the names in records, with repetitions."""
    return (name for record in records for name in record)


def _folded(name: str) -> str:
    return name.strip().casefold()
