"""The checks of a worker: each gives a finding, and none hides another."""

import contextlib
import dataclasses
import functools
import os
import time
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import soxr

from transforms.audio import codecs, decoding
from transforms.audio.errors import AudioError
from transforms.corpus.clips import Clip, printable
from transforms.dataset import provenance
from transforms.metrics import host
from transforms.model import choosing, smoke_test
from transforms.model.choosing import Engine
from transforms.model.embedding_model import EmbeddingModel
from transforms.model.engines import AUTO, NATIVE
from transforms.model.errors import ModelError
from transforms.model.postprocessing import EMBEDDING_SIZE, Pca
from transforms.model.precision import FLOAT32, TOLERANCE
from transforms.model.smoke_test import Outcome
from transforms.model.sources import caching
from transforms.model.sources.writing import MAX_BYTES
from transforms.preflight.findings import FAILED, NOTE, OK, Finding, guarded
from transforms.preflight.headers import read_header
from transforms.storage import files

GB = 10**9
# The seconds to decode of each recording.
_NUM_SECONDS = 3
# For a model that is downloaded: VGGish's archive of 260 MB, its files, and room to spare.
_FETCHED_MODEL_BYTES = GB
_ARCHIVE_RATIO = 3
# A worker that differs in these cannot read what the launcher sends, or computes something else.
_MUST_AGREE = ("python", "program", "apache-beam")


@dataclasses.dataclass(frozen=True)
class WorkerCheckConfig:
    """What workers have to check.

    Attributes:
      reports: The folder of the reports of this check alone, with the launcher's file in it.
      model: Hub URL, SavedModel folder, or archive.
      pca: The PCA parameters of 8-bit profiles.
      precision: The precision of the model's convolutions.
      trust_model: Whether the model's operations may use files, the network and Python.
      max_model_bytes: Limit of what is downloaded, copied or unpacked.
      engine: What computes the rows, as the launcher has chosen.
      clips: Recordings to open.
      channel: The channel to decode, from 1; None for the mean of all.
      probes_output: The folder is in the output: check that it can be written.
    """

    reports: str
    model: str
    pca: Pca | None = None
    precision: str = FLOAT32
    trust_model: bool = False
    max_model_bytes: int = MAX_BYTES
    engine: Engine = AUTO
    clips: tuple[Clip, ...] = ()
    channel: int | None = None
    probes_output: bool = True


def versions() -> dict[str, str]:
    """Returns the versions of all that can change a row, by name."""
    distributions = provenance.versions()
    distributions.pop("beam-audio-embeddings")
    return distributions | {
        "python": host.python_version(),
        "program": f"code {host.code_digest()[:12]}",
        "decoders": decoding.VERSIONS,
        "libsoxr": soxr.__libsoxr_version__,
    }


def compare_versions(worker: Mapping[str, str], launcher: Mapping[str, str]) -> Finding:
    """Compares a worker's versions with the launcher's."""
    differing = [
        name
        for name in sorted({*worker, *launcher})
        if worker.get(name, "none") != launcher.get(name, "none")
    ]
    if not differing:
        return Finding("versions", OK, "as on the launcher")
    texts = [
        f"{name} {worker.get(name, 'none')} instead of {launcher.get(name, 'none')}"
        for name in sorted(differing, key=lambda name: name not in _MUST_AGREE)
    ]
    if not set(differing).intersection(_MUST_AGREE):
        return Finding(
            "versions",
            NOTE,
            f"differ from the launcher's: {'; '.join(texts)}",
            "rows may differ slightly from those of other machines; to make them equal, build the"
            " workers' image from this requirements.txt with the launcher's versions",
        )
    return Finding(
        "versions",
        FAILED,
        f"differ from the launcher's: {'; '.join(texts)}",
        f"{', '.join(_MUST_AGREE)} must be the same: build the workers' image again from this"
        " checkout, or start the job from the environment that the image was built from",
    )


def check_codecs() -> Finding:
    """Decodes a tone in every format."""
    failures = codecs.undecodable_formats()
    if not failures:
        names = ", ".join(each.name for each in codecs.TONES)
        return Finding("codecs", OK, f"a tone was decoded from {names}")
    return Finding(
        "codecs",
        FAILED,
        "; ".join(f"{name}: {why}" for name, why in failures.items()),
        "recordings in these formats would fail or be decoded wrongly: install soundfile and av"
        " from their wheels, in the versions of requirements.txt",
    )


def check_recordings(clips: Sequence[Clip], channel: int | None = None) -> Finding:
    """Opens recordings and decodes their first seconds."""
    good, bad, is_storage = [], [], False
    for clip in clips:
        name = printable(clip.uri)
        try:
            good.append(f"{name}: {read_header(clip, channel, _NUM_SECONDS).kind}")
        except AudioError as error:
            bad.append(f"{name}: {error.reason}: {error}")
        except OSError as error:
            is_storage |= not isinstance(error, FileNotFoundError)
            bad.append(f"{name}: {error.strerror or error}")
    text = "; ".join([*bad, *good])
    if not bad:
        return Finding("recordings", OK, text)
    if good and not is_storage:
        hint = "a run continues: such clips are recorded in the failure table"
        return Finding("recordings", NOTE, text, hint)
    return Finding(
        "recordings",
        FAILED,
        text,
        "the workers must be able to read what the launcher lists: use a folder that all"
        " machines share or an object storage, and permit the workers to read it",
    )


