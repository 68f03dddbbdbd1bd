"""Betway's JSON as types. Only the fields that are read appear."""

from typing import Any

import msgspec

from ..json_values import NO_RAW


class Tree(msgspec.Struct, gc=False):
    regions: list[msgspec.Raw]


class Region(msgspec.Struct, gc=False, rename="camel"):
    region_id: Any = None
    name: Any = None
    leagues: list[msgspec.Raw] | None = None


class League(msgspec.Struct, gc=False, rename="camel"):
    league_id: Any = None
    name: Any = None


class EventList(msgspec.Struct, gc=False, rename="camel"):
    events: list[msgspec.Raw]
    is_final_page: Any = None


class Event(msgspec.Struct, gc=False, rename="camel"):
    """A match in a list or alone, without its markets."""

    event_id: Any = None
    expected_start_epoch: Any = None
    sport_id: Any = None
    region_id: Any = None
    region: Any = None
    league_id: Any = None
    league: Any = None
    home_team: Any = None
    away_team: Any = None
    is_live: Any = None
    is_active: Any = None
    is_finished: Any = None
    is_outright: Any = None


class Detail(msgspec.Struct, gc=False, rename="camel"):
    """Any answer about one match: the match alone, a page of its markets, or both in a recorded answer."""

    sport_event: msgspec.Raw = NO_RAW
    markets_in_group: list[msgspec.Raw] | None = None
    outcomes: list[msgspec.Raw] | None = None
    prices: list[msgspec.Raw] | None = None


class AdditionalInfo(msgspec.Struct, gc=False, rename="pascal"):
    producer: Any = None


class MarketId(msgspec.Struct, gc=False, rename="camel"):
    """The id of a market, to find it on another page."""

    market_id: Any = None


class Market(msgspec.Struct, gc=False, rename="camel"):
    market_id: str
    subscription_id: int
    event_id: int
    name: str | None = None
    display_name: str | None = None
    is_active: Any = None
    is_suspended: Any = None
    should_display: Any = None
    is_squashed_parent: Any = None
    additional_info: AdditionalInfo | None = None


class Outcome(msgspec.Struct, gc=False, rename="camel"):
    outcome_id: str
    original_market_id: str
    market_id: str | None = None
    name: str | None = None
    is_trading_active: Any = None
    should_display: Any = None


class Price(msgspec.Struct, gc=False, rename="camel"):
    outcome_id: str
    price_decimal: Any = None
