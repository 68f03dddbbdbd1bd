"""What time does to the world: which listings are up, when a kickoff moves, how a book's opinion drifts, which markets
are suspended.

Every answer is a function of (seed, fixture, platform, instant), so any instant can be asked in any order; only
`script` adds events by hand.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import pi, sin
from random import Random

from palimpsest_pipeline.domain.enums import Platform

from .pricing import ExpectedCounts
from .world import Fixture, Listing, World, is_only_genius_at_sportybet

SUSPENDED_SHARE = 0.015
SUSPENSION_WINDOW_S = 900
MATCH_DURATION = timedelta(hours=2)
PUBLISH_DELAY = {
    Platform.BETPAWA: timedelta(0),
    Platform.SPORTYBET: timedelta(minutes=2),
    Platform.BET9JA: timedelta(minutes=4),
}
"""How much later than the first platform each one publishes a new kickoff."""
STEP_LENGTH_FACTORS = {Platform.BETPAWA: 1.0, Platform.SPORTYBET: 0.7, Platform.BET9JA: 1.4}
GOALS_FACTORS = {Platform.BETPAWA: (1.0, 1.0), Platform.SPORTYBET: (1.02, 0.985), Platform.BET9JA: (0.985, 1.01)}


@dataclass(frozen=True, slots=True)
class Postponement:
    """A kickoff moves by `by` once `at` has come (later on platforms that publish late)."""

    at: datetime
    delay: timedelta


@dataclass(frozen=True, slots=True)
class Removal:
    """A platform (None: all of them) takes the fixture off once `at` has come."""

    at: datetime
    platform: Platform | None


@dataclass(slots=True)
class Timeline:
    """The world in time."""

    world: World
    postponements: dict[int, list[Postponement]] = field(default_factory=dict)
    removals: dict[int, list[Removal]] = field(default_factory=dict)
    added_listings: list[tuple[datetime, Listing]] = field(default_factory=list)
    _kickoff_shift: dict[Platform, timedelta] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Plans about 3 % postponed and 3 % dropped over eight hours, one each every four minutes or so at first."""
        rng = Random(f"{self.world.seed}:{self.world.size}:timeline")
        later = self.world.epoch + timedelta(hours=3)
        # A match that SportyBet knows by its Genius id alone would lose its identity if BetPawa dropped it: those stay.
        late = [
            f
            for f in self.world.fixtures
            if f.sr_id is not None and f.kickoff_at > later and not is_only_genius_at_sportybet(f)
        ]
        each = min(max(5, round(0.03 * len(late))), len(late) // 2)
        chosen = rng.sample(late, 2 * each)
        for turn, fixture in enumerate(chosen):
            order = turn // 2
            minutes = 4 * (order + 1) - 2 if order < 5 else rng.uniform(25, 480)
            at = self.world.epoch + timedelta(minutes=minutes + 1.5 * (turn % 2))
            if turn % 2:
                self.removals[fixture.number] = [Removal(at, rng.choice(sorted(fixture.platforms)))]
            else:
                self.postponements[fixture.number] = [
                    Postponement(at, timedelta(minutes=rng.choice((15, 30, 60, 120))))
                ]

    def find_kickoff(self, fixture: Fixture, platform: Platform, now: datetime) -> datetime:
        """Kickoff as the platform shows it at `now`."""
        moves = self.postponements.get(fixture.number, ())
        shown = fixture.kickoff_at + sum(
            (move.delay for move in moves if now >= move.at + PUBLISH_DELAY[platform]), timedelta(0)
        )
        return shown + self._kickoff_shift.get(platform, timedelta(0))

    @contextmanager
    def shift_kickoffs(self, platform: Platform, delay: timedelta) -> Iterator[None]:
        """Inside the block the platform shows every kickoff by so much later, as one that takes its own time for UTC
        does.
        """
        self._kickoff_shift[platform] = delay
        try:
            yield
        finally:
            del self._kickoff_shift[platform]

    def is_dropped(self, listing: Listing, now: datetime) -> bool:
        """True once the platform has taken it off."""
        return any(
            now >= drop.at and drop.platform in {None, listing.platform}
            for drop in self.removals.get(listing.fixture.number, ())
        )

    def is_up(self, listing: Listing, now: datetime) -> bool:
        """True while the platform lists it: not dropped there, kickoff still to come."""
        return self.find_kickoff(listing.fixture, listing.platform, now) > now and not self.is_dropped(listing, now)

    def is_in_play(self, listing: Listing, now: datetime) -> bool:
        """True for two hours from the kickoff that the platform shows."""
        kickoff = self.find_kickoff(listing.fixture, listing.platform, now)
        return kickoff <= now < kickoff + MATCH_DURATION and not self.is_dropped(listing, now)

    def list_upcoming(self, platform: Platform, now: datetime) -> list[Listing]:
        """Listings of matches that are up now, in the order of the world."""
        late = [listing for at, listing in self.added_listings if listing.platform is platform and now >= at]
        return [listing for listing in [*self.world.listings[platform], *late] if self.is_up(listing, now)]

    def list_simulated(self, now: datetime) -> list[Listing]:
        """SportyBet's simulated matches that are up now."""
        return [listing for listing in self.world.simulated_listings if self.is_up(listing, now)]

    def _find_price_period(self, listing: Listing, now: datetime) -> tuple[int, datetime]:
        """Number of the price step the book is in, and when it began."""
        fixture, platform = listing.fixture, listing.platform
        rng = Random(f"{self.world.seed}:{fixture.number}:{platform}:step")
        period = rng.uniform(300, 1500) * STEP_LENGTH_FACTORS[platform]
        phase = rng.random() * period
        elapsed = (now - self.world.epoch).total_seconds() + phase
        busy = (self.find_kickoff(fixture, platform, now) - now).total_seconds() < 3600
        length = period / 3 if busy else period
        step = int(elapsed // length)
        began = self.world.epoch + timedelta(seconds=round(step * length - phase, 3))
        return step + 1_000_000 * busy, began

    def find_price_step(self, listing: Listing, now: datetime) -> int:
        """Number of times the book has reconsidered its prices: every 5 to 25 minutes, three times as often in the
        last hour.
        """
        return self._find_price_period(listing, now)[0]

    def find_priced_at(self, listing: Listing, now: datetime) -> datetime:
        """When the prices shown now were set."""
        return self._find_price_period(listing, now)[1]

    def compute_expected_counts(self, listing: Listing, step: int) -> ExpectedCounts:
        """Expected counts that the book believed in at a price step, seen from the listing's home side."""
        rng = Random(f"{self.world.seed}:{listing.fixture.number}:{listing.platform}:drift")
        phases = [rng.random() * 2 * pi for _ in range(4)]
        home = 1 + 0.04 * sin(step * 2 * pi / 19 + phases[0]) + 0.02 * sin(step * 2 * pi / 5 + phases[1])
        away = 1 + 0.04 * sin(step * 2 * pi / 17 + phases[2]) + 0.02 * sin(step * 2 * pi / 7 + phases[3])
        first, second = GOALS_FACTORS[listing.platform]
        base = listing.expected
        return ExpectedCounts(
            base.home_goals * home * first,
            base.away_goals * away * second,
            base.home_corners * away * first,
            base.away_corners * home * second,
            base.home_cards * home,
            base.away_cards * away,
        )

    def find_suspension_step(self, listing: Listing, now: datetime) -> int:
        """Which window of suspensions the listing is in; the set of suspended markets changes with it."""
        phase = Random(f"{self.world.seed}:{listing.external_id}:phase").random() * SUSPENSION_WINDOW_S
        return int(((now - self.world.epoch).total_seconds() + phase) // SUSPENSION_WINDOW_S)

    def draw_suspensions(self, listing: Listing, now: datetime) -> Random:
        """Generator whose n-th draw says whether the n-th offered market is suspended now (below `SUSPENDED_SHARE`)."""
        return Random(f"{self.world.seed}:{listing.external_id}:{self.find_suspension_step(listing, now)}:suspended")
