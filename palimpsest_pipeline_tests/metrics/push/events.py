"""Events for rules, from only the columns that a test is about."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import polars as pl

from palimpsest_pipeline.domain.push_rules import PushRule, SourceTerms
from palimpsest_pipeline.metrics.push.select_events import EVENTS_SCHEMA

NOON: Final = datetime(2026, 5, 1, 12, tzinfo=UTC)
MOVES: Final = SourceTerms(
    "odds_alerts", ("price_move",), has_severity=True, has_markets=True, is_state=False, size_unit="probability"
)
GAPS: Final = SourceTerms(
    "gaps", ("home_missing",), has_severity=False, has_markets=True, is_state=True, size_unit="minutes"
)


def after(minutes: float) -> datetime:
    """So many minutes after noon."""
    return NOON + timedelta(minutes=minutes)


def make_events(*rows: dict[str, Any]) -> pl.DataFrame:
    """Events of one fixture that kicks off five hours after noon, numbered in the order given."""
    plain = {
        "type": "price_move",
        "severity": "low",
        "sr_id": 7,
        "home_team": "Norway",
        "away_team": "France",
        "tournament_key": "t:1",
        "tournament": "World Cup",
        "country": "International",
        "kickoff": after(300),
        "platforms": ["betpawa"],
        "market_key": "match_result",
        "market": "1X2",
        "specifier": "",
        "size": 0.1,
        "began_at": NOON,
        "reached_at": None,
        "observed_at": after(60),
    }
    complete = [{"event_key": str(number), **plain, **row} for number, row in enumerate(rows)]
    return pl.DataFrame(complete, schema=EVENTS_SCHEMA)


def make_rule(**fields: Any) -> PushRule:
    return PushRule(**{"name": "r", "source": "odds_alerts", "webhook": "URL", **fields})
