"""Labels of recordings in packed files: from files beside them, columns and features."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from transforms.corpus.manifests.label_lists import check_no_vector, parse_list
from transforms.packed.columns import find_labels

# Suffixes of the files that WebDataset writes beside a recording, the first that is there counts.
CLS, JSON, TEXT = SIDECAR_SUFFIXES = (".cls", ".json", ".txt")
MAX_SIDECAR_BYTES = 2**16
_MAX_LABEL_CHARACTERS = 1_000
# A text of several words is a caption or a transcript.
_MAX_WORD_CHARACTERS = 64


class LabelsError(ValueError):
    """Labels that are not understood; the message says why."""


def labels_beside(contents: Mapping[str, bytes]) -> tuple[tuple[str, ...], str]:
    """Returns the labels in the files beside a recording, and the suffix of the one that counts.

    A `.cls` is one class. A `.json` has labels below one of `LABEL_NAMES`. A `.txt` is a label if
    it is one word; longer texts are captions or transcripts.

    Args:
      contents: First `MAX_SIDECAR_BYTES` and one more byte of the files, by suffix.

    Raises:
      LabelsError: A file is not understood.
    """
    for suffix in SIDECAR_SUFFIXES:
        if suffix not in contents:
            continue
        data = contents[suffix]
        if len(data) > MAX_SIDECAR_BYTES and suffix != TEXT:
            raise LabelsError(
                f"its {suffix} has more than {MAX_SIDECAR_BYTES} bytes, the most that are read"
            )
        labels = _READERS[suffix](data)
        if labels:
            return labels, suffix
    return (), ""


def labels_of_value(value: Any, names: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Returns the labels in a value: text, a whole number, a list of these, or one as text.

    Args:
      value: The value; None, NaN and empty ones have no labels.
      names: Names of the integers from 0, if they are known.

    Raises:
      LabelsError: The value is something else, or an integer has no name.
    """
    if value is None:
        return ()
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    if isinstance(value, bytes):
        value = _text(value)
    if isinstance(value, str):
        value = _printed_list(value)
    if isinstance(value, list | tuple):
        _refuse_vector(value, names)
        return tuple(dict.fromkeys(label for each in value for label in _label(each, names)))
    return tuple(_label(value, names))


def _refuse_vector(values: Sequence[Any], names: tuple[str, ...]) -> None:
    try:
        if not names and not any(isinstance(each, bool) for each in values):
            check_no_vector(list(map(str, values)))
    except ValueError as error:
        raise LabelsError(f"labels {values!r:.100} {error}") from error


def _printed_list(text: str) -> str | list[str]:
    """Returns the items of a list such as `["dog", "cat"]`; any other text as it is."""
    try:
        items = parse_list(text.strip())
    except ValueError as error:
        raise LabelsError(f"labels {text!r:.100} {error}") from error
    return text if items is None else items


def _label(value: Any, names: tuple[str, ...]) -> Iterable[str]:
    if value is None:
        return ()
    if isinstance(value, bytes):
        value = _text(value)
    if isinstance(value, float):
        if math.isnan(value):
            return ()
        # Data frames write integers beside missing values as 1.0.
        value = int(value) if value.is_integer() else value
    if isinstance(value, int) and not isinstance(value, bool):
        if not names:
            return (str(value),)
        if value == -1:  # as Hugging Face writes a missing class
            return ()
        if not 0 <= value < len(names):
            raise LabelsError(f"the label {value} is not one of the {len(names)} classes")
        return (names[value],)
    if not isinstance(value, str):
        raise LabelsError(f"a label is {value!r:.100} (allowed: text, integers, lists of these)")
    label = value.strip()
    if len(label) > _MAX_LABEL_CHARACTERS:
        raise LabelsError(f"a label has {len(label)} characters (up to {_MAX_LABEL_CHARACTERS})")
    if "\0" in label or not _is_valid(label):
        raise LabelsError(f"a label is not valid Unicode: {label!a:.100}")
    return (label,) if label else ()


def _is_valid(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise LabelsError(f"a label is not UTF-8: {data[:40]!r}") from error


def _of_class(data: bytes) -> tuple[str, ...]:
    text = _text(data)
    if "\n" in text:
        raise LabelsError("its .cls has several lines (allowed: one class)")
    return labels_of_value(text)


def _of_json(data: bytes) -> tuple[str, ...]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise LabelsError(f"its .json cannot be parsed: {error}"[:200]) from error
    if not isinstance(value, dict):
        return ()
    key = find_labels(value)
    try:
        return () if key is None else labels_of_value(value[key])
    except LabelsError as error:
        raise LabelsError(f"the key {key!r} of its .json: {error}") from error


def _of_text(data: bytes) -> tuple[str, ...]:
    try:
        text = _text(data[: MAX_SIDECAR_BYTES + 1])
    except LabelsError:
        return ()
    is_word = len(text) <= _MAX_WORD_CHARACTERS and len(text.split()) == 1 and "\0" not in text
    return (text,) if is_word else ()


_READERS = {CLS: _of_class, JSON: _of_json, TEXT: _of_text}
