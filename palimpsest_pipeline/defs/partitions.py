"""Partitions. One kind: the UTC hour in which a cycle began, today and the current hour included."""

from datetime import UTC, datetime
from typing import Final

import dagster as dg

FIRST_HOUR: Final = datetime(2025, 1, 1, tzinfo=UTC)
"""Recorded payloads older than this cannot be replayed; every hour costs a key in Dagster's lists."""

hours = dg.HourlyPartitionsDefinition(start_date=FIRST_HOUR, timezone="UTC", end_offset=1)

HOURS_PER_RUN = dg.BackfillPolicy.multi_run(24)
"""A backfill's run takes a day's hours, oldest first: a run costs seconds, an hour of core and mart often less. One policy for all assets."""
