"""BetPawa's JSON as types, for both wire generations.

Only the fields that are read appear. A field that may be absent or change type is `Any`.
"""

from typing import Any

import msgspec

from ..json_values import NO_RAW, OutcomeId, RawOdds


class Envelope(msgspec.Struct, gc=False, rename="camel"):
    """The root of any answer: the keys that identify its kind."""

    id: Any = None
    with_regions: msgspec.Raw = NO_RAW
    responses: msgspec.Raw = NO_RAW
    error: Any = None
    server_message: Any = None


class Tree(msgspec.Struct, gc=False, rename="camel"):
    with_regions: list[msgspec.Raw]


class SportNode(msgspec.Struct, gc=False, rename="camel"):
    category: Any = None
    event_counts: Any = None
    regions: list[msgspec.Raw] | None = None


class RegionNode(msgspec.Struct, gc=False, rename="camel"):
    region: Any = None
    event_counts: Any = None
    competitions: list[msgspec.Raw] | None = None


class NamedNode(msgspec.Struct, gc=False):
    id: int | str
    name: str | None = None


class CompetitionNode(msgspec.Struct, gc=False, rename="camel"):
    competition: NamedNode
    event_counts: Any = None


class QueryBlock(msgspec.Struct, gc=False):
    """One query's part of a list answer. The site repeats the name; v4 leaves an empty list out."""

    responses: list[msgspec.Raw] | None = None


class QueryBlocks(msgspec.Struct, gc=False):
    responses: list[QueryBlock | None]


class Participant(msgspec.Struct, gc=False):
    name: str
    position: int | str | None = None


class Event(msgspec.Struct, gc=False, rename="camel"):
    """An event without its markets, in a list or as a detail."""

    id: int | str
    start_time: str
    category: NamedNode
    competition: NamedNode
    name: str | None = None
    participants: list[Participant] | None = None
    region: Any = None
    widgets: Any = None
    additional_info: Any = None
    results: Any = None
    total_market_count: Any = None


class EventIds(msgspec.Struct, gc=False):
    """The ids of an event, for a reject when its other fields cannot be read."""

    id: Any = None
    competition: Any = None


class EventWithMarkets(Event, rename="camel"):
    """An event, its markets left undecoded."""

    markets: list[msgspec.Raw] | None = None


class Price(msgspec.Struct, gc=False, rename="camel"):
    """An outcome with the usual JSON types. One with other types is decoded as a `LoosePrice`."""

    type_id: OutcomeId
    name: str | None = None
    odds: RawOdds = None
    """The price in v4."""
    price: RawOdds = None
    """The price in v3."""
    suspended: bool = False


class Row(msgspec.Struct, gc=False):
    handicap: int | None = None
    prices: list[Price] = []


class MarketType(msgspec.Struct, gc=False, rename="camel"):
    id: int | str
    name: str | None = None
    handicap_type: str | None = None


class Market(msgspec.Struct, gc=False, rename="camel"):
    """A market with the usual JSON types. One with other types is decoded as a `LooseMarket`."""

    market_type: MarketType
    row: list[Row] = []


class Book(Event, rename="camel"):
    markets: list[Market] = []


class LoosePrice(msgspec.Struct, gc=False, rename="camel"):
    type_id: Any = None
    name: Any = None
    odds: Any = None
    price: Any = None
    suspended: Any = None


class LooseRow(msgspec.Struct, gc=False):
    handicap: Any = None
    prices: list[LoosePrice] | None = None


class LooseMarket(msgspec.Struct, gc=False, rename="camel"):
    market_type: MarketType
    row: list[LooseRow] | None = None
