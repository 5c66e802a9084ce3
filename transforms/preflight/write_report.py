"""WriteReport: from the workers' reports to one file for the launcher."""

import dataclasses
import posixpath
from collections.abc import Iterable
from typing import Any

import apache_beam as beam
from apache_beam import pvalue

from transforms.metrics import host
from transforms.preflight import report_files


@dataclasses.dataclass
class WriteReport(beam.PTransform):
    """Writes a small file of one line for each element; an empty one if there are none.

    Input: objects with a method `to_json`, which returns a line without its end. Output: the path.

    Attributes:
      path: The file, in the launcher's folder of reports.
    """

    path: str

    def expand(self, lines: pvalue.PCollection) -> pvalue.PCollection[str]:
        return (
            lines
            | beam.Map(_line).with_output_types(bytes)
            | beam.CombineGlobally(_joined)
            | beam.Map(self._write)
        )

    def _write(self, report: bytes) -> str:
        where = host.process_name()
        report_files.check_mark(posixpath.dirname(self.path), where)
        report_files.write(self.path, report, where)
        return self.path


def _line(line: Any) -> bytes:
    return line.to_json() + b"\n"


def _joined(lines: Iterable[bytes]) -> bytes:
    return b"".join(lines)
