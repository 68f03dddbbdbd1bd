"""The true state of the simulated world at an instant, with which a pipeline's results are compared.

It reads fixtures, listings and the timeline, never a rendered answer.
"""

from datetime import datetime
from typing import Any

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.simulator.simulated_platforms import BET9JA, BETPAWA, PLATFORMS, SPORTYBET

from .book import BookGenerator
from .timeline import Timeline
from .world import SimulatedListing


def collect_truth(timeline: Timeline, now: datetime, home: Platform = BETPAWA) -> dict[str, Any]:
    """Return all listings that the platforms show at `now`, by fixture, and counts, as an object for JSON.

    `counts` has the number of fixtures per coverage class (matched, home only, competitor only) and platform.
    `unidentified` has the listings without a SportRadar id, `excluded` the number of those that are no matches.
    """
    by_fixture: dict[int, dict[str, list[SimulatedListing]]] = {}
    unidentified = []
    tournaments: dict[str, dict[str, dict[str, Any]]] = {platform: {} for platform in PLATFORMS}
    for platform in PLATFORMS:
        for listing in timeline.list_upcoming(platform, now):
            _count_listing(tournaments[platform], listing)
            if listing.fixture.sr_id is None:
                unidentified.append({"platform": platform, "external_id": listing.external_id})
            else:
                by_fixture.setdefault(listing.fixture.sr_id, {}).setdefault(platform, []).append(listing)
    simulated, antepost = timeline.list_simulated(now), timeline.world.antepost_listings
    for listing in [*simulated, *antepost]:
        _count_listing(tournaments[listing.platform], listing, is_match=False)
    fixtures = [_describe_fixture(timeline, listings, now, home) for _, listings in sorted(by_fixture.items())]
    return {
        "now": now.isoformat(),
        "home": home,
        "fixtures": fixtures,
        "unidentified": unidentified,
        "excluded": {
            BETPAWA: 0,
            SPORTYBET: len(simulated),
            BET9JA: len(antepost),
        },
        "tournaments": tournaments,
        "counts": _count_classes(by_fixture, home),
        "listings": {
            platform: sum(len(listings.get(platform, ())) for listings in by_fixture.values()) for platform in PLATFORMS
        },
    }


def _count_listing(tournaments: dict[str, dict[str, Any]], listing: SimulatedListing, is_match: bool = True) -> None:
    """Count a listing: `declared` is the number in the platform's tree, `matches` the matches among them."""
    country = listing.fixture.tournament.country.names[listing.platform]
    node = tournaments.setdefault(
        listing.group_id, {"name": listing.group_name, "country": country, "declared": 0, "matches": 0}
    )
    node["declared"] += 1
    node["matches"] += is_match


def _describe_fixture(
    timeline: Timeline, listings: dict[str, list[SimulatedListing]], now: datetime, home: Platform
) -> dict[str, Any]:
    """Return one fixture as its most trusted platform shows it: home first, then platform order."""
    trusted_platform = next(platform for platform in [home, *PLATFORMS] if platform in listings)
    primary = listings[trusted_platform][0]
    fixture, (home_team, away_team) = primary.fixture, primary.teams
    kickoffs = {name: timeline.find_kickoff(fixture, Platform(name), now).isoformat() for name in listings}
    return {
        "sr_id": fixture.sr_id,
        "kickoff_at": kickoffs[trusted_platform],
        "kickoffs": kickoffs,
        "tournament": fixture.tournament.names[trusted_platform],
        "tournament_rank": fixture.tournament.rank,
        "country": fixture.tournament.country.names[trusted_platform],
        "home_team": home_team.names[trusted_platform],
        "away_team": away_team.names[trusted_platform],
        "rotated_on": fixture.rotated_on,
        "platforms": {name: [listing.external_id for listing in entries] for name, entries in listings.items()},
        "groups": sorted({(name, listing.group_id) for name, entries in listings.items() for listing in entries}),
    }


def _count_classes(by_fixture: dict[int, dict[str, list[SimulatedListing]]], home: Platform) -> dict[str, int]:
    at_home = [listings for listings in by_fixture.values() if home in listings]
    matched = sum(len(listings) > 1 for listings in at_home)
    counts = {
        "union": len(by_fixture),
        "matched": matched,
        "home_only": len(at_home) - matched,
        "competitor_only": len(by_fixture) - len(at_home),
    }
    return counts | {
        f"on_{platform}": sum(platform in listings for listings in by_fixture.values()) for platform in PLATFORMS
    }


def collect_book_truth(
    books: BookGenerator, listing: SimulatedListing, now: datetime, version: str = ""
) -> list[dict[str, Any]]:
    """Return the book of one listing with canonical keys.

    There is one entry per market and line with a canonical key; `odds` is None for an outcome without a price.
    `version` is the version of BetPawa's API.
    """
    entries: list[dict[str, Any]] = []
    for offered in books.list_lines(listing, now, version):
        prices = iter(offered.prices)
        for part in offered.market.parts:
            if not part.key or not part.outcomes:
                continue
            odds = {outcome.canonical_key: next(prices).odds for outcome in part.outcomes}
            entries.append(
                {
                    "key": part.key,
                    "line": part.lines[offered.line],
                    "native": offered.market.native_id,
                    "odds": odds,
                    "suspended": offered.is_suspended,
                }
            )
    return entries
