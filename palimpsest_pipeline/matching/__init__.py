"""The matching of listings to fixtures, of platform tournaments to tournaments, of players to players.

All functions take and return frames. They do no I/O and count no coverage.
"""

from .build_fixtures import build_fixtures
from .countries import find_country_iso
from .crosswalk import build_crosswalk
from .identify_listings import LISTINGS_SCHEMA, identify_listings, list_rival_listings, select_primary_listings
from .link_players import link_players

__all__ = [
    "LISTINGS_SCHEMA",
    "build_crosswalk",
    "build_fixtures",
    "find_country_iso",
    "identify_listings",
    "link_players",
    "list_rival_listings",
    "select_primary_listings",
]
