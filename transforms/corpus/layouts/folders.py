"""Recordings of an input whose path says what they are: labels, split and id."""

import dataclasses
import posixpath
from typing import TypeVar

from transforms.corpus.clips import Clip, Failure
from transforms.corpus.layouts.catalogue import FolderLayout, Layout, expression, layouts
from transforms.corpus.manifests.mapping import ID, LABELS, SPLIT, ColumnMapping
from transforms.corpus.manifests.templates import ConversionError, Template, parse_template
from transforms.packed import address

_Found = TypeVar("_Found")


@dataclasses.dataclass(frozen=True)
class FolderOptions:
    """What the paths of recordings below an input say.

    Attributes:
      layout: Name of a layout with folders; None for none.
      labels_from_folders: Whether the folder of a recording is its label, if it has no other.
    """

    layout: str | None = None
    labels_from_folders: bool = False

    def applied(self, found: _Found) -> _Found | Clip | Failure:
        """Returns a clip with what its path says; a failure if its path is not of the layout.

        Args:
          found: A clip of an input, whose id is its path below the input; anything else is returned
            as it is.
        """
        if not isinstance(found, Clip):
            return found
        if self.layout is not None:
            return _laid_out(found, layouts()[self.layout])
        if self.labels_from_folders and not found.labels:
            return dataclasses.replace(found, labels=_folder_labels(found))
        return found


NO_OPTIONS = FolderOptions()


def _folder_labels(clip: Clip) -> tuple[str, ...]:
    """Returns the folder that holds a recording, as labels; none if there is none."""
    packed = address.parse(clip.uri)
    path = clip.id if packed is None else packed.member
    return tuple(path.split("/")[-2:-1])


def _path_below_input(clip: Clip) -> str:
    """Returns the path that a member has where its archive is unpacked beside itself."""
    packed = address.parse(clip.uri)
    inside = f"/{packed.member}" if packed else ""
    if not inside or not clip.id.endswith(inside):
        return clip.id
    return posixpath.join(posixpath.dirname(clip.id.removesuffix(inside)), inside[1:])


def _laid_out(clip: Clip, layout: Layout) -> Clip | Failure:
    path = _path_below_input(clip)
    for folder in layout.folders:
        match = expression(folder.path).fullmatch(path)
        if match:
            return _with_columns(clip, folder, match.groupdict(""))
    shown = " or ".join(folder.shown for folder in layout.folders)
    message = f"the path below the input is not as in the layout {layout.name}: {shown}"
    return clip.failure("list", "invalid_row", message)


def _with_columns(clip: Clip, folder: FolderLayout, record: dict[str, str]) -> Clip | Failure:
    values: dict[str, str] = {}
    labels: list[str] = []
    try:
        for field, text in ColumnMapping.of(folder.columns).templates:
            value = str(Template(text, parse_template(text)).value(record) or "")
            if field == LABELS:
                labels += [value] if value else []
            else:
                values[field] = value
    except ConversionError as error:
        return clip.failure("list", "invalid_row", str(error))
    return dataclasses.replace(
        clip,
        id=values.get(ID) or clip.id,
        split=values.get(SPLIT) or clip.split,
        labels=tuple(dict.fromkeys(labels)) or clip.labels,
        recording=clip.recording or clip.id,
    )
