"""Alerts to traders and price leads, updated for due fixtures and for fixtures that have begun.

Both are derived from one reading of the fixtures' history, in one transaction.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final

import polars as pl
import psycopg

from palimpsest_pipeline.domain.enums import FixtureProduct
from palimpsest_pipeline.domain.instants import get_day_start
from palimpsest_pipeline.metrics.alerts.find_odds_alerts import ODDS_ALERTS_SCHEMA, OddsAlertRules, find_odds_alerts
from palimpsest_pipeline.metrics.prices.price_leads import PRICE_LEADS_SCHEMA, PriceLeadRules, find_price_leads
from palimpsest_pipeline.pipeline.installed_vocabulary import build_vocabulary_frames
from palimpsest_pipeline.storage.catalog.fixtures import read_suspects
from palimpsest_pipeline.storage.db.locks import hold_lock, open_snapshot
from palimpsest_pipeline.storage.db.row_differences import WriteCounts, write_differences
from palimpsest_pipeline.storage.derivation import dirty_fixtures
from palimpsest_pipeline.storage.marts import lifecycle_rows, odds_alert_rows
from palimpsest_pipeline.storage.odds.history_reader import OddsHistoryReader
from palimpsest_pipeline.storage.push.sources import ODDS_ALERTS, PRICE_LEADS

from ..context import Pipeline
from ..push.enqueue import enqueue_events
from ..push.rules import refresh_rules
from .fixture_batches import ROWS_PER_BATCH, batch_listings, derive_batches

ALERT_FIXTURES_PER_BATCH: Final = 100
"""Number of fixtures that one transaction reads, computes and writes. It has no influence on the rows."""
PRODUCT: Final = FixtureProduct.ODDS_ALERTS


@dataclass(slots=True)
class AlertDerivation:
    """Counts of one update of the alerts."""

    n_fixtures: int = 0
    """Fixtures whose rows were replaced."""
    n_watched: int = 0
    """Fixtures among them whose kickoff is near enough, so that alerts were computed from their history."""
    rows_by_type: Counter[str] = field(default_factory=Counter)
    """Alerts written, by alert_type."""
    lead_rows: WriteCounts = field(default_factory=WriteCounts)
    """Rows of price leads that were written."""
    seconds: float = 0.0

    def add(self, part: "AlertDerivation") -> None:
        """Add the counts of another part of the fixtures to these."""
        self.n_fixtures += part.n_fixtures
        self.n_watched += part.n_watched
        self.rows_by_type += part.rows_by_type
        self.lead_rows += part.lead_rows


def build_lead_rules(pipeline: Pipeline) -> PriceLeadRules:
    settings = pipeline.settings
    return PriceLeadRules(
        min_rise=settings.price_lead_min_rise,
        window=timedelta(minutes=settings.price_lead_window_minutes),
        steam_window=timedelta(minutes=settings.price_lead_steam_minutes),
        steam_platforms=settings.price_lead_steam_platforms,
        silence_limit=timedelta(minutes=settings.not_observed_after_minutes),
        watch_before_kickoff=timedelta(days=settings.odds_alert_days),
        main_markets=pipeline.main_markets,
    )


def build_rules(pipeline: Pipeline) -> OddsAlertRules:
    settings = pipeline.settings
    return OddsAlertRules(
        levels=settings.odds_alert_levels,
        calm_share=settings.odds_alert_calm,
        window=timedelta(minutes=settings.odds_alert_window_minutes),
        max_skew=timedelta(seconds=settings.max_skew_s),
        silence_limit=timedelta(minutes=settings.not_observed_after_minutes),
        watch_before_kickoff=timedelta(days=settings.odds_alert_days),
        max_odds=settings.odds_alert_max_odds,
        main_markets=pipeline.main_markets,
        markets=pipeline.odds_alert_markets,
    )


def derive_alerts(pipeline: Pipeline) -> AlertDerivation:
    """Update alerts and price leads of due fixtures, and close open alerts of begun fixtures.

    The soonest kickoffs come first. The fixtures are split into two halves, which two threads derive in groups. Each
    group is one transaction, which also stores the messages that rules select. Afterwards its fixtures are no longer
    due, unless a cycle made them due again meanwhile. If the function fails, finished groups stay written. If the
    caller is interrupted, each half finishes its present group and starts no other. If another process derives the same
    half, this one waits before each group. Raises NotDerived at the end when a group failed: its fixtures stay due.
    """
    began, derivation = time.monotonic(), AlertDerivation()
    rules, lead_rules = build_rules(pipeline), build_lead_rules(pipeline)
    refresh_rules(pipeline)
    with pipeline.database.connect(autocommit=True) as conn:
        known_until = odds_alert_rows.read_known_until(conn)
        if known_until is None:
            return derivation
        with ExitStack() as locks:
            for lock in odds_alert_rows.ODDS_ALERTS_LOCKS:
                locks.enter_context(hold_lock(conn, lock))
            odds_alert_rows.remove_orphans(conn)
        due = odds_alert_rows.read_due_fixtures(
            conn, dirty_fixtures.read_fixture_marks(conn, PRODUCT)["sr_id"].to_list(), known_until
        )
    watched_until, n = known_until + rules.watch_before_kickoff, len(odds_alert_rows.ODDS_ALERTS_LOCKS)
    batches_by_lock = {
        lock: _batch_fixtures(due.filter(pl.col("sr_id") % n == place), watched_until)
        for place, lock in enumerate(odds_alert_rows.ODDS_ALERTS_LOCKS)
    }
    for part in derive_batches(
        pipeline,
        PRODUCT,
        batches_by_lock,
        lambda conn, _, batch: _derive_batch(pipeline, conn, batch, rules, lead_rules),
    ):
        derivation.add(part)
    derivation.seconds = time.monotonic() - began
    return derivation


def _derive_batch(
    pipeline: Pipeline,
    conn: psycopg.Connection,
    batch: Sequence[int],
    rules: OddsAlertRules,
    lead_rules: PriceLeadRules,
) -> AlertDerivation:
    """Derive alerts and price leads of a group of fixtures from one consistent read.

    The due fixtures and the kickoffs are part of this read, so a kickoff that
    moves or passes meanwhile has no effect.
    """
    with open_snapshot(conn):
        marks = dirty_fixtures.read_fixture_marks(conn, PRODUCT, batch)
        known_until = odds_alert_rows.read_known_until(conn)
        if known_until is None:
            return AlertDerivation()  # another process has removed all cycles meanwhile, to ingest them again
        due = odds_alert_rows.read_due_fixtures(conn, marks["sr_id"].to_list(), known_until, batch)
        near = due.filter(pl.col("kickoff_at") <= known_until + rules.watch_before_kickoff)
        days = near.group_by(pl.col("kickoff_at").dt.date(), maintain_order=True)
        parts = [
            part
            for (day,), fixtures in days
            for part in _compute_rows(pipeline, conn, day, fixtures["sr_id"].to_list(), rules, lead_rules, known_until)
        ]
        alerts = pl.concat([pl.DataFrame(schema=ODDS_ALERTS_SCHEMA), *(alerts for alerts, _ in parts)])
        leads = pl.concat([pl.DataFrame(schema=PRICE_LEADS_SCHEMA), *(leads for _, leads in parts)])
        version = pl.lit(pipeline.vocabulary.version).alias("mapping_version")
        computed_at = pl.lit(datetime.now(UTC)).alias("computed_at")
        sr_ids = due["sr_id"].to_list()
        odds_alert_rows.replace_alerts(conn, sr_ids, alerts.with_columns(version, computed_at))
        lead_rows = write_differences(conn, odds_alert_rows.PRICE_LEAD_TABLE, leads.with_columns(version), sr_ids)
        for source in (ODDS_ALERTS, PRICE_LEADS):
            enqueue_events(pipeline, conn, source.terms.name, sr_ids)
    dirty_fixtures.unmark_fixtures(conn, PRODUCT, marks)
    rows_by_type = Counter(dict(alerts["alert_type"].value_counts().iter_rows()))
    return AlertDerivation(due.height, near.height, rows_by_type, lead_rows)


def _batch_fixtures(due: pl.DataFrame, watched_until: datetime) -> Iterator[list[int]]:
    """Yield the fixtures in groups of ALERT_FIXTURES_PER_BATCH.

    Fixtures that kick off by `watched_until` are grouped by UTC date of kickoff, because most reads are by date.
    """
    day = pl.when(pl.col("kickoff_at") <= watched_until).then(pl.col("kickoff_at").dt.date())
    for _, fixtures in due.group_by(day.alias("day"), maintain_order=True):
        for batch in fixtures.iter_slices(ALERT_FIXTURES_PER_BATCH):
            yield batch["sr_id"].to_list()


def _compute_rows(
    pipeline: Pipeline,
    conn: psycopg.Connection,
    day: date,
    sr_ids: Sequence[int],
    rules: OddsAlertRules,
    lead_rules: PriceLeadRules,
    known_until: datetime,
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Yield alerts and price leads of fixtures that kick off on the UTC date `day`, by groups of listings."""
    reader, (outcomes, sets) = OddsHistoryReader(conn, pipeline.archive), build_vocabulary_frames(pipeline.vocabulary)
    since = (get_day_start(day) - max(rules.lookback, lead_rules.lookback)).date()
    inputs = lifecycle_rows.read_lifecycle_inputs(conn, reader, day, pipeline.settings.home_platform, sr_ids, since)
    market_keys = None if rules.markets is None else sorted({*rules.markets, *lead_rules.main_markets})
    suspects = read_suspects(conn, sr_ids)
    # One batch per lock is in memory at the same time.
    max_rows = ROWS_PER_BATCH // len(odds_alert_rows.ODDS_ALERTS_LOCKS)
    for listings in batch_listings(inputs.listings, inputs.n_rows, inputs.tournaments, max_rows):
        looks = inputs.looks.join(listings, on="listing_id", how="semi")
        changes = lifecycle_rows.read_lifecycle_changes(conn, reader, listings, day, since, market_keys)
        history = (listings, looks, changes, inputs.kickoffs, outcomes)
        yield (
            find_odds_alerts(*history, rules, as_of=known_until, suspects=suspects),
            find_price_leads(*history, sets, lead_rules, as_of=known_until, suspects=suspects),
        )
