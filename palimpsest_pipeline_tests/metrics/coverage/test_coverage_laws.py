"""The laws hold in every world, whatever could be looked at; and they see a broken frame."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palimpsest_pipeline.metrics import (
    CoverageUniverse,
    build_coverage_fixture,
    build_coverage_tournament,
    build_match_rate_platform,
)
from palimpsest_pipeline.metrics.coverage import coverage_laws
from palimpsest_pipeline_tests.matching.world import PLATFORMS, listing, random_listings, random_worlds

from ..laws import find_rates_beyond_one
from ..world import NOON, Look, random_looked, universe_of

Rows = list[dict[str, Any]]


@st.composite
def sightings(draw: st.DrawFn, min_size: int = 0) -> Rows:
    return [
        row | {"evidence": draw(st.sampled_from(["complete", "complete", "carried", "partial"]))}
        for row in draw(random_listings(min_size))
    ]


def lawful(universe: CoverageUniverse) -> None:
    fixtures, tournaments, rates = (
        build_coverage_fixture(universe),
        build_coverage_tournament(universe),
        build_match_rate_platform(universe),
    )
    for violations in (
        coverage_laws.find_miscounted_classes(rates),
        coverage_laws.find_miscounted_fixtures(fixtures, rates),
        coverage_laws.find_miscounted_tournaments(tournaments, rates),
        coverage_laws.find_wrong_classes(fixtures),
        coverage_laws.find_lost_listings(universe, rates),
    ):
        assert violations.is_empty(), violations["violation"].to_list()
    for frame in (rates, tournaments):
        assert find_rates_beyond_one(frame).is_empty()


@random_worlds
@given(rows=sightings(), looked=random_looked(), home=st.sampled_from(PLATFORMS), data=st.data())
def test_the_laws_hold_in_every_world_and_between_two_of_its_platforms(
    rows: Rows, looked: list[Look], home: str, data: st.DataObject
) -> None:
    universe = universe_of(rows, looked, home=home)
    lawful(universe)
    assert (build_match_rate_platform(universe)["link_accuracy"].drop_nulls() == 1).all()
    other = data.draw(st.sampled_from([p for p in PLATFORMS if p != home]))
    some = [row for row in rows if row["platform"] in (home, other)]
    pair = universe_of(some, looked, home=home, platforms=[other, home])
    lawful(pair)
    assert pair.platforms == (home, other)


@random_worlds
@given(rows=sightings(), looked=random_looked(), random=st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(rows: Rows, looked: list[Look], random: Any) -> None:
    universe = universe_of(rows, looked)
    shuffled_rows, shuffled_looked = list(rows), list(looked)
    random.shuffle(shuffled_rows)
    random.shuffle(shuffled_looked)
    again = universe_of(shuffled_rows, shuffled_looked)
    for table in (build_coverage_fixture, build_coverage_tournament, build_match_rate_platform):
        assert table(universe).equals(table(again))


@random_worlds
@given(rows=sightings(min_size=1), looked=random_looked(), data=st.data())
def test_further_listings_of_fixtures_change_only_numbers_of_listings(
    rows: Rows, looked: list[Look], data: st.DataObject
) -> None:
    identified = [r for r in rows if r["sr_id"] is not None]
    picked = data.draw(st.lists(st.sampled_from(identified), max_size=6)) if identified else []
    doubled = [r | {"external_id": f"zz-{i}", "n_markets": None} for i, r in enumerate(picked)]
    before, after = universe_of(rows, looked), universe_of(rows + doubled, looked)
    of_listings = ["n_listings", "n_listings_with_sr", "n_matched_listings", "listing_match_rate", "dup_ratio"]
    assert (
        build_coverage_fixture(after)
        .drop("n_listings_by_platform")
        .equals(build_coverage_fixture(before).drop("n_listings_by_platform"))
    )
    assert build_coverage_tournament(after).equals(build_coverage_tournament(before))
    assert (
        build_match_rate_platform(after).drop(of_listings).equals(build_match_rate_platform(before).drop(of_listings))
    )
    kinds = [r["kind"] for r in doubled]
    n_before, n_after = (
        build_match_rate_platform(u).filter(platform="all", include_started=True)["n_listings"].item()
        for u in (before, after)
    )
    assert n_after - n_before == kinds.count("match")


@random_worlds
@given(rows=sightings(), looked=random_looked())
def test_the_universe_without_started_fixtures_is_a_selection_and_changes_no_class(
    rows: Rows, looked: list[Look]
) -> None:
    universe = universe_of(rows, looked)
    fixtures = build_coverage_fixture(universe)
    upcoming = fixtures.filter(~pl.col("started"))
    row = build_match_rate_platform(universe).filter(platform="all", include_started=False)
    assert row["n_union"].item() == upcoming.height
    for name, column in (
        ("matched", "n_matched_fixtures"),
        ("home_only", "n_home_only"),
        ("competitor_only", "n_competitor_only"),
    ):
        assert row[column].item() == upcoming.filter(fixture_class=name).height


@random_worlds
@given(rows=sightings(), looked=random_looked(), down=st.sampled_from(PLATFORMS))
def test_a_platform_that_cannot_be_looked_at_is_never_called_lacking(rows: Rows, looked: list[Look], down: str) -> None:
    universe = universe_of(rows, [look for look in looked if look[0] != down])
    fixtures = build_coverage_fixture(universe)
    if down == "betpawa":
        assert "competitor_only" not in set(fixtures["fixture_class"])
    else:
        assert fixtures.filter(pl.col("fixture_class") == "home_only").is_empty()
    assert fixtures.filter(~pl.col("platforms").list.contains(down), pl.col("evidence") != "partial").is_empty()


WORLD = [
    listing("betpawa", "p1", 1),
    listing("betpawa", "p2", 2),
    listing("sportybet", "s1", 1),
    listing("bet9ja", "b3", 3),
]


def one_more(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    return frame.with_columns(
        pl.when(pl.int_range(pl.len()) == 0).then(pl.col(column) + 1).otherwise(pl.col(column)).alias(column)
    )


@pytest.mark.parametrize(
    "broken",
    [
        lambda f, t, r: coverage_laws.find_miscounted_classes(one_more(r, "n_home_only")),
        lambda f, t, r: coverage_laws.find_miscounted_fixtures(f.head(2), r),
        lambda f, t, r: coverage_laws.find_miscounted_fixtures(f, r.clear()),
        lambda f, t, r: coverage_laws.find_miscounted_tournaments(one_more(t, "n_unidentified"), r),
        lambda f, t, r: coverage_laws.find_miscounted_tournaments(t.clear(), r),
        lambda f, t, r: coverage_laws.find_wrong_classes(f.with_columns(fixture_class=pl.lit("matched"))),
    ],
)
def test_a_broken_frame_is_seen_and_named_in_a_sentence(broken: Callable[..., pl.DataFrame]) -> None:
    universe = universe_of(WORLD)
    stamped = [
        frame.with_columns(cycle_id=pl.lit(1))
        for frame in (
            build_coverage_fixture(universe),
            build_coverage_tournament(universe),
            build_match_rate_platform(universe),
        )
    ]
    violations = broken(*stamped)
    assert not violations.is_empty()
    assert violations.columns == ["law", "subject", "violation"]
    assert violations["violation"].str.len_chars().min() > 10  # type: ignore[operator]


def test_several_cycles_are_told_apart() -> None:
    small, large = universe_of(WORLD[:1]), universe_of(WORLD)
    tables = [
        pl.concat([table(u).with_columns(cycle_id=pl.lit(i)) for i, u in enumerate((small, large))])
        for table in (build_coverage_fixture, build_coverage_tournament)
    ]
    rates = pl.concat(
        [build_match_rate_platform(u).with_columns(cycle_id=pl.lit(i)) for i, u in enumerate((small, large))]
    )
    assert coverage_laws.find_miscounted_fixtures(tables[0], rates).is_empty()
    assert coverage_laws.find_miscounted_tournaments(tables[1], rates).is_empty()
    assert (
        "cycle 1"
        in coverage_laws.find_miscounted_fixtures(tables[0].filter(pl.col("cycle_id") == 0), rates)["violation"][0]
    )


def test_a_lost_listing_is_seen() -> None:
    universe = universe_of(WORLD)
    assert coverage_laws.find_lost_listings(universe, build_match_rate_platform(universe_of(WORLD[:3])))[
        "subject"
    ].to_list() == ["bet9ja, with started fixtures"]


def shifts(platform: str, *hours: int) -> pl.DataFrame:
    """A row per shared fixture: home's kickoff at noon, the platform's so many hours later."""
    at = [NOON + timedelta(hours=h) for h in hours]
    return pl.DataFrame(
        {"home_platform": "betpawa", "platform": platform, "kickoff_at": at, "home_kickoff": [NOON] * len(at)}
    )


def test_a_feed_shifted_by_an_hour_breaks_the_law_of_clocks_and_single_postponements_do_not() -> None:
    right = shifts("sportybet", 48, 0, 0, 0, 0, 0, 0)
    assert coverage_laws.find_shifted_clocks(right).is_empty()
    assert coverage_laws.find_shifted_clocks(shifts("bet9ja", 1, 1, 1, 1)).is_empty()  # too few to judge a clock by
    violations = coverage_laws.find_shifted_clocks(pl.concat([right, shifts("bet9ja", *[1] * 7)]))
    assert violations["violation"].to_list() == [
        "bet9ja: kickoffs differ from betpawa's by 3600.0 s in the median of 7 shared fixtures"
    ]


def rates(**by_platform: float | None) -> pl.DataFrame:
    """One full cycle's match rates; complete discoveries."""
    schema = {"platform": pl.String, "completeness": pl.String, "match_rate": pl.Float64}
    return pl.DataFrame(
        [(platform, "complete", rate) for platform, rate in by_platform.items()], schema=schema, orient="row"
    )


