"""Unpickles all code of a staged graph, and prints where the modules of the program come from.

    python -I unpickle_graph.py PIPELINE.pb

What an SDK harness does with a graph before the first element. A bug that hides where the launcher
has imported everything shows here: a class of `__main__`, a module that is not in the archive.
"""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from apache_beam.internal import pickler
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.transforms.core import DoFn, DoFnInfo
from apache_beam.utils.proto_utils import parse_Bytes

_PARDO = common_urns.primitives.PAR_DO.urn
_COMBINES = {
    common_urns.composites.COMBINE_PER_KEY.urn,
    *(each.urn for each in vars(common_urns.combine_components).values() if hasattr(each, "urn")),
}


def main(graph: str) -> None:
    """Prints, as JSON, the classes of DoFns with their numbers, and what was imported for them."""
    pipeline = beam_runner_api_pb2.Pipeline.FromString(Path(graph).read_bytes())
    classes: Counter[str] = Counter()
    for transform in pipeline.components.transforms.values():
        if transform.spec.urn == _PARDO:
            payload = parse_Bytes(transform.spec.payload, beam_runner_api_pb2.ParDoPayload)
            classes[_name(_load(payload.do_fn))] += 1
            for side_input in payload.side_inputs.values():
                pickler.loads(side_input.view_fn.payload)
        elif transform.spec.urn in _COMBINES:
            combine = parse_Bytes(transform.spec.payload, beam_runner_api_pb2.CombinePayload)
            pickler.loads(combine.combine_fn.payload)
    ours = {
        name: str(module.__file__)
        for name, module in sys.modules.items()
        if name.partition(".")[0] in ("pipeline", "transforms")
    }
    found = {"classes": classes, "modules": ours, "has_tensorflow": "tensorflow" in sys.modules}
    print(json.dumps(found))


def _load(code: beam_runner_api_pb2.FunctionSpec) -> Any:
    # Beam's own DoFns without state have a name in place of pickled code.
    function, *_ = pickler.loads(DoFnInfo.from_runner_api(code, None).serialized_dofn_data())
    assert isinstance(function, DoFn), function
    return function


def _name(function: DoFn) -> str:
    return f"{type(function).__module__}.{type(function).__name__}"


if __name__ == "__main__":
    main(*sys.argv[1:])
