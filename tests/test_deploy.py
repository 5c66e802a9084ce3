"""What users copy: manifests for Kubernetes and the Flex Template, held against the program."""

import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions

from pipeline import cli
from pipeline.options.settings import EmbedSettings
from pipeline.options.template import metadata
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


@pytest.fixture(scope="module")
def template() -> ModuleType:
    path = DEPLOY / "dataflow/template.py"
    specification = importlib.util.spec_from_file_location("template", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


METADATA = json.loads((DEPLOY / "dataflow/metadata.json").read_text())
PARAMETERS = {each["name"]: each for each in METADATA["parameters"]}
# A value of each parameter, as a user would give it.
VALUES = {
    "output": "gs://bucket/dataset/",
    "sdk_container_image": "us-docker.pkg.dev/project/repository/embeddings:1",
    "input": "gs://bucket/a/,gs://bucket/b/**.flac",
    "manifest": "gs://bucket/clips.csv",
    "audioset_segments": "gs://bucket/eval_segments.csv",
    "audio_root": "gs://bucket/audio",
    "class_map": "gs://bucket/class_labels_indices.csv",
    "unknown_labels": "drop",
    "split": "train=0.8,test=0.2",
    "clip_seconds": "10",
    "channel": "left",
    "layout": "audiofolder",
    "columns": "uri={file}.wav,labels=category",
    "no_header": "file,category",
    "label_separator": ";",
    "num_shards": "64",
    "dataflow_service_options": "worker_accelerator=type:nvidia-tesla-t4;count:1",
}


def _value(name: str) -> str:
    return VALUES.get(name) or PARAMETERS[name]["defaultValue"]


def test_the_parameters_of_the_template_are_generated_from_the_options() -> None:
    assert metadata() == METADATA, "python -m pipeline.options.template > deploy/dataflow/metadata"


def test_the_template_says_of_every_parameter_what_it_is() -> None:
    assert METADATA["name"]
    assert METADATA["description"]
    for parameter in METADATA["parameters"]:
        assert parameter["label"]
        assert parameter["helpText"]
        for regex in parameter.get("regexes", ()):
            assert re.fullmatch(regex, _value(parameter["name"]))
            assert not re.fullmatch(regex, "")
    required = {name for name, each in PARAMETERS.items() if not each.get("isOptional")}
    assert required == {"output", "sdk_container_image"}


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_parameter_of_the_template_is_a_flag(template: ModuleType, name: str) -> None:
    given = {"input": "gs://bucket/a", "output": "gs://bucket/b", name: _value(name)}
    if name == "audioset_segments":
        given["audio_root"] = VALUES["audio_root"]
    elif name in ("audio_root", "columns", "no_header", "label_separator"):
        given["manifest"] = VALUES["manifest"]
    elif name == "unknown_labels":
        given["class_map"] = VALUES["class_map"]
    words = template.arguments(f"--{each}={value}" for each, value in given.items())
    _parsed(words)  # raises for what is not a flag or not a value


def test_defaults_of_the_template_are_those_of_the_program(template: ModuleType) -> None:
    needed = ["--input=gs://bucket/a", "--output=gs://bucket/b"]
    without, _ = _parsed(template.arguments(needed))
    defaults = [
        f"--{name}={each['defaultValue']}"
        for name, each in PARAMETERS.items()
        if "defaultValue" in each
    ]
    assert _parsed(template.arguments(needed + defaults))[0] == without


def test_switches_and_lists_become_what_the_program_takes(template: ModuleType) -> None:
    words = template.arguments(
        [
            "--input=gs://bucket/a, gs://bucket/c",
            "--overwrite=true",
            "--segments_are_cut=false",
            "--split=",
        ]
    )
    assert words == ["embed", "--input=gs://bucket/a", "--input=gs://bucket/c", "--overwrite"]
