"""WriteDataset: from embedded clips to a dataset of TFRecord files."""

import dataclasses
import re

import apache_beam as beam
import soxr
from apache_beam import pvalue
from apache_beam.typehints.decorators import no_annotations

from transforms.assemble_clips import AssembleClips
from transforms.audio import resampling
from transforms.collect_labels import CollectLabels
from transforms.corpus.clips import printable
from transforms.corpus.labels import ClassMap
from transforms.dataset import file_names
from transforms.dataset.profiles import DAMAGED_KEY, PROFILES, Profile
from transforms.dataset.provenance import Origin
from transforms.dataset.shards import MAX_SHARDS, NumShards
from transforms.embed_audio import EmbeddedClips
from transforms.metrics.reporting import REPORTS
from transforms.model.postprocessing import RELEASED_PCA_URL, Pca
from transforms.model.sources.pca import load_pca
from transforms.publish_dataset import PublishDataset
from transforms.quantise_rows import QuantiseRows
from transforms.read_corpus import CorpusSource
from transforms.storage import files
from transforms.write_shards import WriteShards
from transforms.write_tables import WriteTables


@dataclasses.dataclass
class WriteDataset(beam.PTransform):
    """Writes embedded clips as a dataset: TFRecord shards, a failure table, `dataset.json`.

    If the framing of the clips has `keep_damaged=True`, records have the context feature
    `damaged_seconds`, and a table of notes says what is damaged.

    Input: the `EmbeddedClips` of `EmbedAudio` or `EmbedWaveforms`. Output: the text of
    `dataset.json`, one element, when the dataset is complete. Equal clips and settings give equal
    bytes on every runner. Every clip is in a shard or in the failure table: the job checks this,
    and fails without publishing a dataset otherwise.

    Attributes:
      folder: Folder of the dataset, local or on a storage backend, reachable from every worker.
      profile: Layout of the records: `audioset`, `youtube8m`, `raw`, or a `Profile`. Its
        `hop_samples` and `max_rows` must be those of the framing of the clips.
      pca: Path, URL or contents of `vggish_pca_params.npz`, for the 8-bit profiles.
      name: Stem of the file names.
      num_shards: Number of shards of each split; None to choose it by the size of the data.
      overwrite: Whether to replace a dataset in `folder`; other files stay. Otherwise the folder
        has to be empty.

    Raises:
      FileExistsError: `folder` is not empty, and `overwrite` is False.
      ModelError: The PCA cannot be read.
      OSError: The folder cannot be created or listed.
      ValueError: `name`, `num_shards` or `profile` is not allowed, or the framing of the clips is
        not that of the profile.

    Example:
      >>> import apache_beam as beam
      >>> from transforms import EmbedAudio, ReadCorpus, WriteDataset
      >>> with beam.Pipeline() as pipeline:
      ...     corpus = pipeline | ReadCorpus(inputs=[FOLDER])
      ...     embedded = corpus.clips | EmbedAudio(model=MODEL)
      ...     _ = embedded | WriteDataset(OUTPUT, profile="raw")
      >>> import os
      >>> sorted(os.listdir(OUTPUT))[:2]
      ['audio-00000-of-00001.tfrecord', 'audio-failures.jsonl']
    """

    folder: str
    profile: str | Profile = "audioset"
    pca: str | Pca = RELEASED_PCA_URL
    name: str = "audio"
    num_shards: int | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        super().__init__()
        self.folder = files.absolute(self.folder).rstrip("/") or "/"
        if isinstance(self.profile, str) and self.profile not in PROFILES:
            raise ValueError(f"profile={self.profile!r} (allowed: {', '.join(PROFILES)})")
        if self.num_shards is not None and not 1 <= self.num_shards <= MAX_SHARDS:
            raise ValueError(f"num_shards={self.num_shards} (allowed: 1 to {MAX_SHARDS})")
        if not re.fullmatch(file_names.STEM, self.name):
            raise ValueError(
                f"name={self.name!r} (allowed: letters, digits and _ . -, not starting with . or -)"
            )

    @property
    def staging(self) -> str:
        """Folder of temporary files; inside `folder`, so that a rename publishes them."""
        return f"{self.folder}/.{self.name}.incomplete"

    @no_annotations
    def expand(self, embedded: EmbeddedClips) -> pvalue.PCollection:
        profile = self._profile_of(embedded)
        pca = self._pca(profile)
        self._prepare()
        source = embedded.embedding.source
        class_map = _class_map(embedded, source)
        assembled = self._rows(embedded, pca) | AssembleClips(
            profile, class_map, embedded.counts_failures()
        )
        reports = (*embedded[REPORTS], *(source.outputs.reports if source else ()))
        once = embedded.pipeline | "Once" >> beam.Impulse()
        settled = (*reports, assembled[REPORTS]) | WriteTables(self.staging)
        number = NumShards(self.num_shards, _split_names(source))
        return once | PublishDataset(
            origin=self._origin(embedded, profile, pca),
            folder=self.folder,
            staging=self.staging,
            number=number,
            settled=settled,
            written=(assembled.records, once) | WriteShards(self.staging, number, settled),
            class_map=class_map,
        )

    def _profile_of(self, embedded: EmbeddedClips) -> Profile:
        profile = PROFILES[self.profile] if isinstance(self.profile, str) else self.profile
        framing = embedded.embedding.framing
        if (profile.hop_samples, profile.max_rows) != (framing.hop_samples, framing.max_rows):
            raise ValueError(
                f"profile={profile.name!r} has hop_samples={profile.hop_samples} and"
                f" max_rows={profile.max_rows}, and the clips were embedded with"
                f" hop_samples={framing.hop_samples} and max_rows={framing.max_rows}: embed them"
                f" with framing=FramingConfig(hop_samples={profile.hop_samples},"
                f" max_rows={profile.max_rows})"
            )
        if framing.keep_damaged:
            profile = dataclasses.replace(profile, damaged_key=DAMAGED_KEY)
        return profile

    def _pca(self, profile: Profile) -> Pca | None:
        if not profile.quantised:
            return None
        return self.pca if isinstance(self.pca, Pca) else load_pca(self.pca)

    def _prepare(self) -> None:
        """Creates the folders.

        Raises:
          FileExistsError: The folder is not empty, and `overwrite` is False.
          OSError: The folder cannot be created or listed.
        """
        if not self.overwrite:
            own = self.staging.rpartition("/")[2]
            there = [each for each in files.list_names(self.folder) if each.split("/")[0] != own]
            if there:
                raise FileExistsError(
                    f"folder={printable(self.folder)!r} is not empty ({printable(there[0])}): name"
                    " another, or replace a dataset in it with overwrite=True"
                )
        files.make_folder(self.staging)

    def _rows(self, embedded: EmbeddedClips, pca: Pca | None) -> dict[str, pvalue.PCollection]:
        rows = embedded["rows"]
        return {
            "decode_results": embedded["decode_results"],
            "rows": rows if pca is None else rows | QuantiseRows(pca),
        }

    def _origin(self, embedded: EmbeddedClips, profile: Profile, pca: Pca | None) -> Origin:
        embedding = embedded.embedding
        framing = embedding.framing
        corpus = embedding.source.corpus.describe() if embedding.source else {}
        if profile.columns:
            corpus["keep_columns"] = list(profile.columns)
        if framing.clip_seconds is not None:
            corpus["clip_seconds"] = float(framing.clip_seconds)
        return Origin(
            name=self.name,
            profile=profile,
            corpus=tuple(corpus.items()),
            model=printable(embedding.model),
            precision=embedding.precision,
            framing=framing,
            pca=(printable(pca.uri), pca.sha256) if pca else None,
            resampler=f"soxr {soxr.__libsoxr_version__} {resampling.QUALITY}",
            decoder=embedding.decoder,
        )


def _class_map(
    embedded: EmbeddedClips, source: CorpusSource | None
) -> ClassMap | pvalue.AsSingleton:
    """Returns the class map of the corpus, or a side input with one of the labels of its clips."""
    if source is not None and source.corpus.class_map is not None:
        return source.corpus.class_map
    return pvalue.AsSingleton(embedded["clips"] | CollectLabels(), default_value=ClassMap(()))


def _split_names(source: CorpusSource | None) -> tuple[str, ...]:
    splits = source.corpus.splits if source else None
    return tuple(name for name, _ in splits.shares) if splits else ("",)
