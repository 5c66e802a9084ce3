"""Names of packed files and addresses of the recordings in them.

A recording in a packed file has the uri `KIND://MEMBER::SHARD`, such as
`tar://dog.flac::/data/shard-000.tar`, as fsspec and Hugging Face write it. No file has such a path:
no storage has these schemes. In MEMBER, `%`, `:` and control characters are written as `%XX`.
"""

import posixpath
import re
import urllib.parse
from typing import NamedTuple

TAR, ZIP, PARQUET, TFRECORD = KINDS = ("tar", "zip", "parquet", "tfrecord")
# The suffixes of compressed tar and TFRecord files that Python can decompress.
COMPRESSIONS = {
    ".gz": "gz",
    ".tgz": "gz",
    ".bz2": "bz2",
    ".tbz2": "bz2",
    ".tbz": "bz2",
    ".xz": "xz",
    ".txz": "xz",
    ".zst": "zst",
    ".tzst": "zst",
}
_TAR_SUFFIXES = r"tar(\.(gz|bz2|xz|zst))?|tgz|tbz2?|txz|tzst"
_TFRECORD_SUFFIXES = r"tfrecords?(-\d+-of-\d+)?(\.(gz|bz2|xz|zst))?"
_NAMES = {
    TAR: re.compile(rf"(?is).*\.({_TAR_SUFFIXES})"),
    ZIP: re.compile(r"(?is).*\.zip"),
    PARQUET: re.compile(r"(?is).*\.parquet"),
    TFRECORD: re.compile(rf"(?is).*\.({_TFRECORD_SUFFIXES})"),
}
_URI = re.compile(rf"(?s)({'|'.join(KINDS)})://(.*?)::(.+)")
_SPECIAL = re.compile(r"[%:\x00-\x1f\x7f]")


class Address(NamedTuple):
    """The address of a recording in a packed file.

    Attributes:
      kind: One of `KINDS`.
      member: Name of the member; the number of its row or record, from 0, where it has no name.
      shard: Path or URL of the packed file.
    """

    kind: str
    member: str
    shard: str

    @property
    def uri(self) -> str:
        """The recording's uri."""
        quoted = _SPECIAL.sub(lambda character: f"%{ord(character[0]):02X}", self.member)
        return f"{self.kind}://{quoted}::{self.shard}"


class Place(NamedTuple):
    """Where a recording lies in a packed file.

    Attributes:
      unit: Number of the part of the file that one task reads.
      start: Offset of the member in bytes; in a compressed file the number of the member, in a
        Parquet file that of the row in its row group, each from 0.
      packed_bytes: Size of the member in the file.
      num_bytes: Size of the recording; 0 if it is unknown.
    """

    unit: int
    start: int
    packed_bytes: int = 0
    num_bytes: int = 0


def parse(uri: str) -> Address | None:
    """Returns the address in a uri; None for the uri of any other file."""
    match = _URI.fullmatch(uri)
    if match is None:
        return None
    member = urllib.parse.unquote(match[2], errors="surrogateescape")
    return Address(match[1], member, match[3])


def kind_of(name: str) -> str | None:
    """Returns the kind of a packed file, by its name; None for any other file."""
    base = posixpath.basename(name)
    return next((kind for kind, pattern in _NAMES.items() if pattern.fullmatch(base)), None)


def compression_of(name: str) -> str | None:
    """Returns the compression of a tar or TFRecord file by its suffix; None without one."""
    return COMPRESSIONS.get(posixpath.splitext(name)[1].lower())


def suffix_of(uri: str) -> str:
    """Returns the suffix of a recording's name, in lower case and with the dot."""
    address = parse(uri)
    return posixpath.splitext(address.member if address else uri)[1].strip().lower()
