"""Price comparisons and availability gaps: updated for due fixtures, or computed as of an instant.

The tables contain only fixtures whose kickoff is in the future.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import polars as pl
import psycopg

from palimpsest_pipeline.domain.enums import FixtureProduct
from palimpsest_pipeline.matching import select_primary_listings
from palimpsest_pipeline.metrics.prices.market_gaps import find_availability_gaps
from palimpsest_pipeline.metrics.prices.price_comparison import build_price_comparison, compare_lines, compare_listings
from palimpsest_pipeline.pipeline.installed_vocabulary import build_vocabulary_frames
from palimpsest_pipeline.storage.catalog.fixtures import read_suspects
from palimpsest_pipeline.storage.db.locks import open_snapshot
from palimpsest_pipeline.storage.db.row_differences import WriteCounts
from palimpsest_pipeline.storage.derivation import dirty_fixtures
from palimpsest_pipeline.storage.marts import current_price_rows
from palimpsest_pipeline.storage.marts.current_price_rows import (
    COMPARISON_TABLE,
    GAP_TABLE,
    LISTING_TABLE,
    FixtureState,
)
from palimpsest_pipeline.storage.odds.history_reader import OddsHistoryReader
from palimpsest_pipeline.storage.odds.market_lines import LineCache
from palimpsest_pipeline.storage.push import outbox
from palimpsest_pipeline.storage.push.sources import GAPS

from ..context import Pipeline
from ..push.enqueue import enqueue_events
from ..push.rules import refresh_rules
from .fixture_batches import derive_batches

log = logging.getLogger(__name__)

COMPARED_FIXTURES_PER_BATCH: Final = 75
LISTINGS_PER_BATCH: Final = 500
"""Maximum numbers of fixtures and listings in one transaction. The rows do not depend on them.

A fixture counts as one listing of each active platform. A listing has about 1,000 prices. Two threads, each with 75
fixtures of three platforms, take about 80 MB together.
"""
PRICES_PRODUCT: Final = FixtureProduct.PRICES
_GAP_COLUMNS: Final = (
    "sr_id",
    "market_key",
    "specifier",
    "platform",
    "home_state_since",
    "platform_state_since",
    "gap_type",
    "home_state",
    "platform_state",
    "market_priority",
)
"""The columns of `metrics.prices.market_gaps.GAPS_SCHEMA` that are stored.

