"""One platform's book of one listing at one instant: offered, suspended and withdrawn markets, prices."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from math import exp
from random import Random
from zlib import crc32

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.simulator.simulated_platforms import BET9JA, BETPAWA, SPORTYBET

from .names import invent_player_name
from .pricing import Chance, ExpectedCounts, MatchModel
from .simulated_markets import SimulatedMarket, SimulatedOutcome, list_first_pairs
from .timeline import SUSPENDED_SHARE, Timeline
from .world import SimulatedFixture, SimulatedListing

MARGIN_BY_PLATFORM = {BETPAWA: 0.065, SPORTYBET: 0.05, BET9JA: 0.075}
_MAX_ODDS = {BETPAWA: 100.0, SPORTYBET: 250.0, BET9JA: 220.0}
WITHDRAWN_SHARE = 0.005
MAX_QUOTED_CHANCE = 0.992
"""Highest implied chance for which a book has a price."""
OPEN_MARKET_KEYS = {"anytime_goalscorer", "nth_goalscorer", "player_ladder"}
SQUAD_SIZE = 9
MAX_KEPT_MODELS = 1024
STEPS_PER_REPRICING = 6
"""Number of price steps between two changes of a market.

At each step a book changes the prices of one group of markets, so that a cycle sees a few per cent changed.
"""
RESULT_MARKET_KEYS = (
    "match_result",
    "double_chance",
    "draw_no_bet",
    "home_no_bet",
    "away_no_bet",
    "correct_score",
    "winning_margin",
)


@dataclass(frozen=True, slots=True)
class Player:
    """One player with his share of the team's goals."""

    number: int
    name: str
    side: int
    """1 is home, 2 is away."""
    share: float


@dataclass(frozen=True, slots=True)
class PricedOutcome:
    """One outcome with its price; `odds` is None when the book quotes none."""

    outcome: SimulatedOutcome
    chance: Chance
    odds: float | None
    player: Player | None = None


@dataclass(frozen=True, slots=True)
class OfferedLine:
    """One (market, line) with its prices."""

    market: SimulatedMarket
    line: str
    canonical_line: str
    prices: list[PricedOutcome]
    is_suspended: bool


@lru_cache(maxsize=4096)
def _hash_turn(key: str) -> int:
    family = "result" if key.startswith(RESULT_MARKET_KEYS) else key.split("_", maxsplit=1)[0]
    return crc32(family.encode()) % STEPS_PER_REPRICING


def find_repricing_step(market: SimulatedMarket) -> int:
    """Return the step, modulo STEPS_PER_REPRICING, at which the book changes the market's prices.

    Markets of one family change together, because they must not contradict each other.
    """
    return _hash_turn(market.parts[0].key)


def build_squad(fixture: SimulatedFixture, is_rotated: bool = False) -> list[Player]:
    """Return the players of both teams whom scorer markets name; `is_rotated` swaps the teams."""
    rng = Random(f"squad:{fixture.sr_id}:{fixture.number}")
    players = []
    for side in (1, 2):
        weights = [rng.uniform(0.3, 1.6) for _ in range(SQUAD_SIZE)]
        for number, weight in enumerate(weights):
            team = 3 - side if is_rotated else side
            players.append(
                Player(
                    1_000_000 + fixture.number * 20 + side * SQUAD_SIZE + number,
                    invent_player_name(rng),
                    team,
                    weight / sum(weights),
                )
            )
    return players


