"""The command `demo`: creates and embeds a small corpus."""

import os
import queue
import sys
import threading
from pathlib import Path

import numpy as np
import soundfile

from pipeline.commands import embed, export_model
from pipeline.errors import UsageError
from pipeline.options.settings import EmbedSettings
from pipeline.terminal import summary
from transforms.corpus.clips import printable
from transforms.dataset.failure_table import failure_table_name
from transforms.dataset.profiles import PROFILES, Profile
from transforms.model.errors import ModelError
from transforms.model.sources.fetching import archive_url
from transforms.model.sources.names import is_url
from transforms.model.sources.pca import load_pca
from transforms.storage import http

_HUB_TIMEOUT_SECONDS = 8.0
# name: (format, subtype, sample rate in Hz, channels, seconds)
_CORPUS = {
    "birds/sweep.wav": ("WAV", "PCM_16", 16_000, 1, 10.0),
    "birds/sweep_stereo.flac": ("FLAC", "PCM_16", 44_100, 2, 10.0),
    "street/tone.mp3": ("MP3", "MPEG_LAYER_III", 48_000, 2, 7.0),
    "street/tone.ogg": ("OGG", "VORBIS", 22_050, 1, 5.0),
    "street/tone.opus": ("OGG", "OPUS", 48_000, 2, 5.0),
    "telephone_8k.aiff": ("AIFF", "PCM_16", 8_000, 1, 4.0),
    "long.flac": ("FLAC", "PCM_16", 32_000, 2, 180.0),
    "short.wav": ("WAV", "FLOAT", 44_100, 1, 0.3),
    "broken.flac": ("FLAC", "PCM_16", 44_100, 1, 5.0),
}
_READING = """\
import tensorflow as tf
shards = tf.io.gfile.glob({shards!r})
context, lists = tf.io.parse_single_sequence_example(
    next(iter(tf.data.TFRecordDataset(shards))),
    context_features={{"video_id": tf.io.FixedLenFeature([], tf.string)}},
    sequence_features={{"audio_embedding": {feature}}})
print(context["video_id"].numpy().decode(), {rows})"""


def run(output: str, model: str, verbose: bool = False, quiet: bool = False) -> int:
    """Creates the corpus and the dataset below `output`; returns the exit status.

    Args:
      output: The folder; created if absent.
      model: As for `embed`.
      verbose: Show the logs of Beam and TensorFlow.
      quiet: Do not show the progress of the job.

    Raises:
      UsageError: The folder cannot be used.
    """
    folder = Path(output).absolute()
    try:
        num_files = _write_corpus(folder / "audio")
    except (OSError, soundfile.LibsndfileError) as error:
        raise UsageError(f"--output={output} cannot be written: {error}") from error
    print(
        f"{num_files} files of synthetic audio, one of them broken: {printable(str(folder))}/audio"
    )
    model, profile = _available(model, folder)
    settings = EmbedSettings(
        inputs=(str(folder / "audio"),),
        output=str(folder / "dataset"),
        model=model,
        profile=profile,
        max_failed_ratio=1 / num_files,  # the broken file is part of the demo
        overwrite=True,
        verbose=verbose,
        quiet=quiet,
    )
    status = embed.run(settings, [])
    if status == summary.SUCCESS:
        _print_results(settings)
    return status


def _available(model: str, folder: Path) -> tuple[str, Profile]:
    """Returns the model and a profile for it; untrained weights if the hub is out of reach."""
    if why := _why_unreachable(model):
        print(
            f"{why}\nTHE DEMO CONTINUES WITH *UNTRAINED* WEIGHTS, PROFILE raw: ROWS MEAN NOTHING."
        )
        model = str(folder / "untrained_vggish")
        if not os.path.exists(os.path.join(model, "saved_model.pb")):
            export_model.run(model, None, untrained=True, seed=0)
        return model, PROFILES["raw"]
    try:
        load_pca(EmbedSettings.pca)
    except ModelError as error:
        print(f"{error}.\nTHE DEMO CONTINUES WITH PROFILE raw.")
        return model, PROFILES["raw"]
    return model, PROFILES["audioset"]


def _print_results(settings: EmbedSettings) -> None:
    """Prints the failed clip, and a program that reads a record."""
    table = f"{settings.output}/{failure_table_name(settings.name)}"
    print(f"\nThe failed clip, {printable(table)}:\n{Path(table).read_text().rstrip()}")
    feature = "tf.io.FixedLenSequenceFeature([128], tf.float32)"
    rows = 'lists["audio_embedding"]'
    if settings.profile.quantised:
        feature = "tf.io.FixedLenSequenceFeature([], tf.string)"
        rows = f"tf.io.decode_raw({rows}, tf.uint8)"
    shards = f"{settings.output}/{settings.name}-*.tfrecord"
    program = _READING.format(shards=shards, feature=feature, rows=rows)
    print(f"\nRead one record:\n\n{sys.executable} - <<'END'\n{program}\nEND")


def _why_unreachable(model: str) -> str:
    """Returns why a hub does not serve a model; empty if it does, and for a local model."""
    if not is_url(model):
        return ""
    answers: queue.Queue[str] = queue.Queue()
    # In a thread, because the lookup of a name has no timeout of its own.
    threading.Thread(target=_ask, args=(model, answers), daemon=True).start()
    try:
        error = answers.get(timeout=_HUB_TIMEOUT_SECONDS)
    except queue.Empty:
        error = f"no answer within {_HUB_TIMEOUT_SECONDS:g} s"
    return f"{model} cannot be reached: {error}." if error else ""


def _ask(url: str, answers: "queue.Queue[str]") -> None:
    """Puts the error of a request for a model, or nothing if the hub has it."""
    try:
        http.probe(archive_url(url), _HUB_TIMEOUT_SECONDS)
        answers.put("")
    except (OSError, ValueError) as error:  # a ValueError for what is no URL
        answers.put(str(error))


def _write_corpus(folder: Path) -> int:
    """Writes the files of `_CORPUS`, always with the same samples; returns their number."""
    for number, (name, (kind, subtype, rate, channels, seconds)) in enumerate(_CORPUS.items()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        time = np.arange(int(seconds * rate)) / rate
        pitch = 220.0 * (number + 1) * (1 + 0.3 * np.sin(2 * np.pi * 0.5 * time))
        left = 0.3 * np.sin(2 * np.pi * np.cumsum(pitch) / rate)
        noise = np.random.default_rng(number).normal(0.0, 0.02, (channels, len(time)))
        sound = (noise + left * np.linspace(1.0, 0.5, channels)[:, np.newaxis]).T
        soundfile.write(path, sound, rate, format=kind, subtype=subtype)
    broken = folder / "broken.flac"
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])
    return len(_CORPUS)
