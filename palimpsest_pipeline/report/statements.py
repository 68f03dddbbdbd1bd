"""What the page says before any script runs: the cards, the platforms, and what could not be looked at.

Counts are the mart's own.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import polars as pl

from palimpsest_pipeline.domain.enums import Completeness, PresenceEvidence, Scope
from palimpsest_pipeline.domain.platform_trust import order_by_trust
from palimpsest_pipeline.storage.marts.page_coverage import Coverage

ALL_PLATFORMS: Final = "all"


class OfferStatus(StrEnum):
    """What is known of a platform's offer as of the cycle."""

    COMPLETE = "complete"
    """This cycle looked at all of it."""
    CARRIED = "carried"
    """This cycle could not; an earlier one did."""
    PARTIAL = "partial"
    """No look that still counts showed all of it: what is not seen may be there."""


@dataclass(frozen=True, slots=True)
class PlatformOffer:
    """A platform, and what is known of it."""

    key: str
    name: str
    is_home: bool
    seen: OfferStatus
    status: str
    """In words."""

    @property
    def is_whole(self) -> bool:
        return self.seen is OfferStatus.COMPLETE


@dataclass(frozen=True, slots=True)
class Card:
    """A count, what it is a share of, and that share of 1; `of` None: it is no share, `n` None: it is not known.

    `at_least`: there may be more, where nobody could look; of a rate it is the share that may be higher. Of nought it
    says nothing: not known then.
    """

    name: str
    label: str
    n: int | None
    note: str
    of: int | None = None
    share: float | None = None
    at_least: bool = False


@dataclass(frozen=True, slots=True)
class PlatformRates:
    """A platform's counts and rates. `n_fixtures` None: nothing of it could be looked at, so it is not known."""

    platform: PlatformOffer
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


def list_offers(coverage: Coverage) -> list[PlatformOffer]:
    """The platforms, home first, then by trust."""
    own = dict(coverage.rates.select("platform", "completeness").iter_rows())
    rows = {row["platform"]: row for row in coverage.platforms.iter_rows(named=True) if row["platform"] in own}
    return [
        _build_offer(rows[key], coverage, own[key])
        for key in map(str, order_by_trust(coverage.home_platform, list(rows)))
    ]


def _build_offer(row: dict[str, Any], found: Coverage, completeness: str) -> PlatformOffer:
    why = f" ({row['message']})" if row["message"] else ""
    if completeness == Completeness.COMPLETE:
        seen, status = OfferStatus.COMPLETE, "looked at completely"
    elif row["looked_at"] is not None:
        seen, status = (
            OfferStatus.CARRIED,
            f"not looked at completely{why}: where this cycle could not look, its listings are those of {row['looked_at']:%d %b, %H:%M} UTC",
        )
    elif found.scope == Scope.RECORDED:
        seen, status = OfferStatus.PARTIAL, "imported payloads: they show what is there, never what is missing"
    elif completeness == Completeness.FAILED:
        seen, status = (
            OfferStatus.PARTIAL,
            f"could not be looked at{why}, nor could it in the day before: what it lists is not known",
        )
    else:
        seen, status = OfferStatus.PARTIAL, f"looked at in part{why}: what was not seen may be there"
    return PlatformOffer(row["platform"], row["name"], row["platform"] == found.home_platform, seen, status)


def build_figures(coverage: Coverage, include_started: bool) -> Figures:
    """Cards and rates by platform of one universe."""
    rates = {
        row["platform"]: row
        for row in coverage.rates.filter(pl.col("include_started") == include_started).iter_rows(named=True)
    }
    seen = list_offers(coverage)
    by_platform = (
        _build_platform_rates(
            rates[each.key], rates[ALL_PLATFORMS if each.is_home else each.key]["evidence"], each, seen[0]
        )
        for each in seen
    )
    return Figures(include_started, _build_cards(rates[ALL_PLATFORMS], seen), tuple(by_platform))


def _build_cards(union: dict[str, Any], seen: list[PlatformOffer]) -> tuple[Card, ...]:
    home = seen[0].name
    of = union["n_union"]
    is_partial = union["evidence"] == PresenceEvidence.PARTIAL

    def card(name: str, label: str, n: int, note: str) -> Card:
        at_least = is_partial and name != "undetermined"
        if at_least and not n:
            return Card(name, label, None, note)
        return Card(name, label, n, note, of, n / of if of else None, at_least)

    return (
        Card("all", "Fixtures", of, "on any platform", at_least=is_partial),
        card("matched", "Matched", union["n_matched_fixtures"], f"on {home} and a competitor"),
        card("home_only", "Home only", union["n_home_only"], f"on {home}, and known to be on no competitor"),
        card(
            "competitor_only",
            "Competitors only",
            union["n_competitor_only"],
            f"on a competitor, and known not to be on {home}",
        ),
        card(
            "undetermined",
            "Undetermined",
            union["n_undetermined"],
            "a platform that may list it could not be looked at",
        ),
    )


def _build_platform_rates(
    row: dict[str, Any], evidence: str, platform: PlatformOffer, home: PlatformOffer
) -> PlatformRates:
    """`evidence`: what the row's rates rest on.

    Matches that nobody could look for may be there: of a known whole those found are the least.
    """
    partial = platform.seen is OfferStatus.PARTIAL
    unknown = partial and row["n_listings"] == 0
    others = "with a competitor" if platform.is_home else "on home too"

    def rate(name: str, label: str, n: int, of: int, *, is_whole: bool) -> Card:
        if evidence != PresenceEvidence.PARTIAL:
            return Card(name, label, n, "", of, row[name])
        if is_whole and n:
            return Card(name, label, n, "", of, row[name], at_least=True)
        return Card(name, label, None, "")

    rates = [
        rate(
            "fixture_match_rate",
            f"of its fixtures {others}",
            row["n_matched_fixtures"],
            row["n_fixtures"],
            is_whole=not partial,
        )
    ]
    if not platform.is_home:
        home_is_whole = home.seen is not OfferStatus.PARTIAL
        rates.append(
            rate(
                "home_covered_rate",
                "of home's fixtures here",
                row["n_matched_fixtures"],
                row["n_home"],
                is_whole=home_is_whole,
            )
        )
    rates.append(
        rate(
            "listing_match_rate",
            f"of its listings {others}",
            row["n_matched_listings"],
            row["n_listings"],
            is_whole=not partial,
        )
    )
    return PlatformRates(
        platform,
        partial,
        None if unknown else row["n_listings"],
        None if unknown else row["n_listings_with_sr"],
        None if unknown else row["n_fixtures"],
        () if unknown else tuple(rates),
    )
