"""The events that a rule sends: its filters, the age of an event, and the cooldown. No I/O.

An event begins to match a rule at one instant, `fires_at`. For an event that happened at one instant it is that
instant. For a state that lasts, it is the first instant at which the state had lasted long enough and the kickoff was
near enough.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import OddsAlertLevel
from palimpsest_pipeline.domain.push_rules import PushRule, SourceTerms
from palimpsest_pipeline.domain.schemas import INSTANT

EVENTS_SCHEMA: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "event_key": pl.String,
    "type": pl.String,
    "severity": pl.String,
    "sr_id": pl.Int64,
    **dict.fromkeys(("home_team", "away_team", "tournament_key", "tournament", "country"), pl.String),
    "kickoff": INSTANT,
    "platforms": pl.List(pl.String),
    **dict.fromkeys(("market_key", "market", "specifier", "outcome"), pl.String),
    **dict.fromkeys(("odds_before", "odds_now", "size"), pl.Float64),
    **dict.fromkeys(("began_at", "reached_at", "observed_at"), INSTANT),
}
"""The columns of events of any source; those that a source does not have are null.

`event_key` names an event within its source, the same in every derivation. `platforms` has the platforms that it is
about. `began_at` is the instant at which it began, `reached_at` the instant at which it first had its present size, and
`observed_at` the latest observation behind it.
"""
SIZE_TOLERANCE: Final = 1e-9
MESSAGE_ID_DIGITS: Final = 32


def select_events(
    events: pl.DataFrame, rule: PushRule, terms: SourceTerms, *, since: datetime | None, now: datetime | None
) -> pl.DataFrame:
    """Return the events that match the rule, sorted by fires_at and event_key.

    `events` has the columns EVENTS_SCHEMA, and its rows may have any order. The result has the columns fires_at,
    message_id and subject too. Of several rows with one key, the one that fires first is returned. With `since`, older
    events are left out: an event of one instant is older if its `began_at` is before `since`, a state if its `fires_at`
    is. With `now`, events are left out that fired more than the rule's `max_age_minutes` before it. `message_id` is the
    same in every derivation. The cooldown holds per `subject`. Events without kickoff or `began_at` never match.
    """
    if terms.is_state:
        age = (pl.col("observed_at") - pl.col("began_at")).dt.total_minutes(fractional=True)
        starts = [pl.col("began_at") + timedelta(minutes=rule.min_size)]
        if rule.max_minutes_to_kickoff is not None:
            starts.append(pl.col("kickoff") - timedelta(minutes=rule.max_minutes_to_kickoff))
        timed_events = events.with_columns(size=age, fires_at=pl.max_horizontal(starts))
        oldest = pl.col("fires_at")
        is_large = pl.col("fires_at") <= pl.col("observed_at")
    else:
        timed_events = events.with_columns(fires_at=pl.coalesce("reached_at", "began_at"))
        oldest = pl.col("began_at")
        is_large = pl.col("size").abs().fill_null(0.0) >= rule.min_size - SIZE_TOLERANCE
    to_kickoff = (pl.col("kickoff") - pl.col("fires_at")).dt.total_minutes(fractional=True)
    conditions = [
        pl.col("kickoff").is_not_null(),
        pl.col("began_at").is_not_null(),
        is_large,
        to_kickoff >= rule.min_minutes_to_kickoff,
        *_list_word_conditions(rule),
    ]
    if rule.max_minutes_to_kickoff is not None:
        conditions.append(to_kickoff <= rule.max_minutes_to_kickoff)
    if since is not None:
        conditions.append(oldest >= since)
    if now is not None:
        conditions.append(pl.col("fires_at") >= now - timedelta(minutes=rule.max_age_minutes))
    selected = (
        timed_events.filter(conditions)
        .sort("fires_at", "event_key")
        .unique("event_key", keep="first", maintain_order=True)
    )
    ids = [make_message_id(rule, key) for key in selected["event_key"]]
    market = pl.concat_str(pl.col("market_key").fill_null(""), pl.col("specifier").fill_null(""), separator="|")
    subject = pl.col("sr_id").cast(pl.String)
    return selected.with_columns(
        message_id=pl.Series(ids, dtype=pl.String),
        subject=subject if rule.cooldown_per == "fixture" else pl.concat_str(subject, market, separator="|"),
    )


def drop_cooling(
    selected: pl.DataFrame, cooldown_minutes: float, sent: Iterable[tuple[str, datetime]] = ()
) -> pl.DataFrame:
    """Return the events of `select_events` without those that fire within the cooldown of another one.

    `sent` has subject and fires_at of messages that were stored before. Events are taken in the order of fires_at, so
    the result does not depend on how the events are split into calls, as long as earlier events come first.
    """
    cooldown = timedelta(minutes=cooldown_minutes)
    instants_by_subject = defaultdict[str, list[datetime]](list)
    for subject, instant in sent:
        instants_by_subject[subject].append(instant)
    is_sent = []
    for subject, instant in selected.select("subject", "fires_at").iter_rows():
        is_cooling = any(abs(instant - other) < cooldown for other in instants_by_subject[subject])
        if not is_cooling:
            instants_by_subject[subject].append(instant)
        is_sent.append(not is_cooling)
    return selected.filter(pl.Series(is_sent, dtype=pl.Boolean))


def make_message_id(rule: PushRule, event_key: str) -> str:
    """Return the id of a rule's message about an event, computed only from the names of both."""
    text = f"{rule.name}|{rule.source}|{event_key}"
    return hashlib.sha256(text.encode()).hexdigest()[:MESSAGE_ID_DIGITS]


def _list_word_conditions(rule: PushRule) -> list[pl.Expr]:
    """Return the conditions on columns of words. Names of countries and tournaments match in any case."""
    conditions = []
    if rule.types:
        conditions.append(pl.col("type").is_in(list(rule.types)))
    if rule.severity is not None:
        levels = [level.value for level in OddsAlertLevel]
        conditions.append(pl.col("severity").is_in(levels[levels.index(rule.severity.value) :]))
    if rule.platforms:
        conditions.append(pl.col("platforms").list.eval(pl.element().is_in(list(rule.platforms))).list.any())
    if rule.markets:
        conditions.append(pl.col("market_key").is_in(list(rule.markets)))
    if rule.countries:
        conditions.append(_matches_name("country", rule.countries))
    if rule.tournaments:
        is_key = pl.col("tournament_key").is_in(list(rule.tournaments))
        conditions.append(is_key.fill_null(value=False) | _matches_name("tournament", rule.tournaments))
    return conditions


def _matches_name(column: str, names: Iterable[str]) -> pl.Expr:
    return pl.col(column).str.to_lowercase().is_in([name.lower() for name in names]).fill_null(value=False)
