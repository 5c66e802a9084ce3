"""The layouts of a record: keys, hop and 8-bit rows of the public feature releases."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Profile:
    """A layout.

    Attributes:
      name: As on the command line.
      id_key: Context feature of the clip's id, bytes.
      start_key: Context feature of the clip's start in seconds, float; None where there is none.
      end_key: The same for its end.
      labels_key: Context feature of the labels, int64.
      rows_key: Feature list of the rows.
      hop_samples: From one row's patch to the next one's, at 16 kHz.
      max_rows: At most so many rows in a record; None for no bound.
      quantised: Rows of 128 bytes after PCA; else floats as the model gave them.
      columns: Of manifests, that become context features: bytes, none where a clip has none.
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

    @property
    def context_keys(self) -> tuple[str, ...]:
        """The context features that the layout itself has."""
        keys = (self.id_key, self.start_key, self.end_key, self.labels_key)
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
