"""The demo's question whether a hub has its model."""

import pytest

from pipeline.commands import demo
from tests.stand_ins import web_server
from tests.stand_ins.web_server import Request, WebServer


class Hub(WebServer):
    def answer(self, request: Request) -> None:
        request.reply(
            200 if request.path == "/vggish/1?tf-hub-format=compressed" else 404, b"model"
        )


def test_a_hub_that_has_the_model_is_told_from_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with web_server.running(Hub()) as hub:
        assert demo._why_unreachable(f"{hub.url}/vggish/1") == ""
        assert "reached: 404 Not Found." in demo._why_unreachable(f"{hub.url}/other/1")
    assert "does not answer: Connection refused" in demo._why_unreachable("http://127.0.0.1:9/m")
    assert "cannot be reached: Invalid IPv6 URL." in demo._why_unreachable("http://[")
    assert demo._why_unreachable("/a/folder") == ""
