"""The life of the fixtures of a kickoff date, derived from the whole of their history."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import CloseQuality, ListingEnd, MarginStatus, OpenQuality
from palimpsest_pipeline.metrics.lifecycle.availability import build_availability_intervals
from palimpsest_pipeline.metrics.lifecycle.gap_counts import count_gaps
from palimpsest_pipeline.metrics.lifecycle.lead_time import compute_lead_times
from palimpsest_pipeline.metrics.lifecycle.margin_curves import MARGIN_INPUT_SCHEMA, build_margin_curves
from palimpsest_pipeline.metrics.lifecycle.margin_history import build_margin_stretches
from palimpsest_pipeline.metrics.lifecycle.open_close import find_open_close
from palimpsest_pipeline.pipeline.installed_vocabulary import build_vocabulary_frames
from palimpsest_pipeline.storage.db.locks import AdvisoryLock, hold_lock, open_snapshot
from palimpsest_pipeline.storage.marts import dates_of_other_settings, lifecycle_rows
from palimpsest_pipeline.storage.odds.history_reader import OddsHistoryReader

from ..context import Pipeline
from .fixture_batches import batch_listings

TABLES: Final = lifecycle_rows.LIFECYCLE_TABLES
AVAILABILITY, OPEN_CLOSE, LEAD_TIME, MARGINS, CURVES, GAP_COUNTS = TABLES
HOME_RELATIVE_TABLES: Final = (CURVES, GAP_COUNTS)
"""Tables with a column that names the home platform for which the rows were computed."""
LIFECYCLE_JOB: Final = "fixture_life"
CLOSE_EXACT_S: Final = 300.0
"""A last price confirmed at most this long before kickoff is the exact closing price."""
NEAR_HORIZON: Final = timedelta(days=1)
"""How far ahead of today a due date is derived without waiting."""
FAR_DATE_WAIT: Final = timedelta(days=1)
"""How long a due date beyond `NEAR_HORIZON` waits before it is derived.

Every cycle changes the fixtures of the next one or two weeks, and users need their life only when kickoff is near.
"""


@dataclass(slots=True)
class DateDerivation:
    """The result of deriving a date: numbers of rows by table, and counts of their content."""

    rows_by_table: Counter[str] = field(default_factory=Counter)
    n_fixtures: int = 0
    n_listings: int = 0
    n_marks: int = 0
    """Number of cycles that changed fixtures of the date since its last derivation."""
    counts_by_table: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Table to the counts of its rows by kind, for example of open_close by quality (open_exact, ...)."""


def derive_kickoff_date(pipeline: Pipeline, day: date) -> DateDerivation:
    """Replace the rows of all fixtures whose kickoff is on the UTC date `day`, in one transaction.

    Afterwards the date is no longer due, unless a cycle changed one of its fixtures meanwhile. A second caller waits
    until the first one has finished.
    """
    derivation = DateDerivation()
    with pipeline.database.connect(autocommit=True) as conn:
        with hold_lock(conn, AdvisoryLock.KICKOFF_DATES), open_snapshot(conn):
            marks = lifecycle_rows.read_date_marks(conn, day)
            reader = OddsHistoryReader(conn, pipeline.archive)
            inputs = lifecycle_rows.read_lifecycle_inputs(conn, reader, day, pipeline.settings.home_platform)
            lifecycle_rows.delete_rows_of_date(conn, day, inputs.listings["sr_id"].unique().to_list())
            derivation.n_fixtures, derivation.n_listings, derivation.n_marks = (
                inputs.listings["sr_id"].n_unique(),
                inputs.listings.height,
                marks.height,
            )
            if inputs.as_of is not None:
                date_stamp = {
                    "kickoff_date": pl.lit(day),
                    "as_of": pl.lit(inputs.as_of),
                    "mapping_version": pl.lit(pipeline.vocabulary.version),
                    "computed_at": pl.lit(datetime.now(UTC)),
                }
                home_stamp = {**date_stamp, "home_platform": pl.lit(pipeline.settings.home_platform)}
                for table, frame in _derive_tables(
                    pipeline,
                    inputs,
                    inputs.as_of,
                    lambda listings: lifecycle_rows.read_lifecycle_changes(conn, reader, listings, day),
                ):
                    derivation.counts_by_table[table].update(_count_rows(table, frame))
                    derivation.rows_by_table[table] += lifecycle_rows.append_rows(
                        conn, table, frame.with_columns(**(home_stamp if table in HOME_RELATIVE_TABLES else date_stamp))
                    )
        lifecycle_rows.unmark_dates(conn, marks)
    return derivation


