"""Integer encoding of prices and price arrays, shared by parsers, the normaliser and margins."""

from typing import Final

EVENS_MILLI: Final = 1000
"""Decimal odds of 1.00 in thousandths.

A bet at these odds cannot win anything. Platforms send such odds when there is no price.
"""

MASK_BITS: Final = 63
"""Maximum number of outcomes in a signed 64-bit mask.

A market with more outcomes has one row per outcome and never counts as complete.
"""
