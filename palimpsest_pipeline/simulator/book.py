"""One platform's book on one listing at one instant: what is offered, suspended or withdrawn, and at what price. Not how it is written."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from math import exp
from random import Random
from zlib import crc32

from palimpsest_pipeline.domain.enums import Platform

from .catalogue import Market, Outcome, first_pairs
from .names import player_name
from .pricing import Chance, Expectation, MatchModel
from .timeline import SUSPENDED_SHARE, Timeline
from .world import Fixture, Listing

MARGIN = {Platform.BETPAWA: 0.065, Platform.SPORTYBET: 0.05, Platform.BET9JA: 0.075}
HIGHEST = {Platform.BETPAWA: 100.0, Platform.SPORTYBET: 250.0, Platform.BET9JA: 220.0}
WITHDRAWN_SHARE = 0.005
NO_PRICE_ABOVE = 0.992
"""Implied chance above which a book quotes no price."""
OPEN_KEYS = {"anytime_goalscorer", "nth_goalscorer", "player_ladder"}
SQUAD = 9
MODELS_KEPT = 1024
STEPS_PER_MARKET = 6
"""A book reprices a family of markets at a time: each market moves at every sixth step, so that a cycle finds a few per cent changed."""
RESULT_KEYS = ("match_result", "double_chance", "draw_no_bet", "home_no_bet", "away_no_bet", "correct_score", "winning_margin")


@dataclass(frozen=True, slots=True)
class Player:
    """One player with the share of the team's goals that he scores."""

    number: int
    name: str
    side: int
    """1 home, 2 away."""
    share: float


@dataclass(frozen=True, slots=True)
class Priced:
    """One outcome with its price; `odds` None when the book quotes none."""

    outcome: Outcome
    chance: Chance
    odds: float | None
    player: Player | None = None


@dataclass(frozen=True, slots=True)
class OfferedLine:
    """One (market, line) with its prices."""

    market: Market
    line: str
    canonical: str
    prices: list[Priced]
    suspended: bool


@lru_cache(maxsize=4096)
def _turn(key: str) -> int:
    family = "result" if key.startswith(RESULT_KEYS) else key.split("_", maxsplit=1)[0]
    return crc32(family.encode()) % STEPS_PER_MARKET


def turn(market: Market) -> int:
    """Which of the book's steps reprice the market: markets of one family go together, since they must not contradict each other."""
    return _turn(market.parts[0].key)


def squad(fixture: Fixture, rotated: bool = False) -> list[Player]:
    """The players both teams may name as scorers."""
    rng = Random(f"squad:{fixture.sr_id}:{fixture.number}")
    players = []
    for side in (1, 2):
        weights = [rng.uniform(0.3, 1.6) for _ in range(SQUAD)]
        for number, weight in enumerate(weights):
            team = 3 - side if rotated else side
            players.append(Player(1_000_000 + fixture.number * 20 + side * SQUAD + number, player_name(rng), team, weight / sum(weights)))
    return players


