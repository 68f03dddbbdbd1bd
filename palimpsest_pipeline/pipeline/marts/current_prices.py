"""Prices side by side and gaps of fixtures that have not begun: brought up to date where a cycle bore on them; and as
of an instant, for who asks.

Belongs here: what is read, computed and written for a batch of fixtures. Does not: the rules (`metrics`), assets. Knows
no Dagster.
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
from palimpsest_pipeline.domain.platform_trust import order_by_trust
from palimpsest_pipeline.matching import select_primary_listings
from palimpsest_pipeline.metrics.prices.market_gaps import find_availability_gaps
from palimpsest_pipeline.metrics.prices.price_comparison import build_price_comparison, compare_lines, compare_listings
from palimpsest_pipeline.storage.catalog.suspect_fixtures import find_suspects
from palimpsest_pipeline.storage.db.locks import Busy, hold_lock, open_snapshot
from palimpsest_pipeline.storage.db.row_differences import WriteCounts
from palimpsest_pipeline.storage.derivation import dirty_fixtures
from palimpsest_pipeline.storage.marts import current_prices
from palimpsest_pipeline.storage.marts.current_prices import COMPARISON_TABLE, GAP_TABLE, LISTING_TABLE, FixtureState
from palimpsest_pipeline.storage.odds.reader import OddsHistoryReader

from ..context import Pipeline
from .fixture_attempts import FixtureAttempts
from .vocabulary_frames import build_vocabulary_frames

log = logging.getLogger(__name__)

FIXTURES_PER_BATCH: Final = 50
"""Of 3,000 prices each: they are read, compared and written together, in one transaction. No result depends on it."""
PRICES_PRODUCT: Final = FixtureProduct.PRICES
GAP_COLUMNS: Final = (
    *(
        "sr_id",
        "market_key",
        "specifier",
        "platform",
        "home_state_since",
        "platform_state_since",
        "gap_type",
        "home_state",
        "platform_state",
    ),
    "market_priority",
)
"""Of `metrics.prices.market_gaps.GAPS_SCHEMA`: all that does not follow from these and when the listings were seen."""


@dataclass(slots=True)
class PriceDerivation:
    """What bringing prices up to date came to."""

    rows_by_table: defaultdict[str, WriteCounts] = field(default_factory=lambda: defaultdict(WriteCounts))
    """Rows written, by table."""
    n_fixtures: int = 0
    """Fixtures that were derived."""
    n_removed: int = 0
    """Fixtures that have begun, or that nobody knows any more, whose rows were removed."""
    n_flips: int = 0
    """Listings that were comparable with home's before and are not now, or the other way round."""
    seconds: float = 0.0

    def add(self, part: "PriceDerivation") -> None:
        self.n_fixtures += part.n_fixtures
        self.n_removed += part.n_removed
        self.n_flips += part.n_flips
        self.add_rows(part.rows_by_table)

    def add_rows(self, rows: Mapping[str, WriteCounts]) -> None:
        for table, differences in rows.items():
            self.rows_by_table[table] += differences


def derive_prices(pipeline: Pipeline, sr_ids: Sequence[int] | None = None, *, wait: bool = True) -> PriceDerivation:
    """Bring up to date the rows of fixtures that are due, all or those among `sr_ids`, soonest kickoff first; remove
    those of fixtures that have begun.

    Each batch is a transaction; then the marks that it saw are taken away, but for those that were set again since.
    What was done stays done, however it ends. Half of the fixtures are worked on beside the other half; of two who
    derive at once, the second waits for the first batch by batch, or
    does not `wait`: then what is left stays due. Raises NotDerived at the end when a batch failed: its fixtures stay
    due.
    """
    began, done, attempts = time.monotonic(), PriceDerivation(), FixtureAttempts(PRICES_PRODUCT)
    with pipeline.connect() as conn:
        dirty_fixtures.mark_fixtures_of_other_home(conn, pipeline.settings.home_platform, pipeline.clock.now())
        conn.commit()
        upcoming = current_prices.read_upcoming_fixtures(conn, pipeline.clock.now())
        due = set(dirty_fixtures.read_marks(conn, PRICES_PRODUCT, sr_ids)["sr_id"])
        over = sorted((current_prices.read_fixture_ids(conn) | due).difference(upcoming))
    to_do = over + [sr_id for sr_id in upcoming if sr_id in due]
    n = len(current_prices.FIXTURE_LOCKS)
    with ThreadPoolExecutor(n) as pool:
        parts = [
            pool.submit(
                _derive_share, pipeline, lock, [sr_id for sr_id in to_do if sr_id % n == place], attempts, wait=wait
            )
            for place, lock in enumerate(current_prices.FIXTURE_LOCKS)
        ]
    for part in parts:
        done.add(part.result())
    done.seconds = time.monotonic() - began
    attempts.raise_errors()
    return done


