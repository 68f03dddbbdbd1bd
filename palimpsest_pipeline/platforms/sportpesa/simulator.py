"""SportPesa's answers for the simulator: leagues, lists of a league, one game, the book of a game.

SportPesa has market ids of its own. The matches are those of one platform of the world, `source`. A book holds the
lines of `source` for which the pack has market keys, at prices of its own.
"""

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Final

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.simulator.book import BookGenerator, OfferedLine
from palimpsest_pipeline.simulator.timeline import Timeline
from palimpsest_pipeline.simulator.world import SimulatedListing

SPORT_ID: Final = 1
PRICE_FACTOR: Final = 0.97
MAX_ODDS: Final = 101.0
FIRST_GAME_ID: Final = 8_800_000
UNIDENTIFIED_EVERY: Final = 12
"""One of this many games has no SportRadar id."""
_VOCABULARY: Final = Path(__file__).parent / "vocabulary"


@dataclass(frozen=True, slots=True)
class GameMarket:
    """The market with the id `number`. `outcomes` maps canonical outcomes to the platform's short names.

    `added_line` is the canonical line that the market implies; None for a market that has lines of its own.
    """

    number: str
    added_line: str | None
    outcomes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RenderedLine:
    """One line of a book as SportPesa names it. `prices` maps short names to odds."""

    market: str
    spec_value: float
    name: str
    prices: Mapping[str, float]
    source: OfferedLine


@lru_cache(maxsize=1)
def load_markets() -> dict[str, GameMarket]:
    """Return the football markets by canonical key, from the pack's own market keys."""
    markets: dict[str, GameMarket] = {}
    for row in _read_rows("keys.csv"):
        added = "|".join(piece.partition("=")[2] for piece in row["adds"].split("|"))
        markets[row["market_key"]] = GameMarket(row["external_market_id"], None if row["reads"] else added)
    for row in _read_rows("outcome_keys.csv"):
        markets[row["market_key"]].outcomes[row["outcome_key"]] = row["external_outcome_id"]
    return markets


def _read_rows(name: str) -> list[dict[str, str]]:
    with (_VOCABULARY / name).open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["sport"] == "football"]


