"""The width of the graph: each stage, output and shuffle costs workers, buffers and time."""

from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from pipeline import graph
from transforms.corpus.labels import ClassMap
from transforms.embed_audio import EmbedAudio
from transforms.read_corpus import ReadCorpus
from transforms.write_dataset import WriteDataset

PAR_DO = common_urns.primitives.PAR_DO.urn
SHUFFLE = common_urns.primitives.GROUP_BY_KEY.urn
FLATTEN = common_urns.primitives.FLATTEN.urn
IMPULSE = common_urns.primitives.IMPULSE.urn
NO_WORK = {"beam:runner:source:v1", "beam:runner:sink:v1", FLATTEN}


def width(folder: Path, **corpus: Any) -> dict[str, int]:
    """Returns what a job has, after Beam has fused its steps into stages."""
    pipeline = beam.Pipeline(runner=FnApiRunner())
    job = graph.Job(ReadCorpus(**corpus), EmbedAudio("/model"), WriteDataset(str(folder), "raw"))
    graph.build(pipeline, job)
    proto = pipeline.to_runner_api()
    steps = [each for each in proto.components.transforms.values() if not each.subtransforms]
    impulses = {
        name for each in steps if each.spec.urn == IMPULSE for name in each.outputs.values()
    }
    flattened = {
        name for each in steps if each.spec.urn == FLATTEN for name in each.inputs.values()
    }
    assert not impulses & flattened, "Beam's Flink runner refuses it"
    _, stages = FnApiRunner().create_stages(proto)
    working = [
        stage for stage in stages if any(each.spec.urn not in NO_WORK for each in stage.transforms)
    ]
    outputs = [
        len({each.spec.payload for each in stage.transforms if "sink" in each.spec.urn})
        for stage in working
    ]
    return {
        "steps": len(steps),
        "shuffles": sum(each.spec.urn == SHUFFLE for each in steps),
        "side inputs": sum(
            len(beam_runner_api_pb2.ParDoPayload.FromString(each.spec.payload).side_inputs)
            for each in steps
            if each.spec.urn == PAR_DO
        ),
        "stages": len(working),
        "outputs": sum(outputs),
        "outputs of a stage": max(outputs),
    }


INPUTS = {"inputs": ["/in"]}
TABLES = {"manifests": ["/in.csv"]}
SEGMENTS = {"audioset_segments": ["/in.csv"], "audio_root": "/in"}


@pytest.mark.parametrize(
    ("corpus", "limits"),
    [
        (INPUTS, (46, 8, 5, 13, 21, 3)),
        (TABLES, (43, 8, 5, 12, 18, 3)),
        (TABLES | {"class_map": ClassMap(((0, "a", "a"),))}, (40, 7, 3, 11, 16, 2)),
        (SEGMENTS, (54, 9, 5, 14, 22, 3)),
        (INPUTS | TABLES | SEGMENTS, (73, 11, 5, 19, 31, 3)),
    ],
    ids=["inputs", "tables", "class map", "segments", "all"],
)
def test_the_graph_is_no_wider_than_it_was(
    tmp_path: Path, corpus: dict[str, Any], limits: tuple[int, ...]
) -> None:
    found = width(tmp_path, **corpus)
    allowed = dict(zip(found, limits, strict=True))
    assert {name: found[name] for name in found if found[name] > allowed[name]} == {}, allowed
