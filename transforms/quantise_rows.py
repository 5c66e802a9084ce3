"""QuantiseRows: from float rows to the 8-bit rows of the public feature releases."""

import dataclasses
from typing import Any

import apache_beam as beam
from apache_beam import pvalue

from transforms.corpus.runs import RowRun
from transforms.model.postprocessing import Pca


@dataclasses.dataclass
class QuantiseRows(beam.PTransform):
    """Applies the PCA and quantises rows, which reduces the bytes to shuffle to a quarter.

    Input: `(clip id, RowRun)` of float32 `[num_rows, 128]`. Output: the same with uint8 rows.
    Elements with anything else than a `RowRun` stay as they are.

    Attributes:
      pca: PCA parameters.
    """

    pca: Pca

    def expand(self, rows: pvalue.PCollection) -> pvalue.PCollection:
        return rows | beam.MapTuple(self._quantised).with_output_types(tuple[str, Any])

    def _quantised(self, clip_id: str, run: Any) -> tuple[str, Any]:
        if not isinstance(run, RowRun):
            return clip_id, run
        return clip_id, RowRun(run.first_row, self.pca.quantise(run.rows))