class BookGenerator:
    """Makes the books of all simulated platforms. The models of matches that it used last are cached."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self._models: OrderedDict[tuple[int, Platform, bool, int, int], MatchModel] = OrderedDict()

    def build_model(self, listing: SimulatedListing, step: int, n_moves: int) -> MatchModel:
        """Return the model of the match from which the platform computes its prices at a price step.

        `n_moves` is the number of planted moves that the book has made.
        """
        key = (listing.fixture.number, listing.platform, listing.is_duplicate, step, n_moves)
        model = self._models.pop(key, None)
        if model is None:
            model = MatchModel(self.timeline.compute_expected_counts(listing, step, n_moves))
        self._models[key] = model
        if len(self._models) > MAX_KEPT_MODELS:
            self._models.popitem(last=False)
        return model

    def list_lines(
        self, listing: SimulatedListing, now: datetime, version: str = "", only: frozenset[str] | None = None
    ) -> list[OfferedLine]:
        """Return the lines that the listing offers now, market by market.

        `version` is the version of BetPawa's API: some markets are in one of them only. `only` limits the result to
        these market ids without changing which are suspended.
        """
        rng = self.timeline.draw_suspensions(listing, now)
        step = self.timeline.find_price_step(listing, now)
        n_moves = self.timeline.count_planted_moves(listing, now)
        is_planted = self.timeline.is_planted_suspended(listing, now)
        offered = []
        for market, line in list_first_pairs(listing.platform, listing.n_pairs, version):
            draw = rng.random()
            if (
                only is not None and market.native_id not in only
            ) or SUSPENDED_SHARE <= draw < SUSPENDED_SHARE + WITHDRAWN_SHARE:
                continue
            repriced_at = step - (step + find_repricing_step(market)) % STEPS_PER_REPRICING
            model = self.build_model(listing, repriced_at, n_moves)
            is_suspended = is_planted or draw < SUSPENDED_SHARE
            offered.append(self._build_line(listing, model, market, line, suspended=is_suspended))
        return offered

    def count_lines(
        self, listing: SimulatedListing, now: datetime, version: str = ""
    ) -> tuple[int, list[SimulatedMarket]]:
        """Return the number of (market, line) pairs offered now, and their distinct markets; see `list_lines`."""
        rng = self.timeline.draw_suspensions(listing, now)
        pairs = [
            market
            for market, _ in list_first_pairs(listing.platform, listing.n_pairs, version)
            if not SUSPENDED_SHARE <= rng.random() < SUSPENDED_SHARE + WITHDRAWN_SHARE
        ]
        return len(pairs), list({market.number: market for market in pairs}.values())

    def _build_line(
        self, listing: SimulatedListing, model: MatchModel, market: SimulatedMarket, line: str, suspended: bool
    ) -> OfferedLine:
        prices: list[PricedOutcome] = []
        for part in market.parts:
            canonical = part.lines[line]
            if part.key in OPEN_MARKET_KEYS:
                prices += self._price_players(listing, model.expected, part.key)
            elif part.key:
                chances = model.compute_chances(
                    part.key, canonical, tuple(outcome.canonical_key for outcome in part.outcomes)
                )
                prices += [
                    self._price_outcome(listing.platform, outcome, chances[outcome.canonical_key])
                    for outcome in part.outcomes
                ]
            else:
                tilt = 0.9 + 0.2 * (model.expected.home_goals % 1)
                prices += [
                    self._price_outcome(listing.platform, outcome, Chance(min(outcome.chance * tilt, 0.97)))
                    for outcome in part.outcomes
                ]
        return OfferedLine(market, line, market.parts[0].lines[line], prices, suspended)

    def _price_outcome(
        self, platform: Platform, outcome: SimulatedOutcome, chance: Chance, player: Player | None = None
    ) -> PricedOutcome:
        return PricedOutcome(outcome, chance, quote_odds(platform, chance), player)

    def _price_players(self, listing: SimulatedListing, expected: ExpectedCounts, key: str) -> list[PricedOutcome]:
        fixture = listing.fixture
        total = expected.home_goals + expected.away_goals
        priced = []
        for player in build_squad(fixture, fixture.rotated_on is listing.platform):
            mean = (expected.home_goals if player.side == 1 else expected.away_goals) * player.share
            if key == "anytime_goalscorer":
                priced.append(
                    self._price_outcome(
                        listing.platform,
                        SimulatedOutcome("", str(player.number), player.name),
                        Chance(1 - exp(-mean)),
                        player,
                    )
                )
            elif key == "nth_goalscorer":
                first = mean / total * (1 - exp(-total))
                priced.append(
                    self._price_outcome(
                        listing.platform,
                        SimulatedOutcome("", str(player.number), player.name),
                        Chance(first),
                        player,
                    )
                )
            else:
                for least in (1, 2):
                    fouls = mean * 4 + 0.4
                    chance = 1 - exp(-fouls) * (1 if least == 1 else 1 + fouls)
                    native = f"pre:playerprops:{fixture.sr_id}:{player.number}:{least}:2"
                    priced.append(
                        self._price_outcome(
                            listing.platform, SimulatedOutcome("", native, f"{least}+"), Chance(chance), player
                        )
                    )
        return priced


def quote_odds(platform: Platform, chance: Chance) -> float | None:
    """Return decimal odds with the platform's margin, rounded as the platform does, below its maximum.

    None when the outcome is too likely to be offered.
    """
    win_chance = chance.win / (1 - chance.refund) if chance.refund < 1 else 0.0
    implied = win_chance * (1 + MARGIN_BY_PLATFORM[platform])
    if implied >= MAX_QUOTED_CHANCE:
        return None
    odds = min(1 / implied, _MAX_ODDS[platform]) if implied > 0 else _MAX_ODDS[platform]
    odds = max(odds, 1.01)
    return _round_to_bet9ja_grid(odds) if platform == BET9JA else round(odds, 2)


def _round_to_bet9ja_grid(odds: float) -> float:
    """Return the odds rounded to Bet9ja's steps.

    They are 0.01 below 3, 0.05 to 5, 0.1 to 10, 0.25 to 15, then 1.
    """
    if odds < 3:
        return round(odds, 2)
    per_unit = 20 if odds < 5 else 10 if odds < 10 else 4 if odds < 15 else 1
    return round(odds * per_unit) / per_unit
