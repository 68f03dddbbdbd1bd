"""Bet9ja's answers: the tree of all sports, events of a group, event detail.

The prices come from `simulator.book`. Only fields that the dialect reads are sent. A group is a competition.
"""

from datetime import datetime
from random import Random
from typing import Any

from palimpsest_pipeline.simulator.book import BookGenerator, OfferedLine
from palimpsest_pipeline.simulator.simulated_markets import SimulatedMarket
from palimpsest_pipeline.simulator.simulated_platforms import BET9JA
from palimpsest_pipeline.simulator.timeline import Timeline
from palimpsest_pipeline.simulator.world import SimulatedListing

PLATFORM = BET9JA
PSEUDO_SPORTS = {
    # pseudo-sports in addition to soccer, with the number of events of their only group
    "990001": 1,
    "990002": 0,
    "990003": 0,
}


def build_envelope(data: Any, result: str = "OK") -> dict[str, Any]:
    return {"R": result, "D": data}


def format_price(odds: float | None) -> str:
    """Return a price as text without trailing zeros; "1" without a price."""
    return f"{odds:.2f}".rstrip("0").rstrip(".") if odds else "1"


class Bet9jaRenderer:
    """The renderer of Bet9ja's answers at an instant."""

    def __init__(self, timeline: Timeline, books: BookGenerator) -> None:
        self.timeline = timeline
        self.books = books

    def list_groups(self, now: datetime) -> dict[str, list[SimulatedListing]]:
        """Return the listings by group id, including entries for outrights (antepost)."""
        grouped: dict[str, list[SimulatedListing]] = {}
        for listing in [*self.timeline.list_upcoming(PLATFORM, now), *self.timeline.world.antepost_listings]:
            grouped.setdefault(listing.group_id, []).append(listing)
        return grouped

    def render_tree(self, now: datetime) -> dict[str, Any]:
        """Return the answer GetSports: soccer with its countries and groups, empty sports, pseudo-sports."""
        countries: dict[str, Any] = {}
        total = 0
        for group_id, listings in self.list_groups(now).items():
            country = listings[0].fixture.tournament.country
            entry = {"SG_DESC": country.names[PLATFORM], "NUM": 0, "G": {}}
            node = countries.setdefault(country.ids[PLATFORM], entry)
            node["G"][group_id] = {"G_DESC": listings[0].group_name, "NUM": len(listings)}
            node["NUM"] += len(listings)
            total += len(listings)
        sports: dict[str, Any] = {
            "1": {"NUM": total, "SG": countries or []},
            "2": {"NUM": 0, "SG": []},
            "5": {"NUM": 0, "SG": []},
        }
        for sport, count in PSEUDO_SPORTS.items():
            group = {"990021": {"G_DESC": "Premier League Winner", "NUM": count}}
            inside = {"990011": {"SG_DESC": "England", "NUM": count, "G": group}}
            sports[sport] = {"NUM": count, "SG": inside if count else []}
        return build_envelope({"PAL": sports})

    def list_groups_in_tree_order(self, now: datetime) -> list[str]:
        """Return soccer's groups as the tree shows them, country by country."""
        countries = self.render_tree(now)["D"]["PAL"]["1"]["SG"] or {}
        return [group for country in countries.values() for group in country["G"]]

    def render_group(self, group_id: str, now: datetime) -> dict[str, Any]:
        """Return the answer GetEventsInGroupV2.

        For an unknown group and for a list of groups it is empty. For a few groups `E` is an object with numbers as
        keys instead of a list.
        """
        events = [self.render_header(listing, now) for listing in self.list_groups(now).get(group_id, [])]
        by_slot = bool(events) and int(group_id) % 29 == 0
        return build_envelope({"E": dict(enumerate(events)) if by_slot else events})

    @staticmethod
    def _is_antepost(listing: SimulatedListing) -> bool:
        return int(listing.external_id) >= 990_000_000

    def render_header(self, listing: SimulatedListing, now: datetime) -> dict[str, Any]:
        """Return an event without prices."""
        fixture, country = listing.fixture, listing.fixture.tournament.country
        home, away = listing.teams
        antepost = self._is_antepost(listing)
        kickoff = self.timeline.find_kickoff(fixture, PLATFORM, now)
        ext_id = str(fixture.sr_id) if fixture.sr_id else ""
        header: dict[str, Any] = {
            "GID": int(listing.group_id),
            "STARTDATE": kickoff.strftime("%Y-%m-%d %H:%M:%S"),
            "MKNUM": len(self.books.count_lines(listing, now)[1]),
            "EXTID": ext_id,
            "DS": f"{listing.group_name} Winner" if antepost else f"{home.names[PLATFORM]} - {away.names[PLATFORM]}",
            "SID": 1,
            "ID": int(listing.external_id),
            "STARTDATEUTC": kickoff.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "GN": listing.group_name,
            "SG": country.names[PLATFORM],
        }
        if listing.quirk % 200 == 7:
            del header["STARTDATEUTC"]  # the older form of the answer
        if not ext_id and listing.quirk % 2:
            del header["EXTID"]
        return header

    def render_event(self, listing: SimulatedListing, now: datetime) -> dict[str, Any]:
        """Return the answer GetEvent: the event with its prices and the descriptors of its markets."""
        lines = self.books.list_lines(listing, now)
        offered = list({line.market.number: line.market for line in lines}.values())
        Random(listing.external_id).shuffle(offered)
        prices: dict[str, str] | list[str] = self._render_prices(listing, lines) or []
        descriptors = [_render_descriptor(market) for market in offered]
        return build_envelope(self.render_header(listing, now) | {"O": prices, "MK": descriptors})

    def _render_prices(self, listing: SimulatedListing, lines: list[OfferedLine]) -> dict[str, str]:
        """Return the prices as one object, in random order.

        Suspended markets have "1" as every price; very unlikely outcomes are missing.
        """
        prices = []
        for offered in lines:
            line_suffix = f"@{offered.line}" if offered.line else ""
            for price in offered.prices:
                if price.chance.win < 0.002 and not offered.is_suspended:
                    continue
                prices.append(
                    (
                        f"{offered.market.native_id}{line_suffix}_{price.outcome.native_id}",
                        "1" if offered.is_suspended else format_price(price.odds),
                    )
                )
        Random(listing.external_id).shuffle(prices)
        return dict(prices)


def _render_descriptor(market: SimulatedMarket) -> dict[str, Any]:
    signs = market.facts["signs"]
    return {
        "ID": market.native_id,
        "DS": market.name,
        "SGN": [label for _, label in signs],
        "SGNK": [native for native, _ in signs],
    }
