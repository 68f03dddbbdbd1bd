"""Coverage, match rates, run quality and margins as frames: counting on listings that `matching` has identified, sums over canonical prices.

Frames in, frames out; no I/O.
"""

from .coverage.fixture_coverage import coverage_fixture, coverage_tournament
from .coverage.mapping_coverage import mapping_coverage, unmapped_market
from .coverage.match_rates import match_rate_platform
from .coverage.run_quality import run_quality
from .coverage.universe import Universe
from .prices.fair_prices import fair_probabilities
from .prices.margins import market_margins, outcome_sets, outcomes_of

__all__ = [
    "Universe",
    "coverage_fixture",
    "coverage_tournament",
    "fair_probabilities",
    "mapping_coverage",
    "market_margins",
    "match_rate_platform",
    "outcome_sets",
    "outcomes_of",
    "run_quality",
    "unmapped_market",
]