class SportpesaRenderer:
    """The renderer of SportPesa's answers at an instant."""

    endpoints: ClassVar[Mapping[str, str]] = {"/api/navigation": "tree", "/api/games/markets|gameId=": "detail"}

    def __init__(self, timeline: Timeline, books: BookGenerator, source: Platform) -> None:
        self._timeline = timeline
        self._books = books
        self._source = source

    def list_listings(self, now: datetime) -> list[SimulatedListing]:
        """Return the matches that SportPesa lists."""
        return self._timeline.list_upcoming(self._source, now)

    @staticmethod
    def make_game_id(listing: SimulatedListing) -> int:
        return FIRST_GAME_ID + 2 * listing.fixture.number + listing.is_duplicate

    @staticmethod
    def find_sr_id(listing: SimulatedListing) -> int:
        """Return the SportRadar id in the game; 0 for none."""
        is_unidentified = listing.fixture.number % UNIDENTIFIED_EVERY == 0
        return 0 if is_unidentified else listing.fixture.sr_id or 0

    def answer(self, path: str, params: Mapping[str, str], now: datetime) -> tuple[int, Any]:
        """Return the status and the JSON of a request."""
        if path.endswith("/api/navigation"):
            return 200, self.render_tree(now)
        if path.endswith("/api/upcoming/games"):
            return 200, self.render_games(params, now)
        if path.endswith("/api/games/markets"):
            return 200, self.render_books(params.get("games", "").split(","), now)
        return 404, {}

    def render_tree(self, now: datetime) -> list[dict[str, Any]]:
        """Return the leagues of all sports, without counts."""
        leagues: dict[str, dict[str, str]] = defaultdict(dict)
        for listing in self.list_listings(now):
            country = listing.fixture.tournament.country.names[self._source]
            leagues[country][_make_league_id(listing)] = listing.group_name
        countries = [
            {
                "id": n,
                "name": name,
                "leagues": [{"id": int(key), "name": league_name} for key, league_name in names_by_id.items()],
            }
            for n, (name, names_by_id) in enumerate(leagues.items(), start=1)
        ]
        football = {"id": SPORT_ID, "name": "Football", "has_matches": True, "countries": countries}
        return [football, {"id": 2, "name": "Basketball", "has_matches": False, "countries": []}]

    def render_games(self, params: Mapping[str, str], now: datetime) -> list[dict[str, Any]]:
        """Return a page of a league's games, or the one game that is asked for; none of another sport."""
        if params.get("sportId") != str(SPORT_ID):
            return []
        if "gameId" in params:
            games = [one for one in self._list_known(now) if str(self.make_game_id(one)) == params["gameId"]]
        else:
            first, count = int(params.get("pag_min", 1)), int(params.get("pag_count", 10))
            games = [one for one in self.list_listings(now) if _make_league_id(one) == params.get("leagueId")]
            games = games[first - 1 : first - 1 + count]
        return [self.render_game(one, now) for one in games]

    def _list_known(self, now: datetime) -> Iterable[SimulatedListing]:
        in_play = [one for one in self._timeline.world.listings[self._source] if self._timeline.is_in_play(one, now)]
        return (*self.list_listings(now), *in_play)

    def render_game(self, listing: SimulatedListing, now: datetime) -> dict[str, Any]:
        """Return one game with its first market, and no sign of whether it has begun."""
        kickoff = self._timeline.find_kickoff(listing.fixture, self._source, now)
        lines = self.list_lines(listing, now)
        return {
            "id": self.make_game_id(listing),
            "betgeniusId": 0,
            "betradarId": self.find_sr_id(listing),
            "smsId": 1000 + listing.fixture.number % 9000,
            "competition": {"id": int(_make_league_id(listing)), "name": listing.group_name},
            "country": {"id": 1, "name": listing.fixture.tournament.country.names[self._source]},
            "sport": {"id": SPORT_ID, "name": "Football"},
            "competitors": [{"id": team.number, "name": team.names[self._source]} for team in listing.teams],
            "dateTimestamp": int(kickoff.timestamp() * 1000),
            "date": kickoff.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "state": {},
            "marketsCount": len({line.market for line in lines}),
            "markets": [
                {name: value for name, value in _render_market(line, n).items() if name != "specValue"}
                for n, line in enumerate(lines[:1])
            ],
        }

    def list_lines(self, listing: SimulatedListing, now: datetime) -> list[RenderedLine]:
        """Return the listing's book as SportPesa names and prices it, without suspended lines."""
        lines = (_rename_line(offered) for offered in self._books.list_lines(listing, now))
        return [line for line in lines if line is not None]

    def render_books(self, game_ids: Iterable[str], now: datetime) -> dict[str, Any]:
        """Return the markets of the games that exist, by their ids."""
        listings = {str(self.make_game_id(one)): one for one in self._list_known(now)}
        return {
            game_id: [_render_market(line, n) for n, line in enumerate(self.list_lines(listings[game_id], now))]
            for game_id in game_ids
            if game_id in listings
        }


def _make_league_id(listing: SimulatedListing) -> str:
    return str(70_000 + listing.fixture.tournament.rank)


def _rename_line(offered: OfferedLine) -> RenderedLine | None:
    """Return a line of the source as SportPesa has it; None for one that it does not sell."""
    part = offered.market.parts[0]
    market = load_markets().get(part.key)
    canonical_line = part.lines[offered.line]
    if market is None or offered.is_suspended or market.added_line not in (None, canonical_line):
        return None
    prices = {
        market.outcomes[price.outcome.canonical_key]: _quote(price.odds)
        for price in offered.prices
        if price.odds is not None and price.outcome.canonical_key in market.outcomes
    }
    spec_value = float(canonical_line) if market.added_line is None else 0
    return RenderedLine(market.number, spec_value, offered.market.name, prices, offered) if prices else None


def _quote(odds: float) -> float:
    return min(max(round(odds * PRICE_FACTOR, 2), 1.01), MAX_ODDS)


def _render_market(line: RenderedLine, position: int) -> dict[str, Any]:
    spec_value = int(line.spec_value) if line.spec_value == int(line.spec_value) else line.spec_value
    selections = [
        {"id": n, "name": name, "odds": f"{odds:.2f}", "shortName": name, "specValue": spec_value}
        for n, (name, odds) in enumerate(line.prices.items())
    ]
    entry = {"id": int(line.market), "specValue": spec_value, "name": line.name}
    return entry | {"order": 101 + position, "columns": len(selections), "selections": selections}
