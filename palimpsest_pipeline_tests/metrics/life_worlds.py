"""Lives of listings, written down as looks and books, the frames that metrics of a fixture's life take, and random
lives.

The history is folded here in plain Python, answer by answer, as storage would: nothing of the code under test.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

import polars as pl
from hypothesis import strategies as st

from palimpsest_pipeline.domain.schemas import LISTING_LOOKS, OUTCOME_NAMES
from palimpsest_pipeline.metrics import build_outcome_sets
from palimpsest_pipeline.metrics.lifecycle_frames import CHANGES_SCHEMA, KICKOFFS_SCHEMA, LIFECYCLE_LISTINGS_SCHEMA

Key = tuple[str, str, str]
"""Market key, specifier, outcome ('' for a whole market)."""
Facts = tuple[str, int | None, tuple[int | None, ...]]
"""State, mask of what is off, prices in thousandths by place."""
Book = Mapping[Key, Facts]

RESULT: Final[Key] = ("match_result", "", "")
TOTAL: Final[Key] = ("total_goals", "total=2.5", "")
DOUBLE: Final[Key] = ("double_chance", "", "")
SCORER_ANN: Final[Key] = ("anytime_goalscorer", "", "Ann")
SCORER_BEA: Final[Key] = ("anytime_goalscorer", "", "Bea")
PLACES: Final = {
    "match_result": ("home", "draw", "away"),
    "total_goals": ("over", "under"),
    "double_chance": ("home_or_draw", "home_or_away", "draw_or_away"),
}
_IDS: Final = {"match_result": 1, "total_goals": 2, "anytime_goalscorer": 3, "double_chance": 4}
SETS: Final = build_outcome_sets(
    pl.DataFrame({"market_id": [1, 2, 3, 4], "fair_sum": ["1", "1", None, "2"]}),
    pl.DataFrame(
        [(_IDS[market], n) for market, names in PLACES.items() for n in range(1, len(names) + 1)],
        schema=["market_id", "ordinal"],
        orient="row",
    ),
    pl.DataFrame(schema={"market_id": pl.Int64, "set": pl.String, "ordinal": pl.Int64}),
).with_columns(
    market_key=pl.col("market_id").replace_strict({number: key for key, number in _IDS.items()}, return_dtype=pl.String)
)
"""Complete sets of these markets, with their keys: all their outcomes; nobody knows how many scorers there are."""

PAWA: Final = 11
"""The listing that most worlds are about: BetPawa's of fixture 1."""
HOLDERS: Final[Mapping[int, tuple[int, str]]] = {PAWA: (1, "betpawa"), 12: (1, "sportybet"), 21: (2, "betpawa")}
"""Fixture and platform of each listing."""


def at(day: int, hour: int, minute: int = 0, second: int = 0) -> datetime:
    """An instant of May 2026."""
    return datetime(2026, 5, day, hour, minute, second, tzinfo=UTC)


def priced(*odds: int | None, off: int | None = None) -> Facts:
    """Offered at these prices, thousandths. `off`: mask of the outcomes that cannot be backed."""
    return ("offered", off, odds)


def suspended(*odds: int | None) -> Facts:
    """All that have a price are off."""
    return ("suspended", sum(1 << i for i, price in enumerate(odds) if price is not None), odds)


def no_price(n: int) -> Facts:
    return ("no_price", None, (None,) * n)


@dataclass(frozen=True)
class Looked:
    """One look at one listing. `book` says what an answer said, and is there for answers only."""

    listing_id: int
    cycle_id: int
    at: datetime
    look: str
    detail: str = ""
    book: Book | None = None


def make_answer(cycle_id: int, when: datetime, book: Book, listing_id: int = PAWA) -> Looked:
    return Looked(listing_id, cycle_id, when, "answered", book=book)


def failed(cycle_id: int, when: datetime, detail: str = "", listing_id: int = PAWA) -> Looked:
    return Looked(listing_id, cycle_id, when, "failed", detail)


