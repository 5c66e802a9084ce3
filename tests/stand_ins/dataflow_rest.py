"""The part of Dataflow's REST API that takes a job and tells of it. Nothing is run."""

import json
import re
from typing import Any

from google.cloud.dataflow_v1beta3 import JobState

from tests.stand_ins.rest import Call, RestService

JOB = "2026-01-01_00_00_00-1234567890123456789"
_TIME = "2026-01-01T00:00:00Z"


class DataflowRest(RestService):
    """Takes a job, and says of it what it was told to.

    Attributes:
      state: The job's, `JOB_STATE_RUNNING` or one of those that last: `JOB_STATE_DONE`,
        `JOB_STATE_FAILED`, `JOB_STATE_CANCELLED`.
      error: Text of the job's one message of an error.
      refusal: HTTP status and text with which a new job is refused.
    """

    def __init__(
        self,
        state: str = "JOB_STATE_DONE",
        error: str = "",
        refusal: tuple[int, str] | None = None,
    ) -> None:
        super().__init__()
        self.state = state
        self.error = error
        self.refusal = refusal

    @property
    def job(self) -> dict[str, Any]:
        """The job that was submitted."""
        (call,) = (call for call in self.calls if call.method == "POST")
        return json.loads(call.body)

    @property
    def requested_states(self) -> list[str]:
        """The states that a client asked for, as `JOB_STATE_CANCELLED`."""
        return [_requested(call) for call in self.calls if call.method == "PUT"]

    def answer(self, call: Call) -> tuple[int, Any]:
        match = re.fullmatch(
            r"/v1b3/projects/([^/]+)/locations/([^/]+)/jobs(/[^/]+)?(/messages)?", call.path
        )
        if match is None:
            return 404, {"error": {"code": 404, "message": f"no {call.path}"}}
        job = {
            "id": JOB,
            "projectId": match[1],
            "location": match[2],
            "currentState": self.state,
            "createTime": _TIME,
            "currentStateTime": _TIME,
        }
        if call.method == "POST":
            if self.refusal:
                status, text = self.refusal
                return status, {"error": {"code": status, "message": text}}
            sent = json.loads(call.body)
            names = {key: sent[key] for key in ("name", "clientRequestId")}
            return 200, {**job, **names, "currentState": "JOB_STATE_PENDING"}
        if match[4]:
            message = {
                "id": "1",
                "time": _TIME,
                "messageImportance": "JOB_MESSAGE_ERROR",
                "messageText": self.error,
            }
            return 200, {"jobMessages": [message] if self.error else []}
        if call.method == "PUT":
            self.state = _requested(call)
            return 200, {**job, "currentState": self.state}
        return 200, job


def _requested(call: Call) -> str:
    return JobState(json.loads(call.body)["requestedState"]).name
