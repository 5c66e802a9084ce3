"""A process that measures torchvggish from PyPI, what a user would install instead.

Run as `python -m benchmarks.torch_side`; see `benchmarks.serving`. Its weights are untrained:
those of the package would have to be downloaded, and change nothing about its speed.
"""

from collections.abc import Callable

import torch
from torchvggish import torchvggish, vggish_input

from benchmarks.serving import files_for_ever, rate, serve

_BATCH_ROWS = 128
_FRAMES, _BANDS = 96, 64


class Side:
    """The network with its own front end."""

    def __init__(self) -> None:
        self._network = torchvggish._vgg(postprocess=False).eval()

    def clip_by_clip(self, folder: str, seconds: float) -> float:
        """Returns the rows a second of its own way: a file, its log-mel patches, its rows."""
        next_file = files_for_ever(folder)

        def step() -> int:
            patches = vggish_input.wavfile_to_examples(str(next_file()))
            return len(self._network(patches))

        return _rate(step, seconds)

    def in_batches(self, folder: str, seconds: float) -> float:
        """Returns the same with patches of many files in batches of 128."""
        next_file = files_for_ever(folder)
        waiting: list[torch.Tensor] = []

        def step() -> int:
            while sum(map(len, waiting)) < _BATCH_ROWS:
                waiting.append(vggish_input.wavfile_to_examples(str(next_file())))
            batch = torch.cat(waiting)
            waiting[:] = [batch[_BATCH_ROWS:]]
            return len(self._network(batch[:_BATCH_ROWS]))

        return _rate(step, seconds)

    def bare(self, seconds: float) -> float:
        """Returns the rows a second of the network alone, on random log-mel patches."""
        patches = torch.randn(_BATCH_ROWS, 1, _FRAMES, _BANDS)
        return _rate(lambda: len(self._network(patches)), seconds)


def _rate(step: Callable[[], int], seconds: float) -> float:
    with torch.no_grad():
        return rate(step, seconds)


if __name__ == "__main__":
    side = Side()
    serve(
        {call.__name__: call for call in (side.clip_by_clip, side.in_batches, side.bare)}
        | {"version": lambda: torch.__version__}
    )
