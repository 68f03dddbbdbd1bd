"""BetPawa's answers in both API versions: sports, category tree, event lists by query, details.

The prices come from `book`. The older version (v3) sends every field, prices as `price`, counters as numbers and lines
in quarter units; the newer one (v4) leaves out fields with their default value, sends prices as `odds` and counters as
text.
"""

import base64
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from palimpsest_pipeline.simulator.book import BookGenerator, OfferedLine, PricedOutcome
from palimpsest_pipeline.simulator.simulated_markets import load_betpawa_price_offsets
from palimpsest_pipeline.simulator.simulated_platforms import BETPAWA
from palimpsest_pipeline.simulator.timeline import Timeline
from palimpsest_pipeline.simulator.world import SimulatedListing

PLATFORM = BETPAWA
MAIN_MARKET_ID = "3743"
OTHER_SPORTS = (("3", "Basketball", 300), ("101", "eFootball", 1000), ("452", "Tennis", 1452))
MAX_PAGE_SIZE = 100


class QueryError(Exception):
    """The simulated server refuses a list query; the text is sent as `serverMessage`."""


def _drop_defaults(fields: dict[str, Any], keep: Iterable[str] = ()) -> dict[str, Any]:
    """Return the fields without null, false, zero, empty text and empty lists, which v4 never sends."""
    kept_names = set(keep)
    return {
        name: value
        for name, value in fields.items()
        if name in kept_names or not (value is None or value is False or value in (0, "", [], {}))
    }


def _format_line(line: float) -> str:
    return f"{line:g}"


def _format_signed(line: float) -> str:
    return f"{'+' if line > 0 else ''}{line:g}"


def _make_opaque_text(price: PricedOutcome) -> str:
    """Return the text that v3 sends in place of a probability."""
    hidden = int(price.chance.win * 9e18) ^ 0x5DEECE66D
    return base64.b64encode(f'{{"win":{hidden},"refund":{-hidden},"key":{hidden // 7}}}'.encode()).decode()


