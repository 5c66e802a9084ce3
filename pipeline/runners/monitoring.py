"""Beam's counters of a job, as runners report them."""

import collections
from collections.abc import Iterable, Mapping

from apache_beam.coders import VarIntCoder

from transforms.metrics.reporting import NAMESPACE

_COUNTER = "beam:metric:user:sum_int64:v1"


def counters(infos: Iterable[tuple[str, Mapping[str, str], bytes]]) -> dict[str, int]:
    """Returns this program's counters by name, summed over steps.

    Args:
      infos: URN, labels and payload of Beam's `MonitoringInfo`.
    """
    found: collections.Counter[str] = collections.Counter()
    coder = VarIntCoder()
    for urn, labels, payload in infos:
        if urn == _COUNTER and labels.get("NAMESPACE") == NAMESPACE:
            found[labels["NAME"]] += coder.decode(payload)
    return dict(found)
