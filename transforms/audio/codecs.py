"""Which formats can be decoded here: a short tone in each of them, decoded as recordings are.

The tones are files of this package (made by tests/make_tones.py of the repository).
"""

import dataclasses
import io
from pathlib import Path

import numpy as np

from transforms.audio import decoding
from transforms.audio.errors import AudioError

FOLDER = Path(__file__).parent / "tones"
SECONDS = 0.25
TONE_HZ = 1_000
AMPLITUDE = 0.5
_FADE_SECONDS = 0.02
# Priming and padding of lossy codecs: at most two frames of 2048 at 16 kHz.
_LENGTH_SLACK_SECONDS = 0.13
# Of the energy of what comes out: 0.99 even after AMR, made for speech, and G.722.
_MIN_SHARE = 0.9
_AMPLITUDE_SLACK = 0.1


@dataclasses.dataclass(frozen=True)
class Tone:
    """A file.

    Attributes:
      name: Of its format, for people.
      file: In `FOLDER`.
      sample_rate_hz: Of the file.
    """

    name: str
    file: str
    sample_rate_hz: int


TONES = (
    Tone("WAV", "pcm.wav", 8_000),
    Tone("AIFF", "pcm.aiff", 8_000),
    Tone("FLAC", "flac.flac", 16_000),
    Tone("MP3", "mp3.mp3", 44_100),
    Tone("Ogg Vorbis", "vorbis.ogg", 16_000),
    Tone("Ogg Opus", "opus.opus", 48_000),
    Tone("AAC", "aac.aac", 44_100),
    Tone("AAC in M4A", "aac.m4a", 44_100),
    Tone("ALAC in M4A", "alac.m4a", 8_000),
    Tone("WMA", "wma.wma", 44_100),
    Tone("AMR", "amr.amr", 8_000),
    Tone("AC-3", "ac3.ac3", 48_000),
    Tone("WavPack", "wavpack.wv", 16_000),
    Tone("G.722", "g722.g722", 16_000),
    Tone("Opus in WebM", "opus.webm", 48_000),
    Tone("AAC in MP4 with video", "video.mp4", 44_100),
)


def tone(sample_rate_hz: int) -> np.ndarray:
    """Returns what the files hold, float32 `[num_frames]`: faded, as codecs ring at edges."""
    time = np.arange(int(SECONDS * sample_rate_hz)) / sample_rate_hz
    fade = np.minimum(1.0, np.minimum(time, SECONDS - time) / _FADE_SECONDS)
    return (AMPLITUDE * fade * np.sin(2 * np.pi * TONE_HZ * time)).astype(np.float32)


def undecodable_formats(folder: Path = FOLDER) -> dict[str, str]:
    """Decodes every tone; returns what is wrong, by the name of the format."""
    found = {each.name: _failure(each, folder) for each in TONES}
    return {name: why for name, why in found.items() if why}


def _failure(wanted: Tone, folder: Path) -> str:
    try:
        file = io.BytesIO((folder / wanted.file).read_bytes())
        with decoding.open_recording(file, Path(wanted.file).suffix) as recording:
            sample_rate_hz = recording.sample_rate_hz
            blocks = []
            while len(block := recording.read()):
                decoding.validate_samples(block, recording.position - len(block), sample_rate_hz)
                blocks.append(block)
    except (AudioError, OSError) as error:
        return str(error)
    if sample_rate_hz != wanted.sample_rate_hz:
        return f"a sample rate of {sample_rate_hz} Hz where {wanted.sample_rate_hz} is due"
    return describe_difference(np.concatenate(blocks), sample_rate_hz)


def describe_difference(samples: np.ndarray, sample_rate_hz: int) -> str:
    """Says in what samples, float32 `[num_frames]`, are not the tone; nothing where they are.

    The phase is free, because codecs delay the sound.
    """
    seconds = len(samples) / sample_rate_hz
    if abs(seconds - SECONDS) > _LENGTH_SLACK_SECONDS:
        return f"{seconds:.3f} s of sound where {SECONDS} are due"
    length = int(SECONDS / 2 * sample_rate_hz)
    angle = 2 * np.pi * TONE_HZ * np.arange(length) / sample_rate_hz
    basis = np.stack([np.sin(angle), np.cos(angle)])
    best = (0.0, 0.0)
    # Where the codec's delay has put the middle of the tone.
    for start in range(0, len(samples) - length + 1, max(1, length // 16)):
        part = samples[start : start + length].astype(np.float64)
        energy = float(part @ part)
        weights = 2 / length * basis @ part
        share = float(length / 2 * weights @ weights) / energy if energy else 0.0
        best = max(best, (share, float(np.hypot(*weights))))
    share, amplitude = best
    if share < _MIN_SHARE:
        return f"{share:.2f} of what it decodes to is the tone (wanted: {_MIN_SHARE} or more)"
    if abs(amplitude - AMPLITUDE) > _AMPLITUDE_SLACK:
        return f"the tone's amplitude is {amplitude:.2f} where {AMPLITUDE} is due"
    return ""
