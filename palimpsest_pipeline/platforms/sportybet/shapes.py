"""SportyBet's JSON as types.

Only the fields that are read appear. The site never sends null: an unknown value is absent, so nearly all fields are
optional.
"""

from typing import Any

import msgspec

from ..coded_answers import MarketProduct
from ..json_values import OutcomeId, RawOdds


class TreeData(msgspec.Struct, gc=False, rename="camel"):
    sport_list: list[msgspec.Raw]


class SportNode(msgspec.Struct, gc=False, rename="camel"):
    id: str
    categories: list[msgspec.Raw] | None = None
    event_size: Any = None


class CategoryNode(msgspec.Struct, gc=False, rename="camel"):
    name: str | None = None
    event_size: Any = None
    tournaments: list[msgspec.Raw] | None = None


class TournamentNode(msgspec.Struct, gc=False, rename="camel"):
    id: str
    name: str | None = None
    event_size: Any = None


class ListData(msgspec.Struct, gc=False, rename="camel"):
    total_num: Any = None
    tournaments: list[msgspec.Raw] | None = None


class ListTournament(msgspec.Struct, gc=False, rename="camel"):
    id: Any = None
    name: Any = None
    events: list[msgspec.Raw] | None = None


class Event(msgspec.Struct, gc=False, rename="camel"):
    """An event in a list or as a detail, without its markets."""

    event_id: str
    estimate_start_time: Any = None
    status: Any = None
    product_status: Any = None
    home_team_name: str | None = None
    away_team_name: str | None = None
    sport: Any = None
    total_market_size: Any = None
    event_source: Any = None
    played_seconds: Any = None
    set_score: Any = None
    banned: Any = None


class EventWithMarkets(Event, rename="camel"):
    """An event, its markets left undecoded."""

    markets: list[msgspec.Raw] | None = None


class Outcome(msgspec.Struct, gc=False, rename="camel"):
    """An outcome as the platform sends it; anything else is a `LooseOutcome`."""

    id: OutcomeId
    odds: RawOdds = None
    is_active: int = 0
    desc: str | None = None


class Market(msgspec.Struct, gc=False):
    """A market with the usual JSON types. One with other types is decoded as a `LooseMarket`."""

    id: str
    specifier: str | None = None
    product: int | None = None
    desc: str | None = None
    status: int = 0
    name: str | None = None
    outcomes: list[Outcome] = []
    banned: bool = False


class Book(Event, rename="camel"):
    markets: list[Market] = []


class Head(Event, rename="camel"):
    """An event with only the part of its markets that shows whether it is in play."""

    markets: list[MarketProduct] = []


class LooseOutcome(msgspec.Struct, gc=False, rename="camel"):
    id: Any = None
    odds: Any = None
    is_active: Any = None
    desc: Any = None


class LooseMarket(msgspec.Struct, gc=False):
    id: int | str
    specifier: str | None = None
    product: Any = None
    status: Any = None
    banned: Any = None
    name: str | None = None
    desc: str | None = None
    outcomes: list[LooseOutcome] | None = None