def listed(cycle_id: int, when: datetime, listing_id: int = PAWA) -> Looked:
    return Looked(listing_id, cycle_id, when, "listed")


def absent(cycle_id: int, when: datetime, detail: str = "", listing_id: int = PAWA) -> Looked:
    return Looked(listing_id, cycle_id, when, "absent", detail)


def unknown(cycle_id: int, when: datetime, detail: str = "", listing_id: int = PAWA) -> Looked:
    return Looked(listing_id, cycle_id, when, "unknown", detail)


@dataclass(frozen=True)
class Life:
    """Some fixtures' looks, and the versions (observed from, kickoff) of each fixture's effective kickoff, in order."""

    looks: Sequence[Looked]
    kickoffs: Mapping[int, Sequence[tuple[datetime, datetime]]]
    holders: Mapping[int, tuple[int, str]] = field(default_factory=lambda: {PAWA: HOLDERS[PAWA]})

    def frames(self) -> dict[str, pl.DataFrame]:
        """Keyword arguments `listings`, `looks`, `changes`, `kickoffs` of the metrics."""
        return {
            "listings": self.listings_frame(),
            "looks": looks_frame(self.looks),
            "changes": changes_frame(self.looks),
            "kickoffs": self.kickoffs_frame(),
        }

    def listings_frame(self) -> pl.DataFrame:
        rows: list[dict[str, Any]] = []
        for listing_id, (sr_id, platform) in self.holders.items():
            shown = [
                look.at for look in self.looks if look.listing_id == listing_id and look.look in ("answered", "listed")
            ]
            if shown:
                row = {"listing_id": listing_id, "sr_id": sr_id, "platform": platform, "is_home": platform == "betpawa"}
                rows.append(row | {"first_listed_at": min(shown), "last_seen_at": max(shown)})
        return pl.DataFrame(rows, schema=LIFECYCLE_LISTINGS_SCHEMA)

    def kickoffs_frame(self) -> pl.DataFrame:
        rows = [
            (sr_id, version, *claim)
            for sr_id, claims in self.kickoffs.items()
            for version, claim in enumerate(claims, start=1)
        ]
        return pl.DataFrame(rows, schema=KICKOFFS_SCHEMA, orient="row")


def is_backable(facts: Facts, place: int) -> bool:
    """Whether the outcome at `place`, from 0, can be backed."""
    state, off_mask, odds = facts
    return state == "offered" and odds[place] is not None and not (off_mask or 0) >> place & 1


def markets_priced(book: Book) -> int:
    """Markets of which something is offered."""
    return len({key[:2] for key, facts in book.items() if facts[0] == "offered"})


def looks_frame(looks: Iterable[Looked]) -> pl.DataFrame:
    rows = [
        (
            look.listing_id,
            look.cycle_id,
            look.at,
            look.look,
            look.detail,
            None if look.book is None else markets_priced(look.book),
        )
        for look in looks
    ]
    return pl.DataFrame(rows, schema=LISTING_LOOKS, orient="row")


def changes_frame(looks: Iterable[Looked]) -> pl.DataFrame:
    """The history of the answers among these looks: what differs from the answer before, everything in the first of
    a UTC day.
    """
    rows = []
    last: dict[int, Looked] = {}
    for look in sorted((look for look in looks if look.book is not None), key=lambda look: (look.listing_id, look.at)):
        assert look.book is not None
        before = last.get(look.listing_id)
        keyframe = before is None or before.at.date() != look.at.date()
        earlier = {} if keyframe or before is None or before.book is None else before.book
        moved = {key: facts for key, facts in look.book.items() if earlier.get(key) != facts}
        gone: dict[Key, Facts] = {
            key: ("withdrawn", None, (None,) * len(facts[2])) for key, facts in earlier.items() if key not in look.book
        }
        for key, (state, off_mask, odds) in {**moved, **gone}.items():
            rows.append((look.listing_id, look.at, *key, state, off_mask, list(odds), keyframe))
        last[look.listing_id] = look
    return pl.DataFrame(rows, schema=CHANGES_SCHEMA, orient="row")