def _derive_tables(
    pipeline: Pipeline,
    inputs: lifecycle_rows.LifecycleInputs,
    as_of: datetime,
    read_changes: Callable[[pl.DataFrame], pl.DataFrame],
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield table name and rows, one group of listings at a time.

    `read_changes` returns the history of given listings.
    """
    silence_limit = timedelta(minutes=pipeline.settings.not_observed_after_minutes)
    outcomes, sets = build_vocabulary_frames(pipeline.vocabulary)
    yield (
        LEAD_TIME,
        compute_lead_times(inputs.listings, inputs.looks, inputs.listed_kickoffs, inputs.kickoffs, as_of=as_of),
    )
    carried_margins = pl.DataFrame(schema=MARGIN_INPUT_SCHEMA)
    for listings in batch_listings(inputs.listings, inputs.n_rows, inputs.tournaments):
        history = (
            listings,
            inputs.looks.join(listings, on="listing_id", how="semi"),
            read_changes(listings),
            inputs.kickoffs,
        )
        intervals = build_availability_intervals(*history, as_of=as_of, silence_limit=silence_limit)
        yield AVAILABILITY, intervals
        yield GAP_COUNTS, count_gaps(intervals, listings, inputs.kickoffs, inputs.tournaments, as_of=as_of)
        yield (
            OPEN_CLOSE,
            find_open_close(*history, outcomes, sets, as_of=as_of, exact_s=CLOSE_EXACT_S, silence_limit=silence_limit),
        )
        margins = build_margin_stretches(
            *history, outcomes, sets, market_keys=pipeline.main_markets, as_of=as_of, silence_limit=silence_limit
        )
        yield MARGINS, margins
        carried_margins = pl.concat([carried_margins, margins.select(*MARGIN_INPUT_SCHEMA)])
        continued_fixtures = _find_fixtures_of_last_tournament(listings, inputs.tournaments)
        complete_margins, carried_margins = (
            carried_margins.join(continued_fixtures, on="sr_id", how=how) for how in ("anti", "semi")
        )
        yield (
            CURVES,
            build_margin_curves(complete_margins, inputs.listings, inputs.kickoffs, inputs.tournaments, as_of=as_of),
        )
    yield (
        CURVES,
        build_margin_curves(carried_margins, inputs.listings, inputs.kickoffs, inputs.tournaments, as_of=as_of),
    )


def _find_fixtures_of_last_tournament(listings: pl.DataFrame, tournaments: pl.DataFrame) -> pl.DataFrame:
    """Return the sr_ids in the last listing's tournament, which the next group of listings may continue."""
    last = tournaments.filter(sr_id=listings["sr_id"][-1])
    return tournaments.join(last, on="tournament_key", how="semi").select("sr_id")


def _count_rows(table: str, frame: pl.DataFrame) -> Counter[str]:
    """Return the counts of a table's rows by kind, for the Dagster run's metadata."""
    if table == OPEN_CLOSE:
        qualities = (("open", OpenQuality), ("close", CloseQuality))
        return Counter(
            {
                f"{side}_{quality.value}": _count_value(frame, f"{side}_quality", quality)
                for side, side_qualities in qualities
                for quality in side_qualities
            }
        )
    if table == MARGINS:
        return Counter(
            {f"margin_{status.value}": _count_value(frame, "margin_status", status) for status in MarginStatus}
        )
    if table == GAP_COUNTS:
        last_hour = frame.filter(hours_before=1)
        return Counter(
            {
                f"{name.removeprefix('n_')}_at_1h": int(last_hour[name].sum())
                for name in last_hour.columns
                if name.startswith("n_")
            }
        )
    if table == CURVES:
        return Counter(tournaments=frame["tournament_key"].n_unique())
    if table == LEAD_TIME:
        priced, censored = int(frame["first_priced_at"].count()), int(frame["listed_censored"].sum())
        return Counter(
            priced=priced, dropped=_count_value(frame, "ended_by", ListingEnd.DROPPED), listed_censored=censored
        )
    return Counter()


def _count_value(frame: pl.DataFrame, column: str, value: StrEnum) -> int:
    return int((frame[column] == value.value).sum())


def dirty_dates(pipeline: Pipeline, *, at_once: bool) -> list[date]:
    """Return the kickoff dates to derive, in order; distant dates only if due for `FAR_DATE_WAIT`.

    A date is due when a cycle has changed something about its fixtures. With `at_once`, return all due dates without
    the wait, and also the dates that were derived under other settings.
    """
    latest = (pipeline.clock.now() + NEAR_HORIZON).date()
    with pipeline.connect() as conn:
        due = {
            day
            for day, waits_s in lifecycle_rows.read_due_dates(conn).rows()
            if at_once or day <= latest or waits_s >= FAR_DATE_WAIT.total_seconds()
        }
        if at_once:
            due.update(
                dates_of_other_settings.find_dates_of_other_settings(
                    conn, pipeline.settings.home_platform, pipeline.main_markets
                )["kickoff_date"]
            )
    return sorted(due)
