"""Partitions: the UTC hour in which a cycle began, today and the current hour included; and the UTC day of the odds history, once it is over."""

from datetime import UTC, datetime
from typing import Final

import dagster as dg

FIRST_HOUR: Final = datetime(2025, 1, 1, tzinfo=UTC)
"""Recorded payloads older than this cannot be replayed; every hour costs a key in Dagster's lists."""

days = dg.DailyPartitionsDefinition(start_date=FIRST_HOUR, timezone="UTC")
"""UTC days that are over."""

DAYS_PER_RUN = dg.BackfillPolicy.multi_run(7)

hours = dg.HourlyPartitionsDefinition(start_date=FIRST_HOUR, timezone="UTC", end_offset=1)

HOURS_PER_RUN = dg.BackfillPolicy.multi_run(24)
"""A backfill's run takes a day's hours, oldest first: a run costs seconds, an hour of core and mart often less. One policy for all assets."""
