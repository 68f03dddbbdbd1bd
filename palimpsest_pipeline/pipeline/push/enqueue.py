"""Messages about the events that a derivation has just written, and about those of a past day.

The former are stored in the transaction of the derivation.
"""

from collections.abc import Sequence
from datetime import date, timedelta

import polars as pl
import psycopg

from palimpsest_pipeline.domain.instants import get_day_start
from palimpsest_pipeline.domain.push_rules import PushRule, SourceTerms
from palimpsest_pipeline.metrics.push.messages import build_body
from palimpsest_pipeline.metrics.push.select_events import drop_cooling, select_events
from palimpsest_pipeline.storage.push import outbox
from palimpsest_pipeline.storage.push.outbox import ActiveRule, NewMessage
from palimpsest_pipeline.storage.push.sources import SOURCES, read_day_events, read_derived_events

from ..context import Pipeline


def enqueue_events(pipeline: Pipeline, conn: psycopg.Connection, source_name: str, ids: Sequence[int]) -> int:
    """Store a message for each event of the source that a rule selects; return the number of new messages.

    `source_name` is a key of `storage.push.sources.SOURCES`. `ids` are the fixtures (or the cycle) whose rows this
    transaction has written. Call it at the end of the transaction. An event gets no message if its message is stored
    already, or if it is too old or older than the rule. So a replay sends nothing again. Raises KeyError for an unknown
    source.
    """
    source = SOURCES[source_name]
    active_rules = outbox.read_rules(conn, source_name)
    if not active_rules or not ids:
        return 0
    market_keys = join_market_keys([active.rule for active in active_rules])
    events = read_derived_events(conn, source, ids, market_keys)
    if events.is_empty():
        return 0
    messages = [
        message for active in active_rules for message in _select_messages(pipeline, conn, active, source.terms, events)
    ]
    return outbox.add_messages(conn, messages)


def join_market_keys(rules: Sequence[PushRule]) -> list[str] | None:
    """Return the markets of all rules together; None when one of the rules does not name any."""
    if not all(rule.markets for rule in rules):
        return None
    return sorted({key for rule in rules for key in rule.markets})


def _select_messages(
    pipeline: Pipeline, conn: psycopg.Connection, active: ActiveRule, terms: SourceTerms, events: pl.DataFrame
) -> list[NewMessage]:
    """Return the messages of one rule about these events, in the order in which they are to be sent."""
    rule = active.rule
    if rule.cooldown_minutes:
        # Otherwise a transaction under way elsewhere could add a message that this one does not see. Transactions with
        # a snapshot see none of it anyway: they are about fixtures that no other transaction derives meanwhile.
        outbox.lock_outbox(conn)
    selected = select_events(events, rule, terms, since=active.since, now=pipeline.clock.now())
    stored_ids = outbox.read_stored_ids(conn, selected["message_id"].to_list())
    selected = selected.filter(~pl.col("message_id").is_in(list(stored_ids)))
    if rule.cooldown_minutes and not selected.is_empty():
        # The events are sorted by fires_at, so none is earlier than the first.
        after = selected["fires_at"][0] - timedelta(minutes=rule.cooldown_minutes)
        subjects = selected["subject"].unique().to_list()
        sent = outbox.read_stored_subjects(conn, rule.name, subjects, after)
        selected = drop_cooling(selected, rule.cooldown_minutes, sent)
    return _build_messages(rule, terms, selected)


def _build_messages(rule: PushRule, terms: SourceTerms, events: pl.DataFrame) -> list[NewMessage]:
    return [
        NewMessage(event["message_id"], rule.name, event["subject"], event["fires_at"], build_body(rule, terms, event))
        for event in events.iter_rows(named=True)
    ]


def list_past_messages(
    pipeline: Pipeline, conn: psycopg.Connection, rules: tuple[PushRule, ...], day: date
) -> list[NewMessage]:
    """Return the messages that the rules would have sent about the events of a UTC day.

    They are sorted by time and rule. The ages of rules and events are ignored. The events are those that
    the marts have now.
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
            messages += _build_messages(rule, source.terms, drop_cooling(selected, rule.cooldown_minutes))
    return sorted(messages, key=lambda message: (message.fires_at, message.rule, message.message_id))
