"""Requests to the REST interface of a Flink cluster, version 1.19 to 2.2."""

import json
from typing import Any

import requests

from pipeline.runners.waiting import NoAnswerError
from transforms.storage import http

_SECONDS = 10.0
# The accumulators of a job with a few hundred operators are 350 kB.
_MAX_BYTES = 2**26


class Cluster:
    """A Flink cluster by the address of its job manager.

    Attributes:
      url: The address, with `http://` or `https://`.
    """

    def __init__(self, url: str) -> None:
        self.url = (url if "://" in url else f"http://{url}").rstrip("/")

    def __str__(self) -> str:
        return f"the Flink cluster {self.url}"

    def get(self, path: str) -> Any:
        """Returns the parsed answer to a GET request.

        Raises:
          NoAnswerError: There is none, or one that may pass.
          FileNotFoundError: The cluster has nothing of that name.
        """
        try:
            return json.loads(http.probe(f"{self.url}/v1/{path}", _SECONDS, _MAX_BYTES))
        except FileNotFoundError:
            raise
        except (OSError, ValueError) as error:
            raise NoAnswerError(f"does not respond ({error})") from error

    def cancel(self, job: str) -> None:
        """Cancels a job.

        Raises:
          NoAnswerError: The cluster does not respond.
          OSError: It does not accept that.
        """
        url = f"{self.url}/v1/jobs/{job}?mode=cancel"
        try:
            with http.translate_errors(self.url, url):
                answer = requests.patch(url, timeout=_SECONDS)
        except OSError as error:
            raise NoAnswerError(f"does not respond ({error})") from error
        http.check_status(answer.status_code)
