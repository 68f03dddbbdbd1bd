"""The content of a platform's answers: listings, tournaments with their counts, raw prices, rejects.

Plain values, no frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain, repeat
from typing import Final, TypeVar

from .enums import Completeness, ListingKind, Platform, Sport

T = TypeVar("T")

MAX_KICKOFF_DISTANCE: Final = timedelta(days=3 * 365)
"""Maximum credible time between a kickoff and the answer that states it.

A kickoff further away is a placeholder or an error: no match is listed so long before it is played.
"""
MIN_RELISTING_GAP: Final = timedelta(hours=6)
"""The least distance of the kickoffs of a postponed match that a platform has listed again.

Two listings of one platform and fixture with closer kickoffs are copies of one listing, e.g. with boosted odds.
"""


IN_PLAY_REASON: Final = "in play"
"""The start of a reject's reason when the answer shows the match in play.

Such an answer is correct, but it holds no prematch book.
"""


class PayloadRejected(Exception):
    """The body does not have the shape that the endpoint promises. `path` is the place in the JSON."""

    def __init__(self, platform: Platform, path: str, reason: str) -> None:
        super().__init__(f"{platform}: {path}: {reason}")
        self.platform = platform
        self.path = path
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Reject:
    """One entry of an otherwise good answer that could not be read. Rejects are counted, never dropped."""

    platform: Platform
    external_id: str | None
    path: str
    reason: str

    @property
    def is_in_play(self) -> bool:
        """Return whether the entry was rejected because the match is in play."""
        return self.reason.startswith(IN_PLAY_REASON)


@dataclass(frozen=True, slots=True)
class Listing:
    """One platform's claim about one match.

    Ids are text as the platform writes them. `kickoff_at` is aware UTC and may be absurd.
    """

    platform: Platform
    external_id: str
    kind: ListingKind
    sport: Sport
    tournament_external_id: str
    tournament_name: str
    country_raw: str | None
    home_team: str
    away_team: str
    kickoff_at: datetime
    sr_id: int | None
    genius_id: int | None
    sr_tournament_id: int | None
    """SportRadar's id of the tournament, where the platform publishes it (SportyBet does)."""
    n_markets_declared: int | None
    is_in_play: bool = False
    """True when the answer shows the match in play, which is out of scope for a prematch pipeline."""

    def has_credible_kickoff(self, observed_at: datetime) -> bool:
        """Return whether the kickoff is near enough to the answer's `observed_at` to count as a claim."""
        return abs(self.kickoff_at - observed_at) <= MAX_KICKOFF_DISTANCE


@dataclass(frozen=True, slots=True)
class TournamentManifest:
    """The declared and the received content of one tournament on one platform.

    `missing_reason` says in words which part is missing.
    """

    platform: Platform
    external_id: str
    sport: Sport
    name: str
    country_raw: str | None
    sr_tournament_id: int | None
    n_declared: int | None
    n_received: int
    completeness: Completeness
    missing_reason: str = ""


@dataclass(frozen=True, slots=True)
class Discovery:
    """The content of all discovery answers of one platform in one cycle."""

    platform: Platform
    completeness: Completeness
    """Complete only when the tree and every tournament are complete."""
    tournaments: Sequence[TournamentManifest]
    listings: Sequence[Listing]
    """Every listing once, in-play and simulated ones included (see `kind` and `is_in_play`)."""
    rejects: Sequence[Reject] = ()
    reason: str = ""
    """The reason, in words, why the discovery is not complete."""


@dataclass(slots=True)
class RawPrices:
    """The book of one detail answer in the platform's own ids, in two levels.

    The normaliser turns it into canonical prices.

    `market_id`, `market_name`, `specifier` and `n_outcomes` have one entry per market row of the answer, in its order.
    The other columns hold the outcomes of those rows one after the other, so `sum(n_outcomes)` is their length. Several
    rows may name the same market and specifier, and a row may have no outcomes.

    `specifier` is the line as the normaliser expects it: BetPawa `row.handicap` (quarter units), SportyBet the
    specifier text, Bet9ja the text after `@`; '' when the market has none. `odds_milli` is the decimal price x 1000,
    None when the platform sent no price above 1.00. `off` is True when the platform itself marks the outcome as not
    open for bets (suspended, inactive, banned).
    """

    market_id: list[str] = field(default_factory=list)
    market_name: list[str] = field(default_factory=list)
    specifier: list[str] = field(default_factory=list)
    n_outcomes: list[int] = field(default_factory=list)
    outcome_id: list[str] = field(default_factory=list)
    outcome_name: list[str] = field(default_factory=list)
    odds_milli: list[int | None] = field(default_factory=list)
    off: list[bool] = field(default_factory=list)

    def __len__(self) -> int:
        """Return the number of outcomes."""
        return len(self.outcome_id)

    def repeat_per_outcome(self, column: Sequence[T]) -> list[T]:
        """Return a column of the market rows with each value repeated once per outcome of its row."""
        return list(chain.from_iterable(map(repeat, column, self.n_outcomes)))


@dataclass(frozen=True, slots=True)
class Detail:
    """The content of one detail answer: the listing's claim and its whole book."""

    listing: Listing
    prices: RawPrices
    rejects: Sequence[Reject] = ()
