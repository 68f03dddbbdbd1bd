"""Prices side by side and gaps of fixtures that have not begun: brought up to date where a cycle bore on them; and as of an instant, for who asks.

Belongs here: what is read, computed and written for a batch of fixtures. Does not: the rules (`metrics`), assets. Knows no Dagster.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import polars as pl
import psycopg

from palimpsest_pipeline.domain.enums import FixtureProduct
from palimpsest_pipeline.domain.platform_trust import trust_order
from palimpsest_pipeline.matching import primary_listings
from palimpsest_pipeline.metrics.prices.market_gaps import availability_gaps
from palimpsest_pipeline.metrics.prices.price_comparison import compare_lines, compare_listings, price_comparison
from palimpsest_pipeline.storage.catalog.suspect_fixtures import suspects
from palimpsest_pipeline.storage.db.locks import Busy, alone, snapshot
from palimpsest_pipeline.storage.db.row_differences import Differences
from palimpsest_pipeline.storage.derivation import dirty_fixtures
from palimpsest_pipeline.storage.marts import current_prices
from palimpsest_pipeline.storage.marts.current_prices import COMPARISON, GAP, LISTING, Standing
from palimpsest_pipeline.storage.odds.reader import Layers

from ..context import Pipeline
from .fixture_attempts import Attempts
from .vocabulary_frames import words

log = logging.getLogger(__name__)

FIXTURES_AT_ONCE: Final = 50
"""Of 3,000 prices each: they are read, compared and written together, in one transaction. No result depends on it."""
PRICES: Final = FixtureProduct.PRICES
GAP_COLUMNS: Final = (
    *("sr_id", "market_key", "specifier", "platform", "home_state_since", "platform_state_since", "gap_type", "home_state", "platform_state"),
    "market_priority",
)
"""Of `metrics.prices.market_gaps.GAPS`: all that does not follow from these and when the listings were seen."""


@dataclass(slots=True)
class PricesDerived:
    """What bringing prices up to date came to."""

    rows: defaultdict[str, Differences] = field(default_factory=lambda: defaultdict(Differences))
    """Rows written, by table."""
    n_fixtures: int = 0
    """Fixtures that were derived."""
    n_removed: int = 0
    """Fixtures that have begun, or that nobody knows any more, whose rows were removed."""
    n_flips: int = 0
    """Listings that were comparable with home's before and are not now, or the other way round."""
    seconds: float = 0.0

    def add(self, part: "PricesDerived") -> None:
        self.n_fixtures += part.n_fixtures
        self.n_removed += part.n_removed
        self.n_flips += part.n_flips
        self.count(part.rows)

    def count(self, rows: Mapping[str, Differences]) -> None:
        for table, differences in rows.items():
            self.rows[table] += differences


def derive_prices(pipeline: Pipeline, sr_ids: Sequence[int] | None = None, *, wait: bool = True) -> PricesDerived:
    """Bring up to date the rows of fixtures that are due, all or those among `sr_ids`, soonest kickoff first; remove those of fixtures that have
    begun.

    Each batch is a transaction; then the marks that it saw are taken away, but for those that were set again since. What was done stays done, however
    it ends. Half of the fixtures are worked on beside the other half; of two who derive at once, the second waits for the first batch by batch, or
    does not `wait`: then what is left stays due. Raises NotDerived at the end when a batch failed: its fixtures stay due.
    """
    began, done, attempts = time.monotonic(), PricesDerived(), Attempts(PRICES)
    with pipeline.connect() as conn:
        dirty_fixtures.mark_of_other_home(conn, pipeline.settings.home_platform, pipeline.clock.now())
        conn.commit()
        upcoming = current_prices.upcoming(conn, pipeline.clock.now())
        due = set(dirty_fixtures.marks(conn, PRICES, sr_ids)["sr_id"])
        over = sorted((current_prices.read_fixture_ids(conn) | due).difference(upcoming))
    to_do = over + [sr_id for sr_id in upcoming if sr_id in due]
    n = len(current_prices.LOCKS)
    with ThreadPoolExecutor(n) as pool:
        parts = [
            pool.submit(_derive, pipeline, lock, [sr_id for sr_id in to_do if sr_id % n == place], attempts, wait=wait)
            for place, lock in enumerate(current_prices.LOCKS)
        ]
    for part in parts:
        done.add(part.result())
    done.seconds = time.monotonic() - began
    attempts.tell()
    return done


