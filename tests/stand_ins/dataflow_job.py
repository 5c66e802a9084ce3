"""A job for Dataflow that is submitted to stand-ins of its REST interface and of Cloud Storage."""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import requests

from tests.running import run_program
from tests.stand_ins import gcs as stand_in
from tests.stand_ins.dataflow_rest import DataflowRest

IMAGE = "us-docker.pkg.dev/proj-test/audio/embeddings:1"
BUCKET = f"gs://{stand_in.BUCKET}"


class Gcs:
    """What is in the stand-in of Cloud Storage, and the environment of a program that uses it."""

    def __init__(self, address: str, credentials: Path) -> None:
        # A token that has not run out: else the client asks the machine for one, for 20 s.
        nothing = dict.fromkeys(("client_id", "client_secret", "refresh_token"), "x")
        expiry = "2999-01-01T00:00:00Z"
        credentials.write_text(
            json.dumps({"type": "authorized_user", **nothing, "token": "fake", "expiry": expiry})
        )
        self.url = address
        self.environment = {
            **os.environ,
            "STORAGE_EMULATOR_HOST": address,
            "GOOGLE_APPLICATION_CREDENTIALS": str(credentials),
        }

    def put(self, name: str, data: bytes) -> None:
        url = f"{self.url}/upload/storage/v1/b/{stand_in.BUCKET}/o?uploadType=media&name={name}"
        requests.post(url, data=data, timeout=120).raise_for_status()

    def names(self) -> list[str]:
        answer = requests.get(f"{self.url}/storage/v1/b/{stand_in.BUCKET}/o", timeout=120).json()
        return [item["name"] for item in answer.get("items", [])]

    def get(self, end: str) -> bytes:
        """Returns the one object whose name ends like this."""
        (name,) = (name for name in self.names() if name.endswith(end))
        return self._content(name)

    def below(self, folder: str) -> dict[str, bytes]:
        """Returns the objects in a folder, by their paths in it."""
        names = [name for name in self.names() if name.startswith(f"{folder}/")]
        return {name.removeprefix(f"{folder}/"): self._content(name) for name in names}

    def _content(self, name: str) -> bytes:
        return requests.get(f"{self.url}/{stand_in.BUCKET}/{name}", timeout=120).content


@contextlib.contextmanager
def cloud_storage(folder: Path) -> Iterator[Gcs]:
    """Serves an empty bucket; the folder is for a file of credentials."""
    with stand_in.running() as address:
        yield Gcs(address, folder / "credentials.json")


def arguments(*more: str) -> list[str]:
    return [
        *("embed", f"--input={BUCKET}/recordings", f"--output={BUCKET}/dataset", "--profile=raw"),
        *("--runner=DataflowRunner", "--project=proj-test", "--region=us-central1"),
        *(f"--staging_location={BUCKET}/staging", f"--temp_location={BUCKET}/temp"),
        *(f"--sdk_container_image={IMAGE}", "--machine_type=n2-standard-8"),
        *("--number_of_worker_harness_threads=12", "--max_num_workers=20", *more),
    ]


def submit(gcs: Gcs, dataflow: DataflowRest, *more: str) -> subprocess.CompletedProcess[str]:
    return run_program(
        *arguments(f"--dataflow_endpoint={dataflow.url}", *more), env=gcs.environment
    )
