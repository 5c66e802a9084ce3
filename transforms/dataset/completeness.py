"""Proof that a dataset is complete: every clip is a record, a failure or a repeated row."""

from collections.abc import Collection, Mapping

from transforms.dataset.shards import RecordSums, Shard

# Names of counts.
LISTED = "listed"
PLANNED = "planned"
UNPLANNED = "unplanned"
RECEIVED = "received"

Tallies = Mapping[tuple[str, str], int]  # counts by split and name


class IncompleteError(Exception):
    """The counts of a run disagree: something was lost, and nothing is published."""


def count_all_splits(tallies: Tallies, name: str) -> int:
    """Returns the sum of a count over all splits."""
    return sum(count for (_, each), count in tallies.items() if each == name)


def check_sums(
    tallies: Tallies,
    failures: Mapping[str, int],
    num_notes: int,
    expected_sums: Mapping[tuple[str, int], RecordSums],
    shards: Collection[Shard],
    num_shards: Mapping[str, int],
) -> None:
    """Checks that every requested clip is in a shard or in a failure table.

    Args:
      tallies: Under the empty split: clips, rows and failures that were `listed`, those that were
        `planned` as clips of their own or `unplanned` because they failed, planned clips that were
        `received` to be decoded, `clips` requested, `decode_tasks` planned and
        `decode_tasks_done`. By split: `repeats` of listed clips,
        `records` assembled, and `notes` about them.
      failures: Number of lines in the failure tables, by split.
      num_notes: Number of lines in the tables of notes.
      expected_sums: Sums of the assembled records, by split and shard; empty shards may be absent.
      shards: The shards that were written.
      num_shards: Expected number of shards, by split.

    Raises:
      IncompleteError: The counts disagree.
    """
    planned, done = tallies.get(("", "decode_tasks"), 0), tallies.get(("", "decode_tasks_done"), 0)
    if planned != done:
        raise IncompleteError(f"{planned} decode tasks were planned, but {done} were completed")
    _check_listed(tallies)
    _check_received(tallies)
    clips = tallies.get(("", "clips"), 0)
    records = count_all_splits(tallies, "records")
    num_failures = sum(failures.values())
    if clips != records + num_failures:
        raise IncompleteError(
            f"{clips} clips were requested, but there are {records} records and {num_failures}"
            " failures"
        )
    notes = count_all_splits(tallies, "notes")
    if notes != num_notes:
        raise IncompleteError(f"{notes} notes were made, but {num_notes} are in the tables")
    _check_shards(expected_sums, shards, num_shards)
    if sum(sums.num_records for sums in expected_sums.values()) != records:
        raise IncompleteError(
            f"{records} records were assembled, but {expected_sums} are in the shards"
        )


def _check_listed(tallies: Tallies) -> None:
    listed, planned, unplanned, repeats = (
        count_all_splits(tallies, name) for name in (LISTED, PLANNED, UNPLANNED, "repeats")
    )
    if listed != planned + unplanned + repeats:
        raise IncompleteError(
            f"{listed} clips were listed, but {planned} were planned, {unplanned} failed and"
            f" {repeats} repeat another one"
        )


def _check_received(tallies: Tallies) -> None:
    planned, received = (count_all_splits(tallies, name) for name in (PLANNED, RECEIVED))
    if planned != received:
        raise IncompleteError(f"{planned} clips were planned, but {received} reached the decoders")


def _check_shards(
    expected_sums: Mapping[tuple[str, int], RecordSums],
    shards: Collection[Shard],
    num_shards: Mapping[str, int],
) -> None:
    expected = {(split, index) for split, number in num_shards.items() for index in range(number)}
    if sorted((shard.split, shard.index) for shard in shards) != sorted(expected):
        raise IncompleteError(f"{len(shards)} shards were written (expected: {len(expected)})")
    if not set(expected_sums) <= expected:
        raise IncompleteError(
            f"records belong to the shards {sorted(expected_sums)}, but the shards are {num_shards}"
        )
    for shard in shards:
        sums = expected_sums.get((shard.split, shard.index), RecordSums())
        if shard.sums != sums:
            raise IncompleteError(
                f"shard {shard.index} {shard.split} contains {shard.sums} (expected: {sums})"
            )
