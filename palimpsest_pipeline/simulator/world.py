"""The world: countries, competitions, teams, fixtures, and each platform's listings of them.

It depends only on (seed, size, epoch). `timeline` has the changes over time.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.simulator.simulated_platforms import BET9JA, BETPAWA, PLATFORMS, SPORTYBET

from .names import COUNTRIES, invent_team_names, list_competition_names, spell_team
from .pricing import ExpectedCounts

FIXTURES_BY_PLATFORM_SET: tuple[tuple[frozenset[Platform], int], ...] = (
    (frozenset({BETPAWA, SPORTYBET, BET9JA}), 1535),
    (frozenset({BETPAWA, SPORTYBET}), 133),
    (frozenset({BETPAWA, BET9JA}), 20),
    (frozenset({SPORTYBET, BET9JA}), 300),
    (frozenset({BETPAWA}), 530),
    (frozenset({SPORTYBET}), 292),
    (frozenset({BET9JA}), 159),
)
"""Number of fixtures that each set of platforms lists, of 2,969 fixtures on all platforms."""

LISTINGS_PER_BET9JA_FIXTURE = 1.53
FIXTURES_PER_TOURNAMENT = 5
TOURNAMENT_TIERS = ((0.12, "top"), (0.45, "middle"), (1.0, "small"))
PRICED_PAIRS_BY_TIER = {
    # mean number of (market, line) pairs by tier
    BETPAWA: {"top": 115, "middle": 55, "small": 27},
    SPORTYBET: {"top": 480, "middle": 210, "small": 95},
    BET9JA: {"top": 295, "middle": 178, "small": 88},
}


@dataclass(frozen=True, slots=True)
class Country:
    """One country with its id and name on each platform."""

    names: dict[Platform, str]
    ids: dict[Platform, str]


@dataclass(frozen=True, slots=True)
class SimulatedTournament:
    """One competition with its id and name on each platform."""

    country: Country
    names: dict[Platform, str]
    ids: dict[Platform, str]
    tier: str
    rank: int


@dataclass(frozen=True, slots=True)
class Team:
    """One team with its id and spelling on each platform."""

    names: dict[Platform, str]
    number: int


@dataclass(frozen=True, slots=True)
class SimulatedFixture:
    """One match. `sr_id` is None when no platform has its SportRadar id; then only one platform lists it.

    `rotated_on` is the platform that lists home and away team the other way round.
    """

    number: int
    sr_id: int | None
    genius_id: int | None
    tournament: SimulatedTournament
    home: Team
    away: Team
    kickoff_at: datetime
    platforms: frozenset[Platform]
    expected: ExpectedCounts
    rotated_on: Platform | None = None
    is_neutral: bool = False


@dataclass(frozen=True, slots=True)
class SimulatedListing:
    """One platform's entry for one fixture.

    A duplicate is a second entry in another group (`group_id`), with another id and fewer markets. `n_pairs` is the
    number of (market, line) pairs from which its book is drawn.
    """

    platform: Platform
    external_id: str
    fixture: SimulatedFixture
    group_id: str
    group_name: str
    n_pairs: int
    is_duplicate: bool = False
    quirk: int = 0
    """A number 0..9999 that selects the rare properties of this entry."""

    @property
    def expected(self) -> ExpectedCounts:
        """The expected counts from this listing's home side."""
        return self.fixture.expected.swap_sides() if self.fixture.rotated_on == self.platform else self.fixture.expected

    @property
    def teams(self) -> tuple[Team, Team]:
        """Home and away team as this platform shows them."""
        pair = (self.fixture.home, self.fixture.away)
        return pair[::-1] if self.fixture.rotated_on == self.platform else pair


@dataclass(slots=True)
class World:
    """All fixtures and listings.

    `simulated_listings` (SportyBet's simulated leagues) and `antepost_listings` (outrights) are listed but are not
    matches.
    """

    seed: int
    size: int
    epoch: datetime
    fixtures: list[SimulatedFixture] = field(default_factory=list)
    tournaments: list[SimulatedTournament] = field(default_factory=list)
    listings: dict[Platform, list[SimulatedListing]] = field(default_factory=dict)
    simulated_listings: list[SimulatedListing] = field(default_factory=list)
    antepost_listings: list[SimulatedListing] = field(default_factory=list)