def test_a_match_rate_far_from_its_median_is_unusual_up_and_down() -> None:
    earlier = pl.concat([rates(all=0.5, bet9ja=rate) for rate in (0.6, 0.9, 0.6)])
    assert coverage_laws.find_unusual_match_rates(rates(all=0.55, bet9ja=0.51), earlier, 0.1).is_empty()
    found = coverage_laws.find_unusual_match_rates(rates(all=0.65, bet9ja=0.45), earlier, 0.1)["violation"].to_list()
    assert found == [
        "all: match rate 0.65, usually 0.5 (median of 3 cycles)",
        "bet9ja: match rate 0.45, usually 0.6 (median of 3 cycles)",
    ]


def test_a_match_rate_is_not_judged_by_few_cycles_nor_by_incomplete_ones() -> None:
    usual, far = rates(bet9ja=0.6), rates(bet9ja=0.1)
    assert coverage_laws.find_unusual_match_rates(far, pl.concat([usual] * 2), 0.1).is_empty()
    partial = far.with_columns(completeness=pl.lit("partial"))
    assert coverage_laws.find_unusual_match_rates(partial, pl.concat([usual] * 5), 0.1).is_empty()
    assert coverage_laws.find_unusual_match_rates(usual, pl.concat([usual] * 3 + [partial] * 5), 0.1).is_empty()
    assert coverage_laws.find_unusual_match_rates(rates(bet9ja=None), pl.concat([usual] * 5), 0.1).is_empty()


