"""The recordings of a folder that sound most alike: `EmbedAudio` inside a Beam job of one's own.

    python examples/my_pipeline.py [FOLDER] [MODEL]

Without a folder, four synthetic recordings are made in a temporary one. If the default model's hub
cannot be reached, untrained weights take its place: the job runs, and what it finds means nothing.
"""

import glob
import os
import sys
import tempfile
from collections.abc import Iterator

import apache_beam as beam
import numpy as np
import soundfile
from apache_beam.transforms.combiners import ToList

from transforms import EmbedAudio
from transforms.model import vggish
from transforms.model.sources.fetching import archive_url
from transforms.model.sources.names import DEFAULT_MODEL
from transforms.storage import http


def run(folder: str, model: str) -> None:
    """Prints the recording that is nearest to each recording, and those that have failed."""
    paths = sorted(filter(os.path.isfile, glob.glob(f"{glob.escape(folder)}/**", recursive=True)))
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        embedded = pipeline | beam.Create(paths) | EmbedAudio(model=model)
        means = embedded.rows | "Mean" >> beam.MapTuple(
            lambda path, rows: (path, rows.mean(axis=0))
        )
        together = means | ToList() | beam.FlatMap(nearest)
        _ = together | "Print" >> beam.MapTuple(lambda one, other: print(f"{one} ~ {other}"))
        _ = embedded.failures | beam.Map(lambda each: print(f"{each.id} failed: {each.message}"))


def nearest(means: list[tuple[str, np.ndarray]]) -> Iterator[tuple[str, str]]:
    """Yields each path with the one whose mean row, `[128]`, has the smallest angle to its own."""
    if len(means) < 2:
        return
    paths, rows = zip(*sorted(means, key=lambda item: item[0]), strict=True)
    matrix = np.stack(rows)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    likeness = matrix @ matrix.T
    np.fill_diagonal(likeness, -np.inf)
    for path, index in zip(paths, likeness.argmax(axis=1), strict=True):
        yield path, paths[index]


def synthetic_recordings(folder: str) -> None:
    """Writes two recordings of tones and two of noise, of three seconds each."""
    os.mkdir(folder)
    time = np.arange(3 * 22_050) / 22_050
    noise = np.random.default_rng(0).normal(0, 0.1, (2, len(time)))
    for name, sound in {
        "tone_440": 0.3 * np.sin(2 * np.pi * 440 * time),
        "tone_450": 0.3 * np.sin(2 * np.pi * 450 * time),
        "noise_a": noise[0],
        "noise_b": noise[1],
    }.items():
        soundfile.write(f"{folder}/{name}.wav", sound, 22_050)


def model_within_reach(folder: str) -> str:
    """Returns the default model, or a folder of untrained weights if its hub does not answer."""
    try:
        http.probe(archive_url(DEFAULT_MODEL), 8.0)
        return DEFAULT_MODEL
    except OSError as error:
        print(f"{DEFAULT_MODEL} cannot be reached: {error}")
        print("UNTRAINED WEIGHTS TAKE ITS PLACE: WHAT FOLLOWS MEANS NOTHING.")
        vggish.export(folder, vggish.build(vggish.untrained_weights(0), untrained_seed=0))
        return folder


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        given = sys.argv[1:]
        if not given:
            synthetic_recordings(f"{temporary}/audio")
        audio = given[0] if given else f"{temporary}/audio"
        run(audio, given[1] if given[1:] else model_within_reach(f"{temporary}/model"))
