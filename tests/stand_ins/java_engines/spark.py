"""Spark with a local master, in Beam's job server for it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.stand_ins.java_engines import java
from tests.stand_ins.portable import free_port, running


@contextlib.contextmanager
def job_server(folder: Path) -> Iterator[str]:
    """Starts it; gives its address."""
    port = free_port()
    command = java.command("1g", f"-Djava.io.tmpdir={folder}")
    command += ["-cp", java.class_path("spark_job_server")]
    command += ["org.apache.beam.runners.spark.SparkJobServerDriver"]
    command += ["--job-host=localhost", f"--job-port={port}", f"--artifact-port={free_port()}"]
    command += ["--expansion-port=0", "--spark-master-url=local[2]", f"--artifacts-dir={folder}"]
    with running(command, folder / "job_server.log", port):
        yield f"localhost:{port}"
