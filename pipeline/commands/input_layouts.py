"""Refusal of inputs whose paths do not say what is asked of them."""

import itertools
import sys

from pipeline.errors import UsageError
from transforms.corpus import packed
from transforms.corpus.clips import Clip, Failure, printable
from transforms.corpus.layouts.folders import NO_OPTIONS, FolderOptions

_NUM_CHECKED = 20


def check_paths(path: str, options: FolderOptions) -> None:
    """Checks the paths of an input's first recordings, and prints how the first one is read.

    Args:
      path: The input.
      options: What the paths are to say.

    Raises:
      UsageError: None of them is as in the layout, or none has a folder whose name is its label.
    """
    if options == NO_OPTIONS:
        return
    label = f"--input={printable(path)}"
    try:
        listed = (found for found in packed.list_recordings(path) if isinstance(found, Clip))
        clips = list(itertools.islice(listed, _NUM_CHECKED))
    except OSError as error:
        raise UsageError(f"{label}: cannot be listed: {error}") from error
    applied = [options.applied(clip) for clip in clips]
    faults = [found for found in applied if isinstance(found, Failure)]
    if clips and len(faults) == len(clips):
        raise UsageError(f"{label}: {clips[0].id}: {faults[0].message}")
    if options.labels_from_folders and clips and not any("/" in clip.id for clip in clips):
        raise UsageError(
            f"{label}: its recordings are in no folder below it, whose name would be their label:"
            " pass the folder above"
        )
    clip = next((found for found in applied if isinstance(found, Clip)), None)
    if clip is not None:
        read_as = f"the layout {options.layout}" if options.layout else "folders with labels"
        print(f"input     {printable(path)}: read as {read_as}", file=sys.stderr)
        labels = " ".join(clip.labels) or "none"
        split = f", split {clip.split}" if clip.split else ""
        name = clip.id if clip.id.isprintable() else repr(clip.id)
        print(f"  first     {name}: labels {labels}{split}", file=sys.stderr)
