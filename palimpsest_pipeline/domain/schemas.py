"""Schemas of frames that several rooms share: what one of them reads and another computes with.

Belongs here: a schema that rooms which do not know each other both need. Does not: a schema of one room. Imports
Polars, so `domain/__init__.py` does not import it.
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
"""How each known platform tournament has been looked at.

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
"""What each cycle's looking at a listing came to (`domain.enums.LookResult`).

One row per answer: `at` is its observed_at, `n_markets_priced` what it showed. Without an answer one row per cycle, at
the instant the failure was known, or at the cycle's as_of. `detail` says why in words; it is '' when there is nothing
to say. A cycle that neither asked for the listing nor discovers has no row.
"""

COMPARED_LISTINGS: Final[dict[str, pl.DataType]] = {
    "sr_id": pl.Int64(),
    "platform": pl.String(),
    "answered_at": INSTANT,
    "dropped_at": INSTANT,
    "kickoff_at": INSTANT,
}
"""The listings whose prices are compared, one row per fixture and platform.

`answered_at`: its last answer; null when it has none. `dropped_at`: since when complete discoveries lack it; null while
it is listed. `kickoff_at`: the fixture's effective kickoff, which is after everything else here.
"""

OUTCOME_NAMES: Final[dict[str, pl.DataType]] = {
    "market_key": pl.String(),
    "ordinal": pl.Int16(),
    "outcome_key": pl.String(),
}
"""Names of the outcomes of a whole market by their place, from 1, in odds_milli."""

KNOWN_KICKOFFS: Final[dict[str, pl.DataType]] = {
    "sr_id": pl.Int64(),
    "known_from": INSTANT,
    "known_until": INSTANT,
    "kickoff_at": INSTANT,
}
"""Kickoffs as they were known, one row per fixture and stretch of time.

`known_until` is null for a kickoff that is still known.
"""

ASKED_SLOTS: Final[dict[str, pl.DataType]] = {
    "sr_id": pl.Int64(),
    "slot_at": INSTANT,
    "answered": pl.Boolean(),
    "silent": pl.List(pl.String()),
}
"""Fixtures at the slots at which they were asked: whether some platform answered, and the platforms that did not."""

REJECT_COUNTS: Final[dict[str, pl.DataType]] = {
    "platform": pl.String(),
    "kind": pl.String(),
    "n_answers": pl.Int32(),
    "n_entries": pl.Int32(),
}
"""How much of a cycle was refused, per platform and kind of answer."""

VIOLATIONS_SCHEMA: Final[dict[str, pl.DataType]] = {
    "law": pl.String(),
    "subject": pl.String(),
    "violation": pl.String(),
}
"""Rows that break a law which derived rows obey: one sentence per row."""
