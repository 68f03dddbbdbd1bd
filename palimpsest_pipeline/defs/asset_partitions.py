"""The partitions in Dagster: UTC days of cycles, ended days of the history, and dates of kickoff.

All begin with the first day of the installation (`first_day`), which is read when this module is imported: a command
imports it after `upgrade_schema`, which writes the day into a new home folder.

No asset has a backfill policy. Without one, a backfill starts one run per partition and tags it with the partition's
key. With any policy, even `multi_run(1)`, the runs are tagged with a range of partitions, and Dagster stores the
results of their checks without a partition.
"""

from datetime import date
from typing import Final

import dagster as dg

from palimpsest_pipeline.domain.instants import get_day_start
from palimpsest_pipeline.pipeline.home_notes import read_first_day
from palimpsest_pipeline.settings import load_settings

FIRST_DAY: Final = read_first_day(load_settings())
_START: Final = get_day_start(FIRST_DAY)

day_partitions = dg.DailyPartitionsDefinition(start_date=_START, timezone="UTC", end_offset=1)
"""UTC days on which cycles began, including today."""

ended_day_partitions = dg.DailyPartitionsDefinition(start_date=_START, timezone="UTC")
"""Ended UTC days of the odds history."""

kickoff_date_partitions = dg.DailyPartitionsDefinition(start_date=_START, timezone="UTC", end_offset=92)
"""UTC dates of kickoff, up to three months ahead, because fixtures are listed early.

A fixture with a later kickoff is derived once its date has a partition.
"""


def is_ended_day(day: date) -> bool:
    """Return whether `ended_day_partitions` contains the day: it is over, and not before the first day."""
    return ended_day_partitions.has_partition_key(str(day))
