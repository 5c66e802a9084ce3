"""Corpora of synthetic sound, each made once and kept."""

import dataclasses
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

MODEL_RATE_HZ = 16_000
_HOP_SAMPLES = 15_360
_LOOK_AHEAD_SAMPLES = 240
# Recordings that differ; more clips are further names of the same files, each decoded anew.
_NUM_RECORDINGS = 32
_CLIPS_IN_A_FOLDER = 1_000
_BLOCK_SECONDS = 10
_NOISE = 0.003
# Part of the folders' names: counts up when the sound changes.
_VERSION = 1


@dataclasses.dataclass(frozen=True)
class Corpus:
    """A kind of recordings.

    Attributes:
      name: Name of its folder.
      title: For people.
      seconds: Length of each.
      rate_hz: Sample rate.
      num_channels: Channels.
      kind: Format and subtype as libsndfile names them.
      suffix: File suffix, with its dot.
    """

    name: str
    title: str
    seconds: int
    rate_hz: int
    num_channels: int
    kind: tuple[str, str]
    suffix: str

    @property
    def rows_of_clip(self) -> int:
        """The rows that the model gives for one of them."""
        return max(1, (self.seconds * MODEL_RATE_HZ - _LOOK_AHEAD_SAMPLES) // _HOP_SAMPLES)


WAV_10S = Corpus("wav-10s", "10 s WAV 16 kHz", 10, 16_000, 1, ("WAV", "PCM_16"), ".wav")
WAV_1S = Corpus("wav-1s", "1 s WAV 16 kHz", 1, 16_000, 1, ("WAV", "PCM_16"), ".wav")
FLAC_10S = Corpus(
    "flac-10s", "10 s FLAC 44.1 kHz stereo", 10, 44_100, 2, ("FLAC", "PCM_16"), ".flac"
)
MP3_10S = Corpus(
    "mp3-10s", "10 s MP3 44.1 kHz stereo", 10, 44_100, 2, ("MP3", "MPEG_LAYER_III"), ".mp3"
)
# Opus has no rate of 44.1 kHz: encoders make it 48 kHz.
OPUS_10S = Corpus("opus-10s", "10 s Opus 48 kHz stereo", 10, 48_000, 2, ("OGG", "OPUS"), ".opus")
FLAC_2H = Corpus(
    "flac-2h", "one 2 h FLAC 44.1 kHz stereo", 7_200, 44_100, 2, ("FLAC", "PCM_16"), ".flac"
)


def make(work: Path, corpus: Corpus, num_clips: int) -> Path:
    """Returns a folder of so many clips, made if it is not there.

    Args:
      work: Where corpora are kept.
      corpus: What they are.
      num_clips: How many.
    """
    folder = work / "corpora" / f"{corpus.name}-v{_VERSION}-{num_clips}"
    if folder.exists():
        return folder
    recordings = _recordings(work, corpus, min(num_clips, _NUM_RECORDINGS))
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    for number in range(num_clips):
        path = unfinished / f"{number // _CLIPS_IN_A_FOLDER:03}" / f"{number:06}{corpus.suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(recordings[number % len(recordings)], path)
    return unfinished.rename(folder)


def _recordings(work: Path, corpus: Corpus, number: int) -> list[Path]:
    folder = work / "recordings" / f"{corpus.name}-v{_VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    if number > 1:
        print(f"  {number} recordings: {corpus.title}", file=sys.stderr, flush=True)
    paths = [folder / f"{seed}{corpus.suffix}" for seed in range(number)]
    for seed, path in enumerate(paths):
        if not path.exists():
            unfinished = path.with_name(f"unfinished-{path.name}")
            _write(unfinished, corpus, seed)
            unfinished.rename(path)
    return paths


def _write(path: Path, corpus: Corpus, seed: int) -> None:
    kind, subtype = corpus.kind
    with soundfile.SoundFile(
        path, "w", corpus.rate_hz, corpus.num_channels, subtype, format=kind
    ) as file:
        for block in _blocks(corpus, seed):
            file.write(block)


def _blocks(corpus: Corpus, seed: int) -> Iterator[np.ndarray]:
    """Yields the sound, float32 `[num_frames, num_channels]`: a gliding tone in noise."""
    random = np.random.default_rng([seed, corpus.rate_hz])
    for start in range(0, corpus.seconds, _BLOCK_SECONDS):
        num_frames = min(_BLOCK_SECONDS, corpus.seconds - start) * corpus.rate_hz
        time = np.arange(num_frames) / corpus.rate_hz
        pitch_hz = random.uniform(100, 1_000) * (1 + 0.3 * np.sin(np.pi * time))
        tone = 0.3 * np.sin(2 * np.pi * np.cumsum(pitch_hz) / corpus.rate_hz)
        noise = random.normal(0, _NOISE, (num_frames, corpus.num_channels))
        gains = np.linspace(1, 0.5, corpus.num_channels)
        yield (noise + tone[:, np.newaxis] * gains).astype(np.float32)
