"""The platforms that the simulator has: its world, its prices and its answers are theirs."""

from typing import Final

from palimpsest_pipeline.domain.enums import Platform

BETPAWA: Final = Platform("betpawa")
SPORTYBET: Final = Platform("sportybet")
BET9JA: Final = Platform("bet9ja")
PLATFORMS: Final = (BETPAWA, SPORTYBET, BET9JA)
"""The platforms of the world itself: its listings and prices are theirs."""
RENDERED_SOURCE: Final = SPORTYBET
"""The platform of the world whose listings and prices the other packs render in their own forms."""
DEMO_PLATFORMS: Final = (*PLATFORMS, Platform("msport"), Platform("betway"))
