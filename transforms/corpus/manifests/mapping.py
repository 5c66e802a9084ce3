"""What the columns of a table mean, as its user or a known layout says."""

import dataclasses
import re
from collections.abc import Iterable

from transforms.corpus.manifests.errors import ManifestError
from transforms.corpus.manifests.templates import parse_template

URI, ID, START, END, DURATION = "uri", "id", "start", "end", "duration"
LABELS, SPLIT, CHANNEL = "labels", "split", "channel"
FORMAT, SAMPLE_RATE, CHANNELS = "format", "sample_rate", "channels"
FIELDS = (
    *(URI, ID, START, END, DURATION, LABELS, SPLIT, CHANNEL),
    *(FORMAT, SAMPLE_RATE, CHANNELS),
)
_OTHER_NAMES = {"start_seconds": START, "end_seconds": END, "duration_seconds": DURATION}
FIELD_NAMES = (*FIELDS, *_OTHER_NAMES)
_NEXT_FIELD = re.compile(rf",\s*(?=(?:{'|'.join(FIELD_NAMES)})\s*=)")


@dataclasses.dataclass(frozen=True)
class ColumnMapping:
    """What the columns of a table mean, where their names do not say it.

    Attributes:
      templates: Field, one of `FIELDS`, and the template of its value. An empty template means that
        no column has the field. Several templates of `labels` give all their labels.
      header: Names of the columns of a table without a header; empty for a table with one.
      rest_in_last: Whether further cells of a row belong to the last column, as a list.

    Raises:
      ManifestError: A field or template is invalid, or two of them exclude each other.

    Example:
      >>> ColumnMapping.of(["uri={fname}.wav", "labels=category"]).templates
      (('uri', '{fname}.wav'), ('labels', 'category'))
    """

    templates: tuple[tuple[str, str], ...] = ()
    header: tuple[str, ...] = ()
    rest_in_last: bool = False

    def __post_init__(self) -> None:
        given = [field for field, _ in self.templates]
        for field, text in self.templates:
            if field not in FIELDS:
                raise ManifestError(f"{field!r} is no field (allowed: {', '.join(FIELDS)})")
            if field != LABELS and given.count(field) > 1:
                raise ManifestError(f"{field} is given twice")
            try:
                parse_template(text)
            except ManifestError as error:
                raise ManifestError(f"{field}={text}: {error}") from error
        if {END, DURATION} <= {field for field, text in self.templates if text}:
            raise ManifestError("end and duration exclude each other")
        if len(set(self.header)) < len(self.header) or not all(map(str.strip, self.header)):
            raise ManifestError("the columns of a table without a header need different names")

    @classmethod
    def of(cls, texts: Iterable[str], header: Iterable[str] = ()) -> "ColumnMapping":
        """Returns the mapping of texts such as `uri={fname}.wav` or `uri=file,labels=category`.

        Args:
          texts: `FIELD=TEMPLATE`; several in one text are separated by commas.
          header: Names of columns; several in one text are separated by commas.

        Raises:
          ManifestError: A text is invalid; the message says what is allowed.
        """
        pairs = [pair for text in texts for pair in _NEXT_FIELD.split(text)]
        names = [name.strip() for text in header for name in text.split(",")]
        return cls(tuple(map(_parse_pair, pairs)), tuple(names))

    def over(self, base: "ColumnMapping") -> "ColumnMapping":
        """Returns a base mapping with the fields of this one in place of its own."""
        mine = {field for field, _ in self.templates}
        given = {field for field, text in self.templates if text}
        if given & {END, DURATION}:  # they exclude each other
            mine |= {END, DURATION}
        kept = [pair for pair in base.templates if pair[0] not in mine]
        return ColumnMapping(
            (*self.templates, *kept),
            self.header or base.header,
            self.rest_in_last or base.rest_in_last,
        )


NO_MAPPING = ColumnMapping()


def _parse_pair(text: str) -> tuple[str, str]:
    name, equals, template = text.partition("=")
    field = _OTHER_NAMES.get(name.strip().casefold(), name.strip().casefold())
    if not equals or field not in FIELDS:
        raise ManifestError(f"{text!r} (allowed: FIELD=TEMPLATE with FIELD {', '.join(FIELDS)})")
    return field, template.strip()
