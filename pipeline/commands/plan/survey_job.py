"""The first job of `plan`: lists the corpus as `embed` does, and opens a sample of recordings."""

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
class CorpusSurvey:
    """The result of the survey job.

    Attributes:
      listed: The survey of all recordings, without opening them.
      opened: The survey of the sample that was opened.
    """

    listed: Survey
    opened: Survey

    @property
    def factor(self) -> float:
        """The factor from the sample to the corpus; 1 where all recordings were opened."""
        return self.listed.num_listed / self.opened.num_listed if self.opened.num_listed else 1.0


def add_survey(
    pipeline: beam.Pipeline,
    corpus: ReadCorpus,
    framing: FramingConfig,
    folder: str,
    max_recordings: int = MAX_RECORDINGS,
) -> None:
    """Adds the survey to an empty pipeline.

    Args:
      pipeline: The pipeline.
      corpus: The clips to embed.
      framing: How clips become patches.
      folder: The folder of the reports.
      max_recordings: About how many recordings are opened.
    """
    outputs = pipeline | corpus
    failures = outputs.failures | SurveyFailures()
    found = outputs.clips | SurveyRecordings(framing, corpus.splits, max_recordings)
    listed = (failures, found["listed"]) | "Listed" >> beam.Flatten()
    for name, surveys in (("listed", listed), ("opened", found["opened"])):
        _ = surveys | f"Write {name}" >> _WriteTotal(f"{folder}/{name}.jsonl")


def read_survey(folder: str) -> CorpusSurvey:
    """Reads the reports of the survey.

    Raises:
      OSError: A report cannot be read.
      ValueError: A report is from another version of this program.
    """
    surveys = []
    for name in ("listed", "opened"):
        with files.open_to_read(f"{folder}/{name}.jsonl") as file:
            surveys.append(Survey.from_json(file.read()))
    return CorpusSurvey(*surveys)


@dataclasses.dataclass
class _WriteTotal(beam.PTransform):
    path: str

    def expand(self, surveys: pvalue.PCollection[Survey]) -> pvalue.PCollection[str]:
        return surveys | beam.CombineGlobally(_total) | WriteReport(self.path)


def _total(surveys: Iterable[Survey]) -> Survey:
    return total(surveys)
