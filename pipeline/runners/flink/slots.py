"""Slots and worker pools of a Flink cluster, compared with the job before it is submitted."""

import collections
import contextlib
import ipaddress
import socket
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pipeline.errors import RunnerLostError, UsageError
from pipeline.runners.flink.rest import Cluster
from pipeline.runners.waiting import NoAnswerError, Outage, insist

_POLL_SECONDS = 1.0
# Task managers of a cluster that has just been started register within this.
_START_SECONDS = 60.0
# That of a cluster that shows no sign of it are all there is after this.
_SETTLE_SECONDS = 10.0
# Keys of the configuration of clusters that start task managers when a job needs slots.
_ELASTIC = ("kubernetes.internal.", "yarn.", "$internal.yarn.")
# A gateway may hide parts of the interface, or have others.
_HIDDEN = (FileNotFoundError, PermissionError, LookupError, TypeError, AttributeError, ValueError)


def check(cluster: Cluster, parallelism: int, pool: str, say: Callable[[str], None]) -> None:
    """Refuses a job that the cluster cannot run.

    Args:
      cluster: The cluster.
      parallelism: Of the job; less than 1 for the cluster's default.
      pool: Address of the worker pool, or an empty text where workers are started otherwise.
      say: Prints a line: the program waits for task managers.

    Raises:
      UsageError: The cluster has too few slots, or its task managers would share a worker pool.
    """
    with contextlib.suppress(*_HIDDEN):
        _check(cluster, parallelism, pool, say)


def _check(cluster: Cluster, parallelism: int, pool: str, say: Callable[[str], None]) -> None:
    configuration = _configuration(cluster)
    if _is_elastic(configuration):
        return
    flag = f"--parallelism={parallelism}"
    if parallelism < 1:
        parallelism = _default(configuration)
        flag = f"the cluster's default parallelism of {parallelism}"
    overview = _settled(cluster, parallelism, say)
    total, managers = overview["slots-total"], overview["taskmanagers"]
    if not managers:
        raise UsageError(
            f"{flag}: {cluster} has no task managers, and none has registered within"
            f" {_START_SECONDS:.0f} s; start them"
        )
    if total < parallelism:
        raise UsageError(
            f"{flag}: {cluster} has {total} slots ({managers} task managers); use"
            f" --parallelism={total} at most, or start more task managers"
        )
    if pool:
        found = cluster.get("taskmanagers")["taskmanagers"]
        for note in check_pool(pool, found, parallelism):
            say(f"NOTE: {note}")


def await_free(cluster: Cluster, parallelism: int, wait: bool, say: Callable[[str], None]) -> None:
    """Waits until other jobs leave enough slots: Flink ends a job that waits for some minutes.

    Args:
      cluster: The cluster.
      parallelism: See `check`.
      wait: Wait; else print only that the job may fail.
      say: Prints a line.

    Raises:
      RunnerLostError: The cluster does not respond.
    """
    outage = Outage(str(cluster), say)
    said = ""
    while True:
        try:
            words = _busy(cluster, parallelism)
        except _HIDDEN:
            return
        except NoAnswerError as error:
            if gone := outage.note(error):
                raise RunnerLostError(f"{gone}; nothing was submitted") from error
        else:
            outage.end()
            if not words:
                return
            if not wait:
                say(f"NOTE: {words}; Flink ends a job without slots after slot.request.timeout")
                return
            if words != said:
                say(f"waiting for slots: {words}")
            said = words
        time.sleep(_POLL_SECONDS)


def _busy(cluster: Cluster, parallelism: int) -> str:
    """Returns which slots other jobs use, if the rest is too few and all would be enough."""
    overview = cluster.get("overview")
    free, total = overview["slots-available"], overview["slots-total"]
    configuration = {} if free >= parallelism > 0 else _configuration(cluster)
    number = parallelism if parallelism > 0 else _default(configuration)
    if free >= number or total < number or _is_elastic(configuration):
        return ""
    jobs = overview["jobs-running"]
    return (
        f"{free} of {total} slots of {cluster} are free, and the job needs {number};"
        f" {jobs} other {'job runs' if jobs == 1 else 'jobs run'} there"
    )


