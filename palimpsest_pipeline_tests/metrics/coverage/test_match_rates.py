"""Match rates, each with its denominator, worked out by hand."""

from typing import Any

import polars as pl
import pytest

from palimpsest_pipeline.domain.enums import Completeness
from palimpsest_pipeline.metrics import CoverageUniverse, build_match_rate_platform
from palimpsest_pipeline.metrics.coverage.match_rates import MATCH_RATE_PLATFORM_SCHEMA
from palimpsest_pipeline.tables import metadata
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA, PLATFORMS, SPORTYBET
from palimpsest_pipeline_tests.matching.world import NOON, listing

from ..world import ALL_SEEN, STAMPS, universe_of

COUNTS = ("n_fixtures", "n_matched_fixtures", "n_home", "n_home_only", "n_competitor_only", "n_undetermined", "n_union")


def rates(
    universe: CoverageUniverse, *columns: str, include_started: bool = True, **given: Any
) -> dict[str, tuple[Any, ...]]:
    frame = build_match_rate_platform(universe, **given)
    rows = frame.filter(pl.col("include_started") == include_started).select("platform", *columns)
    return {row[0]: row[1:] for row in rows.iter_rows()}


def test_fixtures_are_counted_once_however_often_they_are_listed() -> None:
    rows = [
        *(listing("betpawa", f"p{i}", i) for i in (1, 2, 3)),
        *(listing("sportybet", f"s{i}", i) for i in (2, 4)),
        *(listing("bet9ja", f"b{i}", i) for i in (3, 4, 5)),
        *(listing("bet9ja", f"dup{i}", 5) for i in range(4)),
        listing("bet9ja", "lost", None),
    ]
    assert rates(universe_of(rows), *COUNTS) == {
        "all": (5, 2, 3, 1, 2, 0, 5),
        "betpawa": (3, 2, 3, 1, 0, 0, 3),
        "sportybet": (2, 1, 3, 2, 1, 0, 4),
        "bet9ja": (3, 1, 3, 2, 2, 0, 5),
    }
    listing_columns = (
        "n_listings",
        "n_listings_with_sr",
        "n_matched_listings",
        "dup_ratio",
        "listing_match_rate",
        "fixture_match_rate",
    )
    found = rates(universe_of(rows), *listing_columns)
    assert found["bet9ja"] == (8, 7, 1, 7 / 3, 1 / 8, 1 / 3)
    assert found["all"] == (13, 12, 4, 12 / 5, 4 / 13, 2 / 5)
    assert rates(universe_of(rows), "home_covered_rate", "overall_match_rate") == {
        "all": (2 / 3, 2 / 5),
        "betpawa": (2 / 3, None),
        "sportybet": (1 / 3, None),
        "bet9ja": (1 / 3, None),
    }


def test_a_listing_without_sportradar_id_is_counted_not_lost() -> None:
    found = rates(
        universe_of([listing("sportybet", "s", None)]),
        "n_listings",
        "n_listings_with_sr",
        "n_fixtures",
        "listing_match_rate",
        "dup_ratio",
    )
    assert found["sportybet"] == (1, 0, 0, 0.0, None)
    assert found["all"] == (1, 0, 0, 0.0, None)


def test_simulated_and_antepost_entries_do_not_count() -> None:
    rows = [listing("sportybet", "s", 1, kind="simulated"), listing("bet9ja", "b", 2, kind="antepost")]
    assert rates(universe_of(rows), "n_listings", "n_union")["all"] == (0, 0)


def test_a_listing_of_a_fixture_starts_with_the_fixture_and_an_unidentified_one_by_its_own_kickoff() -> None:
    rows = [
        listing("betpawa", "p", 1, in_h=-1),
        listing("bet9ja", "b", 1, in_h=3),  # home says that it has begun
        listing("bet9ja", "u1", None, in_h=-1),
        listing("bet9ja", "u2", None, in_h=1),
    ]
    universe = universe_of(rows)
    assert rates(universe, "n_listings", "n_fixtures")["bet9ja"] == (3, 1)
    assert rates(universe, "n_listings", "n_fixtures", include_started=False)["bet9ja"] == (1, 0)


