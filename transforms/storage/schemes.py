"""The schemes of paths, such as `gs://`, and misspelt ones."""

import difflib
import os
import re
import urllib.parse

OWN_SCHEMES = ("gs", "s3", "https", "http")
_ALIASES = {"gcs": "gs", "gc": "gs", "google": "gs", "s3a": "s3", "s3n": "s3", "aws": "s3"}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):/+")
_FILE_URL = re.compile(r"(?is)file:(?://(?P<host>[^/]*)|(?!//))(?P<path>/.*)")


def is_local(path: str) -> bool:
    """Tells whether a path is on this machine."""
    return "://" not in path


def without_file_url(path: str) -> str:
    """Returns the path in a `file:` URL of this machine; any other path or URL as it is.

    Percent signs are decoded unless only the file with exactly these characters exists: many
    programs write `file://` in front of a path and no more. Blanks before a scheme are dropped.
    """
    stripped = path.lstrip()
    if _SCHEME.match(stripped):
        path = stripped
    match = _FILE_URL.fullmatch(path)
    if match is None or (match["host"] or "localhost").lower() != "localhost":
        return path
    written = match["path"]
    decoded = urllib.parse.unquote(written, errors="surrogateescape")
    is_literal = not os.path.lexists(decoded) and os.path.lexists(written)
    return written if is_literal else decoded


def file_url_host(path: str) -> str | None:
    """Returns the other machine that a `file:` URL names; None for any other path."""
    if path[:7].lower() != "file://" or without_file_url(path) != path:
        return None
    return path[7:].partition("/")[0]


def absolute(path: str) -> str:
    """Returns a path that means the same in every process, without `file:`."""
    path = without_file_url(path)
    # Whoever uses a misspelt one refuses it.
    return path if not is_local(path) or is_misspelt(path) else os.path.abspath(path)


def scheme_of(path: str) -> str:
    """Returns the part of a path before `://`."""
    return path.partition("://")[0]


def is_misspelt(path: str) -> bool:
    """Tells whether a path such as `S3:/bucket` looks like a scheme and is no folder here."""
    match = _SCHEME.match(path)
    return match is not None and is_local(path) and not os.path.lexists(f"{match[1]}:")


def check_scheme(path: str) -> None:
    """Refuses a path with an unknown or misspelt scheme.

    Raises:
      OSError: It names the nearest scheme.
    """
    if is_misspelt(path):
        scheme = path.partition(":")[0]
        raise OSError(f"there is no folder {scheme}:{_hint(scheme, always=True)}")
    host = file_url_host(path)
    if host is not None:
        raise OSError(f"{path} names a file of the machine {host!r} (allowed: file:///PATH)")
    scheme = scheme_of(path)
    if not is_local(path) and scheme not in OWN_SCHEMES and scheme not in _beam_schemes():
        raise OSError(f"no storage is known for {scheme}://{_hint(scheme)}")


def _hint(scheme: str, always: bool = False) -> str:
    known = list(dict.fromkeys([*OWN_SCHEMES, *_beam_schemes()]))
    lower = scheme.lower()
    near = [_ALIASES.get(lower, lower)]
    if near[0] not in known:
        near = difflib.get_close_matches(lower, known, n=2, cutoff=0.5)
    if near and (near[0] != scheme or always):
        return f"; did you mean {' or '.join(f'{each}://' for each in near)}?"
    return f" (there are: {', '.join(f'{each}://' for each in OWN_SCHEMES)})"


def _beam_schemes() -> list[str]:
    from apache_beam.io.filesystem import FileSystem  # takes a second

    return [each.scheme() for each in FileSystem.get_all_subclasses() if each.scheme()]
