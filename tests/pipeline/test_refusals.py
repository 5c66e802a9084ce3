"""A value that is not allowed is refused at once, without Beam, TensorFlow and storage clients."""

import collections
import json
import subprocess
import sys

import pytest

from pipeline.options import declaration
from pipeline.options.settings import EmbedSettings

REFUSED = [
    *("--input=", "--manifest=", "--audioset_segments=", "--output=", "--audio_root="),
    *("--audioset_segments=s", "--audio_root=a", "--class_map=", "--model=", "--pca="),
    *("--manifest_format=xml", "--manifest_format=csv", "--keep_columns=", "--keep_columns=x"),
    *("--audio_name={id}", "--segments_are_cut", "--unknown_labels=keep", "--unknown_labels=drop"),
    *("--clip_seconds=0", "--clip_seconds=x", "--split=a=2", "--channel=0", f"--model={__file__}"),
    *("--model=http://[", "--profile=mp3", "--precision=float16", "--short_clips=cut"),
    *("--hop_seconds=0", "--hop_seconds=x", "--max_rows=0", "--max_rows=x", "--name=a/b"),
    *("--max_model_bytes=0", "--max_model_bytes=x", "--damaged=x", "--engine=x"),
    *("--num_shards=0", "--num_shards=x", "--max_failed_ratio=2", "--max_failed_ratio=x"),
    "--profile=audioset --pca=/absent",
    *("--columns=uri=x", "--no_header=uri", "--label_separator=none"),
    *("--manifest=m --columns=x", "--manifest=m --no_header="),
    "--manifest=m --label_separator=",
    *("--layout=nope", "--layout=esc50", "--layout=gtzan --labels_from_folders"),
    *("--same_clip=x", "--same_clip=fail"),
    "--manifest=m --keep_columns=",
    "--manifest=m --keep_columns=labels",
]
HEAVY = (
    "apache_beam",
    "boto3",
    "google.cloud.storage",
    "tensorflow",
    "requests",
    "google.api_core",
)
CODE = """
import json, sys
from pipeline import cli
import transforms.storage.files
for flags in json.loads(sys.argv[1]):
    given = ["embed", "--input=x", "--output=y", "--profile=raw", *flags.split(" ")]
    status = cli.main(given)
    imported = [name for name in json.loads(sys.argv[2]) if name in sys.modules]
    print(json.dumps([flags, status, imported]))
"""


@pytest.fixture(scope="module")
def refusals() -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", CODE, json.dumps(REFUSED), json.dumps(HEAVY)]
    return subprocess.run(command, check=True, capture_output=True, text=True)


def test_a_refusal_imports_nothing_that_takes_long(
    refusals: "subprocess.CompletedProcess[str]",
) -> None:
    results = [json.loads(line) for line in refusals.stdout.splitlines()]
    assert results == [[flags, 2, []] for flags in REFUSED]
    errors = refusals.stderr.splitlines()
    for flags, error in zip(REFUSED, errors, strict=True):
        assert flags.split(" ")[-1].split("=")[0] in error


def test_every_validation_of_every_option_is_tried() -> None:
    tried = collections.Counter(flags.split(" ")[-1].split("=")[0] for flags in REFUSED)
    for flag, field, option in declaration.declared(EmbedSettings):
        validations: list[object] = [option.path, option.requires, option.check, option.choices]
        if option.type and option.type.parse is not str:
            validations.append(option.type)
        assert tried[flag] >= sum(map(bool, validations)), field.name
