"""The due slots of the kickoff cadence and their results. Takes and returns frames.

Here a slot is one minute at which a fixture must be requested. `storage.ledger.requested_slots` reads the input, and
`pipeline.kickoff_slots` finds the slots to request now.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.schemas import ASKED_SLOTS, INSTANT, KNOWN_KICKOFFS

SLOTS_SCHEMA: Final[dict[str, pl.DataType]] = {
    "sr_id": pl.Int64(),
    "slot_at": INSTANT,
    "kickoff_at": INSTANT,
    "asked": pl.Boolean(),
    "answered": pl.Boolean(),
    "silent": pl.List(pl.String()),
}
LOST_STRETCHES_SCHEMA: Final[dict[str, pl.DataType]] = {
    "sr_id": pl.Int64(),
    "first_slot_at": INSTANT,
    "last_slot_at": INSTANT,
    "n_slots": pl.UInt32(),
    "kickoff_at": INSTANT,
    "n_asked": pl.UInt32(),
    "silent": pl.List(pl.String()),
}
"""One row per fixture and period of consecutive lost slots.

`n_asked` is the number of slots that were requested without an answer. `silent` lists the platforms that did not
answer.
"""
OUTAGES_SCHEMA: Final[dict[str, pl.DataType]] = {
    "first_slot_at": INSTANT,
    "last_slot_at": INSTANT,
    "n_slots": pl.UInt32(),
    "n_fixtures": pl.UInt32(),
}
_MINUTE: Final = pl.duration(minutes=1)


def list_due_slots(
    known_kickoffs: pl.DataFrame, asked_slots: pl.DataFrame, tiers: Mapping[int, int], begin: datetime, end: datetime
) -> pl.DataFrame:
    """Return every slot in [`begin`, `end`) that was due for a fixture of `known_kickoffs`.

    The result has the columns `SLOTS_SCHEMA`. `answered` is true when the slot was requested and at least one platform
    answered. The two frames have the columns `KNOWN_KICKOFFS` and `ASKED_SLOTS` of `domain.schemas`.

    `tiers` maps minutes before kickoff to the interval in minutes between requests from then on. A slot is due only if
    the kickoff known at the begin of its minute and the one known at its end both make it due. So there is no due slot
    for a fixture that was first seen too late, or that was postponed or removed during the minute.
    """
    at = pl.col("slot_at")
    first = pl.max_horizontal(
        pl.col("known_from").dt.truncate("1m"),
        pl.lit(begin, INSTANT).dt.offset_by("59999999us").dt.truncate("1m"),
        (pl.col("kickoff_at") - pl.duration(minutes=max(tiers))).dt.offset_by("59999999us").dt.truncate("1m"),
    )
    last = pl.min_horizontal("known_until", "kickoff_at", pl.lit(end, INSTANT))
    due = (
        known_kickoffs.select(KNOWN_KICKOFFS.keys())
        .with_columns(first=first, last=last)
        .filter(pl.col("first") < pl.col("last"))
        .with_columns(slot_at=pl.datetime_ranges("first", "last", interval="1m", closed="left"))
        .explode("slot_at")
        .filter(_is_due(tiers))
    )
    expected = (
        due.group_by("sr_id", "slot_at")
        .agg(
            pl.col("kickoff_at").sort_by("known_from").last(),
            at_begin=(pl.col("known_from") <= at).any(),
            at_end=(pl.col("known_until").is_null() | (pl.col("known_until") >= at + _MINUTE)).any(),
        )
        .filter("at_begin", "at_end")
    )
    asked_fixtures = asked_slots.select(*ASKED_SLOTS, asked=pl.lit(value=True))
    slots = expected.join(asked_fixtures, on=["sr_id", "slot_at"], how="left").with_columns(
        pl.col("asked", "answered").fill_null(value=False), pl.col("silent").fill_null([])
    )
    return slots.sort("sr_id", "slot_at").select(pl.col(name).cast(dtype) for name, dtype in SLOTS_SCHEMA.items())


def select_lost_slots(slots: pl.DataFrame) -> pl.DataFrame:
    """Return the slots (`SLOTS_SCHEMA`) without a request for the fixture, or without any answer."""
    return slots.filter(~pl.col("answered"))


def count_silences(slots: pl.DataFrame) -> dict[str, int]:
    """Return by platform name the number of answered slots at which this platform did not answer."""
    counts = (
        slots.filter("answered")
        .select(pl.col("silent").explode(empty_as_null=False))
        .group_by("silent")
        .len()
        .sort("silent")
    )
    return dict(counts.iter_rows())


def group_lost_stretches(slots: pl.DataFrame) -> pl.DataFrame:
    """Return the lost slots of each fixture, grouped into periods without an answered slot in between.

    `slots` contains all slots (`SLOTS_SCHEMA`). The result has the columns `LOST_STRETCHES_SCHEMA`, sorted by begin and
    fixture.
    """
    n_answered_before = pl.col("answered").cum_sum().over("sr_id", order_by="slot_at")
    stretches = (
        slots.with_columns(stretch=n_answered_before)
        .filter(~pl.col("answered"))
        .group_by("sr_id", "stretch")
        .agg(
            first_slot_at=pl.col("slot_at").min(),
            last_slot_at=pl.col("slot_at").max(),
            n_slots=pl.len(),
            kickoff_at=pl.col("kickoff_at").sort_by("slot_at").last(),
            n_asked=pl.col("asked").sum(),
            silent=pl.col("silent").list.explode(empty_as_null=False).unique().sort(),
        )
    )
    return stretches.sort("first_slot_at", "sr_id").select(
        pl.col(name).cast(dtype) for name, dtype in LOST_STRETCHES_SCHEMA.items()
    )


def group_outages(slots: pl.DataFrame) -> pl.DataFrame:
    """Return the lost slots of all fixtures grouped into outages, columns `OUTAGES_SCHEMA`, newest first.

    `slots` contains all slots (`SLOTS_SCHEMA`). Between two outages there is at least one minute with a due slot and no
    lost slot.
    """
    is_complete = pl.col("answered").all().over("slot_at")
    stretches = (
        slots.sort("slot_at")
        .with_columns(stretch=is_complete.cum_sum())
        .filter(~pl.col("answered"))
        .group_by("stretch")
        .agg(
            first_slot_at=pl.col("slot_at").min(),
            last_slot_at=pl.col("slot_at").max(),
            n_slots=pl.len(),
            n_fixtures=pl.col("sr_id").n_unique(),
        )
    )
    return stretches.sort("first_slot_at", descending=True).select(
        pl.col(name).cast(dtype) for name, dtype in OUTAGES_SCHEMA.items()
    )


def _is_due(tiers: Mapping[int, int]) -> pl.Expr:
    """Return whether the cadence requests at the minute `slot_at`, by the tier nearest to kickoff."""
    time_to_kickoff, at = pl.col("kickoff_at") - pl.col("slot_at"), pl.col("slot_at").dt
    minute_of_day = at.hour().cast(pl.Int32) * 60 + at.minute()
    due = pl.lit(value=False)
    for minutes, interval in sorted(tiers.items(), reverse=True):
        due = (
            pl.when(time_to_kickoff <= pl.duration(minutes=minutes)).then(minute_of_day % interval == 0).otherwise(due)
        )
    return due & (time_to_kickoff > pl.duration())
