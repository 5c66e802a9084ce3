"""Manifests as tests read them."""

import io
import json
from typing import Any

from transforms.corpus.clips import Clip, Failure
from transforms.corpus.manifests.manifest import ManifestFacts, ManifestOptions, read_manifest

RAW = ManifestOptions(raw_formats=frozenset({"s16le", "f32be"}))


def read(
    text: str | bytes, options: ManifestOptions = RAW, uri: str = "/data/m.csv"
) -> tuple[list[Clip | Failure], ManifestFacts]:
    data = text.encode() if isinstance(text, str) else text
    *found, facts = read_manifest(io.BytesIO(data), uri, options)
    assert isinstance(facts, ManifestFacts)
    outcomes = [outcome for outcome in found if not isinstance(outcome, ManifestFacts)]
    assert len(outcomes) == len(found) == facts.num_rows
    return outcomes, facts


def clips_of(text: str | bytes, options: ManifestOptions = RAW) -> list[Clip]:
    outcomes, _ = read(text, options)
    failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    assert not failures
    return [outcome for outcome in outcomes if isinstance(outcome, Clip)]


def only(text: str | bytes, options: ManifestOptions = RAW) -> Clip:
    (clip,) = clips_of(text, options)
    return clip


def only_failure(text: str | bytes, options: ManifestOptions = RAW) -> Failure:
    (failure,) = read(text, options)[0]
    assert isinstance(failure, Failure)
    assert (failure.step, failure.manifest) == ("list", "/data/m.csv")
    return failure


def as_json(**values: Any) -> str:
    return json.dumps(values)
