"""The run tags through which a run and the command that ends it know of each other. Knows no Dagster."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

RESTS_UNTIL: Final = "palimpsest/rests_until"
"""Until when a kickoff run has nothing to do, by the machine's clock: it waits for the next minute of its slot."""

ENDED_WITH_SERVER: Final = "palimpsest/ended_with_server"
"""Set on a run that `palimpsest down` or the end of `palimpsest up` asks to end. It tells such a run from one that a user has cancelled."""

BEGIN_MARGIN: Final = timedelta(seconds=1)
"""A run that rests for less than this is not asked to end: the request could reach it in its next minute."""


def rest_tag(rest_s: float) -> dict[str, str]:
    """Return the tag of a run that rests for so many seconds from now on."""
    return {RESTS_UNTIL: (datetime.now(UTC) + timedelta(seconds=rest_s)).isoformat()}


def is_resting(tags: Mapping[str, str]) -> bool:
    """Whether the run rests now, and for long enough to be ended meanwhile."""
    return RESTS_UNTIL in tags and datetime.now(UTC) + BEGIN_MARGIN < datetime.fromisoformat(tags[RESTS_UNTIL])
