"""A Beam job as one writes it first: the model is loaded in `setup` and called clip by clip.

Run as `python -m benchmarks.plain_beam FOLDER OUTPUT MODEL [Beam options]`.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import numpy as np
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner

from benchmarks.waveforms import read_waveform


class EmbedFn(beam.DoFn):
    """A path gives a serialised `SequenceExample`."""

    def __init__(self, model: str) -> None:
        self._model_name = model

    def setup(self) -> None:
        import tensorflow_hub as hub

        self._model = hub.load(self._model_name)

    def process(self, path: str) -> Iterator[bytes]:
        import tensorflow as tf

        example = tf.train.SequenceExample()
        example.context.feature["video_id"].bytes_list.value.append(path.encode())
        rows = example.feature_lists.feature_list["audio_embedding"]
        for row in np.asarray(self._model(tf.constant(read_waveform(path)))):
            rows.feature.add().float_list.value.extend(row)
        yield example.SerializeToString()


def main(folder: str, output: str, model: str, *beam_flags: str) -> None:
    """Embeds the files below a folder."""
    files = sorted(str(path) for path in Path(folder).rglob("*") if path.is_file())
    # The runner that DirectRunner falls back to where no other can be downloaded.
    with beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions(list(beam_flags))) as pipeline:
        _ = (
            pipeline
            | beam.Create(files)
            | beam.Reshuffle()
            | beam.ParDo(EmbedFn(model))
            | beam.io.WriteToTFRecord(output, num_shards=1)
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
