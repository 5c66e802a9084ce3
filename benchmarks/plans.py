"""The amounts of work of a full and of a quick run."""

import dataclasses

from benchmarks.corpora import FLAC_2H, FLAC_10S, MP3_10S, OPUS_10S, WAV_1S, WAV_10S, Corpus


@dataclasses.dataclass(frozen=True)
class Plan:
    """The amount of work of a run.

    Attributes:
      rounds: Values of each figure.
      seconds: That the model takes for the corpus of a command.
      call_seconds: Time of a measurement in a server process.
      engine_pairs: Measurements of each engine, one after the other.
      limits: Corpora of this program, beside the bare model and the card's way.
      plain: Those of the plain Beam job.
      plain_as_it_comes: Measure it with one worker as well, not only with one for each core.
      torch: Those of torchvggish.
      workers: Measure other numbers of threads and processes too.
      growth: Sizes of the corpora of the model that takes no time, growing.
      growth_rounds: Values of their figures.
    """

    rounds: int
    seconds: float
    call_seconds: float
    engine_pairs: int
    limits: tuple[Corpus, ...]
    plain: tuple[Corpus, ...]
    plain_as_it_comes: bool
    torch: tuple[Corpus, ...]
    workers: bool
    growth: tuple[int, ...]
    growth_rounds: int


FULL = Plan(
    rounds=3,
    seconds=30,
    call_seconds=5,
    engine_pairs=5,
    limits=(WAV_10S, FLAC_10S, MP3_10S, OPUS_10S, WAV_1S, FLAC_2H),
    plain=(WAV_10S, WAV_1S),
    plain_as_it_comes=True,
    torch=(WAV_10S, FLAC_10S, WAV_1S),
    workers=True,
    growth=(100, 1_000, 10_000),
    growth_rounds=2,
)
QUICK = Plan(
    rounds=2,
    seconds=5,
    call_seconds=1.2,
    engine_pairs=3,
    limits=(WAV_10S, WAV_1S),
    plain=(WAV_1S,),
    plain_as_it_comes=False,
    torch=(WAV_10S,),
    workers=False,
    growth=(),
    growth_rounds=0,
)
