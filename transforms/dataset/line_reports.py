"""Reports of failures and notes, for the tables beside the shards."""

from apache_beam import pvalue

from transforms.corpus.clips import AudioNote, Failure
from transforms.dataset.shards import shard_of
from transforms.dataset.table_files import FAILURES, NOTES
from transforms.metrics.reporting import report_of

# A worker holds one part in memory; a corpus may have millions of failures.
_NUM_PARTS = 16


def line_report(line: Failure | AudioNote) -> pvalue.TaggedOutput:
    """Returns a line of a table as an output of a `ReportingFn`, by the part that has its id."""
    kind = FAILURES if isinstance(line, Failure) else NOTES
    return report_of(kind, line.split, shard_of(line.id, _NUM_PARTS), line)