class Books:
    """The books of all platforms. Keeps the match models of the last few hundred (fixture, platform, price step)."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self._models: OrderedDict[tuple[int, Platform, bool, int], MatchModel] = OrderedDict()

    def model(self, listing: Listing, step: int) -> MatchModel:
        """The match as the listing's platform saw it at a price step."""
        key = (listing.fixture.number, listing.platform, listing.duplicate, step)
        found = self._models.pop(key, None)
        if found is None:
            found = MatchModel(self.timeline.expected(listing, step))
        self._models[key] = found
        if len(self._models) > MODELS_KEPT:
            self._models.popitem(last=False)
        return found

    def lines(self, listing: Listing, now: datetime, version: str = "", only: frozenset[str] | None = None) -> list[OfferedLine]:
        """What the listing offers now, market by market; `only` limits the answer to these market ids without changing what is suspended."""
        rng = self.timeline.suspensions(listing, now)
        step = self.timeline.price_step(listing, now)
        offered = []
        for market, line in first_pairs(listing.platform, listing.pairs, version):
            draw = rng.random()
            if (only is not None and market.native not in only) or SUSPENDED_SHARE <= draw < SUSPENDED_SHARE + WITHDRAWN_SHARE:
                continue
            model = self.model(listing, step - (step + turn(market)) % STEPS_PER_MARKET)
            offered.append(self._offer(listing, model, market, line, suspended=draw < SUSPENDED_SHARE))
        return offered

    def count(self, listing: Listing, now: datetime, version: str = "") -> tuple[int, list[Market]]:
        """Number of (market, line) pairs offered now, and the markets among them."""
        rng = self.timeline.suspensions(listing, now)
        pairs = [
            market
            for market, _ in first_pairs(listing.platform, listing.pairs, version)
            if not SUSPENDED_SHARE <= rng.random() < SUSPENDED_SHARE + WITHDRAWN_SHARE
        ]
        return len(pairs), list({market.number: market for market in pairs}.values())

    def _offer(self, listing: Listing, model: MatchModel, market: Market, line: str, suspended: bool) -> OfferedLine:
        prices: list[Priced] = []
        for part in market.parts:
            canonical = part.lines[line]
            if part.key in OPEN_KEYS:
                prices += self._player_prices(listing, model.expected, part.key)
            elif part.key:
                chances = model.chances(part.key, canonical, tuple(outcome.canonical for outcome in part.outcomes))
                prices += [self._priced(listing.platform, outcome, chances[outcome.canonical]) for outcome in part.outcomes]
            else:
                tilt = 0.9 + 0.2 * (model.expected.home_goals % 1)
                prices += [self._priced(listing.platform, outcome, Chance(min(outcome.chance * tilt, 0.97))) for outcome in part.outcomes]
        return OfferedLine(market, line, market.parts[0].lines[line], prices, suspended)

    def _priced(self, platform: Platform, outcome: Outcome, chance: Chance, player: Player | None = None) -> Priced:
        return Priced(outcome, chance, quote(platform, chance), player)

    def _player_prices(self, listing: Listing, expected: Expectation, key: str) -> list[Priced]:
        fixture = listing.fixture
        total = expected.home_goals + expected.away_goals
        made = []
        for player in squad(fixture, fixture.rotated_on is listing.platform):
            mean = (expected.home_goals if player.side == 1 else expected.away_goals) * player.share
            if key == "anytime_goalscorer":
                made.append(
                    self._priced(listing.platform, Outcome("", str(player.number), player.name, display=player.name), Chance(1 - exp(-mean)), player)
                )
            elif key == "nth_goalscorer":
                first = mean / total * (1 - exp(-total))
                made.append(self._priced(listing.platform, Outcome("", str(player.number), player.name, display=player.name), Chance(first), player))
            else:
                for least in (1, 2):
                    fouls = mean * 4 + 0.4
                    chance = 1 - exp(-fouls) * (1 if least == 1 else 1 + fouls)
                    native = f"pre:playerprops:{fixture.sr_id}:{player.number}:{least}:2"
                    made.append(self._priced(listing.platform, Outcome("", native, f"{least}+"), Chance(chance), player))
        return made


def quote(platform: Platform, chance: Chance) -> float | None:
    """Decimal odds with the platform's margin, on its grid and under its ceiling. None when the outcome is too likely to be sold."""
    likely = chance.win / (1 - chance.refund) if chance.refund < 1 else 0.0
    implied = likely * (1 + MARGIN[platform])
    if implied >= NO_PRICE_ABOVE:
        return None
    odds = min(1 / implied, HIGHEST[platform]) if implied > 0 else HIGHEST[platform]
    odds = max(odds, 1.01)
    return _bet9ja_grid(odds) if platform is Platform.BET9JA else round(odds, 2)


def _bet9ja_grid(odds: float) -> float:
    """Bet9ja's steps: 0.01 below 3, 0.05 to 5, 0.1 to 10, 0.25 to 15, whole numbers above."""
    if odds < 3:
        return round(odds, 2)
    per_unit = 20 if odds < 5 else 10 if odds < 10 else 4 if odds < 15 else 1
    return round(odds * per_unit) / per_unit
