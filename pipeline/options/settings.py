"""What a run is asked to do, checked before anything is imported that takes seconds."""

import argparse
import dataclasses
import os
import re
from decimal import Decimal
from fractions import Fraction

from pipeline.errors import UsageError
from transforms.corpus.clips import printable
from transforms.corpus.spans import SAMPLE_RATE_HZ
from transforms.corpus.splits import Splits
from transforms.dataset.profiles import PROFILES, Profile
from transforms.dataset.shards import MAX_SHARDS
from transforms.model.errors import ModelError
from transforms.model.postprocessing import RELEASED_PCA_URL
from transforms.model.precision import FLOAT32
from transforms.model.sources import resolving

DEFAULT_MODEL = resolving.DEFAULT_MODEL
DEFAULT_NAME = "audio"
MAX_HOP_SECONDS = 3_600
MIN_CLIP_SECONDS = Decimal("0.975")
MAX_CLIP_SECONDS = 1_000_000
PAD = "pad"
SKIP = "skip"
FAIL = "fail"
DROP = "drop"
MAX_CHANNEL = 1_024  # more than any file has that decoders take
CHANNELS = {"mean": None, "left": 1, "right": 2}


@dataclasses.dataclass(frozen=True)
class EmbedSettings:
    """The options of `embed`. Their meaning and defaults are in `pipeline.cli`.

    Raises:
      UsageError: A value is not allowed.
    """

    output: str
    inputs: tuple[str, ...] = ()
    manifests: tuple[str, ...] = ()
    manifest_format: str | None = None
    audio_root: str | None = None
    keep_columns: tuple[str, ...] = ()
    audioset_segments: tuple[str, ...] = ()
    audio_name: str | None = None
    segments_are_cut: bool = False
    class_map: str | None = None
    unknown_labels: str = FAIL
    split: Splits | None = None
    clip_seconds: Decimal | None = None
    channel: int | None = None
    model: str = DEFAULT_MODEL
    profile: Profile = PROFILES["audioset"]
    pca: str = RELEASED_PCA_URL
    precision: str = FLOAT32
    short_clips: str = PAD
    num_shards: int | None = None
    name: str = DEFAULT_NAME
    max_failed_ratio: float = 0.0
    overwrite: bool = False
    hop_seconds: Fraction | None = None
    max_rows: int | None = None
    wait: bool = True
    verbose: bool = False
    quiet: bool = False

    def __post_init__(self) -> None:
        if self.hop_seconds is not None:
            num_samples = self.hop_seconds * SAMPLE_RATE_HZ
            if num_samples.denominator != 1 or not 0 < self.hop_seconds <= MAX_HOP_SECONDS:
                raise UsageError(
                    f"--hop_seconds={float(self.hop_seconds):g}, {float(num_samples):g} samples at"
                    f" 16 kHz (allowed: a whole number of samples, up to {MAX_HOP_SECONDS} s)"
                )
        if self.max_rows is not None and self.max_rows < 1:
            raise UsageError(f"--max_rows={self.max_rows} (allowed: 1 or more)")
        self._check_paths()
        self._check_corpus()
        if self.num_shards is not None and not 1 <= self.num_shards <= MAX_SHARDS:
            raise UsageError(f"--num_shards={self.num_shards} (allowed: 1 to {MAX_SHARDS})")
        if not 0 <= self.max_failed_ratio <= 1:
            raise UsageError(f"--max_failed_ratio={self.max_failed_ratio:g} (allowed: 0 to 1)")
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", self.name):
            raise UsageError(
                f"--name={self.name!r} (allowed: letters, digits and _ . -, not beginning with a"
                " dot or a dash)"
            )
        try:
            resolving.check_model_name(self.model, on_workers=True)
        except ModelError as error:
            raise UsageError(f"--model: {error}") from error
        if (
            self.profile.quantised
            and "://" not in self.pca  # else it is looked for where it is read
            and not os.path.isfile(self.pca)
        ):
            raise UsageError(
                f"--pca={self.pca!r} does not exist (allowed: path or URL of"
                f" vggish_pca_params.npz, as from {RELEASED_PCA_URL}; --profile raw needs none)"
            )

    def _check_paths(self) -> None:
        named = {
            "--output": (self.output,),
            "--input": self.inputs,
            "--manifest": self.manifests,
            "--audioset_segments": self.audioset_segments,
            "--audio_root": () if self.audio_root is None else (self.audio_root,),
            "--class_map": () if self.class_map is None else (self.class_map,),
            "--model": (self.model,),
            "--pca": (self.pca,),
        }
        for flag, paths in named.items():
            if not all(paths):
                raise UsageError(f"{flag} cannot be empty")

    def _check_corpus(self) -> None:
        if not (self.inputs or self.manifests or self.audioset_segments):
            raise UsageError("no input: pass --input, --manifest or --audioset_segments")
        needs = (
            (self.manifest_format, self.manifests, "--manifest_format", "--manifest"),
            (self.keep_columns, self.manifests, "--keep_columns", "--manifest"),
            (self.audioset_segments, self.audio_root, "--audioset_segments", "--audio_root"),
            (self.audio_name, self.audioset_segments, "--audio_name", "--audioset_segments"),
            (
                self.segments_are_cut,
                self.audioset_segments,
                "--segments_are_cut",
                "--audioset_segments",
            ),
            (
                self.audio_root,
                self.manifests or self.audioset_segments,
                "--audio_root",
                "--manifest or --audioset_segments",
            ),
            (self.unknown_labels != FAIL, self.class_map, "--unknown_labels", "--class_map"),
        )
        for given, other, flag, wanted in needs:
            if given and not other:
                raise UsageError(f"{flag} goes with {wanted}, which is not given")
        for column in self.keep_columns:
            if not column or printable(column) != column:
                raise UsageError(f"--keep_columns={printable(column)!r} is no name in UTF-8")
        taken = set(self.keep_columns) & {*self.profile.context_keys, self.profile.rows_key}
        if taken:
            raise UsageError(
                f"--keep_columns={min(taken)}: the records have a feature of this name already"
            )
        if self.clip_seconds is not None and not (
            MIN_CLIP_SECONDS <= self.clip_seconds <= MAX_CLIP_SECONDS
        ):
            raise UsageError(
                f"--clip_seconds={self.clip_seconds} (allowed: {MIN_CLIP_SECONDS}, one row, to"
                f" {MAX_CLIP_SECONDS})"
            )

    @property
    def layout(self) -> Profile:
        """The profile, with the hop, the bound on rows and the columns that were asked for."""
        hop_samples = self.profile.hop_samples
        if self.hop_seconds is not None:
            hop_samples = int(self.hop_seconds * SAMPLE_RATE_HZ)
        max_rows = self.profile.max_rows if self.max_rows is None else self.max_rows
        return dataclasses.replace(
            self.profile, hop_samples=hop_samples, max_rows=max_rows, columns=self.keep_columns
        )

    @classmethod
    def from_arguments(cls, arguments: argparse.Namespace) -> "EmbedSettings":
        """Returns the settings of parsed arguments, with paths that hold in every process."""
        from transforms.storage import files

        def absolute(path: str) -> str:
            return files.absolute(path) if path else ""  # else it would be the current folder

        def all_absolute(paths: list[str] | None) -> tuple[str, ...]:
            return tuple(dict.fromkeys(map(absolute, paths or ())))

        def one(path: str | None) -> str | None:
            return None if path is None else absolute(path)

        values = {
            field.name: getattr(arguments, field.name)
            for field in dataclasses.fields(cls)
            if hasattr(arguments, field.name)
        }
        return cls(
            **values
            | {
                "inputs": all_absolute(arguments.input),
                "manifests": all_absolute(arguments.manifest),
                "audioset_segments": all_absolute(arguments.audioset_segments),
                "audio_root": one(arguments.audio_root),
                "class_map": one(arguments.class_map),
                "output": absolute(arguments.output),
                "model": absolute(arguments.model),
                "pca": absolute(arguments.pca),
                "profile": PROFILES[arguments.profile],
                "keep_columns": tuple(dict.fromkeys(arguments.keep_columns or ())),
            }
        )