def is_only_genius_at_sportybet(fixture: SimulatedFixture) -> bool:
    """Return whether SportyBet has only the Genius id of a match for which BetPawa has both ids."""
    on_both = {BETPAWA, SPORTYBET} <= fixture.platforms
    return on_both and fixture.genius_id is not None and fixture.number % 40 in {7, 29}


def apportion_fixtures(size: int) -> list[int]:
    """Return how many of `size` fixtures each set of `FIXTURES_BY_PLATFORM_SET` gets, in its order."""
    total = sum(count for _, count in FIXTURES_BY_PLATFORM_SET)
    exact = [size * count / total for _, count in FIXTURES_BY_PLATFORM_SET]
    counts = [int(value) for value in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: (counts[i] - exact[i], i))
    for i in by_remainder[: size - sum(counts)]:
        counts[i] += 1
    return counts


def _build_countries(rng: Random) -> list[Country]:
    countries = []
    for number, (name, sporty, bet9ja) in enumerate(COUNTRIES):
        is_international = name == "International"
        ids = {
            BETPAWA: "1" if is_international else str(100 + number * 4 + rng.randrange(4)),
            SPORTYBET: "sr:category:4" if is_international else f"sr:category:{10 + number * 7}",
            BET9JA: "11463" if is_international else str(11500 + number * 31 + rng.randrange(30)),
        }
        names = {BETPAWA: name, SPORTYBET: sporty, BET9JA: bet9ja}
        countries.append(Country(names, ids))
    return countries


def _build_tournaments(rng: Random, count: int) -> list[SimulatedTournament]:
    countries = _build_countries(rng)
    tournaments = []
    for rank in range(count):
        level, place = divmod(rank, len(countries))
        paws, sporty, bet9ja = list_competition_names(level)
        is_simple = level >= 6 and rng.random() < 0.3
        ids = {
            BETPAWA: str(11900 + rank * 3 + rng.randrange(3)),
            SPORTYBET: f"sr:{'simple_' if is_simple else ''}tournament:{17 + rank * 9 + rng.randrange(9)}",
            BET9JA: str(170880 + rank * 101 + rng.randrange(100)),
        }
        tier = next(name for share, name in TOURNAMENT_TIERS if rank < max(1, share * count) or share == 1.0)
        names = {BETPAWA: paws, SPORTYBET: sporty, BET9JA: bet9ja}
        tournaments.append(SimulatedTournament(countries[place], names, ids, tier, rank))
    return tournaments