def test_a_platform_that_was_not_looked_at_makes_undetermined_fixtures_on_its_row() -> None:
    rows = [
        *(listing("betpawa", f"p{i}", i) for i in (1, 2)),
        listing("sportybet", "s2", 2),
        listing("bet9ja", "b1", 1) | {"evidence": "partial"},
    ]
    found = rates(universe_of(rows, ALL_SEEN[:2]), *COUNTS, "evidence")
    assert found["bet9ja"] == (1, 1, 2, 0, 0, 1, 2, "partial")
    assert found["sportybet"] == (1, 1, 2, 1, 0, 0, 2, "complete")
    assert found["all"] == (2, 2, 2, 0, 0, 0, 2, "partial")


def test_with_home_down_and_never_seen_nothing_is_called_missing_on_home() -> None:
    rows = [listing("sportybet", "s1", 1), listing("bet9ja", "b1", 1), listing("bet9ja", "b2", 2)]
    found = rates(universe_of(rows, ALL_SEEN[1:]), *COUNTS, "home_covered_rate", "evidence")
    assert found["all"] == (2, 0, 0, 0, 0, 2, 2, None, "partial")
    assert found["betpawa"] == (0, 0, 0, 0, 0, 0, 0, None, "partial")
    assert found["bet9ja"] == (2, 0, 0, 0, 0, 2, 2, None, "partial")


def test_link_accuracy_is_one_on_what_matching_has_linked_and_less_when_a_link_is_lost() -> None:
    rows = [*(listing("betpawa", f"p{i}", i) for i in (1, 2)), *(listing("bet9ja", f"b{i}", i) for i in (1, 2, 3))]
    universe = universe_of(rows)
    assert rates(universe, "link_accuracy")["bet9ja"] == (1.0,)
    lost = pl.when(pl.col("external_id") != "b2").then(pl.col("fixture_sr_id"))
    broken = CoverageUniverse(**{**vars(universe), "listings": universe.listings.with_columns(fixture_sr_id=lost)})
    assert rates(broken, "link_accuracy")["bet9ja"] == (0.5,)


def test_completeness_is_this_cycles_own_and_an_unnamed_platform_has_failed() -> None:
    given = {BETPAWA: Completeness.COMPLETE, SPORTYBET: Completeness.PARTIAL}
    assert rates(universe_of([]), "completeness", completeness=given) == {
        "all": ("partial",),
        "betpawa": ("complete",),
        "sportybet": ("partial",),
        "bet9ja": ("failed",),
    }
    everything = dict.fromkeys(PLATFORMS, Completeness.COMPLETE)
    assert rates(universe_of([]), "completeness", completeness=everything)["all"] == ("complete",)


def test_the_change_against_the_cycle_before_is_a_share_of_it() -> None:
    before = build_match_rate_platform(universe_of([listing("bet9ja", f"b{i}", i) for i in range(4)]))
    now = universe_of([listing("bet9ja", "b1", 1), listing("sportybet", "s1", 1)])
    found = rates(now, "delta_vs_prev", previous_counts=before)
    assert found == {"all": (-0.75,), "bet9ja": (-0.75,), "sportybet": (None,), "betpawa": (None,)}
    assert rates(now, "delta_vs_prev", previous_counts=before.clear())["all"] == (None,)
    assert rates(now, "delta_vs_prev")["all"] == (None,)


@pytest.mark.parametrize("home", PLATFORMS)
def test_every_platform_and_universe_has_a_row_also_without_listings(home: str) -> None:
    frame = build_match_rate_platform(universe_of([], [], home=home))
    assert frame.select("platform", "include_started").rows() == [
        (p, s) for p in sorted([*PLATFORMS, "all"]) for s in (False, True)
    ]
    assert dict(frame.schema) == MATCH_RATE_PLATFORM_SCHEMA
    assert set(MATCH_RATE_PLATFORM_SCHEMA) == set(metadata.tables["mart.match_rate_platform"].columns.keys()) - STAMPS
    assert frame["n_union"].sum() == 0
    assert set(frame["home_platform"]) == {home}
    assert set(frame["as_of"]) == {NOON}
