"""Refusal of tables whose first recordings are all absent: their paths begin somewhere else."""

import concurrent.futures
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from pipeline.errors import UsageError
from transforms.corpus import recordings
from transforms.corpus.clips import Clip, printable
from transforms.corpus.manifests.manifest import ManifestReading
from transforms.packed import address
from transforms.storage import files

_NUM_PATHS = 20
# One recording that exists is enough: storages are asked for few first.
_NUM_FIRST = 3
_SECONDS = 15.0


def check(readings: Iterable[ManifestReading], elsewhere: bool) -> None:
    """Refuses a manifest if each of its first recordings is known to be absent.

    A storage that is slow or refuses to answer is no reason to refuse.

    Args:
      readings: The beginnings of manifests.
      elsewhere: The workers may be on other machines, which have other local files.

    Raises:
      UsageError: Names the first path, where it was looked for, and what may be meant.
    """
    for reading in readings:
        by_uri = {each.uri: each for each in reading.outcomes if isinstance(each, Clip)}
        clips = list(by_uri.values())[:_NUM_PATHS]
        if not clips or (elsewhere and any(map(_is_local, clips))):
            continue
        if _are_absent(clips[:_NUM_FIRST]) and _are_absent(clips[_NUM_FIRST:]):
            first = clips[0]
            number = f"the first {len(clips)} recordings are" if clips[1:] else "its recording is"
            message = recordings.absence(first, f"{printable(first.uri)} does not exist")
            raise UsageError(
                f"--manifest={reading.facts.uri}: {number} absent; line {first.line}: {message}"
                " (--audio_root names the folder of relative paths; --max_failed_ratio=1 runs all"
                " the same)"
            )


def _are_absent(clips: Sequence[Clip]) -> bool:
    """Tells whether all recordings are known to be absent, within some time."""
    if all(map(_is_local, clips)):
        return all(map(_is_absent, clips))
    pool = ThreadPoolExecutor(len(clips))
    try:
        asked = [pool.submit(_is_absent, clip) for clip in clips]
        answered = concurrent.futures.as_completed(asked, timeout=_SECONDS)
        return all(each.result() for each in answered)
    except concurrent.futures.TimeoutError:
        return False
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _is_absent(clip: Clip) -> bool:
    try:
        return recordings.is_absent_now(clip)
    except OSError:  # it may be there
        return False


def _is_local(clip: Clip) -> bool:
    packed = address.parse(clip.uri)
    return files.is_local(packed.shard if packed else clip.uri)
