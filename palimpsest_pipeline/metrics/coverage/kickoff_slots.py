"""Which slots of the kickoff cadence each fixture should have had, and which it had. Frames in, frames out.

Belongs here: expected against asked. Does not: reading either, nor when a run should begin.
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
"""Lost slots of one fixture that follow each other.

`n_asked`: how many were asked in vain; `silent`: platforms that did not answer.
"""
OUTAGES_SCHEMA: Final[dict[str, pl.DataType]] = {
    "first_slot_at": INSTANT,
    "last_slot_at": INSTANT,
    "n_slots": pl.UInt32(),
    "n_fixtures": pl.UInt32(),
}
MINUTE: Final = pl.duration(minutes=1)


def list_due_slots(
    known_kickoffs: pl.DataFrame, asked_slots: pl.DataFrame, tiers: Mapping[int, int], begin: datetime, end: datetime
) -> pl.DataFrame:
    """Every slot (a whole minute) from `begin` until before `end` that was due for a fixture of `known`:
    `SLOTS_SCHEMA`.

    It was kept when it was asked and at least one platform answered.

    `tiers`: minutes before kickoff, to every how many minutes from then on. A slot counts when it was due by what was
    known at the begin of its minute, and still was by what was known at the minute's end: so what was first seen too
    late is not expected, nor what was put off or taken away while it could still have been asked.
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
            at_end=(pl.col("known_until").is_null() | (pl.col("known_until") >= at + MINUTE)).any(),
        )
        .filter("at_begin", "at_end")
    )
    had = asked_slots.select(*ASKED_SLOTS, asked=pl.lit(value=True))
    found = expected.join(had, on=["sr_id", "slot_at"], how="left").with_columns(
        pl.col("asked", "answered").fill_null(value=False), pl.col("silent").fill_null([])
    )
    return found.sort("sr_id", "slot_at").select(pl.col(name).cast(dtype) for name, dtype in SLOTS_SCHEMA.items())


def select_lost_slots(slots: pl.DataFrame) -> pl.DataFrame:
    """Return the slots (`SLOTS_SCHEMA`) at which a fixture was not asked, or no platform answered."""
    return slots.filter(~pl.col("answered"))


def count_silences(slots: pl.DataFrame) -> dict[str, int]:
    """Return the platforms that did not answer at slots that were kept, and at how many."""
    counts = (
        slots.filter("answered")
        .select(pl.col("silent").explode(empty_as_null=False))
        .group_by("silent")
        .len()
        .sort("silent")
    )
    return dict(counts.iter_rows())


def group_lost_stretches(slots: pl.DataFrame) -> pl.DataFrame:
    """The lost among `found` (all slots, `SLOTS_SCHEMA`) by fixture and stretch without one that was kept
    (`LOST_STRETCHES_SCHEMA`), sorted by begin and fixture.
    """
    kept_before = pl.col("answered").cum_sum().over("sr_id", order_by="slot_at")
    stretches = (
        slots.with_columns(stretch=kept_before)
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
    """The lost among `found` (all slots, `SLOTS_SCHEMA`) of all fixtures together by stretch of time
    (`OUTAGES_SCHEMA`), newest first. Between two stretches lies a minute at which some slot was due and none was
    lost."""
    whole = pl.col("answered").all().over("slot_at")
    stretches = (
        slots.sort("slot_at")
        .with_columns(stretch=whole.cum_sum())
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
    """Whether `slot_at` is one of the minutes at which the innermost tier around it asks."""
    to_go, at = pl.col("kickoff_at") - pl.col("slot_at"), pl.col("slot_at").dt
    minute_of_day = at.hour().cast(pl.Int32) * 60 + at.minute()
    due = pl.lit(value=False)
    for minutes, every in sorted(tiers.items(), reverse=True):
        due = pl.when(to_go <= pl.duration(minutes=minutes)).then(minute_of_day % every == 0).otherwise(due)
    return due & (to_go > pl.duration())
