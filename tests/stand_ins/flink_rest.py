"""The part of a Flink JobManager's REST API that submits a job and follows it. Nothing is run."""

import base64
import dataclasses
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
_TASK_STATES = ("created", "scheduled", "running", "finished", "canceled", "failed")


@dataclasses.dataclass
class TaskManager:
    """A task manager, with two slots that are free."""

    name: str
    host: str = "10.0.0.1"
    slots: int = 4
    free: int = 4


class FlinkRest(RestService):
    """Takes a jar, and says of its job what it was told to.

    Attributes:
      state: The job's, `RUNNING` or one of those that last: `FINISHED`, `FAILED`, `CANCELED`.
      exception: Text of what made the job fail.
      version: Of Flink; from 2.0 on the exceptions of a job are told in another form.
      managers: The task managers.
      config: What differs from the job manager's default configuration.
      tasks: Number of the job's tasks by state, such as `running`.
      num_records: Number of records that the tasks have read.
      counters: Beam's counters of this program by name.
      exceptions_at: The time of the exception.
      knows_job: Whether the job manager knows the job.
    """

    def __init__(
        self, state: str = "FINISHED", exception: str = "", version: str = "1.20.1"
    ) -> None:
        super().__init__()
        self.state = state
        self.exception = exception
        self.version = version
        self.managers = [TaskManager("taskmanager1", "10.0.0.1"), TaskManager("b", "10.0.0.2")]
        self.config: dict[str, str] = {}
        self.tasks: dict[str, int] = {"running": 2, "created": 2}
        self.num_records = 0
        self.counters: dict[str, int] = {}
        self.knows_job = True
        self.exceptions_at = 1
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
        answers: dict[str, Any] = {
            "GET /v1/config": {"flink-version": self.version},
            "GET /v1/overview": self._overview(),
            "GET /v1/jobmanager/config": [{"key": k, "value": v} for k, v in self.config.items()],
            "GET /v1/taskmanagers": {"taskmanagers": [*map(_manager, self.managers)]},
            "GET /v1/jobs/overview": {"jobs": [self._job()] if self.knows_job else []},
            f"POST /v1/jars/{JAR}/run": {"jobid": JOB},
            f"DELETE /v1/jars/{JAR}": {},
            f"GET {job}": {"jid": JOB, "state": self.state, "vertices": [self._vertex()]},
            f"GET {job}/exceptions": self._exceptions(),
            f"GET {job}/accumulators": {"user-task-accumulators": self._accumulators()},
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

    def _overview(self) -> Any:
        return {
            "flink-version": self.version,
            "taskmanagers": len(self.managers),
            "slots-total": sum(each.slots for each in self.managers),
            "slots-available": sum(each.free for each in self.managers),
            "jobs-running": 1,
        }

    def _job(self) -> Any:
        tasks = {state: self.tasks.get(state, 0) for state in _TASK_STATES}
        return {"jid": JOB, "state": self.state, "tasks": tasks | {"total": sum(tasks.values())}}

    def _vertex(self) -> Any:
        return {
            "tasks": {state.upper(): self.tasks.get(state, 0) for state in _TASK_STATES},
            "metrics": {"read-records": self.num_records, "write-records": 0},
        }

    def _accumulators(self) -> Any:
        """Returns Beam's metrics as its Flink runner does: JSON in JSON, and numbers in base64."""
        infos = [
            {
                "urn": "beam:metric:user:sum_int64:v1",
                "labels": {"NAMESPACE": "beam_audio_embeddings", "NAME": name, "PTRANSFORM": step},
                "payload": base64.b64encode(bytes([number])).decode(),
            }
            for name, number in self.counters.items()
            for step in ("one", "another")
        ]
        other = {"urn": "beam:metric:element_count:v1", "labels": {"PCOLLECTION": "p"}}
        value = json.dumps({"metrics": {"attempted": [other, *infos]}})
        return [{"name": "__metricscontainers", "type": "MetricsAccumulator", "value": value}]

    def _exceptions(self) -> Any:
        told = [{"stacktrace": self.exception, "timestamp": self.exceptions_at}]
        history = {"exceptionHistory": {"entries": told if self.exception else []}}
        if not self.version.startswith("1."):
            return history
        before = [{"exception": self.exception, "timestamp": self.exceptions_at}]
        all_of_them = before if self.exception else []
        return {**history, "root-exception": self.exception or None, "all-exceptions": all_of_them}


def _manager(manager: TaskManager) -> Any:
    return {
        "id": manager.name,
        "path": f"pekko.tcp://flink@{manager.host}:6122/user/rpc/taskmanager_0",
        "slotsNumber": manager.slots,
        "freeSlots": manager.free,
    }


def _uploaded(form: bytes) -> bytes:
    """Returns the one file of a multipart form."""
    boundary = form.split(b"\r\n", 1)[0].removeprefix(b"--")
    header = b'Content-Type: multipart/form-data; boundary="' + boundary + b'"\r\n\r\n'
    message = email.message_from_bytes(header + form, policy=email.policy.HTTP)
    (part,) = message.iter_parts()
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload
