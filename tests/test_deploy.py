"""What users copy: manifests for Kubernetes, held against the program."""

import importlib.metadata
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from apache_beam.options.pipeline_options import DebugOptions, PipelineOptions, PortableOptions

from pipeline import cli
from pipeline.options.settings import EmbedSettings
from pipeline.runners.options import beam_options
from tests import optional

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"
STAND_INS = Path(__file__).resolve().parent / "stand_ins"
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


def _pod(kubernetes_object: dict[str, Any]) -> dict[str, Any]:
    return kubernetes_object["spec"]["template"]["spec"]


def _properties(container: dict[str, Any]) -> dict[str, Any]:
    """Returns Flink's configuration of a container."""
    (value,) = (each["value"] for each in container["env"] if each["name"] == "FLINK_PROPERTIES")
    return yaml.safe_load(value)


def test_flinks_image_understands_each_line_of_its_settings() -> None:
    # Its start script takes each for `key: value`, without blanks, comments as well.
    for _, container in _containers(_objects()):
        for each in container.get("env", ()):
            if each["name"] == "FLINK_PROPERTIES":
                for line in each["value"].splitlines():
                    assert re.fullmatch(r"[\w.-]+: \w[\w.\- ]*", line), line


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
    # Nothing is sent along: workers could not be given it, see deploy/flink/README.md.
    disabled = "disable_logging_submission_environment"
    assert options.view_as(DebugOptions).lookup_experiment(disabled)
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

    kubernetes = _objects()
    images = {container["image"] for _, container in _containers(kubernetes)}
    (version,) = (re.match(r"flink:(\d+\.\d+)", image) for image in images if "flink:" in image)
    assert version is not None
    assert version[1] in FlinkRunnerOptions.PUBLISHED_FLINK_VERSIONS
    (fetching,) = _pod(kubernetes["Deployment/flink-taskmanager"])["initContainers"]
    assert fetching["image"] in images
    (jar,) = fetching["args"]
    name = f"beam-runners-flink-{version[1]}-job-server"
    beam = importlib.metadata.version("apache-beam")
    assert jar.endswith(f"/org/apache/beam/{name}/{beam}/{name}-{beam}.jar")


def test_task_managers_have_beam_on_their_class_path() -> None:
    containers = dict(_containers(_objects()))
    taskmanager = containers["Deployment/flink-taskmanager/taskmanager"]
    (fetching,) = _pod(_objects()["Deployment/flink-taskmanager"])["initContainers"]
    environment = {each["name"]: each["value"] for each in taskmanager["env"]}
    assert environment["HADOOP_CLASSPATH"] == fetching["command"][-1]
    for each in (taskmanager, fetching):
        paths = [mount["mountPath"] for mount in each["volumeMounts"] if mount["name"] == "beam"]
        assert paths == [str(Path(fetching["command"][-1]).parent)]
    # The job manager has to find the job in the jar that was uploaded.
    key = "classloader.resolve-order"
    assert _properties(taskmanager)[key] == "parent-first"
    assert key not in _properties(containers["Deployment/flink-jobmanager/jobmanager"])


def test_a_worker_that_is_lost_is_forgotten_before_the_job_is_started_again() -> None:
    containers = dict(_containers(_objects()))
    jobmanager = _properties(containers["Deployment/flink-jobmanager/jobmanager"])
    tested = yaml.safe_load((STAND_INS / "java_engines/flink.yaml").read_text())
    _, options = _parsed(containers["Job/embed/launcher"]["args"])
    outlives = int(options.view_as(PortableOptions).environment_cache_millis) / 1_000
    for each in (jobmanager, tested):
        assert each["restart-strategy.type"] == "exponential-delay"
        first, unit = each["restart-strategy.exponential-delay.initial-backoff"].split()
        assert unit == "s"
        # Flink shortens waits by up to a tenth.
        assert float(first) * 0.9 > outlives > 0
    taskmanager = _properties(containers["Deployment/flink-taskmanager/taskmanager"])
    shuffle = {key: value for key, value in taskmanager.items() if "shuffle" in key}
    assert shuffle
    assert shuffle.items() <= tested.items()


def test_workers_of_the_cluster_share_storage_credentials_and_user_with_the_launcher() -> None:
    kubernetes = _objects()
    containers = dict(_containers(kubernetes))
    launcher = containers["Job/embed/launcher"]
    assert containers["Deployment/flink-taskmanager/workers"]["envFrom"] == launcher["envFrom"]
    for each in kubernetes.values():
        if template := each["spec"].get("template"):
            assert template["spec"]["securityContext"]["runAsUser"] == 9999
