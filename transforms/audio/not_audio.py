"""Names of files that are not audio, for the messages about files that no decoder takes.

Corpora contain web pages saved under the names of recordings, pointers of version control,
archives, playlists, encrypted files. Their first bytes tell what they are, and often what to do.
"""

import codecs
import re
import struct
import unicodedata

import google_crc32c

from transforms.audio.signatures import AUDIO_MAGICS, DECRYPT, DOWNLOAD, SIGNATURES, UNPACK

# Number of bytes at the beginning of a file that `describe` makes use of.
NUM_BYTES = 4_096
# The objects of ASF that hold keys (Windows Media DRM), and the boxes of MP4's encrypted streams.
_ASF = b"0&\xb2u\x8ef\xcf\x11"
_ASF_ENCRYPTION = (
    bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e"),
    bytes.fromhex("14e68a292226174cb935dae07ee9289c"),
)
_MP4_ENCRYPTION = (b"drms", b"enca")
_LIST_ITS_FILES = "list the files that it names"
# What follows the zeros of a file whose first bytes were lost.
_MARKS = re.compile(rb"WAVE|AIF[FC]|fmt |OggS|fLaC|ftyp|moov|ID3")
_MIN_ZEROS = 16
# Kinds of text, by what it begins with: name and hint.
_AUDIO_SUFFIXES = "wav|mp3|flac|ogg|oga|opus|m4a|aac|wma|aiff?|mp4|webm"
_TEXTS = (
    (r"version https://(git-lfs|hawser)\b", "a git-lfs pointer", "fetch the file: git lfs pull"),
    (r"\S*[/\\]?annex[/\\]objects[/\\]", "a git-annex pointer", "fetch the file: git annex get"),
    (r"\S*\.git/annex/", "a git-annex pointer", "fetch the file: git annex get"),
    (r"outs:\s+- +(md5|hash|etag)", "a DVC pointer", "fetch the file: dvc pull"),
    (r"HTTP/\d(\.\d)? \d{3}", "a saved HTTP response", DOWNLOAD),
    (r"#EXTM3U", "a playlist (M3U), not audio", _LIST_ITS_FILES),
    (r"\[playlist\]", "a playlist (PLS), not audio", _LIST_ITS_FILES),
    (r"\[Reference\]|ASF ", "a playlist (ASX), not audio", _LIST_ITS_FILES),
    (r"WEBVTT\b", "subtitles (WebVTT), not audio", ""),
    (r"\d+\s*\n\d+:\d\d:\d\d[,.]\d+ +-->", "subtitles (SubRip), not audio", ""),
    (r"\[Script Info\]", "subtitles (SSA), not audio", ""),
    (r"(\[[a-z]+:[^\]\n]*\]\s*)*\[\d\d:\d\d([.:]\d+)?\]", "lyrics or times (LRC), not audio", ""),
    (r'File type = "ooTextFile', "annotations of Praat (as a TextGrid), not audio", ""),
    (r'"ooTextFile', "annotations of Praat (as a TextGrid), not audio", ""),
    (r"\{\\rtf", "an RTF document", ""),
    (r"(?s)-----BEGIN (PGP MESSAGE|AGE ENCRYPTED FILE)", "an encrypted file", DECRYPT),
    (r"U2FsdGVkX1", "a file encrypted by OpenSSL (as Base64)", DECRYPT),
    (r"-----BEGIN ", "a key, certificate or signature", ""),
    (
        r"(data:audio/|UklGR|T2dnUw|ZkxhQ|SUQz|//[uv])[A-Za-z0-9+/=;,-]{20}",
        "a sound file as Base64 text",
        "decode it first",
    ),
    (
        r"(Return-Path|Received|MIME-Version|Message-ID|From|Delivered-To): |From \S+@",
        "an e-mail",
        UNPACK,
    ),
    (r"Content-(Type|Disposition|Transfer-Encoding): ", "a MIME message", UNPACK),
    (r"#!.*\b(sh|bash|python3?|perl|env)\b", "a script", ""),
)
_MAGICS = {
    offset: tuple(magic for at, magic, *_ in SIGNATURES if at == offset)
    for offset in sorted({at for at, *_ in SIGNATURES})
}
_JSON = re.compile(r'\{\s*["}]|\[\s*([{"\[\]]|-?\d[\d.eE+-]*\s*[,\]]|true\b|false\b|null\b)')
_CUE = re.compile(r"(?m)^[ \t]*FILE .*\n(.*\n)?[ \t]*TRACK \d")
_FILE_NAME = re.compile(rf"(?i).*\.({_AUDIO_SUFFIXES})(\?\S*)?")
_HTML = re.compile(
    r"(?i)<(!doctype\s+html|(html|head|body|title|script|meta|link|style|div|span|p|a|br|hr|center"
    r"|table|iframe|h[1-6])[\s>/])"
)
_LEADING_MARKUP = re.compile(r"(?is)\s*(<!--.*?-->|<\?xml.*?\?>|<!doctype(?!\s+html\b)[^>]*>)")
_XML_KINDS = {
    "svg": "an SVG image",
    "rss": "an RSS feed",
    "feed": "an Atom feed",
    "playlist": "a playlist (XSPF), not audio",
    "asx": "a playlist (ASX), not audio",
    "smil": "a playlist (SMIL), not audio",
    "mpd": "a streaming playlist (DASH), not audio",
    "plist": "a property list of Apple",
    "audacityproject": "an Audacity project (export its sound)",
    "score-partwise": "a score (MusicXML): notes, not audio",
}


