"""Bet9ja's answers: the tree of all sports, events of a group, event detail, and smaller endpoints.

The prices come from `book`. A group is Bet9ja's name for a competition.
"""

from datetime import datetime
from random import Random
from typing import Any

import msgspec

from palimpsest_pipeline.simulator.book import BookGenerator, OfferedLine
from palimpsest_pipeline.simulator.simulated_markets import (
    SimulatedMarket,
    list_simulated_markets,
    load_bet9ja_labels,
    load_bet9ja_tabs,
)
from palimpsest_pipeline.simulator.simulated_platforms import BET9JA
from palimpsest_pipeline.simulator.timeline import Timeline
from palimpsest_pipeline.simulator.world import SimulatedListing

PLATFORM = BET9JA
LIST_MARKET_IDS = frozenset({"S_1X2", "S_DC", "S_OU", "S_1X21", "S_1X22"})
PSEUDO_SPORTS = {
    # pseudo-sports in addition to soccer, with their key and their only group
    "990001": ("Soccer Antepost", "SA", 1),
    "990002": ("Soccer Players", "SP", 0),
    "990003": ("Zoom Soccer", "Z", 0),
}


def build_envelope(data: Any, result: str = "OK") -> dict[str, Any]:
    return {"R": result, "D": data}


def _format_instant(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%d %H:%M:%S")


def _format_iso(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def format_price(odds: float | None) -> str:
    """Return a price as text without trailing zeros; "1" without a price."""
    return f"{odds:.2f}".rstrip("0").rstrip(".") if odds else "1"


class Bet9jaRenderer:
    """The renderer of Bet9ja's answers at an instant."""

    def __init__(self, timeline: Timeline, books: BookGenerator) -> None:
        self.timeline = timeline
        self.books = books
        self._labels = msgspec.Raw(msgspec.json.encode(load_bet9ja_labels()))

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
            name = country.names[PLATFORM]
            entry = {"SG_DESC": name, "SG_LANG": {"en": name, "es": name}, "NUM": 0, "G": {}}
            node = countries.setdefault(country.ids[PLATFORM], entry)
            earliest = min(self.timeline.find_kickoff(listing.fixture, PLATFORM, now) for listing in listings)
            node["G"][group_id] = {
                "G_DESC": listings[0].group_name,
                "NUM": len(listings),
                "D": _format_instant(earliest),
            }
            node["NUM"] += len(listings)
            total += len(listings)
        sports: dict[str, Any] = {
            "1": {"S_DESC": "Soccer", "S_KEY": "S", "NUM": total, "SG": countries or []},
            "2": {"S_DESC": "Basketball", "S_KEY": "B", "NUM": 0, "SG": []},
            "5": {"S_DESC": "Tennis", "S_KEY": "T", "NUM": 0, "SG": []},
        }
        for sport, (name, key, count) in PSEUDO_SPORTS.items():
            group = {
                "990021": {
                    "G_DESC": "Premier League Winner",
                    "NUM": count,
                    "D": _format_instant(self._find_season_end()),
                }
            }
            inside = {"990011": {"SG_DESC": "England", "SG_LANG": {"en": "England"}, "NUM": count, "G": group}}
            sports[sport] = {"S_DESC": name, "S_KEY": key, "NUM": count, "SG": inside if count else []}
        return build_envelope({"PAL": sports})

    def list_groups_in_tree_order(self, now: datetime) -> list[str]:
        """Return soccer's groups as the tree shows them, country by country."""
        countries = self.render_tree(now)["D"]["PAL"]["1"]["SG"] or {}
        return [group for country in countries.values() for group in country["G"]]

    def _find_season_end(self) -> datetime:
        antepost = self.timeline.world.antepost_listings
        return antepost[0].fixture.kickoff_at if antepost else self.timeline.world.epoch

    def render_group(self, group_id: str, now: datetime) -> dict[str, Any]:
        """Return the answer GetEventsInGroupV2.

        For an unknown group and for a list of groups it is empty. For a few groups `E` is an object with numbers as
        keys instead of a list.
        """
        listings = self.list_groups(now).get(group_id, [])
        if not listings:
            return build_envelope({"E": []})
        country = listings[0].fixture.tournament.country
        events = [self._render_entry(listing, now) for listing in listings]
        by_slot = int(group_id) % 29 == 0
        offered = [market for market in list_simulated_markets(PLATFORM) if market.native_id in LIST_MARKET_IDS]
        labels = {
            name: value
            for name, value in load_bet9ja_labels().items()
            if name.partition("#")[2].partition("@")[0] in LIST_MARKET_IDS
        }
        return build_envelope(
            {
                "GID": int(group_id),
                "GN": listings[0].group_name,
                "SGID": int(country.ids[PLATFORM]),
                "SG": country.names[PLATFORM],
                "SID": 1,
                "E": {str(slot): event for slot, event in enumerate(events)} if by_slot else events,
                "MK": [_render_list_descriptor(market) for market in offered],
                "TRANS": labels,
            }
        )

    def _render_entry(self, listing: SimulatedListing, now: datetime) -> dict[str, Any]:
        lines = (
            []
            if listing.fixture.kickoff_at > now and self._is_antepost(listing)
            else self.books.list_lines(listing, now, only=LIST_MARKET_IDS)
        )
        event = self.render_header(listing, now, "SPORT")
        event |= {
            "O": self._render_prices(listing, lines) or [],
            "AUX": _group_lines(lines, as_list=listing.quirk % 50 == 1) or [],
        }
        return event | {"EXCLUDED_BONUS": [], "BOOSTED_ODDS": [], "BOOSTED_MARKETS": []}

    @staticmethod
    def _is_antepost(listing: SimulatedListing) -> bool:
        return int(listing.external_id) >= 990_000_000

    def render_header(self, listing: SimulatedListing, now: datetime, sport_field: str = "S") -> dict[str, Any]:
        """Return an event without prices. In a list, the sport is in another field than in a detail."""
        fixture, country = listing.fixture, listing.fixture.tournament.country
        home, away = listing.teams
        antepost = self._is_antepost(listing)
        kickoff = self.timeline.find_kickoff(fixture, PLATFORM, now)
        ext_id = str(fixture.sr_id) if fixture.sr_id else ""
        top = fixture.tournament.tier == "top"
        header: dict[str, Any] = {
            "INCTYPE": 0,
            "ENDVISIBILITYDATEUTC": _format_iso(kickoff),
            "ST": 1,
            "GID": int(listing.group_id),
            "SPORTCAST_FIXTURE_ID": str(540_000 + fixture.number) if top else "",
            "C": str(1000 + fixture.number * 37 % 9000),
            "STARTDATE": _format_instant(kickoff),
            "MKNUM": len(self.books.count_lines(listing, now)[1]),
            "SGID": int(country.ids[PLATFORM]),
            "EXTID": ext_id,
            "PLAYER_EID": 10_000_000 + fixture.number if top else 0,
            "DS": f"{listing.group_name} Winner" if antepost else f"{home.names[PLATFORM]} - {away.names[PLATFORM]}",
            "SID": 1,
            "P": 0,
            "PRV": 1,
            "IS_BOOSTED": False,
            "IS_BETBUILDER": top,
            "ENDVISIBILITYDATE": _format_instant(kickoff),
            "ID": int(listing.external_id),
            "PL": 0,
            "TYPE": 0,
            "STARTDATEUTC": _format_iso(kickoff),
            "ISSTREAMINGVIDEO": False,
            "GN": listing.group_name,
            "GP": min(fixture.tournament.rank, 100),
            "SG": country.names[PLATFORM],
            sport_field: "Soccer",
        }
        if listing.quirk % 200 == 7:
            # the older form of the answer, without the UTC fields
            del header["STARTDATEUTC"], header["ENDVISIBILITYDATEUTC"]
        if not ext_id and listing.quirk % 2:
            del header["EXTID"]
        return header

    def render_event(self, listing: SimulatedListing, now: datetime) -> dict[str, Any]:
        """Return the answer GetEvent: prices, lines, descriptors and tabs of the event, labels of the sport."""
        lines = self.books.list_lines(listing, now)
        event = self.render_header(listing, now)
        if event["PLAYER_EID"]:
            event["PLAYER_SID"] = 301
        offered = list({line.market.number: line.market for line in lines}.values())
        Random(listing.external_id).shuffle(offered)
        tabs = load_bet9ja_tabs()
        used = dict.fromkeys(market.facts["gcat"] for market in offered)
        event |= {
            "O": self._render_prices(listing, lines) or [],
            "AUX": _group_lines(lines, as_list=listing.quirk % 50 == 1) or [],
        }
        event |= {"EXCLUDED_BONUS": [], "BOOSTED_ODDS": [], "BOOSTED_MARKETS": []}
        event |= {
            "MK": [_render_descriptor(market) for market in offered],
            "CATMARKET": [{"CODE": tabs.get(tab, "999"), "VALUE": tab} for tab in used],
        }
        event["TRANS"] = self._labels
        return build_envelope(event)

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


def _group_lines(lines: list[OfferedLine], as_list: bool) -> dict[str, Any]:
    lines_by_market: dict[str, dict[str, float]] = {}
    for offered in lines:
        if offered.line:
            lines_by_market.setdefault(offered.market.native_id, {})[offered.line] = float(offered.line)
    return (
        {native: list(values.values()) for native, values in lines_by_market.items()}
        if as_list
        else dict(lines_by_market)
    )


def _list_signs(market: SimulatedMarket) -> list[list[str]]:
    signs: list[list[str]] = market.facts["signs"]
    return signs


def _render_descriptor(market: SimulatedMarket) -> dict[str, Any]:
    facts = market.facts
    return {
        "ID": market.native_id,
        "DS": market.name,
        "MDESC": market.line_template,
        "P": facts["p"],
        "VW": facts["vw"],
        "GCAT": facts["gcat"],
        "MARKETID": facts["marketid"],
        "M_PAYOUT": "120",
        "CNT": facts["cnt"],
        "CNTLABEL": facts["label"],
        "SGN": [label for _, label in _list_signs(market)],
        "SGNK": [native for native, _ in _list_signs(market)],
    }


def _render_list_descriptor(market: SimulatedMarket) -> dict[str, Any]:
    facts = market.facts
    keys: dict[str, Any] = {
        "marketNameKey": f"M#{market.native_id}.NAME",
        "marketDescKey": f"M#{market.native_id}.DESC",
    }
    keys["signs"] = {native: f"MCU#{market.native_id}_{native}" for native, _ in _list_signs(market)}
    descriptor: dict[str, Any] = {
        "ID": market.native_id,
        "NAME": market.name,
        "P": facts["p"],
        "VW": facts["vw"],
        "CNT": facts["cnt"],
    }
    descriptor |= {"CNTLABEL": facts["label"], "GCAT": facts["gcat"], "SV": None}
    descriptor |= {
        "SGN": [label for _, label in _list_signs(market)],
        "SGNK": [native for native, _ in _list_signs(market)],
        "transKeys": keys,
    }
    if market.lines != ("",):
        descriptor["AUX"] = list(market.lines[:2])
        keys["marketHeaderLabelKey"] = f"MH#{market.native_id}"
    return descriptor
