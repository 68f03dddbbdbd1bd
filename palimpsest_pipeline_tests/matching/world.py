"""Small worlds of listings, written down as rows, and random ones."""

import zlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
from hypothesis import settings
from hypothesis import strategies as st

from palimpsest_pipeline.matching import LISTINGS_SCHEMA
from palimpsest_pipeline_tests.fixtures.examples import count_examples
from palimpsest_pipeline_tests.fixtures.platforms import PLATFORMS

NOON = datetime(2026, 6, 26, 12, tzinfo=UTC)
random_worlds = settings(deadline=None, max_examples=count_examples(60), derandomize=True)
"""A machine shared with others says nothing by its time; the same worlds in every run say what broke them."""


def listing(platform: str, external_id: str, sr_id: int | None = None, **claim: Any) -> dict[str, Any]:
    """One listing; what is not said is the same for all. `in_h`: hours from noon to kickoff."""
    row = {
        "listing_id": zlib.crc32(f"{platform} {external_id}".encode()),
        "platform": platform,
        "external_id": external_id,
        "sport": "football",
        "kind": "match",
        "tournament_external_id": "1",
        "tournament_name": "Premier League",
        "country_raw": None,
        "country_iso": None,
        "sr_tournament_id": None,
        "home_team": f"Home {sr_id}",
        "away_team": f"Away {sr_id}",
        "kickoff_at": NOON + timedelta(hours=claim.pop("in_h", 6)),
        "sr_id": sr_id,
        "genius_id": None,
        "n_markets": None,
        "is_deleted": False,
    }
    unknown = set(claim) - set(row)
    assert not unknown, unknown
    return row | claim


def frame(rows: Iterable[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=LISTINGS_SCHEMA)


@st.composite
def random_listings(draw: st.DrawFn, min_size: int = 0) -> list[dict[str, Any]]:
    """Listings of up to a dozen matches in a few tournaments, with duplicates, missing and bridging ids, odd
    kickoffs and other kinds.
    """
    n = draw(st.integers(min_size, 24))
    rows = []
    for i in range(n):
        match = draw(st.integers(1, 12))
        has_id = draw(st.integers(0, 7)) > 0
        platform = draw(st.sampled_from(PLATFORMS))
        tournament = draw(st.sampled_from(["1", "2", f"{match % 3 + 3}"]))
        rows.append(
            listing(
                platform,
                str(1000 + i) if draw(st.booleans()) else f"x:{i}",
                match if has_id else None,
                genius_id=draw(st.sampled_from([None, None, 500 + match, 500])),
                kind=draw(st.sampled_from(["match"] * 9 + ["simulated"])),
                in_h=draw(st.sampled_from([-2, 1, 1, 6, 9, 30])),
                tournament_external_id=tournament,
                sr_tournament_id=int(tournament) if platform == "sportybet" and tournament != "2" else None,
                country_iso=draw(st.sampled_from([None, "NO", "SE"])),
                n_markets=draw(st.sampled_from([None, 0, 3, 50])),
                is_deleted=draw(st.sampled_from([False, False, False, True])),
            )
        )
    return rows
