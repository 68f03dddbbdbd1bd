"""Coverage, match rates, run quality and margins as frames: counting on listings that `matching` has identified, sums over canonical prices.

Frames in, frames out; no I/O.
"""

from .coverage import coverage_fixture, coverage_tournament
from .fair import fair_probabilities
from .mapping import mapping_coverage, unmapped_market
from .margins import market_margins, outcome_sets, outcomes_of
from .quality import run_quality
from .rates import match_rate_platform
from .universe import Universe

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
