"""Tags of runs, by which runs, sensors and commands know of each other. Knows no Dagster."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

PARTITION_TAG: Final = "dagster/partition"
PARTITION_RANGE_START_TAG: Final = "dagster/asset_partition_range_start"
PARTITION_RANGE_END_TAG: Final = "dagster/asset_partition_range_end"
"""Dagster's own tags, as its documentation names them: the partition of a run, or the first and the last of several."""

TRIGGER_TAG: Final = "palimpsest/trigger"
"""Says what started the cycle. A run without it, such as one from the launchpad, is manual."""

FOLLOWS_TAG: Final = "palimpsest/follows"
"""Names the run, which is over, whose work this one takes up."""

SKIPPED_TAG: Final = "palimpsest/skipped"
"""Says why a run had nothing to do."""

HOURS_TAG: Final = "palimpsest/hours"
"""The first and the last hour of the day that a replay derives, such as `2026-06-26-10:00/2026-06-26-12:00`.

Without it the whole day.
"""

LEAVES_FAILED_TAG: Final = "palimpsest/leaves_failed"
"""Set on a replay that a sensor asks for.

It does not try again what has failed with the same content and versions; a backfill does.
"""

RESTS_UNTIL_TAG: Final = "palimpsest/rests_until"
"""Until when a kickoff run has nothing to do, by the machine's clock: it waits for the next minute of its slot."""

ENDED_WITH_SERVER_TAG: Final = "palimpsest/ended_with_server"
"""Set on a run that `palimpsest down` or the end of `palimpsest up` asks to end.

It tells such a run from one that a user has cancelled.
"""

MIN_REST: Final = timedelta(seconds=1)
"""A run that rests for less than this is not asked to end: the request could reach it in its next minute."""


def build_rest_tag(rest_s: float) -> dict[str, str]:
    """Return the tag of a run that rests for so many seconds from now on."""
    return {RESTS_UNTIL_TAG: (datetime.now(UTC) + timedelta(seconds=rest_s)).isoformat()}


def is_resting(tags: Mapping[str, str]) -> bool:
    """Whether the run rests now, and for long enough to be ended meanwhile."""
    return RESTS_UNTIL_TAG in tags and datetime.now(UTC) + MIN_REST < datetime.fromisoformat(tags[RESTS_UNTIL_TAG])
