"""Listing of the recordings and packed files of an input: a file, a folder or a glob.

A clip's id is its path relative to the input's root, with `/`. The root is the folder itself, the
part of a glob before its first special character, or the folder of a single file.
"""

import dataclasses
import glob
import itertools
import os
import posixpath
from collections.abc import Iterable, Iterator

from transforms.corpus.clips import Clip, Failure, printable
from transforms.packed.address import kind_of
from transforms.storage import files, spellings
from transforms.storage.globs import glob_root, is_glob
from transforms.storage.listing import files_below, files_matching, info_or_none
from transforms.storage.store import FileInfo

# Suffixes of audio and video, including formats that cannot be decoded: every file that is meant to
# be audio becomes a record or a line in the failure table.
_AUDIO_SUFFIXES = """
.3g2 .3ga .3gp .8svx .aa3 .aac .ac3 .adts .aif .aifc .aiff .al .alac .alaw .amr .ape .asf .au
.avi .avr .awb .bwf .caf .caff .dff .divx .dsf .dts .eac3 .f4a .f4b .f4v .flac .flv .g722 .g723
.g723_1 .g729 .gsm .htk .ircam .latm .loas .m1a .m2a .m2t .m2ts .m4a .m4b .m4r .m4v .mka .mkv
.mlp .mov .mp+ .mp1 .mp2 .mp3 .mp4 .mpc .mpeg .mpg .mpga .mts .mulaw .mxf .nist .nut .oga .ogg
.ogv .ogx .oma .opus .paf .pvf .qt .ra .rf64 .rm .sd2 .sds .shn .sln .sln12 .sln16 .sln192
.sln24 .sln32 .sln44 .sln48 .sln96 .snd .sph .spx .tak .truehd .tta .ul .ulaw .vob .voc .vox
.w64 .wav .wave .weba .webm .wma .wmv .wv .wve .xi .xwma
"""
AUDIO_SUFFIXES = frozenset(_AUDIO_SUFFIXES.split())
# Maximum number of links on a path. A few folders that link to each other make a huge tree.
MAX_LINKS = 4
HIDDEN = "hidden"
OTHER = "other"
_Identity = tuple[int, int]  # device and inode


@dataclasses.dataclass(frozen=True)
class Shard:
    """A packed file, whose members are recordings.

    Attributes:
      id: Its path below the input's root, which the ids of its members begin with.
      uri: Its path or URL.
      kind: One of `address.KINDS`.
      is_named: Whether it was named itself or by a glob; one of a folder may hold no audio.
    """

    id: str
    uri: str
    kind: str
    is_named: bool = False


Listed = Clip | Failure | Shard
"""What a listing finds, besides files that it skips."""


@dataclasses.dataclass(frozen=True)
class SkippedFile:
    """A file of a folder that is not a recording.

    Attributes:
      why: `HIDDEN` (its name or that of a folder above starts with a dot) or `OTHER` (its suffix).
    """

    why: str


def list_input(path: str, limit: int | None = None) -> Iterator[Listed | SkippedFile]:
    """Lists the recordings and packed files of an input: a file, a folder, or else a glob.

    Of a path that matches nothing, the only other reading that does is listed.

    Args:
      path: Absolute path, URL or glob.
      limit: Maximum number of files listed on a storage; None for no limit.

    Raises:
      OSError: The storage failed. An absent input yields nothing.
    """
    found = _list_exactly(path, limit)
    first = next(found, None)
    if first is not None:
        yield first
        yield from found
    elif (reading := spellings.find_input(path)) is not None:
        yield from _list_exactly(reading, limit)


def _list_exactly(path: str, limit: int | None) -> Iterator[Listed | SkippedFile]:
    return _list_local(path) if files.is_local(path) else _list_remote(path, limit)


def _list_local(path: str) -> Iterator[Listed | SkippedFile]:
    if os.path.isdir(path):
        yield from list_folder(path)
    elif os.path.lexists(path):
        yield _named_clip(os.path.dirname(path), path)
    else:
        root = glob_root(path)
        for each in glob.iglob(path, recursive=True):
            if not os.path.isdir(each) or is_named_like_audio(each):
                yield _named_clip(root, each)


def _list_remote(path: str, limit: int | None) -> Iterator[Clip | Shard | SkippedFile]:
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


def _named_clip(root: str, path: str, num_bytes: int | None = None) -> Clip | Shard:
    """Returns the clip of a file named by path or glob, whatever its suffix, or a packed file."""
    name = printable(_name_below(root, path))
    kind = kind_of(path)
    return Clip(name, path, num_bytes=num_bytes) if kind is None else Shard(name, path, kind, True)


def _name_below(root: str, path: str) -> str:
    return path.removeprefix(root).replace(os.sep, "/").lstrip("/")


def list_folder(folder: str) -> Iterator[Listed | SkippedFile]:
    """Walks a local folder, following links to folders.

    Args:
      folder: Path of the folder, which must exist.

    Yields:
      In no order: clips; packed files; skipped files; and failures for folders that cannot be read,
      for links to a folder that contains them, and for folders named like recordings, which are
      walked anyway.
    """
    # A stack, not recursion: a tree may be deeper than Python's call stack.
    pending: list[tuple[str, str, frozenset[_Identity], int]] = [(folder, "", frozenset(), 0)]
    while pending:
        path, prefix, above, num_links = pending.pop()
        try:
            status = os.stat(path)
            identity = (status.st_dev, status.st_ino)
            if identity in above:
                yield _unreadable(prefix.rstrip("/"), path, "a link to a folder that contains it")
                continue
            if num_links > MAX_LINKS:
                why = f"more than {MAX_LINKS} links to folders on this path"
                yield _unreadable(prefix.rstrip("/"), path, why)
                continue
            with os.scandir(path) as entries:
                for entry in entries:
                    name = prefix + entry.name
                    if entry.name.startswith("."):
                        yield SkippedFile(HIDDEN)
                        continue
                    if not _is_folder(entry):
                        yield _clip_or_skipped(name, entry.path)
                        continue
                    if is_named_like_audio(entry.name):
                        why = "a folder named like a recording"
                        yield _unreadable(name, entry.path, why)
                    below = num_links + entry.is_symlink()
                    pending.append((entry.path, name + "/", above | {identity}, below))
        except OSError as error:
            yield _unreadable(prefix.rstrip("/") or ".", path, error.strerror or str(error))


def list_files(root: str, infos: Iterable[FileInfo]) -> Iterator[Clip | Shard | SkippedFile]:
    """Sorts the files of a folder on a storage into recordings, packed and skipped files.

    Args:
      root: Path of the folder, with a trailing slash.
      infos: All files in it and its subfolders.
    """
    for info in infos:
        name = _name_below(root, info.path)
        if any(part.startswith(".") for part in name.split("/")):
            yield SkippedFile(HIDDEN)
        else:
            yield _clip_or_skipped(name, info.path, info.num_bytes)


def _clip_or_skipped(
    name: str, path: str, num_bytes: int | None = None
) -> Clip | Shard | SkippedFile:
    if is_named_like_audio(name):
        return Clip(printable(name), path, num_bytes=num_bytes)
    kind = kind_of(name)
    return SkippedFile(OTHER) if kind is None else Shard(printable(name), path, kind)


def is_named_like_audio(name: str) -> bool:
    """Returns whether a file has a suffix of audio or video."""
    return posixpath.splitext(name)[1].lower() in AUDIO_SUFFIXES


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a broken link, which fails when it is opened
        return False


def _unreadable(name: str, path: str, why: str) -> Failure:
    return Failure(printable(name), path, "list", "unreadable", why)
