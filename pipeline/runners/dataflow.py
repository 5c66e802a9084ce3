"""What Dataflow's service takes of a job."""

import apache_beam as beam

from pipeline.errors import UsageError

# "Your job's graph size must not exceed 10 MB": https://cloud.google.com/dataflow/docs/request-quotas
# (read in November 2026). The request itself, of up to 20 MB, holds no graph: that is staged.
MAX_GRAPH_BYTES = 10_000_000


def check_graph(pipeline: beam.Pipeline) -> None:
    """Refuses a job that Dataflow would refuse after everything was staged.

    Args:
      pipeline: The job. To measure it takes a quarter of a second.

    Raises:
      UsageError: The graph is too large.
    """
    num_bytes = pipeline.to_runner_api().ByteSize()
    if num_bytes > MAX_GRAPH_BYTES:
        raise UsageError(
            f"the graph of the job has {num_bytes:,} bytes, and Dataflow takes"
            f" {MAX_GRAPH_BYTES:,}: it holds the labels of --class_map, each --input and each"
            " column; leave out labels that the corpus lacks, and pass folders in place of files"
        )
