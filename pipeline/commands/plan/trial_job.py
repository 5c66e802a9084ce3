"""The second job of `plan`: a few clips through the graph of `embed`, timed."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from pipeline.commands.validation import PreparedRun
from pipeline.graph import Job, job_of
from pipeline.options.settings import EmbedSettings
from transforms.corpus.spans import SPAN_ROWS, FramingConfig
from transforms.dataset import file_names
from transforms.dataset.failure_table import failure_table_name
from transforms.preflight import forecast
from transforms.preflight.survey import Candidate, Failed, Survey
from transforms.read_corpus import ReadCorpus
from transforms.storage import files

# Forty batches of 64 rows: 41 minutes of audio, about 16 seconds of two cores with VGGish. With
# fewer the start and the end of the work, which are not like its middle, would count for much.
NUM_ROWS = 2_560
# At least a minute of each recording, however many there are.
_MIN_ROWS = 64


@dataclasses.dataclass(frozen=True)
class Trial:
    """The result of the trial job.

    Attributes:
      seconds: The time from its start to its end, measured by the launcher.
      chosen: The survey of its clips.
      info: Its `dataset.json`.
      failures: The failed clips by reason.
    """

    seconds: float
    chosen: Survey
    info: dict[str, Any]
    failures: dict[str, Failed]


def choose(
    candidates: Sequence[Candidate], framing: FramingConfig, num_rows: int = NUM_ROWS
) -> tuple[Candidate, ...]:
    """Chooses recordings for a trial: one of each kind, then the first ones.

    Args:
      candidates: The recordings of the sample, in their order.
      framing: How clips become patches.
      num_rows: About how many rows the trial shall have.

    Returns:
      The recordings, each with the clips to embed.
    """
    share = min(SPAN_ROWS, max(_MIN_ROWS, num_rows // max(1, len(candidates))))
    firsts = {each.header.kind: each for each in reversed(candidates)}.values()
    rest = [each for each in candidates if all(each is not first for first in firsts)]
    chosen: list[Candidate] = []
    for candidate in [*sorted(firsts, key=lambda each: each.position), *rest]:
        if num_rows <= 0:
            break
        clips = forecast.limited(candidate.clips, framing, min(share, num_rows))
        chosen.append(dataclasses.replace(candidate, clips=clips))
        num_rows -= forecast.of_recording(clips, candidate.header, framing).sums.num_rows
    return tuple(chosen)


def trial_job(
    settings: EmbedSettings, prepared: PreparedRun, chosen: Sequence[Candidate], folder: str
) -> Job:
    """Returns the job of `embed` for a few clips.

    Args:
      settings: The options of the `embed` that is planned.
      prepared: Its validated parts.
      chosen: The recordings with their clips.
      folder: The folder of the reports.
    """
    corpus = prepared.corpus
    clips = tuple(clip for each in chosen for clip in each.clips)
    few = ReadCorpus(
        clips=clips,
        class_map=corpus.class_map,
        drop_unknown_labels=corpus.drop_unknown_labels,
        splits=corpus.splits,
    )
    settings = dataclasses.replace(settings, num_shards=1)
    return job_of(settings, few, dataset_folder(folder), prepared.pca, prepared.engine)


def dataset_folder(folder: str) -> str:
    """Returns the folder of the trial's dataset."""
    return f"{folder}/trial"


def read_trial(
    folder: str, name: str, chosen: Sequence[Candidate], framing: FramingConfig, seconds: float
) -> Trial:
    """Reads the dataset of the trial job.

    Args:
      folder: The folder of the reports.
      name: The stem of the dataset's file names.
      chosen: The recordings with their clips.
      framing: How clips become patches.
      seconds: The time the job took.

    Raises:
      OSError: A file cannot be read.
      ValueError: A file is from another version of this program.
    """
    dataset = dataset_folder(folder)
    with files.open_to_read(f"{dataset}/{file_names.FILE_NAME}") as file:
        info = json.load(file)
    failures: dict[str, Failed] = {}
    for part in info.get("splits", [{"folder": ""}]):
        path = f"{dataset}/{part['folder']}".rstrip("/")
        with files.open_to_read(f"{path}/{failure_table_name(name)}") as file:
            for line in map(json.loads, file.read().splitlines()):
                one = Failed(1, (line["id"],))
                failures[line["reason"]] = failures.get(line["reason"], Failed()) + one
    surveys = (forecast.of_recording(each.clips, each.header, framing) for each in chosen)
    return Trial(seconds, sum(surveys, Survey()), info, failures)
