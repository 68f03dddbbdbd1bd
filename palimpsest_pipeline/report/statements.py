"""The content of the page before any script runs: the cards, the platforms, and what was not observed.

Counts come from the marts.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import polars as pl

from palimpsest_pipeline.domain.enums import ALL_PLATFORMS, Completeness, Platform, PresenceEvidence, Scope
from palimpsest_pipeline.domain.platform_trust import put_home_first
from palimpsest_pipeline.storage.marts.page_coverage import Coverage


class OfferStatus(StrEnum):
    """How completely a platform's listings are known as of the cycle."""

    COMPLETE = "complete"
    """The cycle received all listings of the platform."""
    CARRIED = "carried"
    """The cycle did not receive all listings, but an earlier cycle did."""
    PARTIAL = "partial"
    """No recent cycle received all listings: the platform may have unknown fixtures."""


@dataclass(frozen=True, slots=True)
class PlatformOffer:
    """A platform, and how completely its listings are known."""

    key: str
    name: str
    is_home: bool
    offer_status: OfferStatus
    status: str
    """The status as a sentence for the page."""

    @property
    def is_whole(self) -> bool:
        return self.offer_status is OfferStatus.COMPLETE


@dataclass(frozen=True, slots=True)
class Card:
    """A count, its `total`, and the count as a fraction of the total.

    `total` is None when the count belongs to no total; `n` is None when the count is not known. `at_least` is true when
    the count (of a rate: the fraction) may be higher, because a part could not be observed; a count of 0 is then not
    known.
    """

    name: str
    label: str
    n: int | None
    note: str
    total: int | None = None
    share: float | None = None
    at_least: bool = False


@dataclass(frozen=True, slots=True)
class PlatformRates:
    """A platform's counts and rates. `n_fixtures` is None when the platform could not be observed."""

    platform: PlatformOffer
    at_least: bool
    n_listings: int | None
    n_listings_with_sr: int | None
    n_fixtures: int | None
    rates: tuple[Card, ...]


@dataclass(frozen=True, slots=True)
class Figures:
    """The numbers at the top of the report, for all fixtures or, without `include_started`, upcoming ones.

    `cards` are the boxes with one number each. `platforms` has the coverage and match rates of each platform.
    """

    include_started: bool
    cards: tuple[Card, ...]
    platforms: tuple[PlatformRates, ...]


def list_offers(coverage: Coverage) -> list[PlatformOffer]:
    """Return the platforms, home first, then in order of trust."""
    completeness_by_platform = dict(coverage.rates.select("platform", "completeness").iter_rows())
    rows = {
        row["platform"]: row
        for row in coverage.platforms.iter_rows(named=True)
        if row["platform"] in completeness_by_platform
    }
    return [
        _build_offer(rows[key], coverage, completeness_by_platform[key])
        for key in put_home_first(Platform(coverage.home_platform), [Platform(key) for key in rows])
    ]


def _build_offer(row: dict[str, Any], coverage: Coverage, completeness: str) -> PlatformOffer:
    why = f" ({row['message']})" if row["message"] else ""
    if completeness == Completeness.COMPLETE:
        offer_status, status = OfferStatus.COMPLETE, "looked at completely"
    elif row["looked_at"] is not None:
        offer_status, status = (
            OfferStatus.CARRIED,
            f"not looked at completely{why}: where this cycle could not look, "
            f"its listings are those of {row['looked_at']:%d %b, %H:%M} UTC",
        )
    elif coverage.scope == Scope.RECORDED:
        offer_status, status = OfferStatus.PARTIAL, "imported payloads: they show listed fixtures, never missing ones"
    elif completeness == Completeness.FAILED:
        offer_status, status = (
            OfferStatus.PARTIAL,
            f"could not be looked at{why}, neither now nor in the day before: its listings are not known",
        )
    else:
        offer_status, status = OfferStatus.PARTIAL, f"looked at in part{why}: it may list fixtures that were not seen"
    return PlatformOffer(row["platform"], row["name"], row["platform"] == coverage.home_platform, offer_status, status)


def build_figures(coverage: Coverage, include_started: bool) -> Figures:
    """Return the cards and the rates per platform, for upcoming fixtures or for all."""
    rates = {
        row["platform"]: row
        for row in coverage.rates.filter(pl.col("include_started") == include_started).iter_rows(named=True)
    }
    offers = list_offers(coverage)
    by_platform = (
        _build_platform_rates(
            rates[offer.key], rates[ALL_PLATFORMS if offer.is_home else offer.key]["evidence"], offer, offers[0]
        )
        for offer in offers
    )
    return Figures(include_started, _build_cards(rates[ALL_PLATFORMS], offers), tuple(by_platform))


def _build_cards(union: dict[str, Any], offers: list[PlatformOffer]) -> tuple[Card, ...]:
    home = offers[0].name
    n_all = union["n_union"]
    is_partial = union["evidence"] == PresenceEvidence.PARTIAL

    def card(name: str, label: str, n: int, note: str) -> Card:
        at_least = is_partial and name != "undetermined"
        if at_least and not n:
            return Card(name, label, None, note)
        return Card(name, label, n, note, n_all, n / n_all if n_all else None, at_least)

    return (
        Card("all", "Fixtures", n_all, "on any platform", at_least=is_partial),
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
    """Return the counts and rates of one platform.

    `evidence` is the evidence for the row's rates. With partial evidence there may be unknown matches: a rate is then
    the smallest possible one if its denominator is known, and unknown otherwise.
    """
    is_partial = platform.offer_status is OfferStatus.PARTIAL
    is_unknown = is_partial and row["n_listings"] == 0
    counterpart = "with a competitor" if platform.is_home else "on home too"

    def rate(name: str, label: str, n: int, total: int, *, is_whole: bool) -> Card:
        if evidence != PresenceEvidence.PARTIAL:
            return Card(name, label, n, "", total, row[name])
        if is_whole and n:
            return Card(name, label, n, "", total, row[name], at_least=True)
        return Card(name, label, None, "")

    rates = [
        rate(
            "fixture_match_rate",
            f"of its fixtures {counterpart}",
            row["n_matched_fixtures"],
            row["n_fixtures"],
            is_whole=not is_partial,
        )
    ]
    if not platform.is_home:
        home_is_whole = home.offer_status is not OfferStatus.PARTIAL
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
            f"of its listings {counterpart}",
            row["n_matched_listings"],
            row["n_listings"],
            is_whole=not is_partial,
        )
    )
    return PlatformRates(
        platform,
        is_partial,
        None if is_unknown else row["n_listings"],
        None if is_unknown else row["n_listings_with_sr"],
        None if is_unknown else row["n_fixtures"],
        () if is_unknown else tuple(rates),
    )
