"""Google Cloud Storage on this machine: gcp-storage-emulator, in memory."""

import contextlib
import urllib.request
from collections.abc import Iterator

from tests import optional
from tests.stand_ins import processes

BUCKET = "corpora"


@contextlib.contextmanager
def running() -> Iterator[str]:
    """Serves an empty bucket while the block lasts; gives its address for STORAGE_EMULATOR_HOST."""
    optional.need_module("gcp_storage_emulator")
    port = processes.free_port()
    command = ["tests.stand_ins.gcs_emulator", "start", "--host=127.0.0.1", f"--port={port}"]
    with processes.serving(
        [*command, "--in-memory", f"--default-bucket={BUCKET}"], port
    ) as address:
        yield address


def empty(address: str) -> None:
    """Removes all objects."""
    urllib.request.urlopen(f"{address}/wipe?keep-buckets=true", timeout=300).close()
