"""SportPesa's JSON as types. Only the fields that are read appear."""

from typing import Any

import msgspec


class SportNode(msgspec.Struct, gc=False):
    id: Any = None
    countries: list[msgspec.Raw] | None = None


class CountryNode(msgspec.Struct, gc=False):
    name: Any = None
    leagues: list[msgspec.Raw] | None = None


class LeagueNode(msgspec.Struct, gc=False):
    id: Any = None
    name: Any = None


class Game(msgspec.Struct, gc=False, rename="camel"):
    """A game in a list or alone. Its markets are the whole book only in some recorded answers."""

    id: Any = None
    betradar_id: Any = None
    betgenius_id: Any = None
    competition: Any = None
    country: Any = None
    sport: Any = None
    competitors: Any = None
    date_timestamp: Any = None
    markets_count: Any = None
    markets: list[msgspec.Raw] | None = None


class MarketHead(msgspec.Struct, gc=False, rename="camel"):
    """The fields of a market that show whether a game has its whole book or only one market of it."""

    id: Any = None
    spec_value: Any = None


class Selection(msgspec.Struct, gc=False, rename="camel"):
    short_name: str
    odds: Any = None
    name: str | None = None


class Market(msgspec.Struct, gc=False, rename="camel"):
    id: int
    spec_value: int | float
    selections: list[msgspec.Raw]
    name: str | None = None
