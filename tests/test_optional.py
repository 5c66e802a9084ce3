"""How tests ask for what may be absent."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import optional

ROOT = Path(__file__).parent


def _absent_program() -> None:
    optional.program("no-such-program")


ABSENT = [
    lambda: optional.need_module("no_such_module"),
    lambda: optional.need_module("no_such_package.module"),
    lambda: optional.need_module("json.decoder.no_such_module"),
    _absent_program,
]


@pytest.mark.parametrize("ask", ABSENT)
def test_what_is_absent_skips_and_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, ask: Callable[[], None]
) -> None:
    monkeypatch.delenv("REQUIRE_ALL_TESTS", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"no_?.such.* is absent: pip install -e"):
        ask()


@pytest.mark.parametrize("ask", ABSENT)
def test_what_is_absent_fails_in_a_run_that_may_not_skip(
    monkeypatch: pytest.MonkeyPatch, ask: Callable[[], None]
) -> None:
    monkeypatch.setenv("REQUIRE_ALL_TESTS", "1")
    with pytest.raises(pytest.fail.Exception, match=r"no_?.such.* is absent: pip install -e"):
        ask()


def test_what_is_there_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    optional.need_module("json.decoder")
    assert optional.program(Path(sys.executable).name) == sys.executable


def test_nothing_else_skips_for_want_of_a_tool() -> None:
    asking = ("importorskip", "find_spec", "shutil.which", "REQUIRE_ALL_TESTS")
    others = {
        path.relative_to(ROOT).as_posix()
        for path in ROOT.rglob("*.py")
        if any(each in path.read_text(encoding="utf-8") for each in asking)
    }
    # The last one reads Beam's source and skips nothing.
    assert others == {"optional.py", "test_optional.py", "test_upstream_faults.py"}
