"""Schemas of frames that several packages share.

Belongs here: a schema that two packages need which do not import each other. Does not belong here: a schema of one
package. This module imports Polars, so `domain/__init__.py` does not import it.
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
"""Players as the platforms name them. A player with several spellings has a row for each."""

LOOKED_TOURNAMENTS: Final[dict[str, pl.DataType]] = {
    "platform": pl.String(),
    "tournament_external_id": pl.String(),
    "evidence": pl.String(),
    "stale_since": INSTANT,
}
"""The result of the looks at each known platform tournament.

`*` is the platform's tree as a whole; without that row the platform was never seen.
"""

LISTING_LOOKS: Final[dict[str, pl.DataType]] = {
    "listing_id": pl.Int32(),
    "cycle_id": pl.Int64(),
    "at": INSTANT,
    "look": pl.String(),
    "detail": pl.String(),
    "n_markets_priced": pl.Int32(),
}
"""The result of each cycle's look at a listing (`domain.enums.LookResult`).

With answers there is one row per answer: `at` is its observed_at, `n_markets_priced` the number of markets with a
price. Without an answer there is one row per cycle, at the instant at which the failure was known, or at the cycle's
as_of. `detail` gives the reason in words, or ''. A cycle that neither requests the listing nor runs a discovery has no
row.
"""

COMPARED_LISTINGS: Final[dict[str, pl.DataType]] = {
    "sr_id": pl.Int64(),
    "platform": pl.String(),
    "answered_at": INSTANT,
    "dropped_at": INSTANT,
    "kickoff_at": INSTANT,
}
"""The listings whose prices are compared, one row per fixture and platform.

`answered_at` is the instant of the last answer; null when there is none. `dropped_at` is the instant since which
complete discoveries lack the listing; null while it is listed. `kickoff_at` is the fixture's effective kickoff, which
is after all other instants of the row.
"""

OUTCOME_NAMES: Final[dict[str, pl.DataType]] = {
    "market_key": pl.String(),
    "ordinal": pl.Int16(),
    "outcome_key": pl.String(),
}
"""Names of the outcomes of a whole market by their position in odds_milli, from 1."""

KNOWN_KICKOFFS: Final[dict[str, pl.DataType]] = {
    "sr_id": pl.Int64(),
    "known_from": INSTANT,
    "known_until": INSTANT,
    "kickoff_at": INSTANT,
}
"""The kickoffs as known at each time, one row per fixture and stretch of time.

`known_until` is null for the kickoff that is known now.
"""

ASKED_SLOTS: Final[dict[str, pl.DataType]] = {
    "sr_id": pl.Int64(),
    "slot_at": INSTANT,
    "answered": pl.Boolean(),
    "silent": pl.List(pl.String()),
}
"""Fixtures at the slots in which they were requested.

`answered`: at least one platform answered. `silent`: the platforms that did not answer.
"""

REJECT_COUNTS: Final[dict[str, pl.DataType]] = {
    "platform": pl.String(),
    "kind": pl.String(),
    "n_answers": pl.Int32(),
    "n_entries": pl.Int32(),
}
"""The number of rejected answers and entries of a cycle, per platform and kind of answer."""

VIOLATIONS_SCHEMA: Final[dict[str, pl.DataType]] = {
    "law": pl.String(),
    "subject": pl.String(),
    "violation": pl.String(),
}
"""Rows that break a law of the derived tables: one sentence per row."""
