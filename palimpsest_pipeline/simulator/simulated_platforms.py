"""The platforms of the simulated world, and those of the demo."""

from typing import Final

from palimpsest_pipeline.domain.enums import Platform

BETPAWA: Final = Platform("betpawa")
SPORTYBET: Final = Platform("sportybet")
BET9JA: Final = Platform("bet9ja")
PLATFORMS: Final = (BETPAWA, SPORTYBET, BET9JA)
"""The platforms of the simulated world, which has listings and prices for each of them."""
RENDERED_SOURCE: Final = SPORTYBET
"""The platform of the world whose listings other packs render, in their form and at their prices."""
DEMO_PLATFORMS: Final = (*PLATFORMS, Platform("msport"), Platform("betway"))
