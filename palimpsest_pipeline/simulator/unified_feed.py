"""The lines of a simulated book as SportRadar's unified feed names them, for the packs that speak it.

The matches, and those of their lines that the feed knows, are the ones of a `source` platform of the world.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from palimpsest_pipeline.domain.enums import Platform

from .book import BookGenerator, OfferedLine, PricedOutcome
from .timeline import Timeline
from .world import SimulatedListing

FIRST_OWN_ID: Final = 2000
"""Market ids from here on are a platform's own."""
MIN_ODDS: Final = 1.01


@dataclass(frozen=True, slots=True)
class FeedLine:
    """One line of a book. `prices` holds id, label and odds (None: no price) of each outcome."""

    market: str
    specifier: str
    name: str
    prices: tuple[tuple[str, str, float | None], ...]
    source: OfferedLine


@dataclass(frozen=True, slots=True)
class FeedBooks:
    """The matches and books of a platform that speaks the feed.

    `price_factor` turns the source's odds into the platform's own, up to `max_odds`. `own_markets` are the platform's
    ids of markets that the source has outside the feed.
    """

    timeline: Timeline
    books: BookGenerator
    source: Platform
    price_factor: float
    max_odds: float
    own_markets: Mapping[str, str]

    def list_listings(self, now: datetime) -> list[SimulatedListing]:
        """Return the matches that are listed now: those of the source with a SportRadar id."""
        upcoming = self.timeline.list_upcoming(self.source, now)
        return [listing for listing in upcoming if listing.fixture.sr_id is not None]

    def find_listing(self, sr_id: str, now: datetime) -> SimulatedListing | None:
        """Return the match with this SportRadar id that is listed or in play now."""
        listings = self.timeline.list_known(self.source, now)
        same = [listing for listing in listings if str(listing.fixture.sr_id) == sr_id]
        upcoming = [listing for listing in same if self.timeline.is_up(listing, now)]
        return next((one for one in (*upcoming, *same) if one in upcoming or self.timeline.is_in_play(one, now)), None)

    def find_kickoff(self, listing: SimulatedListing, now: datetime) -> datetime:
        return self.timeline.find_kickoff(listing.fixture, self.source, now)

    def list_lines(self, listing: SimulatedListing, now: datetime) -> list[FeedLine]:
        """Return the listing's book; lines that are neither the feed's nor the platform's own are left out."""
        lines = []
        for offered in self.books.list_lines(listing, now):
            native = offered.market.native_id
            market = self.own_markets.get(native, native)
            if market != native or int(native) < FIRST_OWN_ID:
                prices = tuple(map(self._quote_outcome, offered.prices))
                lines.append(FeedLine(market, offered.line, offered.market.name, prices, offered))
        return lines

    def _quote_outcome(self, price: PricedOutcome) -> tuple[str, str, float | None]:
        number = f"sr:player:{price.outcome.native_id}" if price.player else price.outcome.native_id
        odds = (
            None if price.odds is None else min(max(round(price.odds * self.price_factor, 2), MIN_ODDS), self.max_odds)
        )
        return number, price.player.name if price.player else price.outcome.label, odds
