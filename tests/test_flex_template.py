"""The Flex Template for Dataflow: its metadata and its program, held against the options."""

import dataclasses
import functools
import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from types import ModuleType

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline import cli
from pipeline.commands.validation import check_within_reach
from pipeline.errors import UsageError
from pipeline.options.declaration import declared
from pipeline.options.settings import EmbedSettings
from pipeline.options.template import metadata
from pipeline.runners.options import beam_options
from tests.documents import pages
from transforms.corpus.layouts.catalogue import folder_names
from transforms.storage.schemes import check_scheme

FOLDER = pages.ROOT / "deploy/dataflow"


@pytest.fixture(scope="module")
def template() -> ModuleType:
    path = FOLDER / "template.py"
    specification = importlib.util.spec_from_file_location("template", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


METADATA = json.loads((FOLDER / "metadata.json").read_text())
PARAMETERS = {each["name"]: each for each in METADATA["parameters"]}
# The service's parameters of every template; gcloud has flags of its own for them.
OPTIONS_WITHOUT_PARAMETER = {
    "no_wait": "nobody waits for the job of a template",
    "quiet": "nobody sees the progress",
    "verbose": "the service keeps all logs",
}
IMAGE = "us-docker.pkg.dev/project/repository/embeddings:1"
# What the template takes, and what the program takes of it.
TAKEN = {
    "input": ["gs://bucket/a/,gs://bucket/b/**.flac", "s3://bucket/x y.wav", "https://host/a.wav"],
    "manifest": ["gs://bucket/clips.csv"],
    "audioset_segments": ["gs://bucket/eval_segments.csv,gs://bucket/train*.csv"],
    "output": ["gs://bucket/dataset/", "s3://bucket/a,b"],
    "audio_root": ["gs://bucket/audio", "gs://bucket/a,b"],
    "columns": ["uri={file}.wav,labels=category", "START = {begin:millis}", "labels={a}, {b}"],
    "no_header": ["file,category", " file , category", "file"],
    "label_separator": [";", ", ", "none", ","],
    "keep_columns": ["speaker", "speaker,fold, room"],
    "audio_name": ["{id}.wav", "{id},{start}_{end}.flac"],
    "clip_seconds": ["10", "0.975", "+10.", ".98e0", "1e2", "0:10", "1:00:00.5", "1 days 0:00:01"],
    "class_map": ["gs://bucket/class_labels_indices.csv", "/opt/labels.csv"],
    "split": ["train=0.8,validation=0.1,test=.1", " a=1 ", "a=5e-1,b=+0.5"],
    "channel": ["mean", "left", "right", "1", "007", "999", "1019", "1024"],
    "model": ["https://tfhub.dev/google/vggish/1", "gs://bucket/vggish.tar.gz", "/opt/absent"],
    "pca": ["https://host/vggish_pca_params.npz", "gs://bucket/pca.npz"],
    "hop_seconds": ["0.96", "1", "0,48", "9.6e-1"],
    "max_rows": ["1", "0300", "123456789"],
    "max_model_bytes": ["1", "17179869184"],
    "name": ["audio", "a.b-C_9", "_"],
    "num_shards": ["1", "64", "00064", "99999"],
    "max_failed_ratio": ["0", "1", "0.05", ".5", "1e-3", "1."],
    "sdk_container_image": [IMAGE],
    "number_of_worker_harness_threads": ["1", "16"],
    "dataflow_service_options": [
        "worker_accelerator=type:nvidia-tesla-t4;count:1;install-nvidia-driver",
        "enable_prime,graph_validate_only",
    ],
}
# What the template and the program refuse alike.
REFUSED = {
    "input": ["/recordings", "recordings", "gs:/bucket/a", "gcs://bucket/a"],
    "manifest": ["clips.csv", "gs:bucket/clips.csv"],
    "audioset_segments": ["/eval_segments.csv"],
    "output": ["/dataset", "dataset", "GS:/bucket"],
    "audio_root": ["/audio"],
    "columns": ["file", "path={file}", "={file}", "{file}.wav", "uri"],
    "no_header": ["file,", ",category", "file,,category"],
    "clip_seconds": ["ten", "-1", "10s", "nan", "1:2:3:4", "1:234"],
    "split": ["train", "train=", "=1", "train=80%", "-a=1", "a b=1", "train=-1", "a=0.5;b=0.5"],
    "channel": ["0", "-1", "1.5", "1025", "9999", "Left", "all"],
    "model": ["https://", "http:///vggish"],
    "hop_seconds": ["-1", "inf", "1s"],
    "max_rows": ["0", "-1", "1.5", "many"],
    "max_model_bytes": ["0", "16G"],
    "name": ["a/b", ".hidden", "-a", "a b"],
    "num_shards": ["0", "000", "-1", "100000", "1.5"],
    "max_failed_ratio": ["-0.1", "few", "nan", "5%"],
}
# What has the form and is refused by the program alone, before anything is started.
BEYOND_LIMITS = {
    "clip_seconds": ["0.974", "0", "1000001", "1,500"],
    "split": ["train=0.8,test=0.3", "a=0.5,a=0.5", "train=1.5"],
    "hop_seconds": ["0", "0.33333", "3601"],
    "max_failed_ratio": ["1.1"],
    "columns": ["uri={file", "uri={file:unknown}"],
    "no_header": ["file,file"],
}
NEEDED = {
    "audioset_segments": "audio_root",
    "audio_root": "manifest",
    "unknown_labels": "class_map",
    "same_clip": "manifest",
    **dict.fromkeys(
        ("columns", "no_header", "label_separator", "keep_columns", "manifest_format"), "manifest"
    ),
    **dict.fromkeys(("audio_name", "segments_are_cut"), "audioset_segments"),
}


def _choices(name: str) -> list[str]:
    """Returns the values of a parameter that has few."""
    words = PARAMETERS[name]["regexes"][0].removeprefix("^(?:").removesuffix(")$").split("|")
    return words if all(re.fullmatch(r"\w+", word) for word in words) else []


def _cases(values: Mapping[str, list[str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, several in values.items() for value in several]


def _is_valid(parameters: Mapping[str, str]) -> bool:
    """Returns whether the service would take these parameters, by the metadata."""
    required = {name for name, each in PARAMETERS.items() if not each.get("isOptional")}
    return required <= {*parameters} <= {*PARAMETERS} and all(
        re.fullmatch(regex, value)
        for name, value in parameters.items()
        for regex in PARAMETERS[name]["regexes"]
    )


def _given(name: str, value: str) -> dict[str, str]:
    """Returns parameters of a job, of which one has this value."""
    given = {"input": "gs://bucket/a", "output": "gs://bucket/b", "sdk_container_image": IMAGE}
    needed = NEEDED.get(name)
    while needed:
        given[needed] = TAKEN[needed][0]
        needed = NEEDED.get(needed)
    return given | {name: value}


def _settings(template: ModuleType, parameters: Mapping[str, str]) -> EmbedSettings:
    """Returns the settings of what a template is given.

    Raises:
      UsageError: They are refused.
    """
    words = template.arguments(f"--{name}={value}" for name, value in parameters.items())
    _, settings, beam_flags = cli.parse_job(words)
    check_within_reach(_options(*beam_flags), settings)
    for path in settings.inputs:
        check_scheme(path)
    return settings


@pytest.fixture(scope="module", autouse=True)
def one_parser() -> Iterator[None]:
    """Makes the parser of the command line once, and not for each of some 200 command lines."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "_parser", functools.cache(cli._parser))
        yield


@functools.cache
def _options(*flags: str) -> PipelineOptions:
    return beam_options(["--runner=DataflowRunner", *flags])


def test_the_parameters_of_the_template_are_generated_from_the_options() -> None:
    assert metadata() == METADATA, (
        "python -m pipeline.options.template > deploy/dataflow/metadata.json"
    )


def test_every_option_is_a_parameter_but_those_for_who_waits() -> None:
    options = {flag.removeprefix("--") for flag, _, _ in declared(EmbedSettings)}
    assert options - {*PARAMETERS} == {*OPTIONS_WITHOUT_PARAMETER}
    assert {*PARAMETERS} - options == {
        *("sdk_container_image", "number_of_worker_harness_threads", "dataflow_service_options")
    }


def test_the_template_says_of_every_parameter_what_it_is() -> None:
    assert METADATA["name"]
    assert METADATA["description"]
    for parameter in METADATA["parameters"]:
        assert parameter["label"]
        assert parameter["helpText"]
        assert len(parameter["regexes"]) == 1
        assert not re.fullmatch(parameter["regexes"][0], "")
        assert parameter["name"] in TAKEN or _choices(parameter["name"])
        if default := parameter.get("defaultValue"):
            assert _is_valid(_given(parameter["name"], default))
    required = {name for name, each in PARAMETERS.items() if not each.get("isOptional")}
    assert required == {"output", "sdk_container_image"}


@pytest.mark.parametrize(
    ("name", "value"),
    [*_cases(TAKEN), *((name, value) for name in PARAMETERS for value in _choices(name))],
)
def test_what_the_template_takes_the_program_takes(
    template: ModuleType, name: str, value: str
) -> None:
    given = _given(name, value)
    if name == "layout" and value not in folder_names() and value != "none":
        given["manifest"] = TAKEN["manifest"][0]
        del given["input"]
    assert _is_valid(given)
    _settings(template, given)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *_cases(REFUSED),
        *((name, f"{value}x") for name in PARAMETERS for value in _choices(name)[:1]),
    ],
)
def test_what_the_program_refuses_the_template_refuses(
    template: ModuleType, name: str, value: str
) -> None:
    given = _given(name, value)
    assert not _is_valid(given)
    with pytest.raises((UsageError, SystemExit, OSError)):
        _settings(template, given)


@pytest.mark.parametrize(("name", "value"), _cases(BEYOND_LIMITS))
def test_what_is_beyond_limits_the_program_refuses_before_a_job_is_started(
    template: ModuleType, name: str, value: str
) -> None:
    given = _given(name, value)
    assert _is_valid(given)
    with pytest.raises((UsageError, SystemExit)):
        _settings(template, given)


def test_defaults_of_the_template_are_those_of_the_program(template: ModuleType) -> None:
    needed = _given("input", "gs://bucket/a")
    defaults = {
        name: each["defaultValue"] for name, each in PARAMETERS.items() if "defaultValue" in each
    }
    assert _settings(template, needed | defaults) == _settings(template, needed)
    shown = {flag.removeprefix("--"): field.default for flag, field, _ in declared(EmbedSettings)}
    without = {name for name in shown if shown[name] in (None, (), dataclasses.MISSING)}
    assert {*defaults} & {*shown} == {*shown} - without - {*OPTIONS_WITHOUT_PARAMETER}


def test_switches_and_lists_become_what_the_program_takes(template: ModuleType) -> None:
    words = template.arguments(
        [
            "--input=gs://bucket/a, gs://bucket/c",
            "--columns=uri={file},labels={a}, {b}",
            "--overwrite=true",
            "--segments_are_cut=false",
            "--split=",
        ]
    )
    assert words == [
        *("embed", "--input=gs://bucket/a", "--input=gs://bucket/c"),
        *("--columns=uri={file},labels={a}, {b}", "--overwrite"),
    ]


def test_a_switch_with_another_value_is_refused(template: ModuleType) -> None:
    with pytest.raises(UsageError, match=r"^--overwrite='yes' \(allowed: true, false\)$"):
        template.arguments(["--overwrite=yes"])


def test_commands_of_the_page_have_parameters_that_the_template_takes() -> None:
    found = 0
    for block in pages.blocks("deploy/dataflow/README.md"):
        for words in block.commands if block.language == "shell" else ():
            if words[:4] == ["gcloud", "dataflow", "flex-template", "run"]:
                parameters = _parameters(words)
                assert _is_valid(parameters), parameters
                found += 1
    assert found


def _parameters(words: list[str]) -> dict[str, str]:
    """Returns the parameters of a command of gcloud, which separates them by commas."""
    given: dict[str, str] = {}
    for word in words:
        name, _, value = word.partition("=")
        if name == "--parameters":
            separator = ","
            if escape := re.match(r"\^(.)\^", value):
                separator, value = escape[1], value[3:]
            given |= dict(each.partition("=")[::2] for each in value.split(separator))
    return {name: value.replace("$IMAGE", IMAGE) for name, value in given.items()}
