"""Which listings are one match, and which platform tournaments are one tournament. Frames in, frames out; no I/O and no counting of coverage."""

from .countries import country_iso
from .crosswalk import crosswalk
from .fixtures import fixtures
from .identify import LISTINGS, identify

__all__ = ["LISTINGS", "country_iso", "crosswalk", "fixtures", "identify"]