def _configuration(cluster: Cluster) -> dict[str, str]:
    """Returns what is configured; nothing where a gateway hides it."""
    with contextlib.suppress(FileNotFoundError, PermissionError):
        return {entry["key"]: entry["value"] for entry in cluster.get("jobmanager/config")}
    return {}


def _is_elastic(configuration: Mapping[str, str]) -> bool:
    is_reactive = configuration.get("scheduler-mode", "").lower() == "reactive"
    return is_reactive or any(key.startswith(_ELASTIC) for key in configuration)


def _default(configuration: Mapping[str, str]) -> int:
    return int(configuration.get("parallelism.default", 1))


def _settled(cluster: Cluster, parallelism: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Returns the cluster's overview, after waiting for task managers that may be starting."""
    changed, has_grown = time.monotonic(), False
    overview = cluster.get("overview")
    if overview["slots-total"] >= parallelism:
        return overview
    say(
        f"waiting for task managers: {cluster} has {overview['slots-total']} slots"
        f" ({overview['taskmanagers']} task managers), and the job needs {parallelism}"
    )
    while True:
        before = overview["slots-total"]
        overview = insist(lambda: cluster.get("overview"))
        if overview["slots-total"] != before:
            changed, has_grown = time.monotonic(), True
        # A cluster that is starting may take as long for each of its task managers.
        is_starting = has_grown or not overview["slots-total"]
        patience = _START_SECONDS if is_starting else _SETTLE_SECONDS
        is_enough = overview["slots-total"] >= parallelism
        if is_enough or time.monotonic() - changed > patience:
            return overview
        time.sleep(_POLL_SECONDS)


def check_pool(pool: str, managers: list[dict[str, Any]], parallelism: int) -> Iterator[str]:
    """Yields notes about a worker pool that task managers may share.

    Beam names workers by numbers that are unique in one task manager only. Those that share a pool
    stop each other's workers, and the job hangs.

    Args:
      pool: The address that each task manager connects to.
      managers: The task managers in Flink's words.
      parallelism: Of the job.

    Raises:
      UsageError: Two task managers that the job needs have one pool.
    """
    host = (urllib.parse.urlsplit(f"//{pool.rpartition('://')[2]}").hostname or "").lower()
    by_host: dict[str, list[int]] = collections.defaultdict(list)
    for manager in managers:
        # Each machine has a pool of its own at localhost, and all have the same elsewhere.
        where = _host_of(manager) if _is_loopback(host) else ""
        by_host[where].append(manager["slotsNumber"])
    is_certain = _is_loopback(host) or _address(host) is not None
    if all(len(slots) == 1 for slots in by_host.values()) or not (is_certain or _is_known(host)):
        return
    shared = max(map(len, by_host.values()))
    text = (
        f"--environment_config={pool}: {shared} task managers would share this worker pool, stop"
        " each other's workers, and the job would hang; give each task manager a pool of its own"
        " (as in deploy/flink)"
    )
    # One task manager of each pool may be enough.
    if sum(max(slots) for slots in by_host.values()) >= parallelism:
        yield f"{text}, unless one gets all {parallelism} tasks of a step"
    elif is_certain:
        raise UsageError(f"{text}, or use --parallelism={sum(map(max, by_host.values()))} at most")
    else:
        yield f"{text}, unless {host} is another machine for each of them"


def _host_of(manager: dict[str, Any]) -> str:
    """Returns the host in a path like `pekko.tcp://flink@HOST:PORT/user/rpc/taskmanager_0`."""
    host = urllib.parse.urlsplit(manager["path"]).hostname or manager["path"]
    return "localhost" if _is_loopback(host) else host


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_loopback(host: str) -> bool:
    """Returns whether a host is the machine itself, to whoever connects to it."""
    address = _address(host)
    return host.rstrip(".") == "localhost" or (
        address is not None and (address.is_loopback or address.is_unspecified)
    )


def _is_known(host: str) -> bool:
    """Returns whether this machine knows the host: the name may mean the same to all others."""
    try:
        return bool(socket.getaddrinfo(host, None))
    except OSError:
        return False