def _derive(pipeline: Pipeline, lock: int, to_do: Sequence[int], attempts: Attempts, *, wait: bool) -> PricesDerived:
    """The fixtures of one lock, some at a time."""
    done = PricesDerived()
    with pipeline.database.connect(autocommit=True) as conn:
        for place in range(0, len(to_do), FIXTURES_AT_ONCE):
            some = to_do[place : place + FIXTURES_AT_ONCE]
            try:
                with attempts.at(some), alone(conn, lock, wait=wait):
                    done.add(_derive_some(pipeline, conn, some))
            except Busy:
                log.info("somebody else is at prices: %d fixtures are left to whoever derives what is due next", len(to_do) - place)
                break
    return done


def _derive_some(pipeline: Pipeline, conn: psycopg.Connection, some: Sequence[int]) -> PricesDerived:
    """What is to be done of each is decided by what is seen with its mark: a kickoff that was moved meanwhile has moved for all of it."""
    done = PricesDerived()
    with snapshot(conn):
        seen = dirty_fixtures.marks(conn, PRICES, some)
        to_come = set(current_prices.upcoming(conn, pipeline.clock.now(), some))
        if past := [sr_id for sr_id in some if sr_id not in to_come]:
            done.n_removed = len(current_prices.read_fixture_ids(conn).intersection(past))
            done.count(current_prices.remove(conn, past).rows)
        due = [sr_id for sr_id in seen["sr_id"] if sr_id in to_come]  # of others somebody else has taken the marks, and done what was due
        if due:
            frames = _compute_stored_rows(pipeline, current_prices.standing(conn, due), suspects(conn, due))
            written = current_prices.replace(conn, due, frames)
            done.n_fixtures, done.n_flips = len(due), written.n_flips
            done.count(written.rows)
    dirty_fixtures.unmark(conn, PRICES, seen)
    return done


def prices_as_of(pipeline: Pipeline, sr_ids: Sequence[int], instant: datetime) -> dict[str, pl.DataFrame]:
    """What the two tables held of these fixtures at an instant, or would hold of them had they been derived then, from their whole history. Fixtures
    that had begun, or that nobody had seen, have no rows. Raises as `layers.Layers` does."""
    with pipeline.connect() as conn:
        stood = current_prices.standing_as_of(
            conn, Layers(conn, pipeline.archive), sr_ids, pipeline.settings.home_platform, instant, primary_listings
        )
        doubtful = suspects(conn, sr_ids)
    to_come = stood.listings.filter(pl.col("kickoff_at") > instant)
    markets = stood.markets.join(to_come.select("sr_id").unique(), on="sr_id", how="semi")
    return _compute_shown_rows(pipeline, Standing(markets, to_come), doubtful)


def _compute_shown_rows(pipeline: Pipeline, stands: Standing, doubtful: Sequence[int]) -> dict[str, pl.DataFrame]:
    """What the tables say, outcome by outcome and with instants (`current_prices.ROWS`). `doubtful`: fixtures whose prices are not compared."""
    limits, vocabulary_words = _read_limits(pipeline), words(pipeline.vocabulary)
    frames = {
        COMPARISON: price_comparison(stands.markets, stands.listings, *vocabulary_words, **limits, suspects=doubtful),
        GAP: availability_gaps(stands.markets, stands.listings, **limits, main_markets=pipeline.main_markets),
    }
    return {table: frame.with_columns(**_build_stamps(pipeline)) for table, frame in frames.items()}


def _compute_stored_rows(pipeline: Pipeline, stands: Standing, doubtful: Sequence[int]) -> dict[str, pl.DataFrame]:
    """What the tables hold, as `current_prices.replace` takes it."""
    limits, vocabulary_words = _read_limits(pipeline), words(pipeline.vocabulary)
    gaps = availability_gaps(stands.markets, stands.listings, **limits, main_markets=pipeline.main_markets)
    return {
        LISTING: compare_listings(stands.listings, **limits, suspects=doubtful).with_columns(**_build_stamps(pipeline)),
        COMPARISON: compare_lines(stands.markets, stands.listings, *vocabulary_words, **limits, suspects=doubtful),
        GAP: gaps.select(*GAP_COLUMNS, outcome=pl.lit("")),
    }


def _read_limits(pipeline: Pipeline) -> dict[str, Any]:
    """Which platforms are compared, home first, and how far apart their answers may be."""
    settings = pipeline.settings
    platforms = [platform.value for platform in trust_order(settings.home_platform, pipeline.platforms)]
    return {"platforms": platforms, "max_skew_s": settings.max_skew_s}


def _build_stamps(pipeline: Pipeline) -> dict[str, pl.Expr]:
    return {
        "home_platform": pl.lit(pipeline.settings.home_platform.value),
        "mapping_version": pl.lit(pipeline.vocabulary.version),
        "computed_at": pl.lit(datetime.now(UTC)),
    }