def describe(beginning: bytes, size: int) -> str | None:
    """Describes a file that is not audio.

    To be used where no decoder takes the file, or what one makes of it is nonsense.

    Args:
      beginning: First `NUM_BYTES` of the file, or all of a shorter one.
      size: Number of bytes of the file.

    Returns:
      What the file is, and a hint where there is one, as in "the file is a git-lfs pointer (fetch
      the file: git lfs pull)"; None for a file that may be audio, and for an unknown one.
    """
    if not beginning:
        return None
    name, hint = (
        _by_signature(beginning, size)
        or _by_encryption(beginning)
        or _by_zeros(beginning, size)
        or _by_records(beginning, size)
        or _by_text(beginning, size)
        or ("", "")
    )
    if not name:
        return None
    return f"the file is {name} ({hint})" if hint else f"the file is {name}"


def _by_signature(data: bytes, size: int) -> tuple[str, str] | None:
    # Most files are audio: the first question, for all at once, costs a twentieth.
    if any(data.startswith(magics, offset) for offset, magics in _MAGICS.items()):
        for offset, magic, name, hint in SIGNATURES:
            if data.startswith(magic, offset):
                return _zip_kind(data) if magic == b"PK\x03\x04" else (name, hint)
    if b"%PDF-" in data[:1_024] and not data.startswith(AUDIO_MAGICS):
        return "a PDF document", ""
    if (
        data[:2] == b"BM"
        and data[6:10] == bytes(4)
        and data[14:18] in (b"\x28\0\0\0", b"\x7c\0\0\0")
    ):
        return "a BMP image", ""
    if len(data) >= 512 and _is_tar(data[:512]):
        return "a tar archive", UNPACK
    return None


def _zip_kind(data: bytes) -> tuple[str, str]:
    """Tells by the name of its first file what a ZIP archive is."""
    length = int.from_bytes(data[26:28], "little")
    name = data[30 : 30 + length].decode("utf-8", "replace")
    if data[6:7] and data[6] & 1:
        return "an encrypted ZIP archive", "unpack it first, with its password"
    if name.endswith(".npy"):
        return "an archive of NumPy arrays (.npz)", "write its samples as WAV"
    if name.startswith(("word/", "xl/", "ppt/", "[Content_Types]", "mimetype")):
        return "an office document or e-book", ""
    if name.endswith("data.pkl"):
        return "a PyTorch file", "write its samples as WAV"
    return "a ZIP archive", f"unpack it first; it begins with {_excerpt(name)}" if name else UNPACK


def _is_tar(header: bytes) -> bool:
    """Returns whether the checksum of a header from before the `ustar` mark is right."""
    digits = header[148:156].strip(b" \0")
    if not re.fullmatch(rb"[0-7]{3,7}", digits) or not header[0]:
        return False
    return int(digits, 8) == sum(header[:148]) + sum(header[156:]) + 8 * ord(" ")


def _by_encryption(data: bytes) -> tuple[str, str] | None:
    if data.startswith(_ASF) and any(each in data for each in _ASF_ENCRYPTION):
        return "a Windows Media file with copy protection", DECRYPT
    if data[4:8] == b"ftyp" and b"sinf" in data and any(each in data for each in _MP4_ENCRYPTION):
        return "an MP4 file with copy protection", DECRYPT
    return None


def _by_zeros(data: bytes, size: int) -> tuple[str, str] | None:
    num_zeros = len(data) - len(data.lstrip(b"\0"))
    if num_zeros == size:
        return "nothing but zero bytes", "an interrupted download?"
    if num_zeros == len(data) and num_zeros:
        return f"nothing but zero bytes, at least the first {num_zeros}", "an interrupted download?"
    mark = _MARKS.search(data, num_zeros, num_zeros + 64) if num_zeros >= 4 else None
    if mark or num_zeros >= _MIN_ZEROS:
        return f"damaged: its first {num_zeros} bytes are zero, where a header should be", ""
    return None


