"""Bet9ja's answers: the tree of all sports, events of a group, event detail, and the lesser endpoints. Values come from the books."""

from datetime import datetime
from random import Random
from typing import Any

import msgspec

from palimpsest_pipeline.domain.enums import Platform

from .book import Books, OfferedLine
from .catalogue import Market, bet9ja_labels, bet9ja_tabs, markets
from .timeline import Timeline
from .world import Listing

P = Platform.BET9JA
LIST_MARKETS = frozenset({"S_1X2", "S_DC", "S_OU", "S_1X21", "S_1X22"})
SOCCER_OUTSIDE = {
    # pseudo-sports beside soccer, with their key and the one group they hold
    "990001": ("Soccer Antepost", "SA", 1),
    "990002": ("Soccer Players", "SP", 0),
    "990003": ("Zoom Soccer", "Z", 0),
}


def envelope(data: Any, result: str = "OK") -> dict[str, Any]:
    return {"R": result, "D": data}


def _text(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%d %H:%M:%S")


def _iso(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def price_text(odds: float | None) -> str:
    """Prices as text without trailing zeros; "1" when there is none."""
    return f"{odds:.2f}".rstrip("0").rstrip(".") if odds else "1"


class Bet9ja:
    """Renders Bet9ja at an instant."""

    def __init__(self, timeline: Timeline, books: Books) -> None:
        self.timeline = timeline
        self.books = books
        self._labels = msgspec.Raw(msgspec.json.encode(bet9ja_labels()))

    def groups(self, now: datetime) -> dict[str, list[Listing]]:
        """Group id -> its entries, antepost entries among them."""
        grouped: dict[str, list[Listing]] = {}
        for listing in [*self.timeline.upcoming(P, now), *self.timeline.world.antepost]:
            grouped.setdefault(listing.group_id, []).append(listing)
        return grouped

    def tree(self, now: datetime) -> dict[str, Any]:
        """GetSports: soccer with its countries and groups, other sports empty, pseudo-sports."""
        countries: dict[str, Any] = {}
        total = 0
        for group_id, listings in self.groups(now).items():
            country = listings[0].fixture.tournament.country
            name = country.names[P]
            entry = {"SG_DESC": name, "SG_LANG": {"en": name, "es": name}, "NUM": 0, "G": {}}
            node = countries.setdefault(country.ids[P], entry)
            earliest = min(self.timeline.kickoff_at(listing.fixture, P, now) for listing in listings)
            node["G"][group_id] = {"G_DESC": listings[0].group_name, "NUM": len(listings), "D": _text(earliest)}
            node["NUM"] += len(listings)
            total += len(listings)
        sports: dict[str, Any] = {
            "1": {"S_DESC": "Soccer", "S_KEY": "S", "NUM": total, "SG": countries or []},
            "2": {"S_DESC": "Basketball", "S_KEY": "B", "NUM": 0, "SG": []},
            "5": {"S_DESC": "Tennis", "S_KEY": "T", "NUM": 0, "SG": []},
        }
        for sport, (name, key, count) in SOCCER_OUTSIDE.items():
            group = {"990021": {"G_DESC": "Premier League Winner", "NUM": count, "D": _text(self._season_end())}}
            inside = {"990011": {"SG_DESC": "England", "SG_LANG": {"en": "England"}, "NUM": count, "G": group}}
            sports[sport] = {"S_DESC": name, "S_KEY": key, "NUM": count, "SG": inside if count else []}
        return envelope({"PAL": sports})

    def in_tree_order(self, now: datetime) -> list[str]:
        """Soccer's groups as the tree shows them, country by country."""
        countries = self.tree(now)["D"]["PAL"]["1"]["SG"] or {}
        return [group for country in countries.values() for group in country["G"]]

    def _season_end(self) -> datetime:
        antepost = self.timeline.world.antepost
        return antepost[0].fixture.kickoff_at if antepost else self.timeline.world.epoch

    def group(self, group_id: str, now: datetime) -> dict[str, Any]:
        """GetEventsInGroupV2. An unknown group and a list of groups are empty groups; a few groups send E keyed by slot instead of as a list."""
        listings = self.groups(now).get(group_id, [])
        if not listings:
            return envelope({"E": []})
        country = listings[0].fixture.tournament.country
        events = [self._entry(listing, now) for listing in listings]
        by_slot = int(group_id) % 29 == 0
        offered = [market for market in markets(P) if market.native in LIST_MARKETS]
        labels = {name: value for name, value in bet9ja_labels().items() if name.partition("#")[2].partition("@")[0] in LIST_MARKETS}
        return envelope(
            {
                "GID": int(group_id),
                "GN": listings[0].group_name,
                "SGID": int(country.ids[P]),
                "SG": country.names[P],
                "SID": 1,
                "E": {str(slot): event for slot, event in enumerate(events)} if by_slot else events,
                "MK": [_list_descriptor(market) for market in offered],
                "TRANS": labels,
            }
        )

    def _entry(self, listing: Listing, now: datetime) -> dict[str, Any]:
        lines = [] if listing.fixture.kickoff_at > now and self._is_antepost(listing) else self.books.lines(listing, now, only=LIST_MARKETS)
        event = self.header(listing, now, "SPORT")
        event |= {"O": self._prices(listing, lines) or [], "AUX": _lines_by_market(lines, as_list=listing.quirk % 50 == 1) or []}
        return event | {"EXCLUDED_BONUS": [], "BOOSTED_ODDS": [], "BOOSTED_MARKETS": []}

    @staticmethod
    def _is_antepost(listing: Listing) -> bool:
        return int(listing.external_id) >= 990_000_000

    def header(self, listing: Listing, now: datetime, sport_field: str = "S") -> dict[str, Any]:
        """An event without prices; a list names the sport in another field than a detail does."""
        fixture, country = listing.fixture, listing.fixture.tournament.country
        home, away = listing.teams
        antepost = self._is_antepost(listing)
        kickoff = self.timeline.kickoff_at(fixture, P, now)
        ext_id = str(fixture.sr_id) if fixture.sr_id else ""
        top = fixture.tournament.tier == "top"
        header: dict[str, Any] = {
            "INCTYPE": 0,
            "ENDVISIBILITYDATEUTC": _iso(kickoff),
            "ST": 1,
            "GID": int(listing.group_id),
            "SPORTCAST_FIXTURE_ID": str(540_000 + fixture.number) if top else "",
            "C": str(1000 + fixture.number * 37 % 9000),
            "STARTDATE": _text(kickoff),
            "MKNUM": len(self.books.count(listing, now)[1]),
            "SGID": int(country.ids[P]),
            "EXTID": ext_id,
            "PLAYER_EID": 10_000_000 + fixture.number if top else 0,
            "DS": f"{listing.group_name} Winner" if antepost else f"{home.names[P]} - {away.names[P]}",
            "SID": 1,
            "P": 0,
            "PRV": 1,
            "IS_BOOSTED": False,
            "IS_BETBUILDER": top,
            "ENDVISIBILITYDATE": _text(kickoff),
            "ID": int(listing.external_id),
            "PL": 0,
            "TYPE": 0,
            "STARTDATEUTC": _iso(kickoff),
            "ISSTREAMINGVIDEO": False,
            "GN": listing.group_name,
            "GP": min(fixture.tournament.rank, 100),
            "SG": country.names[P],
            sport_field: "Soccer",
        }
        if listing.quirk % 200 == 7:
            # The older form, before the UTC fields came.
            del header["STARTDATEUTC"], header["ENDVISIBILITYDATEUTC"]
        if not ext_id and listing.quirk % 2:
            del header["EXTID"]
        return header

    def event(self, listing: Listing, now: datetime) -> dict[str, Any]:
        """GetEvent: every price, line, descriptor and tab of the event, and the labels of the whole sport."""
        lines = self.books.lines(listing, now)
        event = self.header(listing, now)
        if event["PLAYER_EID"]:
            event["PLAYER_SID"] = 301
        offered = list({line.market.number: line.market for line in lines}.values())
        Random(listing.external_id).shuffle(offered)
        tabs = bet9ja_tabs()
        used = dict.fromkeys(market.facts["gcat"] for market in offered)
        event |= {"O": self._prices(listing, lines) or [], "AUX": _lines_by_market(lines, as_list=listing.quirk % 50 == 1) or []}
        event |= {"EXCLUDED_BONUS": [], "BOOSTED_ODDS": [], "BOOSTED_MARKETS": []}
        event |= {"MK": [_descriptor(market) for market in offered], "CATMARKET": [{"CODE": tabs.get(tab, "999"), "VALUE": tab} for tab in used]}
        event["TRANS"] = self._labels
        return envelope(event)

    def _prices(self, listing: Listing, lines: list[OfferedLine]) -> dict[str, str]:
        """The flat price map in no particular order; suspended markets show "1" throughout, hopeless outcomes are missing."""
        found = []
        for offered in lines:
            at = f"@{offered.line}" if offered.line else ""
            for price in offered.prices:
                if price.chance.win < 0.002 and not offered.suspended:
                    continue
                found.append((f"{offered.market.native}{at}_{price.outcome.native}", "1" if offered.suspended else price_text(price.odds)))
        Random(listing.external_id).shuffle(found)
        return dict(found)


def _lines_by_market(lines: list[OfferedLine], as_list: bool) -> dict[str, Any]:
    found: dict[str, dict[str, float]] = {}
    for offered in lines:
        if offered.line:
            found.setdefault(offered.market.native, {})[offered.line] = float(offered.line)
    return {native: list(values.values()) for native, values in found.items()} if as_list else dict(found)


def _signs(market: Market) -> list[list[str]]:
    signs: list[list[str]] = market.facts["signs"]
    return signs


def _descriptor(market: Market) -> dict[str, Any]:
    facts = market.facts
    return {
        "ID": market.native,
        "DS": market.name,
        "MDESC": market.text,
        "P": facts["p"],
        "VW": facts["vw"],
        "GCAT": facts["gcat"],
        "MARKETID": facts["marketid"],
        "M_PAYOUT": "120",
        "CNT": facts["cnt"],
        "CNTLABEL": facts["label"],
        "SGN": [label for _, label in _signs(market)],
        "SGNK": [native for native, _ in _signs(market)],
    }


def _list_descriptor(market: Market) -> dict[str, Any]:
    facts = market.facts
    keys: dict[str, Any] = {"marketNameKey": f"M#{market.native}.NAME", "marketDescKey": f"M#{market.native}.DESC"}
    keys["signs"] = {native: f"MCU#{market.native}_{native}" for native, _ in _signs(market)}
    made: dict[str, Any] = {"ID": market.native, "NAME": market.name, "P": facts["p"], "VW": facts["vw"], "CNT": facts["cnt"]}
    made |= {"CNTLABEL": facts["label"], "GCAT": facts["gcat"], "SV": None}
    made |= {"SGN": [label for _, label in _signs(market)], "SGNK": [native for native, _ in _signs(market)], "transKeys": keys}
    if market.lines != ("",):
        made["AUX"] = list(market.lines[:2])
        keys["marketHeaderLabelKey"] = f"MH#{market.native}"
    return made
