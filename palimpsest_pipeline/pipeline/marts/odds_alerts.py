"""Alerts to traders, brought up to date where a cycle bore on a fixture, and where a kickoff ended one.

Belongs here: which fixtures are looked at, what is read, computed and written for some of them. Does not: the rules
(`metrics`), assets. Knows no Dagster.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final

import polars as pl
import psycopg

from palimpsest_pipeline.domain.enums import FixtureProduct
from palimpsest_pipeline.domain.instants import get_day_start
from palimpsest_pipeline.metrics.alerts.odds_alerts import ODDS_ALERTS_SCHEMA, OddsAlertRules, find_odds_alerts
from palimpsest_pipeline.storage.catalog.suspect_fixtures import find_suspects
from palimpsest_pipeline.storage.db.locks import AdvisoryLock, hold_lock, open_snapshot
from palimpsest_pipeline.storage.derivation import dirty_fixtures
from palimpsest_pipeline.storage.marts import lifecycle
from palimpsest_pipeline.storage.marts import odds_alerts as stored
from palimpsest_pipeline.storage.odds.reader import OddsHistoryReader

from ..context import Pipeline
from .fixture_attempts import FixtureAttempts
from .listing_batches import batch_listings
from .vocabulary_frames import build_vocabulary_frames

FIXTURES_PER_BATCH: Final = 100
"""They are read, looked through and written together, in one transaction. No result depends on it."""
PRODUCT: Final = FixtureProduct.ODDS_ALERTS


@dataclass(slots=True)
class AlertDerivation:
    """What bringing alerts up to date came to."""

    n_fixtures: int = 0
    """Fixtures whose rows were replaced."""
    n_watched: int = 0
    """Of these, fixtures whose history was looked through: kickoff is near enough."""
    rows_by_type: Counter[str] = field(default_factory=Counter)
    """Rows written, by alert_type."""
    seconds: float = 0.0


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
    """Replace the rows of all fixtures that are due, and of those that have begun and still have an open episode,
    soonest kickoff first.

    Some fixtures at a time are a transaction; then the marks that it saw are taken away, but for those that were set
    again since. What was done stays done, however it ends. Two at once come one after the other. Raises NotDerived at
    the end when some failed: they stay due.
    """
    began, done, attempts = time.monotonic(), AlertDerivation(), FixtureAttempts(PRODUCT)
    asked = build_rules(pipeline)
    with pipeline.database.connect(autocommit=True) as conn:
        known_until = stored.read_known_until(conn)
        if known_until is None:
            return done
        with hold_lock(conn, AdvisoryLock.ODDS_ALERTS):
            stored.remove_orphans(conn)
        due = stored.read_due_fixtures(conn, dirty_fixtures.read_marks(conn, PRODUCT)["sr_id"].to_list(), known_until)
        for some in _batch_fixtures(due, known_until + asked.watch_before_kickoff):
            with attempts.catch_error(some), hold_lock(conn, AdvisoryLock.ODDS_ALERTS):
                _derive_batch(pipeline, conn, some, asked, done)
    done.seconds = time.monotonic() - began
    attempts.raise_errors()
    return done


def _derive_batch(
    pipeline: Pipeline, conn: psycopg.Connection, some: Sequence[int], asked: OddsAlertRules, done: AlertDerivation
) -> None:
    """What is to be done of each is decided by what is seen with its mark: a kickoff that was moved or has passed
    meanwhile has for all of it.
    """
    with open_snapshot(conn):
        seen = dirty_fixtures.read_marks(conn, PRODUCT, some)
        known_until = stored.read_known_until(conn)
        if known_until is None:
            return  # all cycles were taken out meanwhile, to be ingested anew
        due = stored.read_due_fixtures(conn, seen["sr_id"].to_list(), known_until, some)
        near = due.filter(pl.col("kickoff_at") <= known_until + asked.watch_before_kickoff)
        days = near.group_by(pl.col("kickoff_at").dt.date(), maintain_order=True)
        told = [
            _compute_alerts(pipeline, conn, day, fixtures["sr_id"].to_list(), asked, known_until)
            for (day,), fixtures in days
        ]
        found = pl.concat([pl.DataFrame(schema=ODDS_ALERTS_SCHEMA), *told])
        stamp = {"mapping_version": pl.lit(pipeline.vocabulary.version), "computed_at": pl.lit(datetime.now(UTC))}
        stored.replace_alerts(conn, due["sr_id"].to_list(), found.with_columns(**stamp))
    dirty_fixtures.unmark_fixtures(conn, PRODUCT, seen)
    done.n_fixtures += due.height
    done.n_watched += near.height
    done.rows_by_type.update(dict(found["alert_type"].value_counts().iter_rows()))


def _batch_fixtures(due: pl.DataFrame, watched_until: datetime) -> Iterator[list[int]]:
    """Fixtures some at a time, of one UTC date of kickoff where it is near enough to be watched: most of what is
    read is read by dates.
    """
    day = pl.when(pl.col("kickoff_at") <= watched_until).then(pl.col("kickoff_at").dt.date())
    for _, fixtures in due.group_by(day.alias("day"), maintain_order=True):
        for some in fixtures.iter_slices(FIXTURES_PER_BATCH):
            yield some["sr_id"].to_list()


def _compute_alerts(
    pipeline: Pipeline,
    conn: psycopg.Connection,
    day: date,
    sr_ids: Sequence[int],
    asked: OddsAlertRules,
    known_until: datetime,
) -> pl.DataFrame:
    """Alerts of fixtures that kick off on the UTC date `day`."""
    layers, outcomes = OddsHistoryReader(conn, pipeline.archive), build_vocabulary_frames(pipeline.vocabulary)[0]
    since = (get_day_start(day) - asked.lookback).date()
    found = lifecycle.read_lifecycle_inputs(conn, layers, day, pipeline.settings.home_platform, sr_ids, since)
    doubtful, parts = find_suspects(conn, sr_ids), [pl.DataFrame(schema=ODDS_ALERTS_SCHEMA)]
    for listings in batch_listings(found.listings, found.n_rows, found.tournaments):
        looks = found.looks.join(listings, on="listing_id", how="semi")
        changes = lifecycle.read_lifecycle_changes(conn, layers, listings, day, since, asked.markets)
        parts.append(
            find_odds_alerts(
                listings, looks, changes, found.kickoffs, outcomes, asked, as_of=known_until, suspects=doubtful
            )
        )
    return pl.concat(parts)
