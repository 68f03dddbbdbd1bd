"""The life of the fixtures of a kickoff date, derived from the whole of their history; and the runs that bring every dirty date up to date.

Belongs here: what is read, computed and written for a date, and in which order dates are taken. Does not: the rules (`metrics`), assets.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Final

import dagster as dg
import polars as pl

from ...domain.words import CloseQuality, EndedBy, OpenQuality
from ...markets import Vocabulary
from ...metrics import outcome_sets
from ...metrics.availability import availability_intervals
from ...metrics.lead_time import lead_times
from ...metrics.open_close import open_close
from ...storage import life
from ...storage.layers import Layers
from ..launch import run_dates
from ..partitions import KICKOFF_DATES_PER_RUN, kickoff_date_key, kickoff_dates
from ..pipeline import Pipeline

TABLES: Final = life.TABLES
AVAILABILITY, OPEN_CLOSE, LEAD_TIME = TABLES
JOB: Final = "fixture_life"
ROWS_PER_BATCH: Final = 500_000
"""Rows of history whose lives are computed together: some 400 bytes each at the peak, beside the looks of the whole date. No result depends on it."""
NEAR: Final = timedelta(days=1)
"""Dates up to so far ahead are brought up to date whenever somebody asks for what is due, ..."""
FAR_WAIT: Final = timedelta(days=1)
"""... later ones when they have waited so long: fixtures of a week or two are touched by every cycle, and their life is of use when it nears its
end."""
DATES_PER_RUN: Final = KICKOFF_DATES_PER_RUN.max_partitions_per_run or 1
Say = Callable[[str], None]


@dataclass(slots=True)
class DateDerived:
    """What deriving a date came to: rows by table, and figures of what is in them."""

    rows: dict[str, int] = field(default_factory=lambda: dict.fromkeys(life.TABLES, 0))
    n_fixtures: int = 0
    n_listings: int = 0
    n_marks: int = 0
    """Cycles that had changed something since it was last derived."""
    qualities: dict[str, int] = field(default_factory=dict)
    """Rows of open_close by quality: open_exact, close_late, ..."""
    leads: dict[str, int] = field(default_factory=dict)
    """Listings that were priced, that a platform dropped, and whose first listing may be older."""


def derive_date(pipeline: Pipeline, day: date) -> DateDerived:
    """Replace the rows of all fixtures whose effective kickoff is on the UTC date `day`, in one transaction, and take away the marks seen before it.

    A mark that is set meanwhile stays, and has the date derived again. Two at once come one after the other.
    """
    done = DateDerived()
    silence_limit = timedelta(minutes=pipeline.settings.not_observed_after_minutes)
    with pipeline.database.connect(autocommit=True) as conn:
        with life.alone(conn):
            seen = life.marks(conn, day)
            layers = Layers(conn, pipeline.archive)
            found = life.lives(conn, layers, day, pipeline.settings.home_platform)
            life.replace(conn, day, found.listings["sr_id"].unique().to_list())
            done.n_fixtures, done.n_listings, done.n_marks = found.listings["sr_id"].n_unique(), found.listings.height, seen.height
            if found.as_of is not None:
                stamp = {
                    "kickoff_date": pl.lit(day),
                    "as_of": pl.lit(found.as_of),
                    "mapping_version": pl.lit(pipeline.vocabulary.version),
                    "computed_at": pl.lit(datetime.now(UTC)),
                }

                def write(table: str, frame: pl.DataFrame) -> None:
                    done.rows[table] += life.write(conn, table, frame.with_columns(**stamp))

                outcomes, sets = _words(pipeline.vocabulary)
                leads = lead_times(found.listings, found.looks, found.listed_kickoffs, found.kickoffs, as_of=found.as_of)
                write(LEAD_TIME, leads)
                done.leads = {
                    "priced": leads["first_priced_at"].count(),
                    "dropped": int((leads["ended_by"] == EndedBy.DROPPED.value).sum()),
                    "listed_censored": int(leads["listed_censored"].sum()),
                }
                for listings in batches(found.listings, found.n_rows):
                    looks = found.looks.join(listings, on="listing_id", how="semi")
                    changes = life.changes(conn, layers, listings, day)
                    told = (listings, looks, changes, found.kickoffs)
                    write(AVAILABILITY, availability_intervals(*told, as_of=found.as_of, silence_limit=silence_limit))
                    exact_s = pipeline.settings.close_exact_minutes * 60
                    prices = open_close(*told, outcomes, sets, as_of=found.as_of, exact_s=exact_s, silence_limit=silence_limit)
                    write(OPEN_CLOSE, prices)
                    _count(done.qualities, prices)
        life.unmark(conn, seen)
    return done


def batches(listings: pl.DataFrame, n_rows: pl.DataFrame, most: int = ROWS_PER_BATCH) -> Iterator[pl.DataFrame]:
    """`listings` in pieces of at most so many rows of history (`n_rows`: listing_id, n_rows), but of one listing at least."""
    weighed = listings.join(n_rows, on="listing_id", how="left").sort("listing_id").with_columns(pl.col("n_rows").fill_null(0))
    begin, weight = 0, 0
    for place, rows in enumerate(weighed["n_rows"]):
        if place > begin and weight + rows > most:
            yield weighed[begin:place].drop("n_rows")
            begin, weight = place, 0
        weight += rows
    if begin < weighed.height:
        yield weighed[begin:].drop("n_rows")


def _count(qualities: dict[str, int], prices: pl.DataFrame) -> None:
    for side, words in (("open", OpenQuality), ("close", CloseQuality)):
        counts = dict(prices[f"{side}_quality"].drop_nulls().value_counts().iter_rows())
        for word in words:
            name = f"{side}_{word.value}"
            qualities[name] = qualities.get(name, 0) + counts.get(word.value, 0)


@cache
def _words(vocabulary: Vocabulary) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Names of outcomes and sets that are complete, by market key."""
    keys = vocabulary.markets.select("market_id", "market_key")
    outcomes = vocabulary.outcomes.join(keys, on="market_id").select("market_key", pl.col("ordinal").cast(pl.Int16), "outcome_key")
    sets = outcome_sets(vocabulary.markets, vocabulary.outcomes, vocabulary.complete_sets).join(keys.cast({"market_id": pl.Int16}), on="market_id")
    return outcomes, sets


