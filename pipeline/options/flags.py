"""The flags of `embed`, and how their values are read."""

import argparse
from decimal import Decimal
from fractions import Fraction

from pipeline.options import settings
from pipeline.options.settings import EmbedSettings
from transforms.corpus import times
from transforms.corpus.manifests.tables import FORMATS
from transforms.corpus.splits import Splits, parse_splits
from transforms.dataset.profiles import PROFILES
from transforms.model.precision import PRECISIONS


def add_embed_flags(embed: argparse.ArgumentParser) -> None:
    """Adds the flags to the parser of the command."""
    data = embed.add_argument_group("what goes in and out (any file system that Beam knows)")
    data.add_argument(
        "--input",
        nargs="+",
        action="extend",
        metavar="PATH",
        help="files, folders (searched for the suffixes of audio and video files) and globs"
        " (** for any depth). A record's id is the path below the folder or the glob's fixed part",
    )
    data.add_argument(
        "--manifest",
        nargs="+",
        action="extend",
        metavar="FILE",
        help="tables that ask for clips, globs allowed: CSV, TSV with a header, or JSON lines."
        " Columns: uri (or path, audio_filepath, recording), and if you like id,"
        " start_seconds and end_seconds (or offset and duration), labels, split, and for files"
        " without a header format, sample_rate, channels",
    )
    data.add_argument(
        "--audioset_segments",
        nargs="+",
        action="extend",
        metavar="FILE",
        help="AudioSet's segment files, globs allowed: id, start, end, labels",
    )
    data.add_argument(
        "--output",
        required=True,
        metavar="DIR",
        help="folder of the dataset; made if absent, refused if it holds anything",
    )
    data.add_argument(
        "--overwrite",
        action="store_true",
        help="replace a dataset in DIR, once the new one is complete; other files stay",
    )
    data.add_argument(
        "--no_wait",
        dest="wait",
        action="store_false",
        help="leave the job to the engine as soon as it is submitted (Dataflow, Flink)",
    )
    _add_corpus_flags(embed)
    rows = embed.add_argument_group("rows")
    rows.add_argument(
        "--model",
        default=settings.DEFAULT_MODEL,
        help="hub URL, SavedModel folder, or archive of one, .tar.gz .tgz .zip"
        " (default: %(default)s)",
    )
    rows.add_argument(
        "--profile",
        choices=sorted(PROFILES),
        default="audioset",
        help="audioset (default): video_id, start_time_seconds, end_time_seconds, labels, list"
        " audio_embedding of 128 bytes a row, a row every 0.96 s; youtube8m: id, labels, list"
        " audio, a row every 1.00 s, at most 300; raw: keys of audioset, rows of floats as the"
        " model gave them",
    )
    rows.add_argument(
        "--pca",
        default=EmbedSettings.pca,
        metavar="FILE",
        help="path or URL of vggish_pca_params.npz, for the 8-bit profiles audioset and youtube8m"
        " (default: the released file, fetched once)",
    )
    rows.add_argument(
        "--precision",
        choices=PRECISIONS,
        default=EmbedSettings.precision,
        help="bfloat16: the model's convolutions compute in it, on CPUs with AVX512_BF16 or"
        " AMX_BF16; faster, rows differ by a percent or two of the spread between rows, and how"
        " far is measured and stands in dataset.json (default: %(default)s)",
    )
    rows.add_argument(
        "--short_clips",
        choices=(settings.PAD, settings.SKIP),
        default=settings.PAD,
        help="clips too short for a row (under 0.975 s): fill up with silence to one row, or fail"
        " as too_short (default: %(default)s)",
    )
    rows.add_argument(
        "--hop_seconds",
        type=_fraction,
        metavar="S",
        help="from one row's start to the next one's, in seconds; a whole number of samples at"
        " 16 kHz (default: the profile's, 0.96 or 1.00)",
    )
    rows.add_argument(
        "--max_rows",
        type=natural,
        metavar="N",
        help="rows of a clip, behind which the rest is left out (default: the profile's, 300 for"
        " youtube8m and none for the others)",
    )
    files = embed.add_argument_group("files and failures")
    files.add_argument(
        "--name",
        default=settings.DEFAULT_NAME,
        help="stem of the file names (default: %(default)s)",
    )
    files.add_argument(
        "--num_shards",
        type=natural,
        metavar="N",
        help="files that the records are spread over (default: one for every 100 MB)",
    )
    files.add_argument(
        "--max_failed_ratio",
        type=_number,
        default=0.0,
        metavar="RATIO",
        help="failed clips of all, 0 to 1, above which the exit status is 3 (default: 0)",
    )
    embed.add_argument(
        "--quiet", action="store_true", help="do not show how far the job is while it runs"
    )
    embed.add_argument(
        "--verbose", action="store_true", help="show the log of Beam and TensorFlow as well"
    )


