"""Tags of runs, through which runs, sensors and commands know about each other. Knows no Dagster."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

PARTITION_TAG: Final = "dagster/partition"
PARTITION_RANGE_START_TAG: Final = "dagster/asset_partition_range_start"
PARTITION_RANGE_END_TAG: Final = "dagster/asset_partition_range_end"
"""The last partition of a run over several.

These three tags are Dagster's own, as its documentation names them: the partition of a run, or the first and the last
of several.
"""

TRIGGER_TAG: Final = "palimpsest/trigger"
"""The trigger of the cycle. A run without it, such as one from the launchpad, is manual."""

FOLLOWS_TAG: Final = "palimpsest/follows"
"""The finished run whose work this run continues."""

SKIPPED_TAG: Final = "palimpsest/skipped"
"""The reason why a run had nothing to do."""

HOURS_TAG: Final = "palimpsest/hours"
"""The first and the last hour that a replay derives, e.g. `2026-06-26-10:00/2026-06-26-12:00`.

Without it the replay derives the whole day.
"""

LEAVES_FAILED_TAG: Final = "palimpsest/leaves_failed"
"""Marks a replay that a sensor has requested.

Such a replay does not repeat a derivation that has failed with the same content and versions; a backfill does.
"""

RESTS_UNTIL_TAG: Final = "palimpsest/rests_until"
"""The instant until which a kickoff run waits for the next minute of its slot.

It is an instant of the machine's clock.
"""

ENDED_WITH_SERVER_TAG: Final = "palimpsest/ended_with_server"
"""Marks a run that `palimpsest down` or the end of `palimpsest up` has asked to end.

It distinguishes such a run from one that a user has cancelled.
"""

MIN_REST: Final = timedelta(seconds=1)
"""A run that rests for less than this is not asked to end.

The request could arrive during the work of its next minute.
"""


def build_rest_tag(rest_s: float) -> dict[str, str]:
    """Return the tag of a run that rests for `rest_s` seconds from now on."""
    return {RESTS_UNTIL_TAG: (datetime.now(UTC) + timedelta(seconds=rest_s)).isoformat()}


def is_resting(tags: Mapping[str, str]) -> bool:
    """Return whether the run rests now, and for long enough to be ended during the rest."""
    return RESTS_UNTIL_TAG in tags and datetime.now(UTC) + MIN_REST < datetime.fromisoformat(tags[RESTS_UNTIL_TAG])