def _draw_kickoff(rng: Random, epoch: datetime) -> datetime:
    """Return a kickoff after `epoch`, at a multiple of five minutes.

    About one in ten is within two hours, a third at the busiest time of the weekend, the rest within seven days.
    """
    draw = rng.random()
    if draw < 0.10:
        minutes = 5 + 5 * rng.randrange(24)
    elif draw < 0.43:
        minutes = 2 * 24 * 60 + 15 * rng.choice((0, 0, 0, 0, 4, 8, 10, -6))
    else:
        minutes = 125 + 5 * rng.randrange((7 * 24 * 60 - 125) // 5)
    return epoch + timedelta(minutes=minutes)


def _draw_expected_counts(rng: Random) -> ExpectedCounts:
    home = min(max(rng.gauss(1.55, 0.45), 0.5), 3.4)
    away = min(max(rng.gauss(1.15, 0.40), 0.35), 3.0)
    return ExpectedCounts(
        home, away, rng.uniform(4.6, 6.2), rng.uniform(3.6, 5.2), rng.uniform(1.6, 2.4), rng.uniform(1.8, 2.8)
    )


def _build_team(name: str, number: int, rng: Random) -> Team:
    quirk = rng.randrange(100)
    return Team({platform: spell_team(name, platform, quirk) for platform in PLATFORMS}, number)


class _WorldBuilder:
    """Builds a world step by step.

    Each step has its own random generator, so that one step can be changed without affecting the others.
    """

    def __init__(self, seed: int, size: int, epoch: datetime) -> None:
        self.world = World(seed, size, epoch)
        self.offset = self.make_rng("ids").randrange(1, 90)
        self.ids = self.make_rng("listing ids")

    def make_rng(self, purpose: str) -> Random:
        return Random(f"{self.world.seed}:{self.world.size}:{purpose}")

    def build_world(self) -> World:
        world = self.world
        world.tournaments = _build_tournaments(
            self.make_rng("tournaments"), max(1, -(-world.size // FIXTURES_PER_TOURNAMENT))
        )
        world.fixtures = self._build_fixtures()
        world.listings = {
            platform: [self._build_listing(f, platform) for f in world.fixtures if platform in f.platforms]
            for platform in PLATFORMS
        }
        self._add_duplicates()
        self._add_others()
        return world

    def _draw_platform_sets(self) -> list[frozenset[Platform]]:
        """Return one set of platforms per fixture: mostly equal within a tournament, a third at random."""
        sets = [
            group
            for (group, _), count in zip(FIXTURES_BY_PLATFORM_SET, apportion_fixtures(self.world.size), strict=True)
            for _ in range(count)
        ]
        rng = self.make_rng("coverage")
        positions = sorted(rng.sample(range(len(sets)), len(sets) // 3))
        shuffled = [sets[i] for i in positions]
        rng.shuffle(shuffled)
        for position, group in zip(positions, shuffled, strict=True):
            sets[position] = group
        return sets

    def _draw_unidentified_platforms(self) -> list[Platform]:
        n_each = max(1, self.world.size // 70)
        return [platform for platform in PLATFORMS for _ in range(n_each)]

    def _build_fixtures(self) -> list[SimulatedFixture]:
        world, rng = self.world, self.make_rng("fixtures")
        sets = self._draw_platform_sets()
        unidentified_platforms = self._draw_unidentified_platforms()
        names = invent_team_names(self.make_rng("teams"), 2 * (len(sets) + len(unidentified_platforms)))
        fixtures = []
        for number in range(len(sets) + len(unidentified_platforms)):
            is_identified = number < len(sets)
            platforms = sets[number] if is_identified else frozenset({unidentified_platforms[number - len(sets)]})
            tournament = world.tournaments[
                number // FIXTURES_PER_TOURNAMENT if is_identified else rng.randrange(len(world.tournaments))
            ]
            home, away = (
                _build_team(names[2 * number], 2 * number, rng),
                _build_team(names[2 * number + 1], 2 * number + 1, rng),
            )
            genius = 13_000_000 + self.offset * 9_000 + number * 3 + rng.randrange(3) if rng.random() < 0.55 else None
            rotated_on = (
                BET9JA if is_identified and len(platforms) > 1 and BET9JA in platforms and number % 150 == 37 else None
            )
            fixtures.append(
                SimulatedFixture(
                    number=number,
                    sr_id=61_000_000 + self.offset * 90_000 + number * 11 + rng.randrange(11)
                    if is_identified
                    else None,
                    genius_id=genius,
                    tournament=tournament,
                    home=home,
                    away=away,
                    kickoff_at=_draw_kickoff(rng, world.epoch),
                    platforms=platforms,
                    expected=_draw_expected_counts(rng),
                    rotated_on=rotated_on,
                    is_neutral=number % 97 == 3,
                )
            )
        return fixtures

    def _make_external_id(self, fixture: SimulatedFixture, platform: Platform) -> str:
        step = self.ids.randrange(7)
        if platform == BETPAWA:
            return str(36_000_000 + self.offset * 20_000 + fixture.number * 7 + step)
        if platform == BET9JA:
            return str(782_000_000 + self.offset * 300_000 + fixture.number * 70 + step)
        if fixture.sr_id is None:
            # No SportRadar id: either a match with only a Genius id, or the platform's own text.
            return (
                f"sr:match:1111111{14_500_000 + fixture.number}"
                if fixture.number % 2
                else f"sr:match:BAa{fixture.number:06d}Dswk7me6i4"
            )
        return (
            f"sr:match:1111111{fixture.genius_id}"
            if is_only_genius_at_sportybet(fixture)
            else f"sr:match:{fixture.sr_id}"
        )

    def _draw_pair_count(self, fixture: SimulatedFixture, platform: Platform) -> int:
        mean = PRICED_PAIRS_BY_TIER[platform][fixture.tournament.tier]
        return max(3, round(mean * self.ids.uniform(0.75, 1.25)))

    def _build_listing(self, fixture: SimulatedFixture, platform: Platform) -> SimulatedListing:
        tournament = fixture.tournament
        external_id = self._make_external_id(fixture, platform)
        pairs = self._draw_pair_count(fixture, platform)
        return SimulatedListing(
            platform,
            external_id,
            fixture,
            tournament.ids[platform],
            tournament.names[platform],
            pairs,
            quirk=self.ids.randrange(10_000),
        )

    def _add_duplicates(self) -> None:
        """Add second listings of some fixtures on Bet9ja, in another group of the country, with fewer markets."""
        rng, listings = self.make_rng("duplicates"), self.world.listings[BET9JA]
        identified = [listing for listing in listings if listing.fixture.sr_id is not None]
        n_extra = round((LISTINGS_PER_BET9JA_FIXTURE - 1) * len(identified))
        for original in sorted(
            rng.sample(identified, min(n_extra, len(identified))), key=lambda listing: listing.fixture.number
        ):
            number = original.fixture.number
            region = int(original.fixture.tournament.country.ids[BET9JA])
            coupon = number % 2
            listings.append(
                SimulatedListing(
                    platform=BET9JA,
                    external_id=str(831_000_000 + self.offset * 300_000 + number * 50 + rng.randrange(50)),
                    fixture=original.fixture,
                    group_id=str(2_300_000 + region * 2 + coupon),
                    group_name=("Weekend Coupon", "Top Bets")[coupon],
                    n_pairs=max(3, round(original.n_pairs * rng.uniform(0.2, 0.5))),
                    is_duplicate=True,
                    quirk=rng.randrange(10_000),
                )
            )

    def _add_others(self) -> None:
        """Add simulated leagues and outrights (antepost), which are listed but are not matches."""
        world, rng = self.world, self.make_rng("others")
        first = len(world.fixtures)
        simulated, antepost = max(2, world.size // 40), max(1, world.size // 100)
        for number in range(first, first + simulated + antepost):
            tournament = world.tournaments[rng.randrange(min(6, len(world.tournaments)))]
            names = invent_team_names(rng, 2)
            home, away = _build_team(names[0], 2 * number, rng), _build_team(names[1], 2 * number + 1, rng)
            is_srl = number < first + simulated
            platform = SPORTYBET if is_srl else BET9JA
            kickoff = _draw_kickoff(rng, world.epoch) if is_srl else world.epoch + timedelta(days=200)
            fixture = SimulatedFixture(
                number, None, None, tournament, home, away, kickoff, frozenset({platform}), _draw_expected_counts(rng)
            )
            if is_srl:
                league = number % 2
                group, name = f"sr:tournament:{36225 + league}", ("LaLiga SRL", "Premier League SRL")[league]
                world.simulated_listings.append(
                    SimulatedListing(platform, f"sr:match:{64_900_000 + number}", fixture, group, name, 40, quirk=5_000)
                )
            else:
                external_id = str(990_100_000 + number)
                world.antepost_listings.append(
                    SimulatedListing(
                        platform,
                        external_id,
                        fixture,
                        tournament.ids[platform],
                        tournament.names[platform],
                        1,
                        quirk=5_000,
                    )
                )


def build_world(seed: int, size: int, epoch: datetime) -> World:
    """Return the world of `size` identified fixtures, counted over all platforms.

    Kickoffs are after `epoch`. Equal arguments give equal worlds in every process.
    """
    return _WorldBuilder(seed, size, epoch).build_world()
