"""Alerts to traders, brought up to date where a cycle bore on a fixture, and where a kickoff ended one.

Belongs here: which fixtures are looked at, what is read, computed and written for some of them. Does not: the rules (`metrics`), assets. Knows no
Dagster.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final

import polars as pl
import psycopg

from ...domain.words import FixtureProduct
from ...metrics.odds_alerts import ODDS_ALERTS, Rules, odds_alerts
from ...settings import Settings
from ...storage import dirty_fixtures, life
from ...storage import odds_alerts as stored
from ...storage.layers import Layers
from ...storage.suspects import suspects
from ..pipeline import Pipeline
from .batches import batches
from .words import words

FIXTURES_AT_ONCE: Final = 100
"""They are read, looked through and written together, in one transaction. No result depends on it."""
PRODUCT: Final = FixtureProduct.ODDS_ALERTS


@dataclass(slots=True)
class AlertsDerived:
    """What bringing alerts up to date came to."""

    n_fixtures: int = 0
    """Fixtures whose rows were replaced."""
    n_watched: int = 0
    """Of these, fixtures whose history was looked through: kickoff is near enough."""
    rows: Counter[str] = field(default_factory=Counter)
    """Rows written, by alert_type."""
    seconds: float = 0.0


def rules(settings: Settings, main_markets: Sequence[str]) -> Rules:
    return Rules(
        levels=settings.odds_alert_levels,
        calm=settings.odds_alert_calm,
        window=timedelta(minutes=settings.odds_alert_window_minutes),
        max_skew=timedelta(seconds=settings.max_skew_s),
        silence_limit=timedelta(minutes=settings.not_observed_after_minutes),
        watched=timedelta(days=settings.odds_alert_days),
        main_markets=main_markets,
    )


def derive_alerts(pipeline: Pipeline, sr_ids: Sequence[int] | None = None) -> AlertsDerived:
    """Replace the rows of all fixtures that are due, or of those among `sr_ids`, and of those that have begun and still have an open episode, soonest
    kickoff first.

    Some fixtures at a time are a transaction, which takes away the marks that it saw: one that is set meanwhile stays. What was done stays done,
    however it ends. Two at once come one after the other.
    """
    began, done = time.monotonic(), AlertsDerived()
    asked = rules(pipeline.settings, pipeline.main_markets)
    with pipeline.database.connect(autocommit=True) as conn:
        known_until = stored.known_until(conn)
        if known_until is None:
            return done
        due = stored.due(conn, dirty_fixtures.marks(conn, PRODUCT, sr_ids)["sr_id"].to_list(), known_until)
        for day, fixtures in _together(due, known_until + asked.watched):
            with life.alone(conn, stored.LOCK):
                seen = dirty_fixtures.marks(conn, PRODUCT, fixtures)
                found = pl.DataFrame(schema=ODDS_ALERTS) if day is None else _told(pipeline, conn, day, fixtures, asked, known_until)
                stamp = {"mapping_version": pl.lit(pipeline.vocabulary.version), "computed_at": pl.lit(datetime.now(UTC))}
                stored.replace(conn, fixtures, found.with_columns(**stamp))
                dirty_fixtures.unmark(conn, PRODUCT, seen)
            done.n_fixtures += len(fixtures)
            done.n_watched += 0 if day is None else len(fixtures)
            done.rows.update(dict(found["alert_type"].value_counts().iter_rows()))
    done.seconds = time.monotonic() - began
    return done


def _together(due: pl.DataFrame, watched_until: datetime) -> Iterator[tuple[date | None, list[int]]]:
    """Fixtures of one UTC date of kickoff, some at a time; None for all whose kickoff is too far away to be watched."""
    near = due.filter(pl.col("kickoff_at") <= watched_until).with_columns(day=pl.col("kickoff_at").dt.date())
    for (day,), fixtures in near.group_by("day", maintain_order=True):
        assert isinstance(day, date)
        for some in fixtures.iter_slices(FIXTURES_AT_ONCE):
            yield day, some["sr_id"].to_list()
    if far := due.filter(pl.col("kickoff_at") > watched_until)["sr_id"].to_list():
        yield None, far


def _told(pipeline: Pipeline, conn: psycopg.Connection, day: date, sr_ids: Sequence[int], asked: Rules, known_until: datetime) -> pl.DataFrame:
    """Alerts of fixtures that kick off on the UTC date `day`."""
    layers, outcomes = Layers(conn, pipeline.archive), words(pipeline.vocabulary)[0]
    since = (datetime(day.year, day.month, day.day, tzinfo=UTC) - asked.looks_back).date()
    found = life.lives(conn, layers, day, pipeline.settings.home_platform, sr_ids, since)
    doubtful, parts = suspects(conn, sr_ids), [pl.DataFrame(schema=ODDS_ALERTS)]
    for listings in batches(found.listings, found.n_rows, found.tournaments):
        looks, changes = found.looks.join(listings, on="listing_id", how="semi"), life.changes(conn, layers, listings, day, since)
        parts.append(odds_alerts(listings, looks, changes, found.kickoffs, outcomes, asked, as_of=known_until, suspects=doubtful))
    return pl.concat(parts)
