"""Betika's JSON as types, with only the fields that are read.

Numbers come as text before kickoff, and as numbers later.
"""

from typing import Any

import msgspec

from ..json_values import NO_RAW, OutcomeId, RawOdds


class Envelope(msgspec.Struct, gc=False):
    data: msgspec.Raw = NO_RAW
    meta: msgspec.Raw = NO_RAW


class Answer(msgspec.Struct, gc=False):
    """A tree or a page of the list."""

    data: list[msgspec.Raw]
    meta: Any = None


class Category(msgspec.Struct, gc=False):
    category_name: Any = None
    competitions: list[msgspec.Raw] | None = None


class Competition(msgspec.Struct, gc=False):
    competition_name: Any = None
    count: Any = None


class Match(msgspec.Struct, gc=False):
    """A match in a list, or the head of a detail. The last four fields appear in play."""

    parent_match_id: int | str
    home_team: str | None = None
    away_team: str | None = None
    start_time: Any = None
    category: Any = None
    competition_name: Any = None
    sport_id: Any = None
    provider: Any = None
    is_esport: Any = None
    is_srl: Any = None
    match_time: Any = None
    event_status: Any = None
    current_score: Any = None
    match_status: Any = None


class MatchIds(msgspec.Struct, gc=False):
    """The ids of a match, for a reject when its other fields cannot be read."""

    parent_match_id: Any = None
    category: Any = None
    competition_name: Any = None


class Price(msgspec.Struct, gc=False):
    """One price as the platform sends it; anything else is a `LoosePrice`."""

    outcome_id: OutcomeId
    odd_value: RawOdds = None
    special_bet_value: str | None = None
    display: str | None = None
    odd_key: str | None = None


class Market(msgspec.Struct, gc=False):
    """All lines of one market as the platform sends them; anything else is a `LooseMarket`."""

    sub_type_id: int | str
    name: str | None = None
    odds: list[Price] = []
    market_active: Any = None


class Book(msgspec.Struct, gc=False):
    """A whole detail answer as the platform sends it."""

    data: list[Market]
    meta: Match


class MarketState(msgspec.Struct, gc=False):
    """The part of a market that shows whether it belongs to the in-play feed."""

    market_active: Any = None


class Head(msgspec.Struct, gc=False):
    """A detail answer without its prices."""

    data: list[MarketState]
    meta: Match


class LoosePrice(msgspec.Struct, gc=False):
    outcome_id: Any = None
    odd_value: Any = None
    special_bet_value: str | None = None
    display: Any = None
    odd_key: Any = None


class LooseMarket(msgspec.Struct, gc=False):
    sub_type_id: int | str
    name: str | None = None
    odds: list[msgspec.Raw] | None = None
