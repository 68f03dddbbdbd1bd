"""What must be said of a listing and its markets, asked instant by instant in plain Python.

It knows looks and books, no history and no intervals.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from .life_worlds import Life, Looked, is_backable

Market = tuple[str, str]
WHOLE: Market = ("*", "")
Interval = tuple[
    int,
    str,
    str,
    str,
    datetime,
    datetime | None,
    str,
    int | None,
    int | None,
    int | None,
    int | None,
    int,
    datetime | None,
]
"""sr_id, platform, market, specifier, from, to, state, outcomes active and listed, first and last cycle, number and
last instant of confirmations.
"""
WORDS = ("offered", "suspended", "no_price", "withdrawn")


@dataclass(frozen=True)
class Witness:
    """One listing's looks that count, and when its kickoff is."""

    looks: Sequence[Looked]
    kickoff_at: datetime
    as_of: datetime
    silence_limit: timedelta

    def until(self, t: datetime) -> list[Looked]:
        return [look for look in self.looks if look.at <= t]

    def news(self, market: Market) -> list[Looked]:
        """Looks that say something of it: that the listing is still listed says nothing of a market, that it is back
        does.
        """
        return [
            look for look in self.looks if market == WHOLE or look.look != "listed" or self.asked(look.at) != "answered"
        ]

    def asked(self, t: datetime) -> str | None:
        """The last of an answer and an absence."""
        return next((look.look for look in reversed(self.until(t)) if look.look in ("answered", "absent")), None)

    def said(self, market: Market, t: datetime) -> str:
        """State in the last answer."""
        book = next((look.book for look in reversed(self.until(t)) if look.book is not None), {})
        states = {facts[0] for key, facts in book.items() if market in (WHOLE, key[:2])}
        if market == WHOLE:
            return "offered" if "offered" in states else "suspended" if states else "no_price"
        return next((state for state in WORDS if state in states), "withdrawn")

    def counts(self, market: Market, t: datetime) -> tuple[int, int]:
        """Outcomes that can be backed, outcomes listed, in the last answer."""
        book = next(look.book for look in reversed(self.until(t)) if look.book is not None)
        of_market = [facts for key, facts in book.items() if key[:2] == market]
        active = sum(is_backable(facts, place) for facts in of_market for place in range(len(facts[2])))
        listed = sum(
            price is not None or bool((mask or 0) >> place & 1)
            for _, mask, odds in of_market
            for place, price in enumerate(odds)
        )
        return active, listed

    def state(self, market: Market, t: datetime) -> str:
        if self.kickoff_at <= min(t, self.as_of):
            if (
                next(look.look for look in reversed(self.looks) if look.look in ("answered", "listed", "absent"))
                == "absent"
            ):
                return "event_dropped"
            return "withdrawn" if market != WHOLE and self.said(market, t) == "withdrawn" else "closed_at_kickoff"
        news = self.news(market)
        last = [look for look in news if look.at <= t][-1]
        state = {"answered": self.said(market, t), "absent": "event_dropped"}.get(last.look, "not_observed")
        if last.look == "listed" and self.asked(t) == "answered":
            state = self.said(market, t)
        silent_at = last.at + self.silence_limit
        is_silent = silent_at <= t and (news[-1] != last or silent_at < min(self.as_of, self.kickoff_at))
        return "not_observed" if is_silent else state

    def shows(self, market: Market, state: str, begin: datetime, end: datetime | None) -> list[Looked]:
        """Looks within a stretch of time that show this state."""
        found = []
        for look in self.news(market):
            still_listed = look.look == "listed" and self.asked(look.at) == "answered"
            kind = (
                "words"
                if look.look == "answered" or still_listed
                else "event_dropped"
                if look.look == "absent"
                else "not_observed"
            )
            if kind == ("words" if state in WORDS else state) and begin <= look.at and (end is None or look.at < end):
                found.append(look)
        return found


def witness(life: Life, listing_id: int, as_of: datetime, silence_limit: timedelta) -> Witness:
    kickoff_at = life.kickoffs[life.holders[listing_id][0]][-1][1]
    before = sorted(
        (look for look in life.looks if look.listing_id == listing_id and look.at < kickoff_at),
        key=lambda look: look.at,
    )
    answering = {look.cycle_id for look in before if look.look == "answered"}
    counted = [look for look in before if look.look == "answered" or look.cycle_id not in answering]
    seen = [look.at for look in counted if look.look in ("answered", "listed")]
    return Witness([look for look in counted if look.at >= min(seen)] if seen else [], kickoff_at, as_of, silence_limit)


def intervals(life: Life, as_of: datetime, silence_limit: timedelta) -> list[Interval]:
    """Walk through the instants at which anything can change, for each market."""
    result: list[Interval] = []
    for listing_id, holder in life.holders.items():
        seen = witness(life, listing_id, as_of, silence_limit)
        if not seen.looks:
            continue
        instants = {look.at for look in seen.looks} | {
            look.at + silence_limit for look in seen.looks if look.at + silence_limit < seen.kickoff_at
        }
        instants |= {seen.kickoff_at} if seen.kickoff_at <= as_of else set()
        first = {WHOLE: seen.looks[0].at}
        for look in seen.looks:
            for key in look.book or {}:
                first.setdefault(key[:2], look.at)
        for market, begins_at in first.items():
            runs: list[tuple[datetime, str]] = []
            for t in sorted(t for t in instants if t >= begins_at):
                state = seen.state(market, t)
                if not runs or runs[-1][1] != state:
                    runs.append((t, state))
            for (begin, state), (end, _) in zip(runs, [*runs[1:], (None, "")], strict=True):
                shown = seen.shows(market, state, begin, end)
                counted = seen.counts(market, begin) if state in WORDS and market != WHOLE else (None, None)
                confirmed = (
                    (shown[0].cycle_id, shown[-1].cycle_id, len(shown), shown[-1].at)
                    if shown
                    else (None, None, 0, None)
                )
                result.append((*holder, *market, begin, end, state, *counted, *confirmed))
    return sorted(result)