def _derive_share(
    pipeline: Pipeline, lock: int, to_do: Sequence[int], attempts: FixtureAttempts, *, wait: bool
) -> PriceDerivation:
    """The fixtures of one lock, some at a time."""
    done = PriceDerivation()
    with pipeline.database.connect(autocommit=True) as conn:
        for place in range(0, len(to_do), FIXTURES_PER_BATCH):
            some = to_do[place : place + FIXTURES_PER_BATCH]
            try:
                with attempts.catch_error(some), hold_lock(conn, lock, wait=wait):
                    done.add(_derive_batch(pipeline, conn, some))
            except Busy:
                log.info(
                    "somebody else is at prices: %d fixtures are left to whoever derives what is due next",
                    len(to_do) - place,
                )
                break
    return done


def _derive_batch(pipeline: Pipeline, conn: psycopg.Connection, some: Sequence[int]) -> PriceDerivation:
    """What is to be done of each is decided by what is seen with its mark: a kickoff that was moved meanwhile has
    moved for all of it.
    """
    done = PriceDerivation()
    with open_snapshot(conn):
        seen = dirty_fixtures.read_marks(conn, PRICES_PRODUCT, some)
        to_come = set(current_prices.read_upcoming_fixtures(conn, pipeline.clock.now(), some))
        if past := [sr_id for sr_id in some if sr_id not in to_come]:
            done.n_removed = len(current_prices.read_fixture_ids(conn).intersection(past))
            done.add_rows(current_prices.remove_rows(conn, past).rows)
        due = [
            sr_id for sr_id in seen["sr_id"] if sr_id in to_come
        ]  # of others somebody else has taken the marks, and done what was due
        if due:
            frames = _compute_stored_rows(
                pipeline, current_prices.read_current_state(conn, due), find_suspects(conn, due)
            )
            written = current_prices.replace_rows(conn, due, frames)
            done.n_fixtures, done.n_flips = len(due), written.n_flips
            done.add_rows(written.rows)
    dirty_fixtures.unmark_fixtures(conn, PRICES_PRODUCT, seen)
    return done


def compute_prices_as_of(pipeline: Pipeline, sr_ids: Sequence[int], instant: datetime) -> dict[str, pl.DataFrame]:
    """What the two tables held of these fixtures at an instant, or would hold of them had they been derived then, from
    their whole history. Fixtures that had begun, or that nobody had seen, have no rows. Raises as `layers.Layers`
    does."""
    with pipeline.connect() as conn:
        stood = current_prices.read_state_as_of(
            conn,
            OddsHistoryReader(conn, pipeline.archive),
            sr_ids,
            pipeline.settings.home_platform,
            instant,
            select_primary_listings,
        )
        doubtful = find_suspects(conn, sr_ids)
    to_come = stood.listings.filter(pl.col("kickoff_at") > instant)
    markets = stood.markets.join(to_come.select("sr_id").unique(), on="sr_id", how="semi")
    return _compute_shown_rows(pipeline, FixtureState(markets, to_come), doubtful)


def _compute_shown_rows(pipeline: Pipeline, stands: FixtureState, doubtful: Sequence[int]) -> dict[str, pl.DataFrame]:
    """What the tables say, outcome by outcome and with instants (`current_prices.TABLE_VIEWS`).

    `doubtful`: fixtures whose prices are not compared.
    """
    limits, vocabulary_words = _read_limits(pipeline), build_vocabulary_frames(pipeline.vocabulary)
    frames = {
        COMPARISON_TABLE: build_price_comparison(
            stands.markets, stands.listings, *vocabulary_words, **limits, suspects=doubtful
        ),
        GAP_TABLE: find_availability_gaps(
            stands.markets, stands.listings, **limits, main_markets=pipeline.main_markets
        ),
    }
    return {table: frame.with_columns(**_build_stamps(pipeline)) for table, frame in frames.items()}


def _compute_stored_rows(pipeline: Pipeline, stands: FixtureState, doubtful: Sequence[int]) -> dict[str, pl.DataFrame]:
    """What the tables hold, as `current_prices.replace_rows` takes it."""
    limits, vocabulary_words = _read_limits(pipeline), build_vocabulary_frames(pipeline.vocabulary)
    gaps = find_availability_gaps(stands.markets, stands.listings, **limits, main_markets=pipeline.main_markets)
    return {
        LISTING_TABLE: compare_listings(stands.listings, **limits, suspects=doubtful).with_columns(
            **_build_stamps(pipeline)
        ),
        COMPARISON_TABLE: compare_lines(
            stands.markets, stands.listings, *vocabulary_words, **limits, suspects=doubtful
        ),
        GAP_TABLE: gaps.select(*GAP_COLUMNS, outcome=pl.lit("")),
    }


def _read_limits(pipeline: Pipeline) -> dict[str, Any]:
    """Which platforms are compared, home first, and how far apart their answers may be."""
    settings = pipeline.settings
    platforms = [platform.value for platform in order_by_trust(settings.home_platform, pipeline.platforms)]
    return {"platforms": platforms, "max_skew_s": settings.max_skew_s}


def _build_stamps(pipeline: Pipeline) -> dict[str, pl.Expr]:
    return {
        "home_platform": pl.lit(pipeline.settings.home_platform.value),
        "mapping_version": pl.lit(pipeline.vocabulary.version),
        "computed_at": pl.lit(datetime.now(UTC)),
    }
