"""What users copy: manifests for Kubernetes, held against the program."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions

from pipeline import cli
from pipeline.options.settings import EmbedSettings
from pipeline.runners.options import beam_options
from tests import optional

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"
MANIFESTS = sorted((DEPLOY / "flink").glob("*.yaml"))


def _parsed(arguments: list[str]) -> tuple[EmbedSettings, PipelineOptions]:
    """Parses a command line as the program does."""
    _, settings, beam_flags = cli.parse_job(arguments)
    return settings, beam_options(beam_flags)


def _objects() -> dict[str, dict[str, Any]]:
    loaded = [each for path in MANIFESTS for each in yaml.safe_load_all(path.read_text())]
    return {f"{each['kind']}/{each['metadata']['name']}": each for each in loaded}


def _containers(kubernetes: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, each in kubernetes.items():
        template = each["spec"].get("template")
        for container in template["spec"]["containers"] if template else ():
            yield f"{name}/{container['name']}", container


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_kubernetes_would_take_the_manifests(path: Path) -> None:
    optional.need_module("kubernetes_validate")
    import kubernetes_validate

    for each in yaml.safe_load_all(path.read_text()):
        kubernetes_validate.validate(each, kubernetes_validate.latest_version(), strict=True)


def test_selectors_probes_and_mounts_name_what_is_there() -> None:
    kubernetes = _objects()
    labels = {
        name: each["spec"]["template"]["metadata"]["labels"]
        for name, each in kubernetes.items()
        if each["kind"] == "Deployment"
    }
    for name, own in labels.items():
        assert kubernetes[name]["spec"]["selector"]["matchLabels"] == own
    service = kubernetes["Service/flink-jobmanager"]["spec"]
    assert service["selector"] == labels["Deployment/flink-jobmanager"]
    containers = dict(_containers(kubernetes))
    jobmanager = containers["Deployment/flink-jobmanager/jobmanager"]
    offered = {each["name"]: each["containerPort"] for each in jobmanager["ports"]}
    assert offered == {each["name"]: each["port"] for each in service["ports"]}
    for name, container in containers.items():
        ports = {each["name"] for each in container.get("ports", ())}
        probe = container.get("readinessProbe", {})
        for kind in ("httpGet", "tcpSocket"):
            assert kind not in probe or probe[kind]["port"] in ports
        volumes = kubernetes[name.rpartition("/")[0]]["spec"]["template"]["spec"].get("volumes", ())
        mounted = {each["name"] for each in container.get("volumeMounts", ())}
        assert mounted <= {each["name"] for each in volumes}


def test_the_job_fits_its_cluster() -> None:
    kubernetes = _objects()
    containers = dict(_containers(kubernetes))
    launcher = containers["Job/embed/launcher"]
    _, options = _parsed(launcher["args"])
    portable = options.view_as(PortableOptions)
    pool = containers["Deployment/flink-taskmanager/workers"]
    (port,) = pool["ports"]
    assert portable.environment_type == "EXTERNAL"
    assert portable.environment_config == f"localhost:{port['containerPort']}"
    assert portable.sdk_worker_parallelism == 1
    assert pool["args"] == ["--worker_pool"]
    assert pool["image"] == launcher["image"]

    flink = [each for each in containers.values() if each["image"].startswith("flink:")]
    assert len({each["image"] for each in flink}) == 1
    known = options.get_all_options()
    properties = [yaml.safe_load(each["env"][0]["value"]) for each in flink]
    service = kubernetes["Service/flink-jobmanager"]
    for each in properties:
        assert each["jobmanager.rpc.address"] == service["metadata"]["name"]
    (rest,) = (each["port"] for each in service["spec"]["ports"] if each["name"] == "rest")
    assert known["flink_master"] == f"http://{service['metadata']['name']}:{rest}"
    slots = sum(each.get("taskmanager.numberOfTaskSlots", 0) for each in properties)
    replicas = kubernetes["Deployment/flink-taskmanager"]["spec"]["replicas"]
    assert known["parallelism"] == slots * replicas


def test_the_cluster_is_of_a_version_that_beam_knows() -> None:
    from apache_beam.options.pipeline_options import FlinkRunnerOptions

    images = {container["image"] for _, container in _containers(_objects())}
    (version,) = (re.match(r"flink:(\d+\.\d+)", image) for image in images if "flink:" in image)
    assert version is not None
    assert version[1] in FlinkRunnerOptions.PUBLISHED_FLINK_VERSIONS


def test_workers_of_the_cluster_share_storage_credentials_and_user_with_the_launcher() -> None:
    kubernetes = _objects()
    containers = dict(_containers(kubernetes))
    launcher = containers["Job/embed/launcher"]
    assert containers["Deployment/flink-taskmanager/workers"]["envFrom"] == launcher["envFrom"]
    for each in kubernetes.values():
        if template := each["spec"].get("template"):
            assert template["spec"]["securityContext"]["runAsUser"] == 9999
