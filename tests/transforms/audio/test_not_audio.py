"""What files that are not audio are called."""

import bz2
import gzip
import io
import json
import lzma
import pickle
import sqlite3
import struct
import tarfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import google_crc32c
import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from tests.sounds import decode, encode, encode_with_ffmpeg, noise, tone
from transforms.audio import not_audio
from transforms.audio.errors import AudioError
from transforms.audio.signatures import AUDIO_MAGICS, SIGNATURES


def described(data: bytes) -> str | None:
    return not_audio.describe(data[: not_audio.NUM_BYTES], len(data))


def zipped(name: str, data: bytes = b"x") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, data)
    return file.getvalue()


def tarred(tar_format: int) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tar_format) as archive:
        member = tarfile.TarInfo("a.wav")
        member.size = 5
        archive.addfile(member, io.BytesIO(b"audio"))
    return file.getvalue()


def v7_tar() -> bytes:
    """A tar archive of before the `ustar` mark."""
    header = bytearray(512)
    for offset, text in ((0, b"a.wav"), (100, b"0000644\0"), (124, b"00000000005\0")):
        header[offset : offset + len(text)] = text
    header[148:156] = b"%06o\0 " % (sum(header) + 8 * ord(" "))
    return bytes(header) + b"audio" + bytes(1_500)


def npy() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros(99, np.float32))
    return file.getvalue()


def npz() -> bytes:
    file = io.BytesIO()
    np.savez(file, samples=np.zeros(99, np.float32))
    return file.getvalue()


def tfrecord(payload: bytes = b"\n\x03abc") -> bytes:
    def masked(data: bytes) -> int:
        crc = google_crc32c.value(data)
        return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF

    length = struct.pack("<Q", len(payload))
    return length + struct.pack("<I", masked(length)) + payload + struct.pack("<I", masked(payload))


def sqlite() -> bytes:
    connection = sqlite3.connect(":memory:")
    connection.execute("create table a (b)")
    return bytes(connection.serialize()) if hasattr(connection, "serialize") else SQLITE


SUFFIXES = (
    *(".aiff", ".flac", ".g722", ".gsm", ".m4a", ".mkv", ".mp3", ".mp4", ".oga", ".ogg", ".ogv"),
    *(".opus", ".spx", ".wav", ".webm", ".wma"),
)
SQLITE = b"SQLite format 3\0" + bytes(84)
HTML = "<html><head><title>\n 403  Forbidden</title></head><body>x</body></html>"
SAMPLES = encode(noise(8_000), 8_000)
ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
ASF_KEYS = bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e")
MPEG4_DRM = (
    b"\0\0\0\x18ftypM4A \0\0\0\0mp42isom\0\0\x9f\0moov" + bytes(90) + b"drms" + b"\0\0\0\x50sinf"
)
CUE = 'REM DATE 1999\nTITLE "B"\nFILE "b.wav" WAVE\n  TRACK 01 AUDIO\n    INDEX 01 0:0:0\n'

