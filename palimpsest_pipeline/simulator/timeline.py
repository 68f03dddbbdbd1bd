"""The changes of the world over time: listings that come and go, kickoff and price moves, suspensions.

Every answer is a function of (seed, fixture, platform, instant), so instants may be queried in any order; only `script`
adds manual changes.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import pi, prod, sin
from random import Random

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.simulator.simulated_platforms import BET9JA, BETPAWA, SPORTYBET

from .pricing import ExpectedCounts
from .world import SimulatedFixture, SimulatedListing, World, is_only_genius_at_sportybet

SUSPENDED_SHARE = 0.015
SUSPENSION_WINDOW_S = 900
MATCH_DURATION = timedelta(hours=2)
PUBLISH_DELAY = {
    BETPAWA: timedelta(0),
    SPORTYBET: timedelta(minutes=2),
    BET9JA: timedelta(minutes=4),
}
"""How much later than the first platform each platform publishes a changed kickoff."""
STEP_LENGTH_FACTORS = {BETPAWA: 1.0, SPORTYBET: 0.7, BET9JA: 1.4}
GOALS_FACTORS = {BETPAWA: (1.0, 1.0), SPORTYBET: (1.02, 0.985), BET9JA: (0.985, 1.01)}


@dataclass(frozen=True, slots=True)
class Postponement:
    """A move of a kickoff by `delay`, published at `at` (later on some platforms: `PUBLISH_DELAY`)."""

    at: datetime
    delay: timedelta


@dataclass(frozen=True, slots=True)
class Removal:
    """The removal of a fixture at `at` from a platform, or from all (None)."""

    at: datetime
    platform: Platform | None


@dataclass(frozen=True, slots=True)
class PlantedMove:
    """A rise of the home side's expected goals by `factor`, which each platform makes at its own instant."""

    at: Mapping[Platform, datetime]
    factor: float


@dataclass(frozen=True, slots=True)
class PlantedSuspension:
    """A suspension of all markets for `duration`, which each platform begins at its own instant."""

    at: Mapping[Platform, datetime]
    duration: timedelta