def due_dates(pipeline: Pipeline, *, at_once: bool) -> list[date]:
    """Dirty dates that Dagster has partitions for, in order; those later than NEAR only after FAR_WAIT, or all `at_once`."""
    latest = (pipeline.clock.now() + NEAR).date()
    with pipeline.connect() as conn:
        dirty = life.waiting(conn).sort("kickoff_date").rows()
    due = [day for day, waits_s in dirty if at_once or day <= latest or waits_s >= FAR_WAIT.total_seconds()]
    return [day for day in due if kickoff_dates.has_partition_key(kickoff_date_key(day))]


def ranges(days: Sequence[date], most: int = DATES_PER_RUN) -> list[tuple[date, date]]:
    """Dates in order as (first, last) of consecutive ones, at most so many in each."""
    found: list[tuple[date, date]] = []
    for day in days:
        if found and day - found[-1][1] == timedelta(days=1) and (day - found[-1][0]).days < most:
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


def rebuild_dirty(pipeline: Pipeline, instance: dg.DagsterInstance, say: Say) -> dict[str, str]:
    """Bring every dirty date up to date, consecutive ones in one run on the instance; returns the dates that failed, each with the reason."""
    failed = {}
    for first, last in ranges(due_dates(pipeline, at_once=True)):
        outcome = run_dates(instance, pipeline, JOB, first, last)
        told = kickoff_date_key(first) + ("" if first == last else f" to {kickoff_date_key(last)}")
        if outcome.success:
            say(f"fixtures that kick off {told}: derived")
        else:
            failed[told] = outcome.error or "failed"
            say(f"fixtures that kick off {told}: {failed[told]}")
    return failed
