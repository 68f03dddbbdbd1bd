"""MSport's JSON as types, with only the fields that are read. An unknown value is null."""

from typing import Any

import msgspec

from ..coded_answers import MarketProduct
from ..json_values import OutcomeId, RawOdds


class ListData(msgspec.Struct, gc=False, rename="camel"):
    tournaments: list[msgspec.Raw]
    last_event_id: Any = None


class ListTournament(msgspec.Struct, gc=False, rename="camel"):
    category: Any = None
    tournament: Any = None
    tournament_id: Any = None
    events: list[msgspec.Raw] | None = None


class Event(msgspec.Struct, gc=False, rename="camel"):
    """An event in a list or as a detail, without its markets."""

    event_id: str
    start_time: Any = None
    status: Any = None
    home_team: str | None = None
    away_team: str | None = None
    sport_id: Any = None
    category: Any = None
    category_id: Any = None
    tournament: Any = None
    tournament_id: Any = None
    played_time: Any = None
    score_of_whole_match: Any = None


class EventWithMarkets(Event, rename="camel"):
    """An event, its markets left undecoded."""

    markets: list[msgspec.Raw] | None = None


class Outcome(msgspec.Struct, gc=False, rename="camel"):
    """An outcome as the platform sends it; anything else is a `LooseOutcome`."""

    id: OutcomeId
    odds: RawOdds = None
    is_active: int = 0
    description: str | None = None


class Market(msgspec.Struct, gc=False):
    """A market as the platform sends it; anything else is a `LooseMarket`."""

    id: int
    specifiers: str | None = None
    product: int | None = None
    status: int = 0
    name: str | None = None
    description: str | None = None
    outcomes: list[Outcome] = []


class Book(Event, rename="camel"):
    markets: list[Market] = []


class Head(Event, rename="camel"):
    """An event with only the part of its markets that shows whether it is in play."""

    markets: list[MarketProduct] = []


class LooseOutcome(msgspec.Struct, gc=False, rename="camel"):
    id: Any = None
    odds: Any = None
    is_active: Any = None
    description: Any = None


class LooseMarket(msgspec.Struct, gc=False):
    id: int
    specifiers: str | None = None
    status: Any = None
    name: str | None = None
    description: str | None = None
    outcomes: list[LooseOutcome] | None = None
