"""What the page says before any script runs: the cards, the platforms, and what could not be looked at. Counts are the mart's own."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import polars as pl

from ..domain.trust import trust_order
from ..domain.words import Completeness, Scope
from ..storage.report.coverage import Coverage

ALL: Final = "all"


class Seen(StrEnum):
    """What is known of a platform's offer as of the cycle."""

    COMPLETE = "complete"
    """This cycle looked at all of it."""
    CARRIED = "carried"
    """This cycle could not; an earlier one did."""
    PARTIAL = "partial"
    """No look that still counts showed all of it: what is not seen may be there."""


@dataclass(frozen=True, slots=True)
class PlatformSeen:
    """A platform, and what is known of it."""

    key: str
    name: str
    is_home: bool
    seen: Seen
    status: str
    """In words."""

    @property
    def is_whole(self) -> bool:
        return self.seen is Seen.COMPLETE


@dataclass(frozen=True, slots=True)
class Card:
    """A count, what it is a share of, and that share of 1; `of` None: it is no share."""

    name: str
    label: str
    n: int
    note: str
    of: int | None = None
    share: float | None = None


@dataclass(frozen=True, slots=True)
class PlatformRates:
    """A platform's counts and rates. `n_fixtures` None: nothing of it could be looked at, so it is not known."""

    platform: PlatformSeen
    at_least: bool
    n_listings: int | None
    n_listings_with_sr: int | None
    n_fixtures: int | None
    rates: tuple[Card, ...]


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one universe: upcoming fixtures, or those that have begun too."""

    include_started: bool
    cards: tuple[Card, ...]
    platforms: tuple[PlatformRates, ...]


def platforms_seen(found: Coverage) -> list[PlatformSeen]:
    """The platforms, home first, then by trust."""
    own = dict(found.rates.select("platform", "completeness").iter_rows())
    rows = {row["platform"]: row for row in found.platforms.iter_rows(named=True) if row["platform"] in own}
    return [_platform_seen(rows[key], found, own[key]) for key in map(str, trust_order(found.home_platform, list(rows)))]


def _platform_seen(row: dict[str, Any], found: Coverage, completeness: str) -> PlatformSeen:
    why = f" ({row['message']})" if row["message"] else ""
    if completeness == Completeness.COMPLETE:
        seen, status = Seen.COMPLETE, "looked at completely"
    elif row["looked_at"] is not None:
        seen, status = (
            Seen.CARRIED,
            f"not looked at completely{why}: where this cycle could not look, its listings are those of {row['looked_at']:%d %b, %H:%M} UTC",
        )
    elif found.scope == Scope.RECORDED:
        seen, status = Seen.PARTIAL, "imported payloads: they show what is there, never what is missing"
    elif completeness == Completeness.FAILED:
        seen, status = Seen.PARTIAL, f"could not be looked at{why}, nor could it in the day before: what it lists is not known"
    else:
        seen, status = Seen.PARTIAL, f"looked at in part{why}: what was not seen may be there"
    return PlatformSeen(row["platform"], row["name"], row["platform"] == found.home_platform, seen, status)


def figures(found: Coverage, include_started: bool) -> Figures:
    """Cards and rates by platform of one universe."""
    rates = {row["platform"]: row for row in found.rates.filter(pl.col("include_started") == include_started).iter_rows(named=True)}
    seen = platforms_seen(found)
    return Figures(include_started, _cards(rates[ALL], seen), tuple(_platform_rates(rates[each.key], each) for each in seen))


def _cards(union: dict[str, Any], seen: list[PlatformSeen]) -> tuple[Card, ...]:
    home = seen[0].name
    of = union["n_union"]

    def card(name: str, label: str, n: int, note: str) -> Card:
        return Card(name, label, n, note, of, n / of if of else None)

    return (
        Card("all", "Fixtures", of, "on any platform"),
        card("matched", "Matched", union["n_matched_fixtures"], f"on {home} and a competitor"),
        card("home_only", "Home only", union["n_home_only"], f"on {home}, and known to be on no competitor"),
        card("competitor_only", "Competitors only", union["n_competitor_only"], f"on a competitor, and known not to be on {home}"),
        card("undetermined", "Undetermined", union["n_undetermined"], "a platform that may list it could not be looked at"),
    )


def _platform_rates(row: dict[str, Any], platform: PlatformSeen) -> PlatformRates:
    unknown = platform.seen is Seen.PARTIAL and row["n_listings"] == 0
    matched, others = row["n_matched_fixtures"], "with a competitor" if platform.is_home else "on home too"
    rates = [Card("fixture_match_rate", f"of its fixtures {others}", matched, "", row["n_fixtures"], row["fixture_match_rate"])]
    if not platform.is_home:
        rates.append(Card("home_covered_rate", "of home's fixtures here", matched, "", row["n_home"], row["home_covered_rate"]))
    rates.append(Card("listing_match_rate", f"of its listings {others}", row["n_matched_listings"], "", row["n_listings"], row["listing_match_rate"]))
    return PlatformRates(
        platform,
        platform.seen is Seen.PARTIAL,
        None if unknown else row["n_listings"],
        None if unknown else row["n_listings_with_sr"],
        None if unknown else row["n_fixtures"],
        () if unknown else tuple(rates),
    )