def stage(completeness: str, declared: int, fetched: int, drop: float | None, name: str = "capture") -> pl.DataFrame:
    row = {"platform": "bet9ja", "stage": name, "completeness": completeness, "declared": declared, "fetched": fetched}
    counts = {"parsed": fetched, "stored": fetched, "drop_vs_median": drop}
    return pl.DataFrame([row | counts], schema_overrides={"drop_vs_median": pl.Float64})


def test_a_cycle_of_given_fixtures_is_measured_by_what_it_asked_for() -> None:
    """Fewer fixtures kick off at night than in the afternoon: that is no drop."""
    assert coverage_laws.find_empty_stages(stage("complete", 2, 2, None)).is_empty()
    assert coverage_laws.find_empty_stages(stage("complete", 40, 3, None)).is_empty()  # the others were said to be gone
    assert coverage_laws.find_empty_stages(stage("partial", 40, 20, None)).is_empty()
    assert coverage_laws.find_empty_stages(stage("partial", 40, 19, None))["violation"].to_list() == [
        "bet9ja capture: 19 fetched of 40 asked for"
    ]
    assert coverage_laws.find_empty_stages(stage("partial", 40, 19, 0.6))["violation"].to_list() == [
        "bet9ja capture: 19 fetched, 0.6 of the trailing median missing"
    ]