class BetPawaRenderer:
    """The renderer of BetPawa's answers at an instant, in one API version ("v3" or "v4")."""

    def __init__(self, timeline: Timeline, books: BookGenerator, version: str = "v4") -> None:
        self.timeline = timeline
        self.books = books
        self.version = version
        self.is_old_version = version == "v3"

    def list_listings(self, now: datetime) -> list[SimulatedListing]:
        """Return all listings that are in the football lists now, by kickoff."""
        return sorted(
            self.timeline.list_upcoming(PLATFORM, now),
            key=lambda one: (self.timeline.find_kickoff(one.fixture, PLATFORM, now), int(one.external_id)),
        )

    # Tree

    def _render_counts(self, listings: Sequence[SimulatedListing]) -> dict[str, Any]:
        counts = {
            "live": 0,
            "upcoming": len(listings),
            "boosted": sum(_is_boosted(one) for one in listings),
            "hot": sum(_is_hot(one) for one in listings),
        }
        return dict(counts) if self.is_old_version else {name: str(value) for name, value in counts.items() if value}

    def _render_event_counts(self, listings: Sequence[SimulatedListing], now: datetime) -> dict[str, Any]:
        days: dict[str, list[SimulatedListing]] = {}
        for listing in listings:
            kickoff = self.timeline.find_kickoff(listing.fixture, PLATFORM, now)
            if (kickoff.date() - now.date()).days < 7:
                days.setdefault(kickoff.date().isoformat(), []).append(listing)
        week = {"days": [{"day": day, "counts": self._render_counts(entries)} for day, entries in days.items()]}
        return {"eventCounts": self._render_counts(listings), "week": week}

    def render_sports(self, now: datetime) -> dict[str, Any]:
        """Return all sports without regions."""
        football = {
            "category": {"id": "2", "name": "Football", "priority": 200},
            **self._render_event_counts(self.list_listings(now), now),
        }
        return {"onlyMeta": [football, *self._render_other_sports()]}

    def _render_other_sports(self) -> list[dict[str, Any]]:
        """Return the sports other than football. They have no events and only complete the structure."""
        empty = self._render_counts([])
        day = {"day": self.timeline.world.epoch.date().isoformat(), "counts": empty}
        return [
            {
                "category": {"id": number, "name": name, "priority": priority},
                "eventCounts": empty,
                "week": {"days": [day]},
            }
            for number, name, priority in OTHER_SPORTS
        ]

    def render_tree(self, now: datetime, category: str = "2") -> dict[str, Any]:
        """Return regions and competitions of football with their counts."""
        listings = self.list_listings(now) if category == "2" else []
        regions: dict[str, dict[str, list[SimulatedListing]]] = {}
        for listing in listings:
            country = listing.fixture.tournament.country
            regions.setdefault(country.ids[PLATFORM], {}).setdefault(listing.group_id, []).append(listing)
        nodes = []
        for region_id, competitions in regions.items():
            country = next(iter(competitions.values()))[0].fixture.tournament.country
            name = country.names[PLATFORM]
            region = {"id": region_id, "name": name, "iso": country.iso, "slug": _make_slug(name)}
            region |= {
                "parentId": str(10 + len(country.parent)) if country.parent else None,
                "parentSlug": country.parent or None,
            }
            inside = [one for entries in competitions.values() for one in entries]
            competition_nodes = [
                self._render_competition(number, entries, now) for number, entries in competitions.items()
            ]
            nodes.append(
                {
                    "region": region if self.is_old_version else _drop_defaults(region),
                    "competitions": competition_nodes,
                    **self._render_event_counts(inside, now),
                }
            )
        football = {
            "category": {"id": "2", "name": "Football", "priority": 200},
            "regions": nodes,
            **self._render_event_counts(listings, now),
        }
        return {"withRegions": [football], "onlyMeta": self._render_other_sports()}

    def _render_competition(self, number: str, entries: Sequence[SimulatedListing], now: datetime) -> dict[str, Any]:
        tournament = entries[0].fixture.tournament
        fields = {
            "id": number,
            "name": tournament.names[PLATFORM],
            "slug": _make_slug(tournament.names[PLATFORM]),
            "priority": max(0, 100 - tournament.rank),
        }
        return {
            "competition": fields if self.is_old_version else _drop_defaults(fields),
            **self._render_event_counts(entries, now),
        }

    # Lists

    def render_query_lists(self, body: Any, now: datetime) -> dict[str, Any]:
        """Return the answer events/lists/by-queries. Raises QueryError with the server's message."""
        queries = body.get("queries") if isinstance(body, dict) else None
        if not isinstance(queries, list) or not queries:
            raise QueryError("queries must not be empty")
        return {"responses": [self._render_query(query, now) for query in queries]}

    def _render_query(self, query_block: Any, now: datetime) -> dict[str, Any]:
        if (
            not isinstance(query_block, dict)
            or "take" not in query_block
            or not isinstance(query_block.get("query"), dict)
        ):
            raise QueryError("query and take are required")
        try:
            take, skip = int(query_block["take"]), int(query_block.get("skip") or 0)
        except (TypeError, ValueError):
            raise QueryError("take and skip must be numbers") from None
        if not 1 <= take <= MAX_PAGE_SIZE:
            raise QueryError("Maximum number of events is 100")
        view = query_block.get("view") or {}
        market_types = [str(item) for item in view.get("marketTypes") or [MAIN_MARKET_ID]]
        listings = self._filter_listings(query_block["query"], now)
        sort = query_block.get("sort") or {}
        if "competitionPriority" in sort:
            listings.sort(key=lambda item: item.fixture.tournament.rank)
        if sort.get("startTime") == "DESC":
            listings.reverse()
        events = [self.render_event(item, now, frozenset(market_types)) for item in listings[skip : skip + take]]
        if not self.is_old_version:
            return {"responses": events} if events else {}
        echo: dict[str, Any] = {"query": query_block["query"]}
        echo |= {name: query_block[name] for name in ("view", "sort") if query_block.get(name)}
        return {"request": echo | {"take": take, "skip": skip}, "responses": events}

    def _filter_listings(self, query: dict[str, Any], now: datetime) -> list[SimulatedListing]:
        if query.get("eventType", "UPCOMING") != "UPCOMING" or "2" not in [
            str(item) for item in query.get("categories") or ["2"]
        ]:
            return []
        zones = query.get("zones") or {}
        competitions = {str(item) for item in zones.get("competitions") or ()}
        regions = {str(item) for item in zones.get("regions") or ()}
        window = query.get("startTime") or {}
        tests: list[Callable[[SimulatedListing], bool]] = []
        if competitions or regions:
            tests.append(
                lambda item: item.group_id in competitions or item.fixture.tournament.country.ids[PLATFORM] in regions
            )
        if query.get("boosted"):
            tests.append(_is_boosted)
        for name, sign in (("gte", 1), ("lt", -1)):
            if name in window:
                tests.append(self._build_time_filter(datetime.fromisoformat(window[name]), sign, now))
        return [item for item in self.list_listings(now) if all(test(item) for test in tests)]

    def _build_time_filter(self, instant: datetime, sign: int, now: datetime) -> Callable[[SimulatedListing], bool]:
        def test(listing: SimulatedListing) -> bool:
            is_later = self.timeline.find_kickoff(listing.fixture, PLATFORM, now) >= instant
            return is_later if sign > 0 else not is_later

        return test

    # Events

    def render_event(
        self, listing: SimulatedListing, now: datetime, only: frozenset[str] | None = None
    ) -> dict[str, Any]:
        """Return one event: with all markets if `only` is None, else in the form of lists with these markets."""
        fixture, tournament = listing.fixture, listing.fixture.tournament
        home, away = listing.teams
        kickoff = self.timeline.find_kickoff(fixture, PLATFORM, now)
        lines = self.books.list_lines(listing, now, self.version, None if only is None else only)
        if listing.quirk % 1000 < 7:
            lines = [line for line in lines if line.market.native_id not in {MAIN_MARKET_ID, "4693"}]
        is_live = self.timeline.is_in_play(listing, now)
        market_groups = _group_by_market(lines)[: 20 if is_live else None]
        rendered = [self._render_market(listing, group, listed=only is not None) for group in market_groups]
        count, offered = self.books.count_lines(listing, now, self.version)
        neutral = " (n)" if fixture.is_neutral else ""
        event: dict[str, Any] = {
            "id": listing.external_id,
            "name": f"{home.names[PLATFORM]} - {away.names[PLATFORM]}{neutral}",
            "results": None,
            "widgets": self._render_widgets(listing),
            "participants": [
                {"id": str(650_000 + team.number), "name": team.names[PLATFORM], "position": place}
                for place, team in enumerate((home, away), start=1)
            ],
            "startTime": kickoff.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "markets": rendered,
        }
        if self.is_old_version and only is None and tournament.tier == "top":
            event["comboCards"] = _build_combo_cards(rendered)
        is_booked = bool(fixture.number % 4)
        version = (
            10
            + self.timeline.find_price_step(listing, now) % 100_000
            + self.timeline.find_suspension_step(listing, now)
        )
        event |= {
            "totalMarketCount": count if self.is_old_version else str(count),
            "category": {"id": "2", "name": "Football"},
            "region": {"id": tournament.country.ids[PLATFORM], "name": tournament.country.names[PLATFORM]},
            "competition": {"id": listing.group_id, "name": listing.group_name},
        }
        if self.is_old_version:
            score = round(max(0.0, 40.0 - tournament.rank / 3), 4) + fixture.number % 7 / 1000
            return event | {
                "additionalInfo": {"live": is_live},
                "score": score,
                "neutralVenue": fixture.is_neutral,
                "inplayBooked": is_booked,
                "version": version,
            }
        info = {"live": is_live, "inplayBooked": is_booked, "inplayBookedActual": is_booked}
        if fixture.is_neutral:
            event["neutralVenue"] = True
        event |= {
            "additionalInfo": _drop_defaults(info),
            "version": str(version),
            "marketCounters": _render_counters(offered),
        }
        return _drop_defaults(event, keep=("additionalInfo",))

    def _render_widgets(self, listing: SimulatedListing) -> list[dict[str, Any]]:
        fixture = listing.fixture
        widgets: list[dict[str, Any]] = []
        if fixture.sr_id is not None:
            widgets = [
                {"id": str(fixture.sr_id), "type": "SPORTRADAR", "retention": phase} for phase in ("PREMATCH", "INPLAY")
            ]
        elif fixture.number % 2:
            return []
        if fixture.genius_id is not None:
            widgets.insert(
                listing.quirk % (len(widgets) + 1),
                {"id": str(fixture.genius_id), "type": "GENIUSSPORTS", "retention": None},
            )
        return widgets if self.is_old_version else [_drop_defaults(widget) for widget in widgets]

    def _render_market(self, listing: SimulatedListing, lines: list[OfferedLine], listed: bool) -> dict[str, Any]:
        market, facts = lines[0].market, lines[0].market.facts
        kind = {"id": market.native_id, "name": market.name, "displayName": facts["display"]}
        # A few market types have no explanation.
        kind |= {
            "explainer": None if market.number % 12 == 11 else market.line_template,
            "priority": facts["priority"],
            "tabs": facts["tabs"],
        }
        kind["handicapType"] = facts["kind"]
        has_early_payout = any(outcome.early_payout != "NO_UP" for part in market.parts for outcome in part.outcomes)
        info: dict[str, Any] = {
            "boosted": market.native_id == MAIN_MARKET_ID and _is_boosted(listing),
            "cashoutable": market.number % 6 != 5,
            "twoUp": has_early_payout,
        }
        rows = [
            row
            for line in sorted(lines, key=lambda offered: float(offered.canonical_line.split("|")[-1] or 0))
            for row in self._render_rows(listing, line, listed)
        ]
        if self.is_old_version:
            kind |= {"priceColumnCount": facts["columns"], "priceSortingMethod": facts["sorting"]}
            return {
                "marketType": kind,
                "row": rows,
                "displayNameRows": [],
                "displayNameColumns": facts["labels"],
                "additionalInfo": info,
            }
        market_fields = {"marketType": _drop_defaults(kind), "row": rows, "displayNameColumns": facts["labels"]}
        return _drop_defaults(market_fields) | {
            "additionalInfo": _drop_defaults({name: info[name] for name in ("boosted", "cashoutable")})
        }

    def _render_rows(self, listing: SimulatedListing, offered: OfferedLine, listed: bool) -> list[dict[str, Any]]:
        """Return the prices of one line in rows, each with as many prices as the market has columns.

        A row has an id only if the line has a single row.
        """
        kind, size = offered.market.facts["kind"], offered.market.facts["columns"]
        first = load_betpawa_price_offsets()[offered.market.native_id, offered.line]
        base = 1_300_000_000 + listing.fixture.number * 8_000 + first
        line = float(offered.canonical_line) if kind else None
        unpriced_form = _choose_unpriced_form(listing, offered)
        prices = [
            self._render_price(
                price,
                offered,
                number=base + n,
                place=n,
                line=line,
                unpriced_form=unpriced_form,
                listing=listing,
                listed=listed,
            )
            for n, price in enumerate(offered.prices)
        ]
        chunks = [prices[at : at + size] for at in range(0, len(prices), size)]
        rows = []
        for chunk in chunks:
            row: dict[str, Any] = (
                {} if len(chunks) > 1 else {"id": str(390_000_000 + listing.fixture.number * 8_000 + first)}
            )
            row["handicap"] = None if line is None else round(line * 4)
            row["formattedHandicap"] = _format_row_label(kind, line, self.is_old_version)
            row["prices"] = chunk
            if line is not None:
                row["specifier"] = self._render_row_specifier(kind, line)
            rows.append(
                row if self.is_old_version else {name: value for name, value in row.items() if value is not None}
            )
        return rows

    def _render_row_specifier(self, kind: str, line: float) -> dict[str, Any]:
        field = {"NORMAL": "total", "NUMBER_SPECIFIER": "number"}.get(kind, "hcp")
        if not self.is_old_version:
            return {field: _format_line(line)}
        value = _format_line(line) if field == "number" else str(round(line * 4))
        return dict.fromkeys(("hcp", "total", "player", "score", "number", "group")) | {field: value}

    def _render_price(
        self,
        price: PricedOutcome,
        offered: OfferedLine,
        *,
        number: int,
        place: int,
        line: float | None,
        unpriced_form: str,
        listing: SimulatedListing,
        listed: bool,
    ) -> dict[str, Any]:
        outcome, kind = price.outcome, offered.market.facts["kind"]
        odds: float | None = price.odds if price.odds is not None else 0.0
        if unpriced_form:
            odds = None if unpriced_form == "null" else 0.0
        is_suspended = not unpriced_form and (offered.is_suspended or price.odds is None)
        side = _format_side(kind, outcome.canonical_key, line)
        is_hot = _is_hot(listing) and outcome.canonical_key in {"home", "over"}
        fields: dict[str, Any] = {"id": str(number), "name": outcome.label, "typeId": outcome.native_id}
        if not self.is_old_version:
            if odds is not None:
                fields["odds"] = odds
            if is_suspended:
                fields["suspended"] = True
            text = _format_line(line) if kind == "NUMBER_SPECIFIER" and line is not None else side
            if text:
                fields["handicap"] = text
            fields |= {
                "displayName": outcome.display,
                "additionalInfo": {"anyUp": outcome.early_payout, **({"hot": True} if is_hot else {})},
            }
            if unpriced_form != "null":
                fields["probability"] = {"win": price.chance.win, "refund": price.chance.refund}
            if kind in {"EUROPEAN", "ASIAN"} and side:
                fields["specifier"] = {"hcp": side}
            return fields
        fields |= {"price": odds, "suspended": is_suspended, "handicap": side}
        if price.player:
            fields["team"] = price.player.side
        if listed:
            fields["position"] = place + 1
        fields |= {
            "displayName": outcome.display,
            "additionalInfo": {"hot": is_hot, "twoUp": outcome.early_payout == "TWO_UP", "anyUp": outcome.early_payout},
        }
        if unpriced_form != "null":
            fields["probability"] = _make_opaque_text(price)
        if price.player or side:
            fields["specifier"] = {
                "teamPosition": price.player.side if price.player else None,
                "formattedHandicap": side,
            }
        return fields


