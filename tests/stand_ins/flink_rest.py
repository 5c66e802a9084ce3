"""The part of a Flink JobManager's REST API that submits a job and follows it. Nothing is run."""

import email
import email.policy
import io
import json
import zipfile
from typing import Any

from tests.stand_ins.rest import Call, RestService

JOB = "0123456789abcdef0123456789abcdef"
JAR = "7d0e2c1a_beam.jar"
_PIPELINE = "BEAM-PIPELINE/pipeline"


class FlinkRest(RestService):
    """Takes a jar, and says of its job what it was told to.

    Attributes:
      state: The job's, `RUNNING` or one of those that last: `FINISHED`, `FAILED`, `CANCELED`.
      exception: Text of what made the job fail.
      version: Of Flink; from 2.0 on the exceptions of a job are told in another form.
    """

    def __init__(
        self, state: str = "FINISHED", exception: str = "", version: str = "1.20.1"
    ) -> None:
        super().__init__()
        self.state = state
        self.exception = exception
        self.version = version
        self._jar: bytes | None = None

    @property
    def jar(self) -> zipfile.ZipFile:
        """The jar that was uploaded."""
        assert self._jar is not None, f"no jar came: {[call.line for call in self.calls]}"
        return zipfile.ZipFile(io.BytesIO(self._jar))

    def in_jar(self, name: str) -> Any:
        """Returns a JSON file of the job in the jar, as `pipeline` or `pipeline-options`."""
        return json.loads(self.jar.read(f"{_PIPELINE}/{name}.json"))

    @property
    def artifacts(self) -> dict[str, bytes]:
        """What is staged for workers, by the end of its name."""
        prefix = f"{_PIPELINE}/artifacts/"
        return {
            name.removeprefix(prefix): self.jar.read(name)
            for name in self.jar.namelist()
            if name.startswith(prefix)
        }

    def answer(self, call: Call) -> tuple[int, Any]:
        job = f"/v1/jobs/{JOB}"
        running = self.state == "RUNNING"
        answers: dict[str, Any] = {
            "GET /v1/config": {"flink-version": self.version},
            "GET /v1/overview": {"flink-version": self.version, "taskmanagers": 1},
            f"POST /v1/jars/{JAR}/run": {"jobid": JOB},
            f"DELETE /v1/jars/{JAR}": {},
            f"GET {job}": {"jid": JOB, "state": self.state},
            f"GET {job}/execution-result": {
                "status": {"id": "IN_PROGRESS" if running else "COMPLETED"}
            },
            f"GET {job}/exceptions": self._exceptions(),
            f"GET {job}/accumulators": {"user-task-accumulators": []},
        }
        key = f"{call.method} {call.path}"
        if key == "POST /v1/jars/upload":
            self._jar = _uploaded(call.body)
            return 200, {"filename": f"/tmp/flink-web-upload/{JAR}", "status": "success"}
        if key == f"PATCH {job}" and call.query in ("", "mode=cancel"):
            self.state = "CANCELED"
            return 202, {}
        if key in answers:
            return 200, answers[key]
        return 404, {"errors": ["Not found: " + call.path]}

    def _exceptions(self) -> Any:
        entry = {"exceptionName": "Error", "stacktrace": self.exception, "timestamp": 1}
        history = {"exceptionHistory": {"entries": [entry] if self.exception else []}}
        if not self.version.startswith("1."):
            return history
        there = [{"exception": self.exception, "timestamp": 1}] if self.exception else []
        return {**history, "root-exception": self.exception or None, "all-exceptions": there}


def _uploaded(form: bytes) -> bytes:
    """Returns the one file of a multipart form."""
    boundary = form.split(b"\r\n", 1)[0].removeprefix(b"--")
    header = b'Content-Type: multipart/form-data; boundary="' + boundary + b'"\r\n\r\n'
    message = email.message_from_bytes(header + form, policy=email.policy.HTTP)
    (part,) = message.iter_parts()
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload
