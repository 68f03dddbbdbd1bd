"""Coverage, match rates and run quality as frames: counting only, on listings that `matching` has identified. Frames in, frames out; no I/O."""

from .coverage import coverage_fixture, coverage_tournament
from .quality import run_quality
from .rates import match_rate_platform
from .universe import Universe

__all__ = ["Universe", "coverage_fixture", "coverage_tournament", "match_rate_platform", "run_quality"]