def _group_by_market(lines: list[OfferedLine]) -> list[list[OfferedLine]]:
    grouped: dict[str, list[OfferedLine]] = {}
    for line in lines:
        grouped.setdefault(line.market.native_id, []).append(line)
    return sorted(grouped.values(), key=lambda group: group[0].market.facts["priority"])


def _render_counters(offered: Sequence[Any]) -> dict[str, Any]:
    by_tab: dict[str, int] = {}
    for market in offered:
        for tab in market.facts["tabs"]:
            by_tab[tab] = by_tab.get(tab, 0) + 1
    return {
        "totalMarketGroupCount": str(len(offered)),
        "marketGroupCountByTab": {tab: str(count) for tab, count in by_tab.items()},
    }


def _choose_unpriced_form(listing: SimulatedListing, offered: OfferedLine) -> str:
    """Return 'null' or 'zero' if the market is listed without usable prices, in one of two forms, else ''."""
    if offered.market.native_id not in {"4693", "3795"}:
        return ""
    draw = listing.quirk % 100
    return "null" if draw < 3 else "zero" if draw < 5 else ""


def _format_row_label(kind: str, line: float | None, old: bool) -> str | None:
    if line is None or kind not in {"EUROPEAN", "NUMBER_SPECIFIER"} or (kind == "EUROPEAN" and not old):
        return None
    return _format_line(line)


