"""The computation of the derived tables: coverage, prices, lifecycle and alerts to traders.

All functions take and return Polars frames and do no I/O. Their input are listings identified by `matching`, and prices
with keys of the vocabulary.
"""

from .coverage.fixture_coverage import build_coverage_fixture, build_coverage_tournament
from .coverage.mapping_coverage import build_mapping_coverage, build_unmapped_market
from .coverage.match_rates import build_match_rate_platform
from .coverage.run_quality import build_run_quality
from .coverage.universe import CoverageUniverse
from .prices.fair_prices import compute_fair_probabilities
from .prices.margins import build_outcome_sets, compute_market_margins, expand_outcomes

__all__ = [
    "CoverageUniverse",
    "build_coverage_fixture",
    "build_coverage_tournament",
    "build_mapping_coverage",
    "build_match_rate_platform",
    "build_outcome_sets",
    "build_run_quality",
    "build_unmapped_market",
    "compute_fair_probabilities",
    "compute_market_margins",
    "expand_outcomes",
]