def _by_records(data: bytes, size: int) -> tuple[str, str] | None:
    """Recognises a TFRecord file by the checksum of the first length, and an archive of Kaldi."""
    if len(data) >= 12:
        length, masked = struct.unpack("<QI", data[:12])
        crc = google_crc32c.value(data[:8])
        if masked == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF and length + 16 <= size:
            return "a TFRecord file", "extract the recordings from its records"
    if re.match(rb"[!-~]{1,200} (RIFF....WAVE|fLaC|\0B[FDC]M )", data, re.DOTALL):
        return "an archive of Kaldi", "extract the recordings from it"
    if re.match(rb"--[!-~]{1,70}\r?\nContent-", data):
        return "the upload of a web form", "extract the recording from it"
    return None


def _by_text(data: bytes, size: int) -> tuple[str, str] | None:
    text, encoding = _decode(data, is_cut=size > len(data))
    if not text:
        return None
    stripped = text.lstrip()
    if markup := _by_markup(stripped):
        return markup
    for pattern, name, hint in _TEXTS:
        if re.match(pattern, stripped):
            return name, hint
    if _CUE.search(stripped):
        return "a cue sheet, not audio", _LIST_ITS_FILES
    if _JSON.match(stripped):
        return f"JSON: {_excerpt(stripped)}", DOWNLOAD
    if not stripped:
        return "nothing but blanks", ""
    lines = [line.strip() for line in stripped.splitlines() if line.strip()]
    if size > len(data):
        lines.pop()  # it may be cut
    if lines and all(line.startswith("#") or _FILE_NAME.fullmatch(line) for line in lines):
        if len(lines) == 1:
            return f"a link or path as text: {_excerpt(lines[0])}", "name its target"
        return "a playlist or list of files, not audio", _LIST_ITS_FILES
    return f"text{encoding}: {_excerpt(stripped)}", ""


def _by_markup(text: str) -> tuple[str, str] | None:
    is_xml = text.startswith("<?xml")
    while leading := _LEADING_MARKUP.match(text):
        text = text[leading.end() :].lstrip()
    if _HTML.match(text):
        title = re.search(r"(?is)<title[^>]*>(.*?)</title", text)
        name = (
            f"an HTML page: {_excerpt(title[1])}" if title and title[1].strip() else "an HTML page"
        )
        return name, DOWNLOAD
    element = re.match(r"<(?:[\w.-]+:)?([A-Za-z_][\w.-]*)[\s/>]", text)
    if element is None:
        return ("XML", "") if is_xml else None
    kind = element[1].lower()
    if code := re.search(r"<Code>\s*([^<]*?)\s*</Code>", text):
        return f"an XML error of a storage: {_excerpt(code[1])}", DOWNLOAD
    return _XML_KINDS.get(kind, f"XML ({_excerpt('<' + element[1] + '>')})"), ""


def _decode(data: bytes, is_cut: bool) -> tuple[str, str]:
    """Returns a text and how it is encoded, if that is unusual; an empty text for other data."""
    if data.startswith(AUDIO_MAGICS) or any(magic.startswith(data) for magic in AUDIO_MAGICS):
        return "", ""
    encodings = ["utf-8-sig"]
    if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        encodings = ["utf-32"]
    elif data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ["utf-16"]
    elif data[1:2] == b"\0" and data[:1] in (b"<", b"{", b"["):
        encodings = ["utf-16-le"]
    elif data.startswith(b"<"):  # a page in an old encoding
        encodings.append("latin-1")
    for encoding in encodings:
        try:
            text = codecs.getincrementaldecoder(encoding)().decode(data, final=not is_cut)
        except UnicodeDecodeError:
            continue
        if _is_text(text):
            return text, " in " + encoding[:6].upper() if encoding.startswith("utf-16") else ""
    return "", ""


def _is_text(text: str) -> bool:
    """Returns whether there are enough characters to tell, and none that texts do not have."""
    return len(text) >= 4 and not any(
        unicodedata.category(each) in ("Cc", "Cn", "Co", "Cs") and each not in "\t\n\r\f\x1b\x85"
        for each in text
    )


def _excerpt(text: str) -> str:
    """Quotes the beginning of a text in one line."""
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return f'"{line[:60].rstrip()}…"' if len(line) > 60 else f'"{line}"'