def outcomes_frame() -> pl.DataFrame:
    rows = [(market, place, name) for market, names in PLACES.items() for place, name in enumerate(names, start=1)]
    return pl.DataFrame(rows, schema=OUTCOME_NAMES, orient="row")


RESULT_FACTS: Final[Sequence[Facts]] = (
    priced(2000, 3400, 3600),
    priced(2100, 3400, 3500),
    priced(2100, 3400, 3500, off=2),
    priced(None, 3400, 3500),
    suspended(2100, 3400, None),
    no_price(3),
)
TOTAL_FACTS: Final[Sequence[Facts]] = (priced(1900, 1900), priced(1800, 2000), suspended(1800, 2000))
SCORER_FACTS: Final[Sequence[Facts]] = (priced(2500), priced(2600), suspended(2600), no_price(1))
FACTS_OF: Final[Mapping[Key, Sequence[Facts]]] = {
    RESULT: RESULT_FACTS,
    TOTAL: TOTAL_FACTS,
    SCORER_ANN: SCORER_FACTS,
    SCORER_BEA: SCORER_FACTS,
}


@st.composite
def random_books(draw: st.DrawFn) -> Book:
    """A book of some of four markets, each in one of a few forms, so that forms recur."""
    book = {}
    for key, facts in FACTS_OF.items():
        chosen = draw(st.integers(-2, len(facts) - 1))
        if chosen >= 0:
            book[key] = facts[chosen]
    return book


@st.composite
def random_lives(draw: st.DrawFn, max_looks: int = 14) -> Life:
    """Lives of up to three listings over four days, with every kind of look, at irregular steps of minutes to many
    hours, also past the kickoff; cycles that overlap; a kickoff that may move, once or twice, to and fro."""
    looks: list[Looked] = []
    holders = dict(list(HOLDERS.items())[: draw(st.integers(1, 3))])
    for listing_id in holders:
        now = at(1, 20, draw(st.sampled_from([0, 0, 0, 7, 59])))
        cycle = 100 * listing_id
        for _ in range(draw(st.integers(1, max_looks))):
            now += timedelta(minutes=draw(st.sampled_from([1, 29, 30, 30, 30, 89, 90, 91, 300, 700])))
            cycle += draw(st.sampled_from([1, 1, 1, 1, 3, -1]))
            kind = draw(st.sampled_from(["answered"] * 6 + ["failed", "listed", "absent", "unknown"]))
            while any(look.cycle_id == cycle and (kind != "answered" or look.look != "answered") for look in looks):
                cycle += 1  # one look a cycle but for answers
            book = draw(random_books()) if kind == "answered" else None
            looks.append(
                Looked(listing_id, cycle, now, kind, draw(st.sampled_from(["", "why"])) if book is None else "", book)
            )
    kickoffs = {}
    for sr_id in {sr_id for sr_id, _ in holders.values()}:
        versions = draw(st.lists(st.integers(0, 96 * 2), min_size=1, max_size=3))
        kickoffs[sr_id] = [
            (at(1, 19) + timedelta(hours=i), at(1, 20) + timedelta(minutes=30 * n)) for i, n in enumerate(versions)
        ]
    return Life(looks, kickoffs, holders)


def disordered(frames: Mapping[str, pl.DataFrame], random: Random) -> dict[str, pl.DataFrame]:
    """The same frames in another order, with some rows repeated."""
    result = {}
    for name, frame in frames.items():
        rows = range(frame.height)
        order = [*rows, *(random.choice(rows) for _ in range(5 if rows else 0))]
        random.shuffle(order)
        result[name] = frame[order]
    return result
