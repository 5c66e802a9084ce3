"""The files that are mutated: tiny recordings in all formats that can be written, and real ones."""

import dataclasses
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from tests.sounds import encode, encode_with_ffmpeg, noise, tone
from transforms.audio import codecs, decoding
from transforms.corpus.clips import RawFormat

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
# Of a longer recording its beginning: what it costs to decode is what limits the number of files.
MOST_BYTES = 64_000
# Stand for a file and for a port of this machine that a worker watches: whatever a decoder opens
# besides the file that it was given.
CANARY = b"canary.wav"
PORT = b":00000/"

# Suffix, FFmpeg's names of container and codec, rate, number of channels, and bit rate.
_BY_FFMPEG = (
    (".mp4", "mp4", "aac", 44_100, 2, None),
    (".m4a", "mp4", "aac", 48_000, 8, None),
    (".mov", "mov", "pcm_s16be", 8_000, 2, None),
    (".mov", "mov", "adpcm_ima_qt", 8_000, 1, None),
    (".m4a", "mov", "alac", 16_000, 1, None),
    (".m4a", "ipod", "aac", 22_050, 1, None),
    (".3gp", "3gp", "libopencore_amrnb", 8_000, 1, None),
    (".ismv", "ismv", "aac", 16_000, 1, None),
    (".f4v", "f4v", "aac", 16_000, 1, None),
    (".aac", "adts", "aac", 16_000, 2, None),
    (".latm", "latm", "aac", 16_000, 1, None),
    (".wma", "asf", "wmav1", 22_050, 1, 32_000),
    (".wma", "asf", "wmav2", 16_000, 2, 32_000),
    (".amr", "amr", "libopencore_amrnb", 8_000, 1, None),
    (".ac3", "ac3", "ac3", 48_000, 2, None),
    (".eac3", "eac3", "eac3", 48_000, 1, None),
    (".wv", "wv", "wavpack", 16_000, 2, None),
    (".wv", "wv", "wavpack", 16_000, 8, None),
    (".wav", "wav", "pcm_s64le", 8_000, 1, None),
    (".tta", "tta", "tta", 16_000, 1, None),
    (".webm", "webm", "libopus", 48_000, 1, None),
    (".mka", "matroska", "flac", 16_000, 1, None),
    (".mka", "matroska", "pcm_s16le", 8_000, 1, None),
    (".mka", "matroska", "libmp3lame", 16_000, 1, None),
    (".mka", "matroska", "aac", 16_000, 1, None),
    (".mka", "matroska", "ac3", 48_000, 1, None),
    (".oga", "ogg", "flac", 16_000, 1, None),
    (".opus", "ogg", "libopus", 48_000, 2, None),
    (".flv", "flv", "libmp3lame", 44_100, 1, None),
    (".flv", "flv", "nellymoser", 11_025, 1, None),
    (".flv", "flv", "adpcm_swf", 11_025, 1, None),
    (".avi", "avi", "libmp3lame", 16_000, 1, None),
    (".avi", "avi", "pcm_s16le", 8_000, 1, None),
    (".ts", "mpegts", "aac", 16_000, 1, None),
    (".ts", "mpegts", "mp2", 48_000, 1, None),
    (".mpg", "mpeg", "mp2", 48_000, 1, None),
    (".vob", "vob", "ac3", 48_000, 1, None),
    (".caf", "caf", "pcm_s16be", 8_000, 1, None),
    (".caf", "caf", "alac", 16_000, 1, None),
    (".wav", "wav", "adpcm_ms", 8_000, 1, None),
    (".wav", "wav", "adpcm_yamaha", 8_000, 1, None),
    (".wav", "wav", "ac3", 48_000, 1, None),
    (".wav", "wav", "libmp3lame", 16_000, 1, None),
    (".wav", "wav", "mp2", 48_000, 1, None),
    (".wav", "wav", "g726", 8_000, 1, None),
    (".wav", "wav", "g723_1", 8_000, 1, 6_300),
    (".wav", "wav", "aac", 16_000, 1, None),
    (".mp2", "mp2", "mp2", 48_000, 2, None),
    (".mp3", "mp3", "libmp3lame", 44_100, 2, None),
    (".mp3", "mp3", "libmp3lame", 8_000, 1, None),
    (".flac", "flac", "flac", 96_000, 2, None),
    (".rm", "rm", "ac3", 44_100, 1, None),
    (".rm", "rm", "real_144", 8_000, 1, None),
    (".swf", "swf", "libmp3lame", 44_100, 1, None),
    (".nut", "nut", "flac", 16_000, 1, None),
    (".sox", "sox", "pcm_s32le", 8_000, 1, None),
    (".g722", "g722", "g722", 16_000, 1, None),
    (".g726", "g726", "g726", 8_000, 1, None),
    (".g723_1", "g723_1", "g723_1", 8_000, 1, 6_300),
    (".ul", "mulaw", "pcm_mulaw", 8_000, 1, None),
    (".al", "alaw", "pcm_alaw", 8_000, 1, None),
    (".sln", "s16le", "pcm_s16le", 8_000, 1, None),
)
# libsndfile's Ogg has random serial numbers; the tones have Vorbis. MAT5 has the date. Half of an
# SD2 is a second file, which libsndfile writes into the current folder.
_NOT_WRITTEN = ("OGG", "MAT5", "SD2", "RAW")
# The fields of libsndfile's PEAK chunk of floats: id, size, version, time.
_PEAK_TIME = slice(12, 16)
_SUFFIXES = {"RAW": ".gsm", "WAVEX": ".wav", "RF64": ".wav", "MP3": ".mp3"}

