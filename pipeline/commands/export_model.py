"""The command `export-model`: exports VGGish as a SavedModel."""

import os
import sys

from pipeline.errors import UsageError
from pipeline.terminal import summary
from transforms.model import vggish
from transforms.model.errors import ModelError


def run(output: str, checkpoint: str | None, untrained: bool, seed: int) -> int:
    """Exports the model and returns the exit status.

    Args:
      output: A new or empty folder.
      checkpoint: The released TF1 checkpoint; None with `untrained`.
      untrained: Use random weights.
      seed: The seed of the random weights.

    Raises:
      UsageError: An option is refused; nothing has been written.
    """
    if os.path.exists(output) and (not os.path.isdir(output) or os.listdir(output)):
        raise UsageError(f"--output={output} exists already; use a new folder")
    if checkpoint is not None and not any(map(os.path.exists, (checkpoint, f"{checkpoint}.index"))):
        raise UsageError(f"--checkpoint={checkpoint} does not exist")
    if seed >= 2**63:
        raise UsageError(f"--seed={seed} (allowed: 0 to {2**63 - 1})")
    try:
        if checkpoint is None:
            assert untrained  # the command line requires one of the two
            vggish.export(output, vggish.build(vggish.untrained_weights(seed), seed))
        else:
            vggish.export(output, vggish.build(vggish.read_checkpoint(checkpoint)))
    except (ModelError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return summary.JOB_BROKE
    kind = f"UNTRAINED, seed {seed}" if untrained else f"weights of {checkpoint}"
    print(f"{output}: VGGish ({kind}); use it with --model {output}")
    return summary.SUCCESS
