"""The parsed content of a platform's answers: listings, tournaments with counts, prices, rejects.

The types are dataclasses, not frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain, repeat
from typing import Final, TypeVar

from .enums import Completeness, FailureClass, ListingKind, Platform, Sport

T = TypeVar("T")

MAX_KICKOFF_DISTANCE: Final = timedelta(days=3 * 365)
"""Maximum credible time between an answer and the kickoff in it.

A kickoff further away is a placeholder or an error, because no match is listed so early.
"""
MIN_RELISTING_GAP: Final = timedelta(hours=6)
"""Minimum time between the two kickoffs when a platform has listed a postponed match again.

If two listings of a platform and fixture have closer kickoffs, they are copies of one listing, e.g. with boosted odds.
"""


IN_PLAY_REASON: Final = "in play"
"""The start of a reject's reason when the match is in play.

Such an answer is correct, but it has no odds from before kickoff.
"""


class PayloadRejected(Exception):
    """The error when a body does not have the expected format. `path` is the place in the JSON.

    `failure` is the class of a book's failure when its requests end with this error.
    """

    def __init__(
        self, platform: Platform, path: str, reason: str, failure: FailureClass = FailureClass.CONTRACT_BROKEN
    ) -> None:
        super().__init__(f"{platform}: {path}: {reason}")
        self.platform = platform
        self.path = path
        self.reason = reason
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Reject:
    """An entry of an answer that could not be parsed. Rejects are stored and counted."""

    platform: Platform
    external_id: str | None
    path: str
    reason: str

    @property
    def is_in_play(self) -> bool:
        """Whether the entry was rejected because the match is in play."""
        return self.reason.startswith(IN_PLAY_REASON)


@dataclass(frozen=True, slots=True)
class Listing:
    """The claim of one platform about one match.

    Ids are text as the platform writes them. `kickoff_at` has the time zone UTC and may be wrong by years.
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
    """SportRadar's id of the tournament, if the platform publishes it (SportyBet does)."""
    n_markets_declared: int | None
    is_in_play: bool = False
    """True when the match is in play. The pipeline does not store odds of such matches."""

    def has_credible_kickoff(self, observed_at: datetime) -> bool:
        """Return whether the kickoff is at most MAX_KICKOFF_DISTANCE away from the answer's `observed_at`."""
        return abs(self.kickoff_at - observed_at) <= MAX_KICKOFF_DISTANCE


@dataclass(frozen=True, slots=True)
class TournamentManifest:
    """How many listings of a tournament a platform declared, and how many were received.

    `missing_reason` says which part is missing.
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
    """Complete only when the list of tournaments and every tournament are complete."""
    tournaments: Sequence[TournamentManifest]
    listings: Sequence[Listing]
    """Every listing once, including in-play and simulated ones (see `kind` and `is_in_play`)."""
    rejects: Sequence[Reject] = ()
    reason: str = ""
    """Why the discovery is not complete; '' when it is."""


@dataclass(slots=True)
class RawPrices:
    """The odds of one listing's answer with the platform's own ids, as columns of two tables.

    The normaliser converts them to markets and outcomes of the vocabulary.

    `market_id`, `market_name`, `specifier` and `n_outcomes` have one entry per market of the answer, in its order. The
    other columns have one entry per outcome: first all outcomes of the first market, then those of the second, and so
    on. Their length is `sum(n_outcomes)`. Several markets may have the same id and specifier, and a market may have no
    outcomes.

    `specifier` has the form that the normaliser expects: `row.handicap` (quarter units) for BetPawa, the specifier text
    for SportyBet, the text after `@` for Bet9ja; '' when the market has none. `odds_milli` is the decimal price x 1000,
    None when the platform sent no price above 1.00. `off` is true when the platform marks the outcome as not open for
    bets (suspended, inactive, banned).
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
        """Repeat each value of a market column once per outcome of the market."""
        return list(chain.from_iterable(map(repeat, column, self.n_outcomes)))


@dataclass(frozen=True, slots=True)
class Detail:
    """The content of one listing's answer: its claim and its odds."""

    listing: Listing
    prices: RawPrices
    rejects: Sequence[Reject] = ()