_TEXTS = {
    ".m3u8": b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\ncanary.wav\n#EXT-X-ENDLIST\n",
    ".m3u": b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:00000/canary.wav\n",
    ".ffconcat": b"ffconcat version 1.0\nfile canary.wav\nfile http://127.0.0.1:00000/a\n",
    ".sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0"
    b"\n",
    ".mpd": b'<?xml version="1.0"?><MPD><Period><AdaptationSet mimeType="audio/mp4"><Representation'
    b' id="1"><BaseURL>canary.wav</BaseURL></Representation></AdaptationSet></Period></MPD>',
    ".html": b"<!DOCTYPE html><html><body>404 Not Found</body></html>\n",
    ".json": b'{"error": "not found", "url": "http://127.0.0.1:00000/canary.wav"}\n',
    ".txt": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n",
    ".pls": b"[playlist]\nFile1=canary.wav\nLength1=-1\nNumberOfEntries=1\n",
}


@dataclasses.dataclass(frozen=True)
class Seed:
    """A file to mutate.

    Attributes:
      family: Where it comes from. Families are drawn from alike, however large they are.
      name: Its name, for people.
      suffix: Suffix of the file, with the dot.
      data: Its bytes.
      raw_format: Encoding of a file without a header; None for all other files.
    """

    family: str
    name: str
    suffix: str
    data: bytes
    raw_format: RawFormat | None = None


def build() -> list[Seed]:
    """Returns the corpus: the same bytes on every call, with the same codecs."""
    seeds = [*_tones(), *_by_ffmpeg(), *_by_libsndfile(), *_raw(), *_texts(), *_shared()]
    assert len(seeds) > 100, "no corpus"
    return seeds


def fingerprint(seeds: list[Seed]) -> str:
    """Returns what two corpora have in common only if they are equal."""
    digest = hashlib.sha256()
    for seed in seeds:
        digest.update(f"{seed.name} {len(seed.data)} ".encode() + seed.data)
    return digest.hexdigest()[:12]


def _sound(num_frames: int, rate_hz: int, num_channels: int) -> np.ndarray:
    sound = tone(num_frames, rate_hz, num_channels)
    return sound + noise(num_frames, scale=0.01)[:, None]


def _tones() -> Iterator[Seed]:
    for path in sorted(codecs.FOLDER.iterdir()):
        yield Seed("tones", path.name, path.suffix, path.read_bytes())


def _by_ffmpeg() -> Iterator[Seed]:
    for suffix, container, codec, rate_hz, num_channels, bit_rate in _BY_FFMPEG:
        sound = _sound(rate_hz // 4, rate_hz, num_channels)
        data = encode_with_ffmpeg(
            sound, rate_hz, container, codec, bit_rate, muxer_options={"fflags": "+bitexact"}
        )
        yield Seed("FFmpeg", f"{codec} in {container}", suffix, data)


def _by_libsndfile() -> Iterator[Seed]:
    for name in sorted(set(soundfile.available_formats()) - set(_NOT_WRITTEN)):
        for subtype in sorted(soundfile.available_subtypes(name)):
            for num_channels in (1, 2):
                try:
                    data = encode(_sound(2_000, 8_000, num_channels), 8_000, name, subtype)
                except soundfile.LibsndfileError:  # a pair that it lists and cannot write
                    continue
                suffix = _SUFFIXES.get(name, f".{name.lower()}")
                label = f"{name} {subtype} {num_channels}"
                yield Seed(f"libsndfile {name}", label, suffix, _without_time(data))


def _without_time(data: bytes) -> bytes:
    """Returns a file without the time at which its peak was found."""
    start = data.find(b"PEAK")
    if start < 0:
        return data
    time = slice(start + _PEAK_TIME.start, start + _PEAK_TIME.stop)
    return data[: time.start] + bytes(4) + data[time.stop :]


def _raw() -> Iterator[Seed]:
    data = encode(_sound(2_000, 8_000, 1), 8_000, "RAW", "GSM610")
    for name in sorted(decoding.RAW_FORMATS):
        yield Seed("raw", f"raw {name}", ".bin", data, RawFormat(name, 8_000))
    yield Seed("raw", "gsm without its format", ".gsm", data)


def _texts() -> Iterator[Seed]:
    for suffix, text in _TEXTS.items():
        yield Seed("texts", f"a text {suffix}", suffix, text)
    # A movie whose sound is in another file (ISO 14496-12, 8.7.2: a data reference).
    movie = encode_with_ffmpeg(_sound(800, 8_000, 1), 8_000, "mov", "pcm_s16be")
    own = b"\x00\x00\x00\x0calis\x00\x00\x00\x01"
    other = b"url \x00\x00\x00\x00" + CANARY + b"\x00"
    for suffix, entry in ((".mov", other), (".mp4", b"alis" + bytes(4) + bytes(150) + CANARY)):
        entry = (len(entry) + 4).to_bytes(4, "big") + entry
        yield Seed("texts", f"a data reference {suffix}", suffix, movie.replace(own, entry))


def _shared() -> Iterator[Seed]:
    for folder in ("audio", "field", "faults"):
        for path in sorted((SHARED / folder).rglob("*")):
            if path.is_file() and path.name != "README.txt":
                with path.open("rb") as file:
                    beginning = io.BytesIO(file.read(MOST_BYTES)).getvalue()
                name = str(path.relative_to(SHARED))
                yield Seed(f"shared {folder}", name, path.suffix.lower(), beginning)
