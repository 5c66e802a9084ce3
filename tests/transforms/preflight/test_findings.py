"""Findings and reports as JSON, and checks that fail."""

import pytest

from transforms.preflight.findings import FAILED, NOTE, OK, Finding, Report, guarded


def test_a_report_survives_json() -> None:
    findings = (
        Finding("model", OK, "rows of 128 values", figures=(("loaded in {} s", 1.5),)),
        Finding("recordings", NOTE, "ü.wav: empty", "a run goes on"),
    )
    for free_memory in (None, 10**10):
        report = Report("host-1", 12, {"numpy": "2.0"}, free_memory, findings)
        assert Report.from_json(report.to_json()) == report
    assert report.where == "host-1:12"


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"findings": [{}]}', b"\xff"])
def test_other_data_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Report.from_json(data)


def test_an_exception_of_a_check_is_a_finding_in_one_line() -> None:
    def look() -> Finding:
        raise RuntimeError("\n first line \nsecond")

    assert guarded("model", look) == Finding("model", FAILED, "RuntimeError: first line")
    assert guarded("model", lambda: Finding("x", OK, "y")) == Finding("x", OK, "y")
