"""Object storages on this machine."""

import os
from collections.abc import Iterator

import pytest
from apache_beam.io.filesystems import FileSystems

from tests.stand_ins import fault_proxy, s3
from tests.stand_ins.fault_proxy import FaultProxy
from tests.stand_ins.object_storages import ADDRESSES, STAND_INS


@pytest.fixture(scope="session", params=["gs", "s3"])
def server(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """Scheme and address of a storage."""
    with STAND_INS[request.param].running() as address:
        yield request.param, address


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("AWS_", "GOOGLE_"))]:
        if name != "AWS_CA_BUNDLE":
            monkeypatch.delenv(name)
    for name, value in s3.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(FileSystems, "_pipeline_options", None)


@pytest.fixture
def proxy(server: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """A proxy that only counts requests, in front of the empty storage."""
    scheme, address = server
    STAND_INS[scheme].empty(address)
    with fault_proxy.running(address) as running:
        monkeypatch.setenv(ADDRESSES[scheme], running.address)
        yield running


@pytest.fixture
def bucket(server: tuple[str, str], proxy: FaultProxy) -> str:
    """Path of an empty bucket."""
    return f"{server[0]}://{STAND_INS[server[0]].BUCKET}"
