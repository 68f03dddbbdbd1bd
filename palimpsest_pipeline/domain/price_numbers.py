"""How prices and the arrays that hold them are written as numbers: what readers, the normaliser and margins must
agree on.
"""

from typing import Final

EVENS_MILLI: Final = 1000
"""Decimal odds of 1.00 in thousandths: at or below them nothing can be won, which is how platforms write that there
is no price.
"""

MASK_BITS: Final = 63
"""Outcomes that a signed 64-bit mask has room for: a market with more has one row per outcome, and is never known to
be complete.
"""
