"""The life of the fixtures of a kickoff date, derived from the whole of their history.

Belongs here: reading, computing and writing a date, and finding the dirty dates. Does not belong here: the rules
(`metrics`), assets, runs.
"""

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
from palimpsest_pipeline.storage.db.locks import AdvisoryLock, hold_lock, open_snapshot
from palimpsest_pipeline.storage.marts import lifecycle, lifecycle_reader
from palimpsest_pipeline.storage.odds.reader import OddsHistoryReader

from ..context import Pipeline
from .listing_batches import batch_listings
from .vocabulary_frames import build_vocabulary_frames

TABLES: Final = lifecycle.LIFECYCLE_TABLES
AVAILABILITY, OPEN_CLOSE, LEAD_TIME, MARGINS, CURVES, GAPS = TABLES
HOME_RELATIVE_TABLES: Final = (CURVES, GAPS)
"""Tables with a column for the home platform for which they were computed."""
JOB_NAME: Final = "fixture_life"
NEAR_HORIZON: Final = timedelta(days=1)
"""How far ahead dates are always derived when they are due."""
FAR_DATE_WAIT: Final = timedelta(days=1)
"""How long dates beyond `NEAR_HORIZON` wait before they are derived.

Every cycle changes the fixtures of the next week or two, and their life is useful only when kickoff is near.
"""


@dataclass(slots=True)
class DateDerivation:
    """The result of deriving a date: rows by table, and figures of their content."""

    rows_by_table: Counter[str] = field(default_factory=Counter)
    n_fixtures: int = 0
    n_listings: int = 0
    n_marks: int = 0
    """Cycles that had changed the date since its last derivation."""
    counts_by_table: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Counts by table: of open_close by quality (open_exact, close_late, ...), of margins by status, ..."""


def derive_kickoff_date(pipeline: Pipeline, day: date) -> DateDerivation:
    """Replace the rows of all fixtures with effective kickoff on the UTC date `day`, in one transaction.

    Then the marks seen before are deleted. A mark that is set meanwhile stays, so that the date is derived again. Two
    callers run one after the other.
    """
    done = DateDerivation()
    with pipeline.database.connect(autocommit=True) as conn:
        with hold_lock(conn, AdvisoryLock.KICKOFF_DATES), open_snapshot(conn):
            seen = lifecycle.read_marks(conn, day)
            layers = OddsHistoryReader(conn, pipeline.archive)
            found = lifecycle.read_lifecycle_inputs(conn, layers, day, pipeline.settings.home_platform)
            lifecycle.delete_rows_of_date(conn, day, found.listings["sr_id"].unique().to_list())
            done.n_fixtures, done.n_listings, done.n_marks = (
                found.listings["sr_id"].n_unique(),
                found.listings.height,
                seen.height,
            )
            if found.as_of is not None:
                stamp = {
                    "kickoff_date": pl.lit(day),
                    "as_of": pl.lit(found.as_of),
                    "mapping_version": pl.lit(pipeline.vocabulary.version),
                    "computed_at": pl.lit(datetime.now(UTC)),
                }
                of_home = {**stamp, "home_platform": pl.lit(pipeline.settings.home_platform)}
                for table, frame in _derive_tables(
                    pipeline,
                    found,
                    found.as_of,
                    lambda listings: lifecycle.read_lifecycle_changes(conn, layers, listings, day),
                ):
                    done.counts_by_table[table].update(_count_rows(table, frame))
                    done.rows_by_table[table] += lifecycle.append_rows(
                        conn, table, frame.with_columns(**(of_home if table in HOME_RELATIVE_TABLES else stamp))
                    )
        lifecycle.unmark_dates(conn, seen)
    return done


def _derive_tables(
    pipeline: Pipeline,
    found: lifecycle.LifecycleInputs,
    as_of: datetime,
    changes_of: Callable[[pl.DataFrame], pl.DataFrame],
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Rows of the date's tables, a part at a time, each with its table's name.

    `changes_of`: the history of given listings.
    """
    silence_limit = timedelta(minutes=pipeline.settings.not_observed_after_minutes)
    exact_s = pipeline.settings.close_exact_minutes * 60
    outcomes, sets = build_vocabulary_frames(pipeline.vocabulary)
    yield LEAD_TIME, compute_lead_times(found.listings, found.looks, found.listed_kickoffs, found.kickoffs, as_of=as_of)
    standing = pl.DataFrame(schema=MARGIN_INPUT_SCHEMA)
    for listings in batch_listings(found.listings, found.n_rows, found.tournaments):
        told = (listings, found.looks.join(listings, on="listing_id", how="semi"), changes_of(listings), found.kickoffs)
        intervals = build_availability_intervals(*told, as_of=as_of, silence_limit=silence_limit)
        yield AVAILABILITY, intervals
        yield GAPS, count_gaps(intervals, listings, found.kickoffs, found.tournaments, as_of=as_of)
        yield (
            OPEN_CLOSE,
            find_open_close(*told, outcomes, sets, as_of=as_of, exact_s=exact_s, silence_limit=silence_limit),
        )
        margins = build_margin_stretches(
            *told, outcomes, sets, market_keys=pipeline.main_markets, as_of=as_of, silence_limit=silence_limit
        )
        yield MARGINS, margins
        standing = pl.concat([standing, margins.select(*MARGIN_INPUT_SCHEMA)])
        going_on = _fixtures_of_last_tournament(listings, found.tournaments)
        whole, standing = (standing.join(going_on, on="sr_id", how=how) for how in ("anti", "semi"))
        yield CURVES, build_margin_curves(whole, found.listings, found.kickoffs, found.tournaments, as_of=as_of)
    yield CURVES, build_margin_curves(standing, found.listings, found.kickoffs, found.tournaments, as_of=as_of)