The other columns can be computed from these and from the instants at which the listings were observed.
"""


@dataclass(slots=True)
class PriceDerivation:
    """Counts of one update of the price tables."""

    rows_by_table: defaultdict[str, WriteCounts] = field(default_factory=lambda: defaultdict(WriteCounts))
    """Table name to its numbers of written rows."""
    n_fixtures: int = 0
    """Fixtures that were derived."""
    n_removed: int = 0
    """Fixtures whose rows were removed because their kickoff has passed or they are not known any more."""
    n_flips: int = 0
    """Listings whose prices became comparable with home's prices, or stopped being so."""
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
    """Update the rows of due fixtures, all or those in `sr_ids`, and remove the rows of begun fixtures.

    The soonest kickoffs come first. The fixtures are split into two halves, which two threads derive in groups.
    Each group is one transaction. Afterwards its fixtures are no longer due, unless a cycle made them due again
    meanwhile. If the function fails, finished groups stay written. If the caller is interrupted, each half finishes its
    present group and starts no other. If another process derives the same half, this one waits before each group;
    without `wait`, it stops and the remaining fixtures stay due. Raises NotDerived at the end when a group failed: its
    fixtures stay due.
    """
    began, derivation = time.monotonic(), PriceDerivation()
    refresh_rules(pipeline)
    with pipeline.connect() as conn:
        dirty_fixtures.mark_fixtures_of_other_home(conn, pipeline.settings.home_platform, pipeline.clock.now())
        conn.commit()
        upcoming = current_price_rows.read_upcoming_fixtures(conn, pipeline.clock.now())
        due = set(dirty_fixtures.read_fixture_marks(conn, PRICES_PRODUCT, sr_ids)["sr_id"])
        begun = sorted((current_price_rows.read_fixture_ids(conn) | due).difference(upcoming))
    fixtures = begun + [sr_id for sr_id in upcoming if sr_id in due]
    n = len(current_price_rows.CURRENT_PRICES_LOCKS)
    per_batch = min(COMPARED_FIXTURES_PER_BATCH, max(1, LISTINGS_PER_BATCH // len(pipeline.compared_platforms)))
    batches_by_lock = {
        lock: _batch_fixtures([sr_id for sr_id in fixtures if sr_id % n == place], per_batch)
        for place, lock in enumerate(current_price_rows.CURRENT_PRICES_LOCKS)
    }
    caches = {lock: LineCache() for lock in batches_by_lock}
    for part in derive_batches(
        pipeline,
        PRICES_PRODUCT,
        batches_by_lock,
        lambda conn, lock, batch: _derive_batch(pipeline, conn, batch, caches[lock]),
        wait=wait,
    ):
        derivation.add(part)
    derivation.seconds = time.monotonic() - began
    return derivation


def _batch_fixtures(sr_ids: Sequence[int], n: int) -> list[Sequence[int]]:
    return [sr_ids[place : place + n] for place in range(0, len(sr_ids), n)]


def _derive_batch(
    pipeline: Pipeline, conn: psycopg.Connection, batch: Sequence[int], cache: LineCache
) -> PriceDerivation:
    """Derive or remove the rows of a group of fixtures, from one consistent read of the database.

    The due fixtures and the kickoffs are part of this read, so a kickoff that moves meanwhile cannot affect only a part
    of the rows.
    """
    derivation, unnamed = PriceDerivation(), list[int]()
    with open_snapshot(conn):
        marks = dirty_fixtures.read_fixture_marks(conn, PRICES_PRODUCT, batch)
        upcoming = set(current_price_rows.read_upcoming_fixtures(conn, pipeline.clock.now(), batch))
        if begun := [sr_id for sr_id in batch if sr_id not in upcoming]:
            derivation.n_removed = len(current_price_rows.read_fixture_ids(conn).intersection(begun))
            derivation.add_rows(current_price_rows.remove_rows(conn, begun).rows)
        # A fixture that is not due any more was derived by another process meanwhile.
        due = [sr_id for sr_id in marks["sr_id"] if sr_id in upcoming]
        if due:
            frames = _compute_stored_rows(
                pipeline, current_price_rows.read_current_state(conn, due, cache), read_suspects(conn, due)
            )
            written = current_price_rows.replace_fixture_rows(conn, due, frames, cache)
            derivation.n_fixtures, derivation.n_flips = len(due), written.n_flips
            derivation.add_rows(written.rows)
            enqueue_events(pipeline, conn, GAPS.terms.name, due)
            unnamed = (
                current_price_rows.read_fixtures_with_unnamed_gaps(conn, due)
                if outbox.read_rules(conn, GAPS.terms.name)
                else []
            )
    if unnamed:
        # The snapshot lacks the names of lines that were created during it. The fixtures are still due, so their
        # messages are not lost if this process ends before.
        with conn.transaction():
            enqueue_events(pipeline, conn, GAPS.terms.name, unnamed)
    dirty_fixtures.unmark_fixtures(conn, PRICES_PRODUCT, marks)
    return derivation


def compute_prices_as_of(pipeline: Pipeline, sr_ids: Sequence[int], instant: datetime) -> dict[str, pl.DataFrame]:
    """Return by table the rows of these fixtures as of an instant, computed from the history.

    The tables are price comparisons and availability gaps. Fixtures that had begun by then, or that no platform had
    listed, have no rows. Raises the errors of `OddsHistoryReader`.
    """
    with pipeline.connect() as conn:
        state = current_price_rows.read_state_as_of(
            conn,
            OddsHistoryReader(conn, pipeline.archive),
            sr_ids,
            pipeline.compared_platforms,
            instant,
            select_primary_listings,
        )
        suspects = read_suspects(conn, sr_ids)
    upcoming = state.listings.filter(pl.col("kickoff_at") > instant)
    markets = state.markets.join(upcoming.select("sr_id").unique(), on="sr_id", how="semi")
    return _compute_shown_rows(pipeline, FixtureState(markets, upcoming), suspects)


def _compute_shown_rows(pipeline: Pipeline, state: FixtureState, suspects: Sequence[int]) -> dict[str, pl.DataFrame]:
    """Return by table the rows with the columns of the views (`current_price_rows.TABLE_VIEWS`).

    `suspects` are fixtures whose listings may be different bets, so that their prices are not compared.
    """
    limits, vocabulary_frames = _read_limits(pipeline), build_vocabulary_frames(pipeline.vocabulary)
    frames = {
        COMPARISON_TABLE: build_price_comparison(
            state.markets, state.listings, *vocabulary_frames, **limits, suspects=suspects
        ),
        GAP_TABLE: find_availability_gaps(state.markets, state.listings, **limits, main_markets=pipeline.main_markets),
    }
    return {table: frame.with_columns(**_build_stamps(pipeline)) for table, frame in frames.items()}


def _compute_stored_rows(pipeline: Pipeline, state: FixtureState, suspects: Sequence[int]) -> dict[str, pl.DataFrame]:
    """Return by table the rows with the stored columns, for `current_price_rows.replace_fixture_rows`."""
    limits, vocabulary_frames = _read_limits(pipeline), build_vocabulary_frames(pipeline.vocabulary)
    gaps = find_availability_gaps(state.markets, state.listings, **limits, main_markets=pipeline.main_markets)
    return {
        LISTING_TABLE: compare_listings(state.listings, **limits, suspects=suspects).with_columns(
            **_build_stamps(pipeline)
        ),
        COMPARISON_TABLE: compare_lines(state.markets, state.listings, *vocabulary_frames, **limits, suspects=suspects),
        GAP_TABLE: gaps.select(*_GAP_COLUMNS, outcome=pl.lit("")),
    }


def _read_limits(pipeline: Pipeline) -> dict[str, Any]:
    """Return the compared platforms, home first, and the maximum time between their answers."""
    return {"platforms": list(pipeline.compared_platforms), "max_skew_s": pipeline.settings.max_skew_s}


def _build_stamps(pipeline: Pipeline) -> dict[str, pl.Expr]:
    return {
        "home_platform": pl.lit(pipeline.settings.home_platform),
        "mapping_version": pl.lit(pipeline.vocabulary.version),
        "computed_at": pl.lit(datetime.now(UTC)),
    }
