"""A case: a mutated file, made of a seed and its number alone."""

import dataclasses
import random

from tests.fuzz import mutations
from tests.fuzz.corpus import Seed
from transforms.corpus.clips import RawFormat


@dataclasses.dataclass(frozen=True)
class Case:
    """A mutated file.

    Attributes:
      key: Seed and number, from which its settings are drawn, too.
      name: The file that was mutated, and how.
      suffix: Suffix of the file, with the dot.
      data: Its bytes.
      raw_format: Encoding of a file without a header; None for all other files.
    """

    key: str
    name: str
    suffix: str
    data: bytes
    raw_format: RawFormat | None

    def rng(self) -> random.Random:
        """Returns a generator for the settings of this case."""
        return random.Random(f"settings {self.key}")


def make(seeds: list[Seed], seed: int, number: int) -> Case:
    """Returns case `number` of a run, whichever were made before it."""
    key = f"{seed} {number}"
    rng = random.Random(key)
    chosen, other = _choose(rng, seeds), _choose(rng, seeds)
    data, names = mutations.mutate(rng, chosen.data, other.data)
    suffix = chosen.suffix if rng.random() < 0.8 else rng.choice(mutations.SUFFIXES)
    return Case(key, f"{chosen.name}: {names}", suffix, data, chosen.raw_format)


def _choose(rng: random.Random, seeds: list[Seed]) -> Seed:
    # Half of them by family, so that one of few files counts, too.
    if rng.random() < 0.5:
        return rng.choice(seeds)
    family = rng.choice(sorted({seed.family for seed in seeds}))
    return rng.choice([seed for seed in seeds if seed.family == family])
