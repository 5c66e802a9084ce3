"""The files of a dataset, recognised by name and by `dataset.json`."""

import json
import posixpath
import re

from transforms.corpus.labels import CLASS_MAP_NAME
from transforms.corpus.splits import UNSPLIT, is_split_name
from transforms.dataset import schema
from transforms.dataset.failure_table import failure_table_name
from transforms.dataset.note_table import note_table_name
from transforms.dataset.shards import shard_pattern

FILE_NAME = "dataset.json"
# The same of the dataset that is being replaced, in the staging folder.
REPLACED = "replaced.json"
# An empty file in the staging folder while a dataset is published.
MARK = "publishing"
# What may stand before the ends of the file names.
STEM = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
FORMAT = "beam-audio-embeddings"
# Pattern of files of datasets with any name that were not yet renamed, see `storage.files`.
TEMPORARY = (
    rf"(?:{STEM}-\d{{5}}-of-\d{{5}}\.tfrecord|{STEM}-(?:failures|notes)\.jsonl"
    rf"|{'|'.join(map(re.escape, (schema.FILE_NAME, CLASS_MAP_NAME, FILE_NAME)))})"
    r"\.[0-9a-f]{32}\.tmp"
)


def is_dataset_file(file: str, name: str) -> bool:
    """Returns whether a file name is one of a dataset's.

    Args:
      file: Path relative to the dataset's folder; may be in the folder of a split.
      name: Stem of the dataset's file names.
    """
    *folders, last = file.split("/")
    if len(folders) > 1 or any(not is_split_folder(folder) for folder in folders):
        return False
    return last in (schema.FILE_NAME, CLASS_MAP_NAME, FILE_NAME) or has_stem(file, name)


def has_stem(file: str, name: str) -> bool:
    """Returns whether a dataset's file carries its name, as shards and tables do."""
    last = posixpath.basename(file)
    tables = (failure_table_name(name), note_table_name(name))
    return last in tables or shard_pattern(name).fullmatch(last) is not None


def is_split_folder(folder: str) -> bool:
    """Returns whether a split, or the clips without one, may have this folder."""
    return is_split_name(folder) or folder == UNSPLIT


def own_files(info: bytes) -> list[str]:
    """Returns the files of the dataset that a `dataset.json` describes.

    Raises:
      ValueError: The `dataset.json` was not written by this program.
    """
    parsed = json.loads(info)
    if not isinstance(parsed, dict) or parsed.get("format") != FORMAT:
        raise ValueError(f"{FILE_NAME} was not written by this program")
    try:
        name = str(parsed["name"])
        splits = parsed.get("splits")
        parts = [("", parsed)] if splits is None else []
        parts += [(f"{split['folder']}/", split) for split in splits or ()]
        files = [FILE_NAME]
        audio = parsed.get("audio")
        keeps_damaged = isinstance(audio, dict) and audio.get("damaged") == "keep"
        others = (failure_table_name(name), schema.FILE_NAME, CLASS_MAP_NAME, FILE_NAME)
        for prefix, part in parts:
            files += [prefix + each["name"] for each in part["shards"]]
            files += [prefix + file for file in others]
            counts = part.get("counts")
            if keeps_damaged or (isinstance(counts, dict) and counts.get("notes")):
                files.append(prefix + note_table_name(name))
    except (KeyError, TypeError) as error:
        raise ValueError(f"{FILE_NAME} lacks {error}") from error
    if not all(is_dataset_file(file, name) for file in files):
        raise ValueError(f"{FILE_NAME} lists files that do not belong to a dataset")
    return list(dict.fromkeys(files))


def is_split(info: bytes, folder: str) -> bool:
    """Returns whether a `dataset.json` describes the split in this folder."""
    try:
        parsed = json.loads(info)
    except ValueError:
        return False
    return isinstance(parsed, dict) and parsed.get("split") == folder
