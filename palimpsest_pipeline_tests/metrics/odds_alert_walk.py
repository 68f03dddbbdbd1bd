"""What traders are to be told of, by walking through looks one by one, every price at every look: nothing of the
code under test, no history rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any, Final

from palimpsest_pipeline.metrics.alerts.find_odds_alerts import OddsAlertRules

from .life_worlds import PLACES, Book, Life, Looked, is_backable

Market = tuple[str, str]
Outcome = tuple[str, int]
"""Of a market: name of an open outcome, place from 0."""
Told = dict[str, Any]
LEVELS: Final = ("low", "medium", "high")


@dataclass(frozen=True)
class Walk:
    """A life, told as alerts."""

    life: Life
    rules: OddsAlertRules
    as_of: datetime

    def alerts(self) -> list[Told]:
        """Rows without what follows from others; by what they are about."""
        rows = []
        for sr_id in self.life.kickoffs:
            listings = [
                listing
                for listing, (fixture, _) in self.life.holders.items()
                if fixture == sr_id and self._looks(listing)
            ]
            home = [listing for listing in listings if self.life.holders[listing][1] == "betpawa"]
            others = [listing for listing in listings if listing not in home]
            for listing in listings:
                rows += [*self._moves(listing), *self._disappearances(listing), *self._dropped(listing)]
            for listing in home:
                rows += self._outliers(listing, others)
                for other in others:
                    rows += self._disagreements(listing, other)
        return sorted(
            rows,
            key=lambda row: (
                row["alert_type"],
                row["sr_id"],
                row["platform"],
                str(row["competitor"]),
                row["market"],
                row["opened_at"],
            ),
        )

    # What was seen

    def _kickoff(self, listing: int) -> datetime:
        return self.life.kickoffs[self.life.holders[listing][0]][-1][1]

    def _watch_from(self, listing: int) -> datetime:
        return self._kickoff(listing) - self.rules.watch_before_kickoff

    def _looks(self, listing: int) -> list[Looked]:
        since = (self._kickoff(listing) - self.rules.lookback).replace(hour=0, minute=0, second=0, microsecond=0)
        return sorted(
            (k for k in self.life.looks if k.listing_id == listing and since <= k.at < self._kickoff(listing)),
            key=lambda k: k.at,
        )

    def _moments(self, listing: int) -> list[Looked]:
        return [look for look in self._looks(listing) if look.look in ("answered", "absent")]

    def _watched(self, *listings: int) -> list[datetime]:
        return sorted(
            {look.at for listing in listings for look in self._moments(listing) if look.at >= self._watch_from(listing)}
        )

    def _last(self, listing: int, at: datetime) -> Looked | None:
        return max((look for look in self._moments(listing) if look.at <= at), key=lambda look: look.at, default=None)

    def _figures(self, now: int, then: float) -> Told:
        """The change of the odds, and the signed one of what they imply; 0 when both prices are long ones."""
        is_long = min(now, then) > self.rules.max_odds * 1000
        shift = 0.0 if is_long else round(1000 / now - 1000 / then, 9)
        return {"change": round(now / then - 1, 9), "shift": shift, "size": abs(shift), "now": now, "then": then}

    def _book(self, listing: int, at: datetime) -> Book:
        """What the last answer says; nothing when the listing is dropped since."""
        last = self._last(listing, at)
        return {} if last is None or last.book is None else last.book

    def _known_book(self, listing: int, at: datetime) -> Book | None:
        """The book that held then; None when nothing was known."""
        telling = [look for look in self._looks(listing) if look.look != "listed" and look.at <= at]
        if not telling or telling[-1].book is None or at - telling[-1].at >= self.rules.silence_limit:
            return None
        return telling[-1].book

    def _markets(self, listing: int) -> dict[Market, set[Outcome]]:
        found: dict[Market, set[Outcome]] = {}
        for look in self._looks(listing):
            for (key, specifier, outcome), facts in (look.book or {}).items():
                if self.rules.markets is None or key in self.rules.markets:
                    found.setdefault((key, specifier), set()).update((outcome, place) for place in range(len(facts[2])))
        return found

    # Prices

    def _change(self, listing: int, at: datetime, market: Market, outcome: Outcome) -> tuple[int | None, int | None]:
        """Price at the listing's last look up to `at`, and the one a window before that look, where known."""
        last = self._last(listing, at)
        if last is None or last.at < self._watch_from(listing):
            return None, None
        before = self._known_book(listing, last.at - self.rules.window)
        return price(self._book(listing, last.at), market, outcome), None if before is None else price(
            before, market, outcome
        )

    def _comparable(self, listing: int, other: int, at: datetime) -> bool:
        ours, theirs = self._last(listing, at), self._last(other, at)
        assert ours is not None and theirs is not None
        return ours.book is not None and theirs.book is not None and abs(ours.at - theirs.at) <= self.rules.max_skew

    def _moves(self, listing: int) -> Iterator[Told]:
        for market, outcomes in self._markets(listing).items():
            sizes: dict[datetime, dict[Outcome, Told]] = {}
            for at in self._watched(listing):
                for outcome in outcomes:
                    now, then = self._change(listing, at, market, outcome)
                    if now is None:
                        sizes.setdefault(at, {})[outcome] = {"size": 0.0}
                    elif then is not None:
                        sizes.setdefault(at, {})[outcome] = self._figures(now, then)
            yield from self._told("price_move", listing, market, sizes)

    def _disagreements(self, listing: int, other: int) -> Iterator[Told]:
        theirs = self._markets(other)
        for market, outcomes in self._markets(listing).items():
            if market not in theirs or market[0] not in PLACES:
                continue
            sizes: dict[datetime, dict[Outcome, Told]] = {}
            for at in self._watched(listing, other):
                if self._last(listing, at) is None or self._last(other, at) is None:
                    continue
                for outcome in outcomes:
                    (now, then), (their_now, their_then) = (
                        self._change(which, at, market, outcome) for which in (listing, other)
                    )
                    if now is None or their_now is None:
                        sizes.setdefault(at, {})[outcome] = {"size": 0.0}
                    elif then is not None and their_then is not None and self._comparable(listing, other, at):
                        home, competitor = self._figures(now, then), self._figures(their_now, their_then)
                        opposite = home["shift"] * competitor["shift"] < 0
                        size = 2 * min(home["size"], competitor["size"]) if opposite else 0.0
                        theirs_then = {
                            "competitor_odds": their_now / 1000,
                            "competitor_change_rel": competitor["change"],
                        }
                        sizes.setdefault(at, {})[outcome] = home | theirs_then | {"size": size}
            yield from self._told("direction_disagreement", listing, market, sizes, other)

    def _outliers(self, listing: int, others: Sequence[int]) -> Iterator[Told]:
        markets = {market: outcomes for market, outcomes in self._markets(listing).items() if market[0] in PLACES}
        shared = [other for other in others if markets.keys() & self._markets(other).keys()]
        for market, outcomes in markets.items():
            sizes: dict[datetime, dict[Outcome, Told]] = {}
            for at in self._watched(listing, *shared):
                for outcome in outcomes:
                    if (found := self._outlying(listing, shared, at, market, outcome)) is not None:
                        sizes.setdefault(at, {})[outcome] = found
            yield from self._told("home_outlier", listing, market, sizes)

    def _outlying(
        self, listing: int, others: Sequence[int], at: datetime, market: Market, outcome: Outcome
    ) -> Told | None:
        ours = self._last(listing, at)
        if ours is None:
            return None
        home = price(self._book(listing, at), market, outcome)
        if home is None:
            return {"size": 0.0}
        seen = [other for other in others if (last := self._last(other, at)) is not None and last.book is not None]
        comparable = [other for other in seen if self._comparable(listing, other, at)]
        if len(comparable) < 2 and len(comparable) < len(seen):
            return None
        prices = [found for other in comparable if (found := price(self._book(other, at), market, outcome)) is not None]
        return self._figures(home, median(prices)) if len(prices) >= 2 else {"size": 0.0}

    # What is there

    def _disappearances(self, listing: int) -> Iterator[Told]:
        answers = [look for look in self._looks(listing) if look.book is not None]
        for market in self._markets(listing):
            offered, gone_at = False, None
            gone: list[tuple[datetime, datetime | None]] = []
            for look in answers:
                assert look.book is not None
                states = {facts[0] for key, facts in look.book.items() if key[:2] == market}
                if gone_at is not None and "offered" in states:
                    gone.append((gone_at, look.at))
                    gone_at = None
                elif gone_at is None and not states and offered:
                    gone_at = look.at
                offered = offered or "offered" in states
            gone += [] if gone_at is None else [(gone_at, None)]
            watched = [span for span in gone if span[0] >= self._watch_from(listing)]
            for n, (went_at, back_at) in enumerate(watched):
                severity = "medium" if market[0] in self.rules.main_markets else "low"
                yield self._row("market_disappeared", listing, market, went_at, back_at) | {"severity": severity}
                if back_at is not None:
                    ends = [look.at for look in self._moments(listing) if look.at >= back_at + self.rules.window]
                    ends += [watched[n + 1][0]] if n + 1 < len(watched) else []
                    yield self._row("market_returned", listing, market, back_at, min(ends, default=None)) | {
                        "severity": "low"
                    }

    def _dropped(self, listing: int) -> Iterator[Told]:
        shown, gone_at = False, None
        for look in self._looks(listing):
            if look.look in ("answered", "listed"):
                if gone_at is not None and gone_at >= self._watch_from(listing):
                    yield self._row("event_dropped", listing, ("*", ""), gone_at, look.at) | {"severity": "high"}
                shown, gone_at = True, None
            elif look.look == "absent" and shown and gone_at is None:
                gone_at = look.at
        if gone_at is not None and gone_at >= self._watch_from(listing):
            yield self._row("event_dropped", listing, ("*", ""), gone_at, None) | {"severity": "high"}

    # Episodes

    def _told(
        self,
        alert_type: str,
        listing: int,
        market: Market,
        sizes: Mapping[datetime, Mapping[Outcome, Told]],
        other: int | None = None,
    ) -> Iterator[Told]:
        low, medium, high = self.rules.levels
        held: dict[Outcome, float] = {}
        row: Told | None = None
        for at in sorted(sizes):
            held |= {outcome: found["size"] for outcome, found in sizes[at].items()}
            hot = {outcome: found for outcome, found in sizes[at].items() if found["size"] >= low}
            if row is not None and all(size < round(self.rules.calm_share * low, 9) for size in held.values()):
                yield row | {"closed_at": self._end(listing, at)}
                row = None
            if not hot:
                continue
            outcome, found = min(hot.items(), key=lambda item: (-item[1]["size"], item[0]))
            if row is None:
                row = self._row(alert_type, listing, market, at, None, other) | {
                    "change_rel": found["change"],
                    "peak": 0.0,
                }
            if found["size"] > row["peak"]:
                level = LEVELS[(found["size"] >= medium) + (found["size"] >= high)]
                names = PLACES.get(market[0])
                row |= {
                    "peak": found["size"],
                    "peak_at": at,
                    "severity": level,
                    "outcome_key": names[outcome[1]] if names else outcome[0],
                }
                row |= {
                    "peak_change_rel": found["change"],
                    "current_odds": found["now"] / 1000,
                    "baseline_odds": round(found["then"] / 1000, 3),
                }
                row |= {name: found[name] for name in ("competitor_odds", "competitor_change_rel") if name in found}
        if row is not None:
            yield row | {"closed_at": self._end(listing, None)}

    def _row(
        self,
        alert_type: str,
        listing: int,
        market: Market,
        opened_at: datetime,
        closed_at: datetime | None,
        other: int | None = None,
    ) -> Told:
        sr_id, platform = self.life.holders[listing]
        return {
            "alert_type": alert_type,
            "sr_id": sr_id,
            "platform": platform,
            "competitor": None if other is None else self.life.holders[other][1],
            "market": market,
            "opened_at": opened_at,
            "closed_at": self._end(listing, closed_at),
        }

    def _end(self, listing: int, closed_at: datetime | None) -> datetime | None:
        kickoff = self._kickoff(listing)
        return closed_at or (kickoff if kickoff <= self.as_of else None)


def price(book: Book, market: Market, outcome: Outcome) -> int | None:
    """What can be backed, thousandths."""
    facts = book.get((*market, outcome[0]))
    found = facts[2][outcome[1]] if facts is not None and is_backable(facts, outcome[1]) else None
    return found if found is not None and found > 1000 else None