FILES: dict[str, tuple[bytes, str]] = {
    "page": (HTML.encode(), 'an HTML page: "403 Forbidden"'),
    "page with doctype": (b"<!DOCTYPE html>\n" + HTML.encode(), "an HTML page"),
    "page with BOM": (b"\xef\xbb\xbf\r\n  <!DocType HTML><p>", "an HTML page"),
    "page in capitals": (b"<HTML><BODY>NO</BODY></HTML>", "an HTML page"),
    "page behind comments": (b"\n<!-- a -->\n <!-- <b> -->\n<html lang='en'>", "an HTML page"),
    "XHTML": (
        b'<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0//EN"><html xmlns="">',
        "an HTML page",
    ),
    "page in Latin 1": ("<html><title>Zugriff für Gäste</title>".encode("latin-1"), "Zugriff für"),
    "page in UTF-16": (HTML.encode("utf-16"), "an HTML page"),
    "page in UTF-16 without BOM": (HTML.encode("utf-16-le"), "an HTML page"),
    "long page": (b"<!doctype html><script>" + "ü".encode() * 9_999, "an HTML page"),
    "part of a page": (b"<script>location.reload()</script>", "an HTML page"),
    "JSON object": (json.dumps({"error": {"code": 404}}).encode(), 'JSON: "{"error"'),
    "JSON list": (b'[{"a": 1}]', "JSON"),
    "JSON of numbers": (b" [0.1, -0.2]", "JSON"),
    "empty JSON": (b"{ }\n", "JSON"),
    "XML error": (
        b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code></Error>',
        'an XML error of a storage: "AccessDenied"',
    ),
    "XML error without declaration": (b"<Error><Code>NoSuchKey</Code></Error>", "NoSuchKey"),
    "RSS": (b'<?xml version="1.0"?><rss version="2.0"><channel>', "an RSS feed"),
    "SVG": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG image"),
    "SVG with doctype": (b'<?xml version="1.0"?>\n<!DOCTYPE svg PUBLIC "a"><svg >', "an SVG image"),
    "other XML": (b"<?xml version='1.0'?><a:lmx xmlns:a='x'/>", 'XML ("<lmx>")'),
    "Audacity project": (b'<?xml version="1.0"?><audacityproject projname="a">', "an Audacity"),
    "git-lfs": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0a\nsize 1\n",
        "a git-lfs pointer (fetch the file: git lfs pull)",
    ),
    "git-annex": (b"/annex/objects/SHA256E-s1--0a.wav\n", "a git-annex pointer (fetch"),
    "git-annex link": (b"../.git/annex/objects/X/Y/SHA-s1--0a.wav/SHA-s1--0a.wav", "git-annex"),
    "DVC": (b"outs:\n- md5: 0a\n  size: 1\n  path: a.wav\n", "a DVC pointer"),
    "ZIP": (zipped("a.wav"), 'a ZIP archive (unpack it first; it begins with "a.wav")'),
    "document": (zipped("word/document.xml"), "an office document"),
    "empty ZIP": (b"PK\x05\x06" + bytes(18), "an empty ZIP archive"),
    "gzip": (gzip.compress(SAMPLES), "a gzip file (decompress it first)"),
    "bzip2": (bz2.compress(SAMPLES), "a bzip2 file"),
    "xz": (lzma.compress(SAMPLES), "an xz file"),
    "LZMA": (lzma.compress(SAMPLES, lzma.FORMAT_ALONE), "an LZMA file"),
    "Zstandard": (b"\x28\xb5\x2f\xfd\x24\x05", "a Zstandard file"),
    "7z": (b"7z\xbc\xaf\x27\x1c\x00\x04", "a 7z archive"),
    "RAR": (b"Rar!\x1a\x07\x01\x00", "a RAR archive"),
    "LZ4": (b"\x04\x22\x4d\x18\x64", "an LZ4 file"),
    "tar": (tarred(tarfile.USTAR_FORMAT), "a tar archive"),
    "tar of GNU": (tarred(tarfile.GNU_FORMAT), "a tar archive"),
    "old tar": (v7_tar(), "a tar archive"),
    "npy": (npy(), "a NumPy array"),
    "npz": (npz(), "an archive of NumPy arrays"),
    "pickle": (pickle.dumps({"samples": [0.0] * 9}, 4), "a Python pickle"),
    "Parquet": (b"PAR1\x15\x04", "a Parquet file"),
    "TFRecord": (tfrecord(), "a TFRecord file"),
    "long TFRecord": (tfrecord(bytes(9_999)), "a TFRecord file"),
    "HDF5": (b"\x89HDF\r\n\x1a\n\0\0", "an HDF5 file"),
    "MATLAB 7.3": (b"MATLAB 7.3 MAT-file".ljust(512) + b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    "SQLite": (sqlite(), "an SQLite database"),
    "Kaldi": (b"utterance-1 " + SAMPLES, "an archive of Kaldi"),
    "PDF": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "a PDF document"),
    "PNG": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a PNG image"),
    "JPEG": (b"\xff\xd8\xff\xe0\0\x10JFIF\0", "a JPEG image"),
    "GIF": (b"GIF89a\1\0\1\0", "a GIF image"),
    "WebP": (b"RIFF\x24\0\0\0WEBPVP8 \x18\0\0\0", "a WebP image"),
    "BMP": (b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\2\0\0\0", "a BMP image"),
    "text": ("Bitte einloggen – danke\n".encode(), 'text: "Bitte einloggen – danke"'),
    "long text": ("ä".encode() * 4_095, "text: "),
    "text with an odd cut": (b"x" + "ä".encode() * 4_095, "text: "),
    "text in UTF-16": ("404 not found ".encode("utf-16") * 1, 'text in UTF-16: "404 not found"'),
    "text in UTF-16, big-endian": (b"\xfe\xff" + "no access".encode("utf-16-be"), "text in UTF-16"),
    "blanks": (b" \n\n\t\n", "nothing but blanks"),
    "M3U": (b"#EXTM3U\n#EXTINF:1,a\na.mp3\n", "a playlist (M3U), not audio (list the files"),
    "M3U without header": (b"a b.mp3\nhttp://x.org/b.mp3?id=1\n", "a playlist or list of files"),
    "PLS": (b"[playlist]\nFile1=a.mp3\n", "a playlist (PLS)"),
    "cue sheet": (CUE.encode(), "a cue sheet, not audio"),
    "XSPF": (b'<?xml version="1.0"?>\n<playlist version="1" xmlns="x">', "a playlist (XSPF)"),
    "ASX": (b'<ASX version="3.0"><Entry>', "a playlist (ASX)"),
    "link": (b"../audio/a.wav", 'a link or path as text: "../audio/a.wav"'),
    "MIDI": (b"MThd\0\0\0\6\0\1\0\2\1\xe0MTrk", "a MIDI file: notes, not audio"),
    "MIDI in RIFF": (b"RIFF\x99\0\0\0RMIDdata\x80\0\0\0MThd", "a MIDI file"),
    "OpenSSL": (b"Salted__\x01\x02\xfe", "a file encrypted by OpenSSL (decrypt it first)"),
    "age": (b"age-encryption.org/v1\n-> X25519 abc\n\xfe", "a file encrypted by age"),
    "PGP": (b"\x85\x02\x0c\x03\xab\xcd", "a file encrypted by PGP"),
    "PGP in letters": (b"-----BEGIN PGP MESSAGE-----\n\nhQIMA\n", "an encrypted file"),
    "Audible": (b"\0\0\0\x18ftypaax \0\0\0\1aax M4B ", "an Audible audiobook with copy protection"),
    "FairPlay": (b"\0\0\0\x20ftypM4P \0\0\0\0M4A mp42", "a file of iTunes with copy protection"),
    "FairPlay in M4A": (MPEG4_DRM, "an MP4 file with copy protection"),
    "Windows Media": (ASF_HEADER + bytes(99) + ASF_KEYS, "a Windows Media file with copy"),
    "SubRip": (b"1\r\n00:00:01,000 --> 00:00:02,000\r\nHello\r\n", "subtitles (SubRip)"),
    "WebVTT": (b"WEBVTT\n\n00:01.000 --> 00:02.000\nHi\n", "subtitles (WebVTT)"),
    "lyrics": (b"[ar:Somebody]\n[00:12.00]La la\n", "lyrics"),
    "TextGrid": ('File type = "ooTextFile"\n'.encode("utf-16"), "annotations of Praat"),
    "e-mail": (b"Return-Path: <a@b.c>\r\nReceived: from b.c\r\n", "an e-mail"),
    "MIME": (b'Content-Type: audio/wav; name="a.wav"\r\n\r\n', "a MIME message"),
    "form": (b'--x1\r\nContent-Disposition: form-data; name="f"\r\n\r\n' + SAMPLES, "a web form"),
    "HTTP": (b"HTTP/1.1 302 Found\r\nLocation: x\r\n\r\n", "a saved HTTP response"),
    "Base64": (b"UklGRiQAAABXQVZFZm10IBAAAAABAAEA", "a sound file as Base64 text"),
    "zeros": (bytes(60_000), "nothing but zero bytes, at least the first 4096 (an interr"),
    "few zeros": (bytes(9), "nothing but zero bytes (an interrupted download?)"),
    "zeros at first": (bytes(9_999) + b"x", "nothing but zero bytes, at least the first 4096"),
    "WAV without header": (bytes(44) + SAMPLES[44:], "its first 4"),
    "WAV without RIFF": (bytes(8) + SAMPLES[8:], "damaged: its first 8 bytes are zero"),
    "AppleDouble": (b"\0\5\x16\7\0\2\0\0Mac OS X        ", "AppleDouble metadata of macOS"),
    "program": (b"\x7fELF\2\1\1\0", "a program"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_what_is_not_audio_is_named(name: str) -> None:
    data, expected = FILES[name]
    message = described(data)
    assert message is not None
    assert message.startswith("the file is ")
    assert expected in message
    assert message.isprintable()


@pytest.mark.parametrize("suffix", [".mp3", ".wav", ".ogg"])
def test_the_message_of_the_failure_says_so(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    for data, _ in FILES.values():
        path.write_bytes(data)
        with path.open("rb") as file, pytest.raises(AudioError) as caught:
            decode(file, suffix)
        assert (caught.value.reason, str(caught.value)) == ("unsupported_format", described(data))


def recordings() -> Iterator[tuple[str, bytes]]:
    sounds = {"noise": noise(8_000), "silence": np.zeros(8_000, np.float32), "tone": tone(8_000)}
    for name, samples in sounds.items():
        for container, subtype in (
            *(("WAV", "PCM_16"), ("WAV", "PCM_U8"), ("WAV", "ULAW"), ("WAVEX", "FLOAT")),
            *(("RF64", "PCM_16"), ("W64", "PCM_16"), ("AIFF", "PCM_16"), ("AU", "PCM_16")),
            *(("CAF", "ALAC_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS")),
            *(
                ("MP3", "MPEG_LAYER_III"),
                ("NIST", "PCM_16"),
                ("VOC", "PCM_16"),
                ("IRCAM", "PCM_16"),
            ),
            *(("SVX", "PCM_16"), ("PAF", "PCM_16"), ("MAT4", "PCM_16"), ("MAT5", "PCM_16")),
            *(("AVR", "PCM_16"), ("HTK", "PCM_16"), ("SDS", "PCM_16"), ("PVF", "PCM_16")),
        ):
            yield f"{name} {container} {subtype}", encode(samples, 8_000, container, subtype)
        for container, codec, rate_hz in (
            *(("adts", "aac", 44_100), ("ipod", "aac", 44_100), ("ipod", "alac", 8_000)),
            *(("asf", "wmav2", 44_100), ("ac3", "ac3", 48_000), ("wv", "wavpack", 8_000)),
            *(("mp3", "libmp3lame", 44_100), ("webm", "libopus", 48_000), ("tta", "tta", 8_000)),
            *(("matroska", "flac", 8_000), ("mpegts", "mp2", 44_100), ("flv", "aac", 44_100)),
            *(("avi", "pcm_s16le", 8_000), ("mov", "pcm_s16be", 8_000)),
        ):
            options = {"strict": "-2"}
            bit_rate = 64_000 if codec.startswith("wma") else None
            data = encode_with_ffmpeg(samples, rate_hz, container, codec, bit_rate, options)
            yield f"{name} {container} {codec}", data


def test_no_recording_is_called_something_else() -> None:
    called = {name: described(data) for name, data in recordings()}
    assert len(called) > 100
    assert not {name: message for name, message in called.items() if message}


@pytest.mark.parametrize("num_bytes", [1, 3, 4, 12, 44, 100])
def test_the_header_of_a_recording_alone_is_not_text(num_bytes: int) -> None:
    called = {name: described(data[:num_bytes]) for name, data in recordings()}
    zeros = {name for name, data in recordings() if not any(data[:num_bytes])}
    assert not {name: text for name, text in called.items() if text and name not in zeros}


def test_random_bytes_are_unknown() -> None:
    random = np.random.default_rng(0)
    named = [described(random.bytes(num)) for num in range(100, 2_100)]
    assert not [each for each in named if each]


def test_headerless_samples_are_unknown() -> None:
    samples = noise(4_000, scale=0.01)
    for data in (
        (samples * 2**15).astype("<i2").tobytes(),
        (samples * 2**15).astype(">i2").tobytes(),
        (samples * 2**7 + 2**7).astype("u1").tobytes(),
        samples.tobytes(),
        encode(samples, 8_000, "RAW", "ULAW"),
        encode(samples, 8_000, "RAW", "ALAW"),
        encode(samples, 8_000, "RAW", "GSM610"),
    ):
        assert described(data) is None


@pytest.mark.parametrize(
    "repeated",
    [
        "\n",
        "[a:]",
        "<!---->",
        "#\n",
        "FILE \n",
        "TITLE ",
        "<title>",
        "a.mp3 ",
        "../",
        "[",
        "{",
        "\\",
    ],
)
def test_no_text_takes_long(repeated: str) -> None:
    began = time.monotonic()
    for prefix in ("", "x", "[ab:", "<", "TITLE \n", '{"'):
        described((prefix + repeated * 4_096).encode()[:4_096])
    assert time.monotonic() - began < 2


@hypothesis.given(
    st.one_of(
        st.binary(max_size=200),
        st.text(max_size=100).map(str.encode),
        st.tuples(st.sampled_from([data for data, _ in FILES.values()]), st.binary(max_size=9)).map(
            lambda parts: parts[0][:300] + parts[1]
        ),
        st.tuples(
            st.sampled_from([*AUDIO_MAGICS, *(magic for _, magic, _, _ in SIGNATURES)]), st.binary()
        ).map(b"".join),
    ),
    st.integers(min_value=0, max_value=2**40),
)
def test_any_bytes_are_described_in_one_line(data: bytes, num_more: int) -> None:
    message = not_audio.describe(data, len(data) + num_more)
    assert message is None or (message.isprintable() and len(message) < 200)


def test_files_of_the_field(shared: Path) -> None:
    folder = shared / "data" / "field" / "31-not-audio-messages"
    called = {path.name: described(path.read_bytes()) for path in folder.iterdir()}
    assert called.pop("README.txt")
    assert called == {
        "html.mp3": 'the file is an HTML page: "403 Forbidden" (download the recording itself)',
        "html.wav": 'the file is an HTML page: "Google Drive - Quota exceeded" (download the'
        " recording itself)",
        "json.mp3": 'the file is JSON: "{"error":{"code":404,"message":"Not Found"}}" (download the'
        " recording itself)",
        "lfs.wav": "the file is a git-lfs pointer (fetch the file: git lfs pull)",
        "rand1.mp3": None,
        "utf16.txt.wav": 'the file is text in UTF-16: "404 not found 404 not found 404 not found'
        ' 404 not found 404…"',
        "xmlerr.flac": 'the file is an XML error of a storage: "AccessDenied" (download the'
        " recording itself)",
    }


def test_real_recordings_are_never_called_something_else(shared: Path) -> None:
    paths = [
        path
        for folder in ("audio", "field", "faults")
        for path in (shared / "data" / folder).rglob("*")
        if path.suffix in SUFFIXES and path.parent.name != "31-not-audio-messages"
    ]
    assert len(paths) > 40
    called = {path.name: described(path.read_bytes()) for path in paths}
    assert called.pop("junk.flac") == 'the file is text: "junk"'
    assert not {name: message for name, message in called.items() if message}
