"""The page about Dataflow: its prices, its table, and the order of its commands."""

import re
from typing import Any

import pytest
from apache_beam.testing.load_tests import dataflow_cost_consts

from tests.documents import pages

PAGE = "deploy/dataflow/README.md"


@pytest.fixture(scope="module")
def arithmetic() -> dict[str, Any]:
    names: dict[str, Any] = {}
    block = pages.BLOCKS[f"{PAGE}: What a million clips cost, python"]
    exec(compile(block.text, PAGE, "exec"), names)
    return names


def test_prices_are_those_that_beam_quotes(arithmetic: dict[str, Any]) -> None:
    assert arithmetic["VCPU_HOUR"] == dataflow_cost_consts.VCPU_PER_HR_BATCH
    assert arithmetic["MEMORY_GB_HOUR"] == dataflow_cost_consts.MEM_PER_GB_HR_BATCH
    assert arithmetic["DISK_GB_HOUR"] == dataflow_cost_consts.PD_PER_GB_HR
    assert arithmetic["SHUFFLED_GB"] == dataflow_cost_consts.SHUFFLE_PER_GB_BATCH


def test_the_rate_is_that_of_the_benchmark(arithmetic: dict[str, Any]) -> None:
    row = r"\| this program, marginal: 10 s FLAC 44.1 kHz stereo \| (\d+) rows/s"
    rate = re.search(row, pages.read("benchmarks/README.md"))
    assert rate is not None
    assert arithmetic["ROWS_PER_CORE"] == int(rate[1]) / 2


def test_the_table_follows_from_the_arithmetic(arithmetic: dict[str, Any]) -> None:
    text = pages.sections(PAGE)["What a million clips cost"]
    row = r"^\| (\d+) \| (a core|half)[^|]* \| ([\d.]+) \| ([\d.]+) \|$"
    rows = re.findall(row, text, re.MULTILINE)
    assert len(rows) == 3
    for workers, cores, *figures in rows:
        found = arithmetic["dollars"](1_000_000, int(workers), 1 if cores == "a core" else 0.5)
        assert figures == [f"{each:.2f}" for each in found]


def test_what_a_command_names_an_earlier_one_has_made() -> None:
    commands = [
        " ".join(words)
        for block in pages.blocks(PAGE)
        if block.language == "shell"
        for words in block.commands
    ]
    made = {
        "gs://BUCKET": "gcloud storage buckets create gs://BUCKET ",
        "PROJECT/REPOSITORY/": "gcloud artifacts repositories create REPOSITORY ",
        "embeddings@PROJECT.iam": "gcloud iam service-accounts create embeddings",
        "--sdk_container_image": "docker push REGION-docker.pkg.dev/",
        "gs://BUCKET/recordings/": "gcloud storage rsync --recursive recordings gs:",
        "gs://BUCKET/vggish_1.tar.gz --": "gcloud storage cp vggish_1.tar.gz gs://BUCKET/",
    }
    for name, command in made.items():
        (where,) = (n for n, each in enumerate(commands) if f"{each} ".startswith(command))
        users = [n for n, each in enumerate(commands) if name in each and n != where]
        assert users, name
        assert where < min(users), name
