"""Which listings are one match, which platform tournaments one tournament, which players one player. Frames in, frames out; no I/O, no counting."""

from .countries import country_iso
from .crosswalk import crosswalk
from .fixtures import fixtures
from .identify_listings import LISTINGS, identify, primary_listings, rivals
from .players import player_links

__all__ = ["LISTINGS", "country_iso", "crosswalk", "fixtures", "identify", "player_links", "primary_listings", "rivals"]