def _fixtures_of_last_tournament(listings: pl.DataFrame, tournaments: pl.DataFrame) -> pl.DataFrame:
    """sr_id of the tournament that these listings end with: the next ones may go on with it."""
    last = tournaments.filter(sr_id=listings["sr_id"][-1])
    return tournaments.join(last, on="tournament_key", how="semi").select("sr_id")


def _count_rows(table: str, frame: pl.DataFrame) -> Counter[str]:
    """What is counted of a table's rows."""
    if table == OPEN_CLOSE:
        qualities = (("open", OpenQuality), ("close", CloseQuality))
        return Counter(
            {
                f"{side}_{word.value}": _count_word(frame, f"{side}_quality", word)
                for side, words in qualities
                for word in words
            }
        )
    if table == MARGINS:
        return Counter({f"margin_{word.value}": _count_word(frame, "margin_status", word) for word in MarginStatus})
    if table == GAPS:
        near = frame.filter(hours_before=1)
        return Counter(
            {
                f"{name.removeprefix('n_')}_at_1h": int(near[name].sum())
                for name in near.columns
                if name.startswith("n_")
            }
        )
    if table == CURVES:
        return Counter(tournaments=frame["tournament_key"].n_unique())
    if table == LEAD_TIME:
        priced, censored = int(frame["first_priced_at"].count()), int(frame["listed_censored"].sum())
        return Counter(
            priced=priced, dropped=_count_word(frame, "ended_by", ListingEnd.DROPPED), listed_censored=censored
        )
    return Counter()


def _count_word(frame: pl.DataFrame, column: str, word: StrEnum) -> int:
    return int((frame[column] == word.value).sum())


def dirty_dates(pipeline: Pipeline, *, at_once: bool) -> list[date]:
    """Return the dirty dates in order; those beyond `NEAR_HORIZON` only after `FAR_DATE_WAIT`.

    With `at_once`, return all of them, and also the dates that were derived under other settings.
    """
    latest = (pipeline.clock.now() + NEAR_HORIZON).date()
    with pipeline.connect() as conn:
        due = {
            day
            for day, waits_s in lifecycle.read_due_dates(conn).rows()
            if at_once or day <= latest or waits_s >= FAR_DATE_WAIT.total_seconds()
        }
        if at_once:
            due.update(
                lifecycle_reader.find_dates_of_other_settings(
                    conn, pipeline.settings.home_platform, pipeline.main_markets
                )["kickoff_date"]
            )
    return sorted(due)
