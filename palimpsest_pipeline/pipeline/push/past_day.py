"""The messages that the rules of the file would have sent on a past day. Stores and sends nothing."""

import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import polars as pl
import psycopg

from palimpsest_pipeline.domain.instants import get_day_start
from palimpsest_pipeline.domain.push_rules import PushRule
from palimpsest_pipeline.metrics.push.messages import build_body
from palimpsest_pipeline.metrics.push.select_events import drop_cooling, select_events
from palimpsest_pipeline.storage.push.sources import SOURCES, read_day_events

from ..context import Pipeline
from .enqueue import join_market_keys


@dataclass(frozen=True, slots=True)
class PastMessage:
    """A message that a rule would have sent. `body` is its JSON as a dict."""

    rule: str
    fires_at: datetime
    body: dict[str, object]


def list_past_messages(
    pipeline: Pipeline, conn: psycopg.Connection, rules: tuple[PushRule, ...], day: date
) -> list[PastMessage]:
    """Return the messages about the events of a UTC day, sorted by time and rule.

    The ages of rules and events are ignored. The events are those that the marts have now.
    """
    start = get_day_start(day)
    messages = []
    for name, source in SOURCES.items():
        source_rules = [rule for rule in rules if rule.source == name]
        if not source_rules:
            continue
        home = pipeline.settings.home_platform
        events = read_day_events(conn, source, day, home, join_market_keys(source_rules))
        for rule in source_rules:
            selected = select_events(events, rule, source.terms, since=None, now=None).filter(
                pl.col("fires_at") >= start, pl.col("fires_at") < start + timedelta(days=1)
            )
            for event in drop_cooling(selected, rule.cooldown_minutes).iter_rows(named=True):
                body = json.loads(build_body(rule, source.terms, event))
                messages.append(PastMessage(rule.name, event["fires_at"], body))
    return sorted(messages, key=lambda message: (message.fires_at, message.rule, str(message.body["id"])))