def check_output(folder: str) -> Finding:
    """Writes, reads back, renames and deletes a file in an existing folder."""
    found = "a file was written, read back, renamed and deleted"
    probe = files.temporary_name(f"{folder}/probe")
    renamed = files.temporary_name(f"{folder}/renamed")
    data = os.urandom(1_024)
    step = "writing"
    try:
        with files.created(probe) as file:
            file.write(data)
        step = "renaming"
        files.rename([probe], [renamed])
        step = "reading back"
        with files.open_to_read(renamed) as file:
            if file.read() != data:
                raise OSError("other bytes came back")
        step = "deleting"
        files.delete_files([renamed])
    except OSError as error:
        with contextlib.suppress(OSError):
            files.delete_files([probe, renamed])
        return Finding(
            "output",
            FAILED,
            f"{step} fails: {error.strerror or error}",
            "the workers must be able to write, read, rename and delete below --output: permit it,"
            " or choose another folder",
        )
    return Finding("output", OK, found)


def check_disk(model: str) -> Finding:
    """Compares the free space with what downloading or unpacking the model takes."""
    if "://" in model:
        needed = _FETCHED_MODEL_BYTES
    elif os.path.isfile(model):
        needed = _ARCHIVE_RATIO * os.path.getsize(model)
    else:
        return Finding("disk", OK, "the model is used in place, and nothing else is stored")
    folder = str(caching.cache_directory())
    free = host.free_disk(folder)
    text = f"{printable(folder)}: unpacking the model takes {needed / GB:.1f} GB"
    figures = (("{} GB free", round(free / GB, 1)),)
    if free >= needed:
        return Finding("disk", OK, text, figures=figures)
    return Finding(
        "disk", NOTE, text, "free some space there, unless the model is cached already", figures
    )


def check_model(
    model: str,
    pca: Pca | None,
    wanted_size: int | None,
    precision: str = FLOAT32,
    trust_model: bool = False,
    max_model_bytes: int = MAX_BYTES,
    engine: Engine = AUTO,
) -> Iterator[Finding]:
    """Loads the model, and compares its rows of a sine with the published rows."""
    started = time.monotonic()
    try:
        loaded = choosing.load(model, wanted_size, precision, trust_model, max_model_bytes, engine)
    except ModelError as error:
        yield Finding("model", FAILED, str(error))
        return
    seconds = time.monotonic() - started
    rows: list[np.ndarray] = []
    yield guarded("model", lambda: _describe(model, loaded, rows, seconds))
    if rows:
        yield guarded("numbers", lambda: _compare(model, rows[0], loaded, pca))


def _describe(
    model: str, loaded: EmbeddingModel, rows: list[np.ndarray], seconds: float
) -> Finding:
    rows.append(loaded.embed(smoke_test.patches()))  # padded to a full call
    facts = loaded.facts
    figures = [("loaded in {} s", round(seconds, 1))]
    if peak := host.peak_memory():
        figures.append(("up to {} GB of memory with a batch", round(peak / GB, 1)))
    text = (
        f"{printable(model)}: rows of {facts.embedding_size} values, fingerprint"
        f" {facts.fingerprint[:12]}"
    )
    if facts.precision != FLOAT32:
        text += f", convolutions in {facts.precision}"
    if not facts.in_batches:
        return Finding(
            "model",
            NOTE,
            f"{text}; TensorFlow cannot batch its operations, patches go one by one",
            "it works, but slowly",
            tuple(figures),
        )
    if facts.engine == NATIVE:
        return Finding(
            "model", OK, f"{text}, native engine {facts.engine_version}", figures=tuple(figures)
        )
    text += f", in TensorFlow, batches of {facts.batch_rows}"
    if facts.rows_depend_on_position:
        return Finding(
            "model",
            NOTE,
            f"{text}; on this CPU a row's last bits depend on its place in the batch",
            "rows of a clip may differ by about 1e-6 of their scale from run to run",
            tuple(figures),
        )
    return Finding("model", OK, text, figures=tuple(figures))


def _compare(model: str, rows: np.ndarray, loaded: EmbeddingModel, pca: Pca | None) -> Finding:
    facts = loaded.facts
    if facts.precision == FLOAT32:
        verdict = smoke_test.compare(rows, facts.untrained_seed, pca)
    else:  # bytes, after whitening, would say less
        verdict = smoke_test.compare(rows, facts.untrained_seed, None, TOLERANCE)
    if verdict.outcome is Outcome.EQUAL:
        return Finding("numbers", OK, verdict.text)
    if verdict.outcome is Outcome.UNTRAINED:
        return Finding("numbers", NOTE, verdict.text, "for trials only: use a trained --model")
    if verdict.outcome is Outcome.ANOTHER_MODEL:
        if smoke_test.is_vggish_url(model):
            hint = "the download is not the model that the address names: download it again"
            return Finding("numbers", FAILED, verdict.text, hint)
        hint = "nothing to do if that is intended: there are no published rows to compare with"
        return Finding("numbers", NOTE, verdict.text, hint)
    return Finding(
        "numbers",
        FAILED,
        verdict.text,
        "such rows cannot be mixed with published ones: export the model again (export-model),"
        " and on a GPU compute in full float32 (NVIDIA_TF32_OVERRIDE=0)",
    )


def all_checks(config: WorkerCheckConfig) -> Iterator[Finding]:
    """Runs all checks, and yields their findings in this order."""
    yield guarded("codecs", check_codecs)
    if config.clips:
        check = functools.partial(check_recordings, config.clips, config.channel)
        yield guarded("recordings", check)
    if config.probes_output:
        yield guarded("output", functools.partial(check_output, config.reports))
    yield guarded("disk", functools.partial(check_disk, config.model))
    found: list[Finding] = []

    def first() -> Finding:
        wanted_size = EMBEDDING_SIZE if config.pca else None
        found.extend(
            check_model(
                config.model,
                config.pca,
                wanted_size,
                config.precision,
                config.trust_model,
                config.max_model_bytes,
                config.engine,
            )
        )
        return found[0]

    yield guarded("model", first)
    yield from found[1:]
