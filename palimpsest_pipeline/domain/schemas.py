"""Schemas of frames that several packages share.

This module imports Polars, so `domain/__init__.py` does not import it.
"""

from typing import Final

import polars as pl

INSTANT: Final = pl.Datetime("us", "UTC")
"""The type of every instant in a frame."""

NAMED_PLAYERS: Final[dict[str, pl.DataType]] = {
    "fixture_sr_id": pl.Int64(),
    "platform": pl.String(),
    "external_player_id": pl.String(),
    "name": pl.String(),
}
"""Players as the platforms name them: one row per player and spelling of the name."""

LISTING_LOOKS: Final[dict[str, pl.DataType]] = {
    "listing_id": pl.Int32(),
    "cycle_id": pl.Int64(),
    "at": INSTANT,
    "look": pl.String(),
    "detail": pl.String(),
    "n_markets_priced": pl.Int32(),
}
"""The result of each cycle's look at a listing (`domain.enums.LookResult`).

A look with an answer has one row per answer: `at` is its observed_at, and `n_markets_priced` its number of markets with
a price. A look without an answer has one row per cycle: `at` is the instant of the failure, or the cycle's as_of.
`detail` is the reason, or ''. A cycle that neither requests the listing nor has a discovery has no row.
"""

COMPARED_LISTINGS: Final[dict[str, pl.DataType]] = {
    "sr_id": pl.Int64(),
    "platform": pl.String(),
    "answered_at": INSTANT,
    "dropped_at": INSTANT,
    "kickoff_at": INSTANT,
}
"""The listings whose prices are compared, one row per fixture and platform.

`answered_at` is the instant of the last answer, or null. `dropped_at` is the first complete discovery without the
listing; null while it is listed. `kickoff_at` is the fixture's effective kickoff, which is later than the other
instants of the row.
"""

OUTCOME_NAMES: Final[dict[str, pl.DataType]] = {
    "market_key": pl.String(),
    "ordinal": pl.Int16(),
    "outcome_key": pl.String(),
}
"""Names of a market's outcomes. `ordinal` is the position in odds_milli, from 1."""

KNOWN_KICKOFFS: Final[dict[str, pl.DataType]] = {
    "sr_id": pl.Int64(),
    "known_from": INSTANT,
    "known_until": INSTANT,
    "kickoff_at": INSTANT,
}
"""The known kickoff of each fixture over time, one row per fixture and period.

`known_until` is null for the kickoff that is known now.
"""

ASKED_SLOTS: Final[dict[str, pl.DataType]] = {
    "sr_id": pl.Int64(),
    "slot_at": INSTANT,
    "answered": pl.Boolean(),
    "silent": pl.List(pl.String()),
}
"""Fixtures with the slots of the kickoff cadence in which they were requested.

`answered` is true when at least one platform answered. `silent` has the platforms that did not answer.
"""
