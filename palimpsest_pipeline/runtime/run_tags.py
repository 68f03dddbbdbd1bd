"""Tags of Dagster runs, through which runs, sensors and commands exchange information.

This module does not import Dagster.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

PARTITION_TAG: Final = "dagster/partition"
PARTITION_RANGE_START_TAG: Final = "dagster/asset_partition_range_start"
PARTITION_RANGE_END_TAG: Final = "dagster/asset_partition_range_end"
"""The last partition of a run over several partitions.

The names of this and the two tags above are Dagster's own: the partition of a run, and the first and the last of
several.
"""

TRIGGER_TAG: Final = "palimpsest/trigger"
"""The trigger of the cycle. A run without this tag, such as one from the launchpad, counts as manual."""

FOLLOWS_TAG: Final = "palimpsest/follows"
"""The id of the ended run whose work this run continues."""

SKIPPED_TAG: Final = "palimpsest/skipped"
"""Why a run had nothing to do."""

HOURS_TAG: Final = "palimpsest/hours"
"""The first and the last hour that a replay derives, e.g. `2026-06-26-10:00/2026-06-26-12:00`.

Without this tag the replay derives the whole day.
"""

LEAVES_FAILED_TAG: Final = "palimpsest/leaves_failed"
"""Set on a replay that a sensor has requested.

Such a replay skips derivations that have failed with the same content and versions. A backfill repeats them.
"""

RESTS_UNTIL_TAG: Final = "palimpsest/rests_until"
"""The instant until which a kickoff run waits for the next minute of its slot.

It is by the machine's clock.
"""

ENDED_WITH_SERVER_TAG: Final = "palimpsest/ended_with_server"
"""Set on a run that was ended by `palimpsest down` or at the end of `palimpsest up`.

It tells such a run from one that a user has cancelled.
"""

MIN_REST: Final = timedelta(seconds=1)
"""A waiting run is not ended if less than this time is left.

Otherwise the request to end could arrive when its next work has started.
"""


def build_rest_tag(rest_s: float) -> dict[str, str]:
    """Return the tag of a run that waits for `rest_s` seconds from now."""
    return {RESTS_UNTIL_TAG: (datetime.now(UTC) + timedelta(seconds=rest_s)).isoformat()}


def is_resting(tags: Mapping[str, str]) -> bool:
    """Return whether the run waits now, and for at least MIN_REST."""
    return RESTS_UNTIL_TAG in tags and datetime.now(UTC) + MIN_REST < datetime.fromisoformat(tags[RESTS_UNTIL_TAG])
