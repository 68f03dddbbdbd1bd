"""The numeric encoding of prices and price arrays, shared by the readers, the normaliser and margins."""

from typing import Final

EVENS_MILLI: Final = 1000
"""Decimal odds of 1.00 in thousandths.

At or below them a bet cannot win anything: platforms write such odds when there is no price.
"""

MASK_BITS: Final = 63
"""The number of outcomes that fit into a signed 64-bit mask.

A market with more has one row per outcome and is never known to be complete.
"""
