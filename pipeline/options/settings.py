"""The options of `embed`, `check` and `plan`, each declared once and validated without Beam."""

import argparse
import dataclasses
import os
from decimal import Decimal
from fractions import Fraction

from pipeline.errors import UsageError
from pipeline.options import declaration, values
from pipeline.options.declaration import PathKind, option
from transforms.corpus.layouts.catalogue import (
    NO_LAYOUT,
    folder_names,
    layouts,
    table_names,
)
from transforms.corpus.manifests.tables import FORMATS
from transforms.corpus.same_clips import MERGE_LABELS, SAME_CLIP
from transforms.corpus.spans import SAMPLE_RATE_HZ
from transforms.corpus.splits import Splits
from transforms.dataset.profiles import DAMAGED_KEY, PROFILES, Profile
from transforms.dataset.shards import MAX_SHARDS
from transforms.model.engines import AUTO, ENGINES
from transforms.model.postprocessing import RELEASED_PCA_URL
from transforms.model.precision import FLOAT32, PRECISIONS
from transforms.model.sources.names import DEFAULT_MODEL
from transforms.model.sources.writing import MAX_BYTES

PAD = "pad"
SKIP = "skip"
FAIL = "fail"
KEEP = "keep"
DROP = "drop"
_DATA = "input and output (any file system that Beam knows)"
_CORPUS = "how the clips are found, cut and labelled"
_ROWS = "rows"
_FILES = "files and failures"


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmbedSettings:
    """The options of `embed`, `check` and `plan`: a field is a flag, its default the flag's.

    Raises:
      UsageError: A value is not allowed.
    """

    inputs: tuple[str, ...] = option(
        (),
        flag="--input",
        group=_DATA,
        metavar="PATH",
        path=PathKind.WORKERS,
        help="files, folders (searched for the suffixes of audio and video files) and globs"
        " (** for any depth). The id of a record is the path below the folder or the glob's fixed"
        " part",
        label="Recordings",
    )
    manifests: tuple[str, ...] = option(
        (),
        flag="--manifest",
        group=_DATA,
        metavar="FILE",
        path=PathKind.WORKERS,
        help="tables of clips, globs allowed: CSV or TSV with a header, JSON lines, JSON, Parquet,"
        " or a list of paths. Columns: uri (or path, audio_filepath, file_name …), optionally id,"
        " start_seconds and end_seconds (or onset and offset, or a start and duration), labels,"
        " split, channel, and for files without a header format, sample_rate, channels; others by"
        " --columns",
        label="Manifests",
    )
    audioset_segments: tuple[str, ...] = option(
        (),
        group=_DATA,
        metavar="FILE",
        path=PathKind.WORKERS,
        requires=("audio_root",),
        help="AudioSet's segment files, globs allowed: id, start, end, labels",
        label="AudioSet's segments",
    )
    output: str = option(
        group=_DATA,
        metavar="DIR",
        path=PathKind.OUTPUT,
        help="folder of the dataset; created if absent, refused if it holds anything",
        label="Folder of the dataset",
    )
    overwrite: bool = option(
        False,
        group=_DATA,
        help="replace a dataset in the output folder as soon as the new one is complete; other"
        " files stay",
        label="Overwrite",
    )
    wait: bool = option(
        True,
        flag="--no_wait",
        group=_DATA,
        help="return as soon as the job is submitted to the runner (Dataflow, Flink)",
    )
    audio_root: str | None = option(
        None,
        group=_CORPUS,
        metavar="DIR",
        path=PathKind.WORKERS,
        requires=("manifests", "audioset_segments"),
        help="folder of relative paths in manifests (default: each manifest's own folder); folder"
        " of the segments' audio",
        label="Folder of the audio",
    )
    manifest_format: str | None = option(
        None,
        group=_CORPUS,
        choices=FORMATS,
        requires=("manifests",),
        help="format of all manifests (default: detected by their content and suffix)",
        label="Format of the manifests",
    )
    columns: tuple[str, ...] = option(
        (),
        group=_CORPUS,
        metavar="FIELD=TEMPLATE",
        type=values.COLUMNS,
        requires=("manifests",),
        check=values.check_mapping,
        help="what the columns of manifests mean, where their names do not tell: FIELD is uri, id,"
        " start, end, duration, labels, split, channel, format, sample_rate or channels, TEMPLATE a"
        " column or text with {column} or {column:conversion}, as 'uri=fold{fold}/{file}.wav' or"
        " 'start={begin:millis}'; an empty TEMPLATE for none",
        label="Meaning of the columns",
    )
    no_header: tuple[str, ...] = option(
        (),
        group=_CORPUS,
        metavar="COLUMN,COLUMN",
        type=values.HEADER,
        requires=("manifests",),
        check=values.check_header,
        help="names of the columns of manifests that have no header line",
        label="Columns of tables without a header",
    )
    label_separator: str | None = option(
        None,
        group=_CORPUS,
        metavar="TEXT",
        type=values.TEXT,
        requires=("manifests",),
        check=values.check_separator,
        help="separator of the labels in a cell, as ';' or ', ', or none if a cell is one label"
        " (default: detected); lists as JSON and Python print them are understood either way",
        label="Separator of labels",
    )
    corpus_layout: str | None = option(
        None,
        flag="--layout",
        group=_CORPUS,
        choices=(NO_LAYOUT, *layouts()),
        metavar="NAME",
        requires=("inputs", "manifests"),
        help="known layout of the manifests, or of the folders of --input, as the command layouts"
        " lists them; none for none (default: manifests are recognised by their columns, unless"
        " --columns or --no_header say what these are)",
        label="Known layout",
    )
    labels_from_folders: bool = option(
        False,
        group=_CORPUS,
        requires=("inputs",),
        help="recordings of --input have the name of the folder that holds them as label",
        label="Labels from folders",
    )
    same_clip: str = option(
        MERGE_LABELS,
        group=_CORPUS,
        choices=SAME_CLIP,
        requires=("manifests", "audioset_segments"),
        help="rows of one clip with different labels: they become one record with the labels of all"
        " in the order of the rows, or all but one fail as duplicate_id (default: %(default)s)",
        label="Rows of one clip",
    )
    keep_columns: tuple[str, ...] = option(
        (),
        group=_CORPUS,
        metavar="NAME",
        requires=("manifests",),
        check=values.check_columns,
        help="other columns of manifests to keep as context features, as bytes",
        label="Columns to keep",
    )
    audio_name: str | None = option(
        None,
        group=_CORPUS,
        metavar="TEMPLATE",
        requires=("audioset_segments",),
        help="template of the names of the segments' files, as '{id}.wav' or"
        " '{id}_{start}_{end}.flac', with {start_ms} {end_ms} in milliseconds (default: the names"
        " that common downloaders give)",
        label="Names of the files of segments",
    )
    segments_are_cut: bool = option(
        False,
        group=_CORPUS,
        requires=("audioset_segments", "manifests"),
        help="the segments' files, also those of known layouts of YouTube segments, hold the"
        " segments only, not the whole videos; implied for files whose names hold the times",
        label="Segments are cut",
    )
    clip_seconds: Decimal | None = option(
        None,
        group=_CORPUS,
        metavar="S",
        type=values.SECONDS,
        check=values.between(Decimal("0.975"), 1_000_000, "0.975, one row, to 1000000"),
        help="cut each recording into consecutive clips of S seconds, with ids ID#START; the last"
        " one is kept if it has a row",
        label="Seconds of a clip",
    )
    class_map: str | None = option(
        None,
        group=_CORPUS,
        metavar="FILE",
        path=PathKind.LAUNCHER,
        help="the numbers of the labels: CSV of index, mid, display_name, as"
        " class_labels_indices.csv (default: the labels of the corpus, sorted)",
        label="Class map",
    )
    unknown_labels: str = option(
        FAIL,
        group=_CORPUS,
        choices=(FAIL, DROP),
        requires=("class_map",),
        help="labels that are not in --class_map: the clip fails as unknown_label, or the label is"
        " dropped (default: %(default)s)",
        label="Labels that the class map lacks",
    )
    split: Splits | None = option(
        None,
        group=_CORPUS,
        metavar="SHARES",
        type=values.SPLITS,
        help="splits of the dataset, each in its own folder, and their shares of the recordings, as"
        " train=0.8,validation=0.1,test=0.1 (default: by the column split, if there is one)",
        label="Splits",
    )
    channel: int | None = option(
        None,
        group=_CORPUS,
        metavar="CHANNEL",
        type=values.CHANNEL,
        help="mean, left, right, or a number from 1 (default: the mean of all channels, in which"
        " what is out of phase cancels)",
        label="Channel",
    )
    model: str = option(
        DEFAULT_MODEL,
        group=_ROWS,
        path=PathKind.FETCHED,
        check=values.check_model,
        help="hub URL, SavedModel folder, or archive of one, .tar.gz .tgz .zip"
        " (default: %(default)s)",
        label="Model",
    )
    profile: Profile = option(
        PROFILES["audioset"],
        group=_ROWS,
        choices=PROFILES,
        help="audioset (default): video_id, start_time_seconds, end_time_seconds, labels, list"
        " audio_embedding of 128 bytes a row, a row every 0.96 s; youtube8m: id, labels, list"
        " audio, a row every 1.00 s, at most 300; raw: keys of audioset, rows of floats as the"
        " model computes them",
        label="Profile",
    )
    pca: str = option(
        RELEASED_PCA_URL,
        group=_ROWS,
        metavar="FILE",
        path=PathKind.FETCHED,
        help="path or URL of vggish_pca_params.npz, for the 8-bit profiles audioset and youtube8m"
        " (default: the released file, downloaded once)",
        label="PCA parameters",
    )
    precision: str = option(
        FLOAT32,
        group=_ROWS,
        choices=PRECISIONS,
        help="precision of the model's convolutions; bfloat16 is faster on CPUs with AVX512_BF16 or"
        " AMX_BF16, and rows differ by a percent or two of the spread between rows, which is"
        " measured and recorded in dataset.json (default: %(default)s)",
        label="Precision",
    )
    engine: str = option(
        AUTO,
        group=_ROWS,
        choices=ENGINES,
        help="what computes the rows: native, this program's own engine for VGGish, whose rows are"
        " the same bits on every machine; tensorflow; or auto, native where it is proved to compute"
        " the model and TensorFlow otherwise, for the whole dataset (default: %(default)s)",
        label="Engine",
    )
    trust_model: bool = option(
        False,
        group=_ROWS,
        help="let the model's operations use files, the network and Python, with your rights;"
        " otherwise a model with such operations is refused before it is loaded",
        label="Trust the model",
    )
    max_model_bytes: int = option(
        MAX_BYTES,
        group=_ROWS,
        metavar="N",
        type=values.COUNT,
        check=values.between(1, float("inf"), "1 or more"),
        help="most bytes to download, copy or unpack of a model; it must fit the disk as well"
        " (default: %(default)s)",
        label="Largest model",
    )
    short_clips: str = option(
        PAD,
        group=_ROWS,
        choices=(PAD, SKIP),
        help="clips too short for a row (under 0.975 s): pad with silence to one row, or fail as"
        " too_short (default: %(default)s)",
        label="Clips under 0.975 s",
    )
    damaged: str = option(
        FAIL,
        group=_ROWS,
        choices=(FAIL, KEEP),
        help="clips with damaged audio: fail as decode_error, or make records of what decodes, in"
        " time, which have the context feature damaged_seconds; a table of notes says what is"
        " damaged (default: %(default)s)",
        label="Damaged clips",
    )
    hop_seconds: Fraction | None = option(
        None,
        group=_ROWS,
        metavar="S",
        type=values.EXACT_SECONDS,
        check=values.check_hop,
        help="seconds from the start of one row to the start of the next; a whole number of samples"
        " at 16 kHz (default: the profile's, 0.96 or 1.00)",
        label="Hop",
    )
    max_rows: int | None = option(
        None,
        group=_ROWS,
        metavar="N",
        type=values.COUNT,
        check=values.between(1, float("inf"), "1 or more"),
        help="most rows of a clip; further ones are skipped (default: the profile's, 300 for"
        " youtube8m and no limit for the others)",
        label="Most rows of a clip",
    )
    name: str = option(
        "audio",
        group=_FILES,
        type=values.NAME,
        check=values.check_name,
        help="stem of the file names (default: %(default)s)",
        label="Stem of the file names",
    )
    num_shards: int | None = option(
        None,
        group=_FILES,
        metavar="N",
        type=values.SHARDS,
        check=values.between(1, MAX_SHARDS),
        help="number of files for the records (default: one for every 100 MB)",
        label="Shards",
    )
    max_failed_ratio: float = option(
        0.0,
        group=_FILES,
        metavar="RATIO",
        type=values.NUMBER,
        check=values.between(0, 1),
        help="share of failed clips, 0 to 1, above which the exit status is 3 (default: 0)",
        label="Share of failed clips",
    )
    quiet: bool = option(False, help="do not show the progress of the job")
    verbose: bool = option(False, help="show the logs of Beam and TensorFlow, too")

    def __post_init__(self) -> None:
        declaration.validate(self)
        if not (self.inputs or self.manifests or self.audioset_segments):
            raise UsageError("no input: pass --input, --manifest or --audioset_segments")
        self._check_layout()
        features = {*self.profile.context_keys, self.profile.rows_key}
        if self.damaged == KEEP:
            features.add(DAMAGED_KEY)
        if taken := features & set(self.keep_columns):
            raise UsageError(
                f"--keep_columns={min(taken)}: the records have a feature of this name already"
            )
        # Elsewhere it is missed where it is read.
        if self.profile.quantised and "://" not in self.pca and not os.path.isfile(self.pca):
            raise UsageError(
                f"--pca={self.pca!r} does not exist (allowed: path or URL of"
                f" vggish_pca_params.npz, as from {RELEASED_PCA_URL}; --profile raw needs none)"
            )

    def _check_layout(self) -> None:
        name = self.corpus_layout
        if name in (None, NO_LAYOUT):
            return
        if self.labels_from_folders:
            raise UsageError("--layout and --labels_from_folders exclude each other")
        for flag, given, known in (
            ("--input", self.inputs, folder_names()),
            ("--manifest", self.manifests, table_names()),
        ):
            if given and name not in known:
                raise UsageError(
                    f"--layout={name} is no layout of {flag} (allowed: {', '.join(known)})"
                )

    @property
    def layout(self) -> Profile:
        """The profile with the hop, the most rows and the columns of the options."""
        hop_samples = self.profile.hop_samples
        if self.hop_seconds is not None:
            hop_samples = int(self.hop_seconds * SAMPLE_RATE_HZ)
        max_rows = self.profile.max_rows if self.max_rows is None else self.max_rows
        return dataclasses.replace(
            self.profile, hop_samples=hop_samples, max_rows=max_rows, columns=self.keep_columns
        )

    @classmethod
    def from_arguments(cls, arguments: argparse.Namespace) -> "EmbedSettings":
        """Returns the settings of parsed arguments, with absolute paths."""
        return cls(**declaration.values_of(arguments, cls))
