"""The first job of `plan`: lists the corpus as `embed` does, and opens recordings."""

import dataclasses
from collections.abc import Iterable

import apache_beam as beam
from apache_beam import pvalue

from transforms.corpus.spans import FramingConfig
from transforms.preflight.survey import Survey, total
from transforms.preflight.survey_recordings import MAX_RECORDINGS, SurveyFailures, SurveyRecordings
from transforms.preflight.write_report import WriteReport
from transforms.read_corpus import ReadCorpus
from transforms.storage import files


@dataclasses.dataclass(frozen=True)
class Found:
    """What the first job has found.

    Attributes:
      listed: Of all recordings, without opening them.
      opened: Of the sample that was opened.
    """

    listed: Survey
    opened: Survey

    @property
    def factor(self) -> float:
        """By which what was found in the sample is multiplied; 1 where all were opened."""
        return self.listed.num_asked / self.opened.num_asked if self.opened.num_asked else 1.0


def add_look(
    pipeline: beam.Pipeline,
    corpus: ReadCorpus,
    framing: FramingConfig,
    folder: str,
    max_recordings: int = MAX_RECORDINGS,
) -> None:
    """Adds the job to a pipeline.

    Args:
      pipeline: Empty.
      corpus: What is asked for.
      framing: How clips become patches.
      folder: Of the reports.
      max_recordings: About how many are opened.
    """
    outputs = pipeline | corpus
    failures = outputs.failures | SurveyFailures()
    found = outputs.clips | SurveyRecordings(framing, corpus.splits, max_recordings)
    listed = (failures, found["listed"]) | "Listed" >> beam.Flatten()
    for name, surveys in (("listed", listed), ("opened", found["opened"])):
        _ = surveys | f"Write {name}" >> _WriteTotal(f"{folder}/{name}.jsonl")


def read_found(folder: str) -> Found:
    """Reads what the job has written.

    Raises:
      OSError: It cannot be read.
      ValueError: It is of another version of this program.
    """
    surveys = []
    for name in ("listed", "opened"):
        with files.open_to_read(f"{folder}/{name}.jsonl") as file:
            surveys.append(Survey.from_json(file.read()))
    return Found(*surveys)


@dataclasses.dataclass
class _WriteTotal(beam.PTransform):
    path: str

    def expand(self, surveys: pvalue.PCollection[Survey]) -> pvalue.PCollection[str]:
        return surveys | beam.CombineGlobally(_total) | WriteReport(self.path)


def _total(surveys: Iterable[Survey]) -> Survey:
    return total(surveys)
