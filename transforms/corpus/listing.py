"""From an `--input` to the recordings below it.

An input is a file, a folder or a glob. A clip's id is its path relative to the input's root,
with `/`: the folder itself, the part of a glob before its first special character, the folder
that holds a single file.
"""

import dataclasses
import glob
import itertools
import os
import posixpath
from collections.abc import Iterable, Iterator

from transforms.corpus.clips import Clip, Failure, printable
from transforms.storage import files
from transforms.storage.globs import glob_root, is_glob
from transforms.storage.listing import files_below, files_matching, info_or_none
from transforms.storage.store import FileInfo

# Audio and video containers by suffix, those included that cannot be decoded: a file that is
# meant to be sound gets a record or a line in the failure table.
_AUDIO_SUFFIXES = """
.3g2 .3ga .3gp .8svx .aac .ac3 .adts .aif .aifc .aiff .alac .amr .ape .asf .au .avi .awb
.caf .dts .eac3 .f4a .f4v .flac .flv .g722 .gsm .htk .m2ts .m4a .m4b .m4v .mka .mkv .mov
.mp1 .mp2 .mp3 .mp4 .mpc .mpeg .mpg .mpga .mts .nist .oga .ogg .ogv .ogx .opus .paf .qt .ra
.rf64 .rm .sd2 .shn .snd .spx .sph .tta .voc .vob .w64 .wav .wave .weba .webm .wma .wmv .wv
.wve .xi
"""
AUDIO_SUFFIXES = frozenset(_AUDIO_SUFFIXES.split())
# On the way to a file. A few folders that all link to each other would be a tree without end.
MAX_LINKS = 4
HIDDEN = "hidden"
OTHER = "other"
_Identity = tuple[int, int]  # device and inode


@dataclasses.dataclass(frozen=True)
class SkippedFile:
    """A file of a folder that is no recording.

    Attributes:
      why: `HIDDEN` (it or a folder above it begins with a dot) or `OTHER` (its suffix).
    """

    why: str


def list_input(path: str, limit: int | None = None) -> Iterator[Clip | Failure | SkippedFile]:
    """Lists the recordings of an input: a file, a folder, or else a glob.

    Args:
      path: Absolute.
      limit: Number of files after which the listing of a storage may end.

    Raises:
      OSError: The storage does not answer or refuses. An absent input gives nothing.
    """
    if files.is_local(path):
        yield from _list_local(path)
    else:
        yield from _list_remote(path, limit)


def _list_local(path: str) -> Iterator[Clip | Failure | SkippedFile]:
    if os.path.isdir(path):
        yield from list_folder(path)
    elif os.path.lexists(path):
        yield _named_clip(os.path.dirname(path), path)
    else:
        root = glob_root(path)
        for each in glob.iglob(path, recursive=True):
            if not os.path.isdir(each) or is_named_like_audio(each):
                yield _named_clip(root, each)


def _list_remote(path: str, limit: int | None) -> Iterator[Clip | SkippedFile]:
    info = None if path.endswith("/") else info_or_none(path)
    if info is not None:
        yield _named_clip(path[: path.rfind("/") + 1], path, info.num_bytes)
        return
    inside = itertools.islice(files_below(path), limit)
    first = next(inside, None)
    if first is not None or not is_glob(path):
        found = itertools.chain([first] if first else [], inside)
        yield from list_files(path.rstrip("/") + "/", found)
        return
    root = glob_root(path)
    for info in itertools.islice(files_matching(path), limit):
        yield _named_clip(root, info.path, info.num_bytes)


def _named_clip(root: str, path: str, num_bytes: int | None = None) -> Clip:
    """Returns a clip of a file that the user named by path or glob, whatever its suffix."""
    return Clip(printable(_name_below(root, path)), path, num_bytes=num_bytes)


def _name_below(root: str, path: str) -> str:
    return path.removeprefix(root).replace(os.sep, "/").lstrip("/")


def list_folder(folder: str) -> Iterator[Clip | Failure | SkippedFile]:
    """Walks a folder of this machine, links to folders included.

    Args:
      folder: Must exist.

    Yields:
      In no order: clips; failures for what cannot be looked into, for links that lead
      back to a folder above them, and for folders named like recordings (these are walked
      all the same); and what is left out.
    """
    # A stack, not recursion: a tree may be deeper than Python's own stack.
    pending: list[tuple[str, str, frozenset[_Identity], int]] = [(folder, "", frozenset(), 0)]
    while pending:
        path, prefix, above, num_links = pending.pop()
        try:
            status = os.stat(path)
            identity = (status.st_dev, status.st_ino)
            if identity in above:
                yield _unreadable(prefix.rstrip("/"), path, "a link to a folder that it is in")
                continue
            if num_links > MAX_LINKS:
                why = f"more than {MAX_LINKS} links to folders lead here"
                yield _unreadable(prefix.rstrip("/"), path, why)
                continue
            with os.scandir(path) as entries:
                for entry in entries:
                    name = prefix + entry.name
                    if entry.name.startswith("."):
                        yield SkippedFile(HIDDEN)
                        continue
                    if not _is_folder(entry):
                        yield _sorted_out(name, entry.path)
                        continue
                    if is_named_like_audio(entry.name):
                        why = "a folder that is named like a recording"
                        yield _unreadable(name, entry.path, why)
                    below = num_links + entry.is_symlink()
                    pending.append((entry.path, name + "/", above | {identity}, below))
        except OSError as error:
            yield _unreadable(prefix.rstrip("/") or ".", path, error.strerror or str(error))


def list_files(root: str, infos: Iterable[FileInfo]) -> Iterator[Clip | SkippedFile]:
    """Sorts the files of a folder on a storage into recordings and skipped files.

    Args:
      root: The folder, with a slash at its end.
      infos: All files below it.
    """
    for info in infos:
        name = _name_below(root, info.path)
        if any(part.startswith(".") for part in name.split("/")):
            yield SkippedFile(HIDDEN)
        else:
            yield _sorted_out(name, info.path, info.num_bytes)


def _sorted_out(name: str, path: str, num_bytes: int | None = None) -> Clip | SkippedFile:
    if not is_named_like_audio(name):
        return SkippedFile(OTHER)
    return Clip(printable(name), path, num_bytes=num_bytes)


def is_named_like_audio(name: str) -> bool:
    """Tells whether a file's suffix is one of audio or video."""
    return posixpath.splitext(name)[1].lower() in AUDIO_SUFFIXES


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads nowhere or to itself: opening it will say what is wrong
        return False


def _unreadable(name: str, path: str, why: str) -> Failure:
    return Failure(printable(name), path, "list", "unreadable", why)
