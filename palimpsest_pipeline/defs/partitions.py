"""Partitions: the UTC hour in which a cycle began, today and the current hour included; the UTC day of the odds history, once it is over;
and the UTC date of a kickoff, a year ahead."""

from datetime import UTC, date, datetime
from typing import Final

import dagster as dg

FIRST_HOUR: Final = datetime(2025, 1, 1, tzinfo=UTC)
"""Recorded payloads older than this cannot be replayed; every hour costs a key in Dagster's lists."""

days = dg.DailyPartitionsDefinition(start_date=FIRST_HOUR, timezone="UTC")
"""UTC days that are over."""

DAYS_PER_RUN = dg.BackfillPolicy.multi_run(7)

hours = dg.HourlyPartitionsDefinition(start_date=FIRST_HOUR, timezone="UTC", end_offset=1)

HOURS_IN_A_RUN: Final = 72
"""A run that the daemon launches costs ten seconds of a core before its first step, an hour of core and mart often less than one. More hours would be
more to look through again when one of them fails."""

HOURS_PER_RUN = dg.BackfillPolicy.multi_run(HOURS_IN_A_RUN)
"""Oldest first. One policy for all assets: with different ones the daemon makes a run of each."""

kickoff_dates = dg.DailyPartitionsDefinition(start_date=FIRST_HOUR, timezone="UTC", end_offset=92)
"""UTC dates of kickoff. Fixtures are listed ahead; one more than three months ahead waits until its date comes within reach."""

KICKOFF_DATES_PER_RUN = dg.BackfillPolicy.multi_run(7)


def kickoff_date_key(day: date) -> str:
    """Partition key of a kickoff date, e.g. `2026-06-26`."""
    return day.isoformat()


def parse_kickoff_date_key(key: str) -> date:
    """Inverse of `kickoff_date_key`. Raises ValueError on another format."""
    return date.fromisoformat(key)