def _format_side(kind: str, outcome: str, line: float | None) -> str | None:
    """Return the line as the outcome's side shows it: `2.5`, `-0.5` / `+0.5`, `Home -1` / `Away +1`."""
    if line is None or kind in {"", "NUMBER_SPECIFIER"}:
        return None
    if kind == "NORMAL":
        return _format_line(line)
    if kind == "ASIAN":
        return _format_signed(line if outcome == "home" else -line)
    if outcome == "home" or (outcome == "draw" and line < 0):
        return f"Home {_format_signed(line)}"
    return f"Away {_format_signed(-line)}"


def _build_combo_cards(rendered: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return ready-made combinations of three prices of the event."""
    firsts = [market["row"][0]["prices"][0] for market in rendered[:6] if market["row"]]
    cards = []
    for start in range(0, len(firsts) - 2, 3):
        three = firsts[start : start + 3]
        cards.append(
            {
                "prices": [price["id"] for price in three],
                "price": 2.5 + start / 10,
                "probability": base64.b64encode(str(start).encode()).decode(),
            }
        )
    return cards


def _is_boosted(listing: SimulatedListing) -> bool:
    return listing.quirk % 60 == 11


def _is_hot(listing: SimulatedListing) -> bool:
    return listing.fixture.tournament.tier == "top"


def _make_slug(name: str) -> str:
    return "-".join("".join(char if char.isalnum() else " " for char in name.lower()).split())
