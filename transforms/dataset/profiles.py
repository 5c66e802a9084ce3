"""The layouts of records: those of the public feature releases, and unquantised rows."""

import dataclasses

# Context feature of the records of datasets that keep damaged clips.
DAMAGED_KEY = "damaged_seconds"


@dataclasses.dataclass(frozen=True)
class Profile:
    """A layout of records.

    Attributes:
      name: Name on the command line.
      id_key: Context feature of the clip's id, bytes.
      start_key: Context feature of the clip's start in seconds, float; None if the layout has none.
      end_key: Context feature of the clip's end in seconds, float; None if the layout has none.
      labels_key: Context feature of the labels, int64.
      rows_key: Feature list of the rows.
      hop_samples: Distance between the starts of consecutive patches, in samples at 16 kHz.
      max_rows: Maximum number of rows in a record; None for no limit.
      quantised: Whether rows are 128 bytes after PCA; otherwise they are the model's floats.
      columns: Columns of manifests that become context features: bytes, empty without a value.
      damaged_key: Context feature of the length of the damaged audio in seconds, float; None
        without one. `WriteDataset` adds it if damaged clips are kept.

    Raises:
      ValueError: Two features have the same name.

    Example:
      >>> import dataclasses
      >>> from transforms import PROFILES
      >>> dataclasses.replace(PROFILES["raw"], columns=("speaker",)).hop_samples
      15360
    """

    name: str
    id_key: str
    start_key: str | None
    end_key: str | None
    labels_key: str
    rows_key: str
    hop_samples: int
    max_rows: int | None
    quantised: bool
    columns: tuple[str, ...] = ()
    damaged_key: str | None = None

    def __post_init__(self) -> None:
        names = [*self.context_keys, self.rows_key]
        for column in self.columns:
            if column in names:
                raise ValueError(
                    f"columns={column!r}: the records have a feature of this name already"
                )

    @property
    def context_keys(self) -> tuple[str, ...]:
        """Context features of the layout, without `columns`."""
        keys = (self.id_key, self.start_key, self.end_key, self.damaged_key, self.labels_key)
        return tuple(key for key in keys if key is not None)


_AUDIOSET = Profile(
    name="audioset",
    id_key="video_id",
    start_key="start_time_seconds",
    end_key="end_time_seconds",
    labels_key="labels",
    rows_key="audio_embedding",
    hop_samples=15_360,
    max_rows=None,
    quantised=True,
)
_YOUTUBE8M = Profile(
    name="youtube8m",
    id_key="id",
    start_key=None,
    end_key=None,
    labels_key="labels",
    rows_key="audio",
    hop_samples=16_000,
    max_rows=300,
    quantised=True,
)
PROFILES = {
    profile.name: profile
    for profile in (
        _AUDIOSET,
        _YOUTUBE8M,
        dataclasses.replace(_AUDIOSET, name="raw", quantised=False),
    )
}
