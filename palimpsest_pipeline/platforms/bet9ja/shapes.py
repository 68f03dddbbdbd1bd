"""Bet9ja's JSON as types, with only the fields that are read.

The server may write an object as a list, when it is empty or has the keys 0, 1, 2. Every collection therefore accepts
both.
"""

from typing import Any, Generic, TypeVar

import msgspec

from ..json_values import NO_RAW, RawOdds

E = TypeVar("E")
Collection = dict[str, msgspec.Raw] | list[msgspec.Raw] | None


class Envelope(msgspec.Struct, gc=False):
    R: Any = None
    D: msgspec.Raw = NO_RAW


class TreeData(msgspec.Struct, gc=False):
    PAL: Collection = None


class SportNode(msgspec.Struct, gc=False):
    NUM: Any = None
    SG: Collection = None


class CountryNode(msgspec.Struct, gc=False):
    SG_DESC: Any = None
    NUM: Any = None
    G: Collection = None


class GroupNode(msgspec.Struct, gc=False):
    G_DESC: Any = None
    NUM: Any = None


class ListData(msgspec.Struct, gc=False):
    E: Collection = None


class Event(msgspec.Struct, gc=False):
    """An event without its prices, in a list or as a detail.

    `C` (a shop code that is reused), `SGID` and `SG` (the country) identify nothing.
    """

    ID: int | str
    DS: str
    GID: Any = None
    GN: Any = None
    SG: Any = None
    SID: Any = None
    EXTID: Any = None
    STARTDATE: Any = None
    STARTDATEUTC: Any = None
    MKNUM: Any = None


class Head(Event):
    """An event of the prematch feed: `AA` is the in-play feed's header."""

    AA: msgspec.Raw = NO_RAW


class Book(Head):
    """A whole prematch event as the platform sends it; anything else is a `LooseBook`."""

    O: dict[str, RawOdds] = {}  # noqa: E741 - the platform's own name
    MK: list[msgspec.Raw] = []


class DetailAnswer(msgspec.Struct, Generic[E], gc=False):
    """A whole detail answer as the platform sends it."""

    R: str
    D: E


class LooseBook(Event):
    O: Any = None  # noqa: E741 - the platform's own name
    MK: Collection = None


class EventIds(msgspec.Struct, gc=False):
    """The ids of an event, for a reject when its other fields cannot be read."""

    ID: Any = None
    GID: Any = None


class DetailKind(msgspec.Struct, gc=False):
    """The fields that distinguish a prematch detail from an in-play one."""

    ID: Any = None
    A: msgspec.Raw = NO_RAW
    AA: msgspec.Raw = NO_RAW


class MarketLabel(msgspec.Struct, gc=False):
    ID: Any = None
    DS: Any = None
    NAME: Any = None
    SGN: Any = None
    SGNK: Any = None
