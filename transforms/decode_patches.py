"""DecodePatches: from clips to patches."""

import dataclasses
import posixpath
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam import pvalue

from transforms import storage
from transforms.audio.clip_patches import ClipPatches, Cutting
from transforms.audio.errors import AudioError
from transforms.corpus.clips import Clip, Failure
from transforms.corpus.rows import PatchRun

VERDICTS = "verdicts"


@dataclasses.dataclass
class DecodePatches(beam.PTransform):
    """Opens, decodes, mixes, resamples and cuts.

    Input: `Clip`s. Outputs: `patches` (`PatchRun`s, to be consumed where they are: never through
    a shuffle) and `verdicts` (`(clip id, Decoded or Failure)`, exactly one a clip). A clip that
    fails in the middle has given patches before.
    """

    cutting: Cutting

    def expand(self, clips: pvalue.PCollection[Clip]) -> pvalue.DoOutputsTuple:
        return clips | beam.ParDo(_DecodeFn(self.cutting)).with_outputs(VERDICTS, main="patches")


class _DecodeFn(beam.DoFn):
    def __init__(self, cutting: Cutting) -> None:
        self._cutting = cutting

    def process(self, clip: Clip) -> Iterator[Any]:
        try:
            with storage.open_to_read(clip.uri) as file:
                clip_patches = ClipPatches(
                    file, self._cutting, posixpath.splitext(clip.uri)[1].lower()
                )
                first_row = 0
                for patches in clip_patches:
                    yield PatchRun(clip.id, first_row, patches)
                    first_row += len(patches)
            verdict: object = clip_patches.decoded
        except AudioError as error:
            verdict = _failure(clip, error.reason, str(error))
        except FileNotFoundError as error:
            verdict = _failure(clip, "not_found", error.strerror or str(error))
        except OSError as error:
            verdict = _failure(clip, "unreadable", error.strerror or str(error))
        yield pvalue.TaggedOutput(VERDICTS, (clip.id, verdict))


def _failure(clip: Clip, reason: str, message: str) -> Failure:
    return Failure(clip.id, clip.uri, "decode", reason, message)
