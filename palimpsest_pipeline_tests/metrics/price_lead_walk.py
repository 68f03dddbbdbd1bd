"""Pairs of events worked out by a walk through the answers themselves: nothing of the code under test."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from itertools import combinations, pairwise
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


Pair = tuple[Event, Event]


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
    selected = _select(_pair(events, rules))
    steams = _steams(events, selected, rules)
    rows = []
    for pairs in selected:
        by_place = [pair for pair in pairs if pair[0] in steams and steams[pair[0]] is steams.get(pair[1])]
        assert len(by_place) <= 1, "a move belongs to one steam, which has one outcome"
        [first, second] = (by_place or sorted(pairs, key=lambda pair: (-min(map(_rise, pair)), pair[0].place)))[0]
        rows.append(_row(life, first, second, steams[first] if by_place else None))
    return rows


def _pair(events: Sequence[Event], rules: PriceLeadRules) -> list[Pair]:
    """The pairs of each outcome, leader first: an event with the one just before it, if that is another platform's, near,
    and had no event as near before it.
    """
    pairs: list[Pair] = []
    subjects = {(e.kind, e.sr_id, e.key, e.place) for e in events}
    for subject in subjects:
        about = [e for e in events if (e.kind, e.sr_id, e.key, e.place) == subject]
        for names in combinations(sorted({e.platform for e in about}), 2):
            both = sorted((e for e in about if e.platform in names), key=lambda e: (e.at, e.platform))
            for n, (last, event) in enumerate(pairwise(both)):
                lag = abs(event.middle - last.middle)
                earlier = next((e for e in reversed(both[:n]) if e.platform != last.platform), None)
                is_nearest = earlier is None or lag < abs(last.middle - earlier.middle)
                if last.platform != event.platform and lag <= rules.window and is_nearest:
                    first, second = sorted((last, event), key=lambda e: (e.middle, e.platform))
                    pairs.append((first, second))
    return pairs


def _select(pairs: Sequence[Pair]) -> list[list[Pair]]:
    """The pairs of whole answers, each with those of its outcomes. Only pairs that are
    the first ones of the leader's answer and of the follower's."""
    by_answers: dict[tuple[Any, ...], list[Pair]] = {}
    for pair in pairs:
        by_answers.setdefault((pair[0].which, pair[1].which), []).append(pair)
    ranked = sorted(
        by_answers.values(),
        key=lambda group: (
            max(e.at for e in group[0]),
            group[0][1].middle - group[0][0].middle,
            min(e.at for e in group[0]),
            group[0][0].platform,
        ),
    )
    return [
        group
        for group in ranked
        if all(next(g for g in ranked if _ends(g[0])[n] == _ends(group[0])[n]) is group for n in (0, 1))
    ]


def _ends(pair: Pair) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    first, second = pair
    return (first.which, second.platform), (second.which, first.platform)


def _rise(event: Event) -> float:
    return 0 if event.now is None or event.before is None else round(event.now - event.before, 9)


def _row(life: Life, first: Event, second: Event, steam: tuple[datetime, int] | None) -> dict[str, Any]:
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
        "lag_s": (second.middle - first.middle).total_seconds(),
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
                if (
                    answer.at >= kickoff - rules.watch_before_kickoff
                    and answer.at - after <= rules.silence_limit + rules.window
                ):
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


def _steams(
    events: Sequence[Event], selected: Sequence[Sequence[Pair]], rules: PriceLeadRules
) -> dict[Event, tuple[datetime, int]]:
    """The first answer and the number of platforms of the steam of each move that belongs to one. Moves of the same steam
    have the same object.
    """
    narrow = [e for e in events if e.kind == "move" and e.at - e.after <= rules.steam_window]
    best: dict[tuple[Any, ...], tuple[tuple[Any, ...], Event]] = {}
    for run in _runs(narrow, rules):
        firsts: dict[str, Event] = {}
        for event in sorted(run, key=lambda e: (e.at, e.platform)):
            firsts.setdefault(event.platform, event)
        if len(firsts) >= rules.steam_platforms:
            enough = list(firsts.values())[: rules.steam_platforms]
            rank = (enough[-1].at, -sum(round(_rise(e) * 1e9) for e in enough), run[0].place)
            for event in run:
                best[event.which] = min(best.get(event.which, (rank, event)), (rank, event), key=lambda each: each[0])
    steams: dict[Event, tuple[datetime, int]] = {}
    for run in _runs([event for _, event in best.values()], rules):
        pairs = [pair for group in selected for pair in group if pair[0] in run and pair[1] in run]
        platforms = {event.platform for pair in pairs for event in pair}
        if len(platforms) >= rules.steam_platforms:
            steam = (min(event.at for pair in pairs for event in pair), len(platforms))
            for event in run:
                steams[event] = steam
    return steams


def _runs(moves: Sequence[Event], rules: PriceLeadRules) -> list[list[Event]]:
    """Sets of moves of an outcome, each connected by steps from a move to another one that certainly is near."""
    runs, rest = [], list(moves)
    while rest:
        run = [rest.pop()]
        for event in run:
            near = [
                e
                for e in rest
                if (e.sr_id, e.key, e.place) == (event.sr_id, event.key, event.place)
                and max(e.at, event.at) - min(e.after, event.after) <= rules.steam_window
            ]
            rest = [e for e in rest if e not in near]
            run += near
        runs.append(run)
    return runs
