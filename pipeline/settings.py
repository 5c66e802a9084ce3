"""What a run is asked to do, checked before anything is imported that takes seconds."""

import argparse
import dataclasses
import os
import re
from fractions import Fraction

from transforms.audio.resampling import SAMPLE_RATE_HZ
from transforms.dataset.profiles import PROFILES, Profile
from transforms.dataset.shards import MAX_SHARDS
from transforms.model import resolving
from transforms.model.errors import ModelError
from transforms.model.postprocessing import RELEASED_PCA_URL

DEFAULT_MODEL = "https://tfhub.dev/google/vggish/1"
DEFAULT_NAME = "audio"
MAX_HOP_SECONDS = 3_600
PAD = "pad"
SKIP = "skip"


class UsageError(Exception):
    """The command cannot be run as it was given: the message names flag, value and way out."""


@dataclasses.dataclass(frozen=True)
class EmbedSettings:
    """The options of `embed`. Their meaning and defaults are in `pipeline.cli`.

    Raises:
      UsageError: A value is not allowed.
    """

    inputs: tuple[str, ...]
    output: str
    model: str = DEFAULT_MODEL
    profile: Profile = PROFILES["audioset"]
    pca: str = RELEASED_PCA_URL
    short_clips: str = PAD
    num_shards: int | None = None
    name: str = DEFAULT_NAME
    max_failed_ratio: float = 0.0
    overwrite: bool = False
    hop_seconds: Fraction | None = None
    max_rows: int | None = None

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
        if any(not path for path in (*self.inputs, self.output, self.model, self.pca)):
            raise UsageError("--input, --output, --model and --pca cannot be empty")
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
            resolving.check_model_name(self.model)
        except ModelError as error:
            raise UsageError(f"--model: {error}") from error
        if (
            self.profile.quantised
            and not resolving.is_url(self.pca)
            and not os.path.isfile(self.pca)
        ):
            raise UsageError(
                f"--pca={self.pca!r} does not exist (allowed: path or URL of"
                f" vggish_pca_params.npz, as from {RELEASED_PCA_URL}; --profile raw needs none)"
            )

    @property
    def layout(self) -> Profile:
        """The profile, with the hop and the bound on rows that were asked for."""
        hop_samples = self.profile.hop_samples
        if self.hop_seconds is not None:
            hop_samples = int(self.hop_seconds * SAMPLE_RATE_HZ)
        max_rows = self.profile.max_rows if self.max_rows is None else self.max_rows
        return dataclasses.replace(self.profile, hop_samples=hop_samples, max_rows=max_rows)

    @classmethod
    def from_arguments(cls, arguments: argparse.Namespace) -> "EmbedSettings":
        """Returns the settings of parsed arguments, with paths that hold in every process."""
        from transforms import storage

        def absolute(path: str) -> str:
            return storage.absolute(path) if path else ""  # else it would be the current folder

        return cls(
            inputs=tuple(dict.fromkeys(map(absolute, arguments.input))),
            output=absolute(arguments.output),
            model=absolute(arguments.model),
            profile=PROFILES[arguments.profile],
            pca=absolute(arguments.pca),
            short_clips=arguments.short_clips,
            num_shards=arguments.num_shards,
            name=arguments.name,
            max_failed_ratio=arguments.max_failed_ratio,
            overwrite=arguments.overwrite,
            hop_seconds=arguments.hop_seconds,
            max_rows=arguments.max_rows,
        )
