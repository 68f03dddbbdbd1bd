"""Pairs of events worked out by a walk through the answers themselves: nothing of the code under test."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any

from palimpsest_pipeline.metrics.prices.price_leads import PriceLeadRules

from .life_worlds import PLACES, Facts, Key, Life, Looked

WINNERS = {"match_result": 1, "total_goals": 1, "double_chance": 2}


@dataclass(frozen=True)
class Event:
    """`place`: of the outcome from 1, 0 of a suspension. `which`: all events of one market at one answer are one."""

    kind: str
    sr_id: int
    key: Key
    place: int
    platform: str
    after: datetime
    at: datetime
    observed: bool
    before: float | None = None
    now: float | None = None

    @property
    def middle(self) -> datetime:
        return self.after + (self.at - self.after) / 2

    @property
    def which(self) -> tuple[Any, ...]:
        return self.kind, self.sr_id, self.key, self.platform, self.at


def fair(market: str, facts: Facts | None) -> list[float] | None:
    """Nothing unless every outcome can be backed and the margin is plausible."""
    if facts is None or facts[0] != "offered" or facts[1] or any(price is None or price <= 1000 for price in facts[2]):
        return None
    inverses = [Fraction(1000, price) for price in facts[2] if price is not None]
    margin = sum(inverses) / WINNERS[market] - 1
    shares = [inverse * WINNERS[market] / sum(inverses) for inverse in inverses]
    return [float(share) for share in shares] if -0.25 <= margin <= 1 and max(shares) < 1 else None


def walk(life: Life, rules: PriceLeadRules) -> list[dict[str, Any]]:
    events = [event for listing_id in life.holders for event in _events(life, listing_id, rules)]
    steams = _steams(events, rules)
    pairs: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for first in events:
        for second in events:
            same = (first.kind, first.sr_id, first.key, first.place) == (
                second.kind,
                second.sr_id,
                second.key,
                second.place,
            )
            lag = second.middle - first.middle
            in_order = (first.middle, first.platform) < (second.middle, second.platform)
            if same and first.platform != second.platform and in_order and lag <= rules.window:
                steam = steams.get(first) if steams.get(first) == steams.get(second) else None
                rise = min(_rise(first), _rise(second))
                rank = (0 if steam is None else -steam[1], -rise, first.place)
                key = (first.which, second.which)
                if key not in pairs or rank < pairs[key][0]:
                    pairs[key] = (rank, lag, first, second, steam)
    ranked = sorted(pairs.values(), key=lambda pair: (pair[1], pair[2].middle, pair[2].platform))
    rows = []
    for pair in ranked:
        _, _, first, second, _ = pair
        nearest = [
            next(p for p in ranked if _joins(p, a.which, b.platform)) for a, b in ((first, second), (second, first))
        ]
        if all(each is pair for each in nearest):
            rows.append(_row(life, *pair[1:]))
    return rows


def _joins(pair: tuple[Any, ...], which: tuple[Any, ...], platform: str) -> bool:
    _, _, first, second, _ = pair
    return (first.which == which and second.platform == platform) or (
        second.which == which and first.platform == platform
    )


def _rise(event: Event) -> float:
    return 0 if event.now is None or event.before is None else round(event.now - event.before, 9)


def _row(life: Life, lag: timedelta, first: Event, second: Event, steam: tuple[datetime, int] | None) -> dict[str, Any]:
    return {
        "sr_id": first.sr_id,
        "lead_type": first.kind,
        "market_key": first.key[0],
        "specifier": first.key[1],
        "leader": first.platform,
        "follower": second.platform,
        "leader_at": first.at,
        "leader_after": first.after,
        "follower_at": second.at,
        "follower_after": second.after,
        "outcome_key": PLACES[first.key[0]][first.place - 1] if first.place else "",
        "leader_probability_before": first.before,
        "leader_probability": first.now,
        "follower_probability_before": second.before,
        "follower_probability": second.now,
        "lag_s": lag.total_seconds(),
        "lag_min_s": (second.after - first.at).total_seconds(),
        "lag_max_s": (second.at - first.after).total_seconds(),
        "lag_limited_by": "polling" if first.observed and second.observed else "not_observed",
        "steam_at": None if steam is None else steam[0],
        "steam_platforms": None if steam is None else steam[1],
        "kickoff_date": life.kickoffs[first.sr_id][-1][1].date(),
    }


def _events(life: Life, listing_id: int, rules: PriceLeadRules) -> Iterator[Event]:
    sr_id, platform = life.holders[listing_id]
    kickoff = life.kickoffs[sr_id][-1][1]
    looks = sorted(
        (k for k in life.looks if k.listing_id == listing_id and k.at < kickoff and k.look != "listed"),
        key=lambda k: k.at,
    )
    answers = [look for look in looks if look.book is not None]
    for key in {key for look in answers for key in look.book or {} if key[0] in rules.main_markets and not key[2]}:
        last: tuple[Looked, list[float]] | None = None
        for n, answer in enumerate(answers):
            found = []
            facts, before = _facts(answer, key), _facts(answers[n - 1], key) if n else None
            if before is not None and before[0] == "offered" and (facts is None or facts[0] != "offered"):
                found.append(("suspension", 0, answers[n - 1].at, None, None))
            now = fair(key[0], facts)
            if now is not None:
                if last is not None:
                    found += [
                        ("move", place, last[0].at, round(was, 9), round(is_now, 9))
                        for place, (was, is_now) in enumerate(zip(last[1], now, strict=True), start=1)
                        if round(round(is_now, 9) - round(was, 9), 9) >= rules.min_rise
                    ]
                last = (answer, now)
            for kind, place, after, was, is_now in found:
                if answer.at >= kickoff - rules.watch_before_kickoff and answer.at - after <= rules.window:
                    seen = [look for look in looks if after <= look.at <= answer.at]
                    yield Event(kind, sr_id, key, place, platform, after, answer.at, _is_held(seen, rules), was, is_now)


def _facts(answer: Looked, key: Key) -> Facts | None:
    assert answer.book is not None
    return answer.book.get(key)


def _is_held(looks: Sequence[Looked], rules: PriceLeadRules) -> bool:
    """Whether every look is an answer that still held at the next one."""
    return all(look.book is not None for look in looks) and all(
        later.at - look.at <= rules.silence_limit for look, later in pairwise(looks)
    )


def _steams(events: Sequence[Event], rules: PriceLeadRules) -> dict[Event, tuple[datetime, int]]:
    """The first answer and the number of platforms of the steam of each move that belongs to one."""
    steams: dict[Event, tuple[datetime, int]] = {}
    run: list[Event] = []
    moves = sorted(
        (e for e in events if e.kind == "move"), key=lambda e: (e.sr_id, e.key, e.place, e.middle, e.platform, e.at)
    )
    for n, event in enumerate(moves):
        run.append(event)
        following = moves[n + 1] if n + 1 < len(moves) else None
        ends = (
            following is None
            or (following.sr_id, following.key, following.place) != (event.sr_id, event.key, event.place)
            or following.middle - event.middle > rules.steam_window
        )
        if ends:
            platforms = len({one.platform for one in run})
            if platforms >= rules.steam_platforms:
                steams |= dict.fromkeys(run, (min(one.at for one in run), platforms))
            run = []
    return steams
