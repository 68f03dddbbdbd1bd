"""Universes of coverage from rows of listings, matched by the real matching."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import polars as pl
from hypothesis import strategies as st

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.domain.platform_trust import put_home_first
from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline.matching import build_crosswalk, build_fixtures, identify_listings
from palimpsest_pipeline.metrics import CoverageUniverse
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA, PLATFORMS
from palimpsest_pipeline_tests.matching.world import NOON, frame

Look = tuple[str, str, str, datetime | None]
ALL_SEEN: tuple[Look, ...] = tuple((p, "*", "complete", None) for p in PLATFORMS)
STAMPS = {"cycle_id", "mapping_version", "computed_at"}
"""Columns of every mart table that the caller adds."""

LOOKED_TOURNAMENTS = {
    **dict.fromkeys(("platform", "tournament_external_id", "evidence"), pl.String),
    "stale_since": INSTANT,
}


def universe_of(
    rows: Sequence[dict[str, Any]],
    looked: Iterable[Look] = ALL_SEEN,
    *,
    home: Platform = BETPAWA,
    platforms: Sequence[Platform] = PLATFORMS,
) -> CoverageUniverse:
    """`rows` may carry `evidence` and `stale_since`; else they were seen in a complete discovery. As of noon."""
    claims = frame([{k: v for k, v in row.items() if k not in ("evidence", "stale_since")} for row in rows])
    sightings = claims.with_columns(
        pl.Series("evidence", [row.get("evidence", "complete") for row in rows], dtype=pl.String),
        pl.Series("stale_since", [row.get("stale_since") for row in rows], dtype=INSTANT),
    )
    identified = identify_listings(sightings)
    tournaments, links = build_crosswalk(identified, platforms, home)
    found = build_fixtures(identified, links, put_home_first(home, platforms))
    seen = pl.DataFrame(list(looked), schema=LOOKED_TOURNAMENTS, orient="row")
    return CoverageUniverse.build(
        identified, found, seen, links, tournaments, as_of=NOON, home=home, platforms=platforms
    )


@st.composite
def random_looked(draw: st.DrawFn) -> list[Look]:
    """Every state a platform and its tournaments can be in, also states that no storage would write."""
    looked: list[Look] = []
    for platform in PLATFORMS:
        for tournament in ("*", "1", "2", "3", "4", "5"):
            evidence = draw(st.sampled_from(["complete", "complete", "carried", "partial", None]))
            if evidence is not None:
                looked.append((platform, tournament, evidence, NOON if evidence == "carried" else None))
    return looked