@dataclass(slots=True)
class Timeline:
    """The state of the world as a function of time."""

    world: World
    postponements: dict[int, list[Postponement]] = field(default_factory=dict)
    removals: dict[int, list[Removal]] = field(default_factory=dict)
    added_listings: list[tuple[datetime, SimulatedListing]] = field(default_factory=list)
    planted_moves: dict[int, list[PlantedMove]] = field(default_factory=dict)
    planted_suspensions: dict[int, list[PlantedSuspension]] = field(default_factory=dict)
    n_manual_changes: int = 0
    """Number of changes made by hand. Each one outdates the results computed for an instant."""
    _kickoff_shift: dict[Platform, timedelta] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Plan postponements and removals, about 3 % of the fixtures each, over eight hours.

        At first there is one about every four minutes.
        """
        rng = Random(f"{self.world.seed}:{self.world.size}:timeline")
        earliest_kickoff = self.world.epoch + timedelta(hours=3)
        # A match for which SportyBet has only the Genius id could not be identified any more if BetPawa dropped it.
        candidates = [
            candidate
            for candidate in self.world.fixtures
            if candidate.sr_id is not None
            and candidate.kickoff_at > earliest_kickoff
            and not is_only_genius_at_sportybet(candidate)
        ]
        n_each = min(max(5, round(0.03 * len(candidates))), len(candidates) // 2)
        fixtures = rng.sample(candidates, 2 * n_each)
        for index, fixture in enumerate(fixtures):
            order = index // 2
            minutes = 4 * (order + 1) - 2 if order < 5 else rng.uniform(25, 480)
            at = self.world.epoch + timedelta(minutes=minutes + 1.5 * (index % 2))
            if index % 2:
                self.removals[fixture.number] = [Removal(at, rng.choice(sorted(fixture.platforms)))]
            else:
                self.postponements[fixture.number] = [
                    Postponement(at, timedelta(minutes=rng.choice((15, 30, 60, 120))))
                ]

    def find_kickoff(self, fixture: SimulatedFixture, platform: Platform, now: datetime) -> datetime:
        """Return the kickoff as the platform shows it at `now`."""
        postponements = self.postponements.get(fixture.number, ())
        kickoff = fixture.kickoff_at + sum(
            (postponement.delay for postponement in postponements if now >= postponement.at + PUBLISH_DELAY[platform]),
            timedelta(0),
        )
        return kickoff + self._kickoff_shift.get(platform, timedelta(0))

    @contextmanager
    def shift_kickoffs(self, platform: Platform, delay: timedelta) -> Iterator[None]:
        """Delay every kickoff of the platform inside the block, as a site does that sends local time as UTC."""
        self._kickoff_shift[platform] = delay
        self.n_manual_changes += bool(delay)
        try:
            yield
        finally:
            self.n_manual_changes += bool(delay)
            del self._kickoff_shift[platform]

    def is_dropped(self, listing: SimulatedListing, now: datetime) -> bool:
        """Return whether the platform has removed the listing."""
        return any(
            now >= removal.at and removal.platform in {None, listing.platform}
            for removal in self.removals.get(listing.fixture.number, ())
        )

    def is_up(self, listing: SimulatedListing, now: datetime) -> bool:
        """Return whether the platform lists the fixture: not removed there, kickoff in the future."""
        return self.find_kickoff(listing.fixture, listing.platform, now) > now and not self.is_dropped(listing, now)

    def is_in_play(self, listing: SimulatedListing, now: datetime) -> bool:
        """Return whether the match, if not removed, began in the last two hours by the platform's kickoff."""
        kickoff = self.find_kickoff(listing.fixture, listing.platform, now)
        return kickoff <= now < kickoff + MATCH_DURATION and not self.is_dropped(listing, now)

    def list_upcoming(self, platform: Platform, now: datetime) -> list[SimulatedListing]:
        """Return the platform's listings of matches for which `is_up` holds now, in the order of the world."""
        return [listing for listing in self.list_known(platform, now) if self.is_up(listing, now)]

    def list_known(self, platform: Platform, now: datetime) -> list[SimulatedListing]:
        """Return all listings that the platform has had by now, also those not up any more, in world order."""
        added = [
            listing for added_at, listing in self.added_listings if listing.platform == platform and now >= added_at
        ]
        return [*self.world.listings[platform], *added]

    def list_simulated(self, now: datetime) -> list[SimulatedListing]:
        """Return SportyBet's listings of simulated leagues (no real matches) that are up (`is_up`) now."""
        return [listing for listing in self.world.simulated_listings if self.is_up(listing, now)]

    def find_price_step(self, listing: SimulatedListing, now: datetime) -> int:
        """Return the number of the book's price step. It is another one whenever the book changes its prices.

        A step takes 5 to 25 minutes times the platform's STEP_LENGTH_FACTORS, and a third of that in the last hour
        before kickoff, at whose start the number jumps.
        """
        fixture, platform = listing.fixture, listing.platform
        rng = Random(f"{self.world.seed}:{fixture.number}:{platform}:step")
        period = rng.uniform(300, 1500) * STEP_LENGTH_FACTORS[platform]
        elapsed = (now - self.world.epoch).total_seconds() + rng.random() * period
        is_last_hour = (self.find_kickoff(fixture, platform, now) - now).total_seconds() < 3600
        return int(elapsed // (period / 3 if is_last_hour else period)) + 1_000_000 * is_last_hour

    def count_planted_moves(self, listing: SimulatedListing, now: datetime) -> int:
        """Return how many planted moves (`PlantedMove`) the book has made by now."""
        return len(self._list_moves(listing, now))

    def is_planted_suspended(self, listing: SimulatedListing, now: datetime) -> bool:
        """Return whether a planted suspension holds all markets of the listing."""
        return any(
            listing.platform in planted.at
            and planted.at[listing.platform] <= now < planted.at[listing.platform] + planted.duration
            for planted in self.planted_suspensions.get(listing.fixture.number, ())
        )

    def _list_moves(self, listing: SimulatedListing, now: datetime) -> list[PlantedMove]:
        """Return the planted moves that the book has made, in their order on its platform."""
        platform = listing.platform
        moves = [
            move
            for move in self.planted_moves.get(listing.fixture.number, ())
            if platform in move.at and move.at[platform] <= now
        ]
        return sorted(moves, key=lambda move: move.at[platform])

    def compute_expected_counts(self, listing: SimulatedListing, step: int, n_moves: int = 0) -> ExpectedCounts:
        """Return the expected counts that the book assumes at a price step, from the listing's home side.

        `n_moves` is the number of planted moves that the book has made.
        """
        rng = Random(f"{self.world.seed}:{listing.fixture.number}:{listing.platform}:drift")
        phases = [rng.random() * 2 * pi for _ in range(4)]
        home = 1 + 0.04 * sin(step * 2 * pi / 19 + phases[0]) + 0.02 * sin(step * 2 * pi / 5 + phases[1])
        away = 1 + 0.04 * sin(step * 2 * pi / 17 + phases[2]) + 0.02 * sin(step * 2 * pi / 7 + phases[3])
        first, second = GOALS_FACTORS[listing.platform]
        base = listing.expected
        moves = self._list_moves(listing, datetime.max.replace(tzinfo=UTC))[:n_moves]
        planted = prod(move.factor for move in moves)
        home_planted, away_planted = (
            (1.0, planted) if listing.fixture.rotated_on == listing.platform else (planted, 1.0)
        )
        return ExpectedCounts(
            base.home_goals * home * first * home_planted,
            base.away_goals * away * second * away_planted,
            base.home_corners * away * first,
            base.away_corners * home * second,
            base.home_cards * home,
            base.away_cards * away,
        )

    def find_suspension_step(self, listing: SimulatedListing, now: datetime) -> int:
        """Return the number of the listing's suspension period; the suspended markets change with it."""
        phase = Random(f"{self.world.seed}:{listing.external_id}:phase").random() * SUSPENSION_WINDOW_S
        return int(((now - self.world.epoch).total_seconds() + phase) // SUSPENSION_WINDOW_S)

    def draw_suspensions(self, listing: SimulatedListing, now: datetime) -> Random:
        """Return the random generator of suspensions: a draw below `SUSPENDED_SHARE` suspends a market.

        The n-th draw belongs to the n-th offered market.
        """
        return Random(f"{self.world.seed}:{listing.external_id}:{self.find_suspension_step(listing, now)}:suspended")
