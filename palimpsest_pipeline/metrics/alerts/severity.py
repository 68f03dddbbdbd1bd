"""The severity of an alert to traders. No I/O.

Belongs here: which severity an alert gets. Does not belong here: whether there is an alert (`price_moves`,
`book_comparisons`, `disappearances`).
"""

from collections.abc import Iterable, Sequence
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import OddsAlertLevel

from .episodes import SIZE_DECIMALS

LOW, MEDIUM, HIGH = (level.value for level in OddsAlertLevel)
RETURN_SEVERITY: Final = LOW
"""Severity of a market that returns."""
DROP_SEVERITY: Final = HIGH
"""Severity of a listing that a platform drops before kickoff."""


def rate_size(size: pl.Expr, levels: Sequence[float]) -> pl.Expr:
    """Return the severity of a change of the implied probability (1 / odds).

    `levels` are the changes from which the severity is low, medium and high.
    """
    _, medium, high = (round(level, SIZE_DECIMALS) for level in levels)
    return pl.when(size >= high).then(pl.lit(HIGH)).when(size >= medium).then(pl.lit(MEDIUM)).otherwise(pl.lit(LOW))


def rate_disappearance(market_key: pl.Expr, main_markets: Iterable[str]) -> pl.Expr:
    """Return the severity of a market that disappears: medium for a main market, low for any other."""
    return pl.when(market_key.is_in(list(main_markets))).then(pl.lit(MEDIUM)).otherwise(pl.lit(LOW))