def own_flags() -> list[str]:
    """Returns the flags of `embed`, with their dashes."""
    parser = argparse.ArgumentParser()
    add_embed_flags(parser)
    return [flag for action in parser._actions for flag in action.option_strings]


def _add_corpus_flags(embed: argparse.ArgumentParser) -> None:
    corpus = embed.add_argument_group("how the clips are found, cut and labelled")
    corpus.add_argument(
        "--audio_root",
        metavar="DIR",
        help="what relative paths in manifests are below (default: each manifest's own folder);"
        " the folder of the segments' audio",
    )
    corpus.add_argument(
        "--manifest_format",
        choices=FORMATS,
        help="of all manifests (default: told by their content and suffix)",
    )
    corpus.add_argument(
        "--keep_columns",
        nargs="+",
        action="extend",
        metavar="NAME",
        help="other columns of manifests that become context features, as bytes",
    )
    corpus.add_argument(
        "--audio_name",
        metavar="TEMPLATE",
        help="how segments' files are named, as '{id}.wav' or '{id}_{start}_{end}.flac', with"
        " {start_ms} {end_ms} in milliseconds (default: found by the names that downloaders give)",
    )
    corpus.add_argument(
        "--segments_are_cut",
        action="store_true",
        help="segments' files hold the segments only, not the whole videos; files that are named"
        " with the times are taken for cut without it",
    )
    corpus.add_argument(
        "--clip_seconds",
        type=_decimal,
        metavar="S",
        help="cut each recording into consecutive clips of S seconds, with ids ID#START; the last"
        " one is kept if it has a row",
    )
    corpus.add_argument(
        "--class_map",
        metavar="FILE",
        help="numbers the labels: CSV of index, mid, display_name, as class_labels_indices.csv"
        " (default: the labels of the corpus, sorted)",
    )
    corpus.add_argument(
        "--unknown_labels",
        choices=(settings.FAIL, settings.DROP),
        default=settings.FAIL,
        help="clips with labels that are not in --class_map: fail as unknown_label, or drop the"
        " label (default: %(default)s)",
    )
    corpus.add_argument(
        "--split",
        type=_splits,
        metavar="SHARES",
        help="folders of the dataset and their shares of the recordings, as"
        " train=0.8,validation=0.1,test=0.1 (default: by the column split, if there is one)",
    )
    corpus.add_argument(
        "--channel",
        type=_channel,
        metavar="CHANNEL",
        help="mean, left, right, or a number from 1 (default: mean of all channels; what is out of"
        " phase in them cancels)",
    )


def _splits(text: str) -> Splits:
    try:
        return parse_splits(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _channel(text: str) -> int | None:
    if text in settings.CHANNELS:
        return settings.CHANNELS[text]
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= settings.MAX_CHANNEL):
        raise argparse.ArgumentTypeError(
            f"{text!r} (allowed: mean, left, right, or 1 to {settings.MAX_CHANNEL})"
        )
    return int(text)


def natural(text: str) -> int:
    """Reads a whole number, 0 or more."""
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} (allowed: a whole number, 0 or more)")
    return int(text)


def _decimal(text: str) -> Decimal:
    try:
        return times.parse_seconds(
            text
        )  # exact: 0.1 is a tenth, and not the nearest binary fraction
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} (allowed: a number of seconds)") from None


def _fraction(text: str) -> Fraction:
    return Fraction(_decimal(text))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} (allowed: a number from 0 to 1)") from None
