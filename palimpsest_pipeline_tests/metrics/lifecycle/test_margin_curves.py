"""Margins by time to kickoff, worked out by hand, and against counting the quarters of an hour one by one."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any, Final

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from palimpsest_pipeline.domain.buckets import BUCKETS_BY_SCHEME
from palimpsest_pipeline.domain.enums import BucketScheme
from palimpsest_pipeline.metrics.lifecycle.margin_curves import (
    BUCKET_KEY,
    MARGIN_INPUT_SCHEMA,
    MARGIN_TTK_BUCKET_SCHEMA,
    build_margin_curves,
)
from palimpsest_pipeline.metrics.lifecycle_frames import (
    KICKOFFS_SCHEMA,
    LIFECYCLE_LISTINGS_SCHEMA,
    TOURNAMENT_KEYS_SCHEMA,
)
from palimpsest_pipeline.tables.lifecycle import MarginTtkBucket
from palimpsest_pipeline_tests.fixtures.examples import count_examples

from ..laws import find_lost_minutes, find_rates_beyond_one
from ..life_worlds import at, disordered

STAMPS: Final = {"kickoff_date", "home_platform", "as_of", "mapping_version", "computed_at"}
"""Columns that the caller adds."""
QUARTER: Final = timedelta(minutes=15)
LISTED: Final = at(1, 0)
Stretch = tuple[int, str, str, str, datetime, datetime | None, float | None]
"""A row of STANDING."""


@dataclass(frozen=True)
class World:
    """Stretches of margins, fixtures with their kickoffs and tournaments, and what was known until when.

    All fixtures are listed since LISTED.
    """

    stretches: Sequence[Stretch]
    kickoffs: dict[int, datetime]
    as_of: datetime
    tournaments: dict[int, str] = field(default_factory=lambda: defaultdict(lambda: "t"))

    def frames(self) -> dict[str, pl.DataFrame]:
        platforms = sorted({stretch[:2] for stretch in self.stretches})
        listings = [
            (n, sr_id, platform, platform == "betpawa", LISTED, LISTED) for n, (sr_id, platform) in enumerate(platforms)
        ]
        return {
            "margins": pl.DataFrame(self.stretches, schema=MARGIN_INPUT_SCHEMA, orient="row"),
            "listings": pl.DataFrame(listings, schema=LIFECYCLE_LISTINGS_SCHEMA, orient="row"),
            "kickoffs": pl.DataFrame(
                [(sr_id, 1, LISTED, kickoff) for sr_id, kickoff in self.kickoffs.items()],
                schema=KICKOFFS_SCHEMA,
                orient="row",
            ),
            "tournaments": pl.DataFrame(
                [(sr_id, self.tournaments[sr_id]) for sr_id in self.kickoffs],
                schema=TOURNAMENT_KEYS_SCHEMA,
                orient="row",
            ),
        }

    def curves(self) -> pl.DataFrame:
        return build_margin_curves(**self.frames(), as_of=self.as_of)


def one(world: World, bucket: str, platform: str = "betpawa", scheme: str = "trader10") -> dict[str, Any]:
    return world.curves().filter(bucket_scheme=scheme, ttk_bucket=bucket, platform=platform).row(0, named=True)


def result(
    since: datetime, until: datetime | None, margin: float | None, platform: str = "betpawa", sr_id: int = 1
) -> Stretch:
    return (sr_id, platform, "match_result", "", since, until, margin)


def test_the_columns_are_those_of_the_table() -> None:
    assert set(MARGIN_TTK_BUCKET_SCHEMA) == {column.name for column in MarginTtkBucket.__table__.columns} - STAMPS
    assert {column.name for column in MarginTtkBucket.__table__.primary_key} - STAMPS == set(BUCKET_KEY)


def test_the_schemes_are_the_two_that_are_promised_each_without_a_hole() -> None:
    names = {scheme: [bucket.name for bucket in buckets] for scheme, buckets in BUCKETS_BY_SCHEME.items()}
    assert names == {
        BucketScheme.REFERENCE4: ["7d+", "3-7d", "24-72h", "<24h"],
        BucketScheme.TRADER10: ["7d+", "3-7d", "1-3d", "12-24h", "6-12h", "3-6h", "1-3h", "15-60m", "<15m", "in-play"],
    }
    for buckets in BUCKETS_BY_SCHEME.values():
        assert buckets[0].below_minutes is None
        assert [bucket.min_minutes for bucket in buckets[:-1]] == [bucket.below_minutes for bucket in buckets[1:]]


KICKOFF: Final = at(10, 12)
STORY: Final = World(
    [
        result(at(10, 6), at(10, 8), 0.04),
        result(at(10, 8), at(10, 10), 0.10),
        result(at(10, 10), at(10, 11, 30), None),
        result(at(10, 11, 30), KICKOFF, 0.06),
        result(at(10, 7), at(10, 9), 0.05, "sportybet"),
        result(at(10, 9), at(10, 11), 0.03, "sportybet"),
    ],
    {1: KICKOFF},
    at(11, 0),
)


def test_a_margin_counts_for_as_long_as_it_stood_in_the_bucket() -> None:
    day = one(STORY, "<24h", scheme="reference4")
    assert day["n_observed_minutes"] == 270
    assert day["margin_tw_mean"] == pytest.approx((120 * 0.04 + 120 * 0.10 + 30 * 0.06) / 270)
    assert (day["margin_p50"], day["margin_min"], day["margin_max"], day["n_fixtures"]) == (0.06, 0.04, 0.10, 1)
    assert day["observed_share"] == pytest.approx(270 / 1440)
    near = one(STORY, "3-6h")
    assert (near["n_observed_minutes"], near["margin_tw_mean"]) == (180, pytest.approx((120 * 0.04 + 60 * 0.10) / 180))
    assert (near["margin_p50"], near["observed_share"], near["trend_pp"], near["home_minus_platform_tw_mean"]) == (
        0.04,
        1.0,
        None,
        None,
    )
    assert one(STORY, "15-60m")["n_observed_minutes"] == 15
    assert one(STORY, "<15m")["observed_share"] == 1.0
    assert STORY.curves().filter(ttk_bucket="in-play").is_empty()


def test_home_is_compared_with_a_platform_over_the_minutes_in_which_both_stood_on_the_line() -> None:
    hour = 60
    expected = (hour * (0.04 - 0.05) + hour * (0.10 - 0.05) + hour * (0.10 - 0.03)) / (3 * hour)
    assert one(STORY, "<24h", "sportybet", "reference4")["home_minus_platform_tw_mean"] == pytest.approx(expected)
    assert one(STORY, "3-6h", "sportybet")["home_minus_platform_tw_mean"] == pytest.approx(
        ((0.04 - 0.05) + (0.10 - 0.05)) / 2
    )
    lines = [
        (1, platform, "total_goals", line, at(10, 6), at(10, 8), 0.04)
        for platform, line in (("betpawa", "total=2.5"), ("sportybet", "total=3.5"))
    ]
    other_line = World(lines, {1: KICKOFF}, at(11, 0))
    assert one(other_line, "3-6h", "sportybet")["home_minus_platform_tw_mean"] is None


def test_a_bucket_without_an_end_begins_when_the_fixture_was_listed() -> None:
    world = World([result(at(2, 0), at(3, 0), 0.04)], {1: at(11, 0)}, at(12, 0))
    assert one(world, "7d+")["observed_share"] == pytest.approx(1 / 3)


def test_the_trend_is_the_later_half_of_the_fixtures_less_the_earlier_one_each_fixture_once() -> None:
    margins = [0.05, 0.03, 0.08, 0.06, 0.10]
    kickoffs = {sr_id: KICKOFF + timedelta(minutes=10 * sr_id) for sr_id in range(1, 6)}
    stretches = [
        result(
            kickoffs[sr_id] - timedelta(minutes=20 * sr_id),
            kickoffs[sr_id] - timedelta(minutes=15),
            margin,
            sr_id=sr_id,
        )
        for sr_id, margin in enumerate(margins, start=1)
    ]
    five = one(World(stretches, kickoffs, at(11, 0)), "15-60m")
    assert five["trend_pp"] == pytest.approx(100 * ((0.08 + 0.06 + 0.10) / 3 - (0.05 + 0.03) / 2))
    assert one(World(stretches[:3], kickoffs, at(11, 0)), "15-60m")["trend_pp"] is None


def test_margins_of_strangers_are_refused() -> None:
    frames = STORY.frames()
    with pytest.raises(ValueError, match="without kickoff or tournament"):
        build_margin_curves(**frames | {"tournaments": frames["tournaments"].clear()}, as_of=STORY.as_of)
    with pytest.raises(ValueError, match="without kickoff or tournament"):
        build_margin_curves(**frames | {"listings": frames["listings"].filter(platform="betpawa")}, as_of=STORY.as_of)


# --- against counting quarters of an hour


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Up to five fixtures of two tournaments, three platforms and two lines; stretches begin and end at quarters of
    an hour, before kickoff.
    """
    n_fixtures = draw(st.integers(1, 5))
    kickoffs = {sr_id: at(12, 0) + QUARTER * draw(st.integers(0, 40)) for sr_id in range(1, n_fixtures + 1)}
    as_of = at(12, 0) + QUARTER * draw(st.sampled_from([-700, -100, -5, 0, 17, 200]))
    stretches: list[Stretch] = []
    for sr_id, kickoff in kickoffs.items():
        for platform in ("betpawa", "sportybet", "bet9ja"):
            for specifier in ("total=1.5", "total=2.5"):
                ends = draw(
                    st.lists(st.one_of(st.integers(1, 30), st.integers(1, 1000)), unique=True, max_size=6).map(
                        lambda n: sorted(n, reverse=True)
                    )
                )
                instants = [max(kickoff - QUARTER * n, LISTED) for n in ends]
                for since, until in pairwise(instants):
                    if since < min(until, as_of):
                        stretches.append(
                            (
                                sr_id,
                                platform,
                                "total_goals",
                                specifier,
                                since,
                                None if until > as_of else until,
                                draw(MARGINS),
                            )
                        )
    return World(stretches, kickoffs, as_of, {sr_id: draw(st.sampled_from(["t1", "t2"])) for sr_id in kickoffs})


MARGINS: Final = st.sampled_from([None, 0.02, 0.03, 0.03, 0.05, 0.081])


def counted(world: World) -> list[dict[str, Any]]:
    """The same table, quarter by quarter."""
    stood: defaultdict[tuple[Any, ...], list[tuple[int, str, datetime, float]]] = defaultdict(list)
    for sr_id, platform, market, specifier, since, until, margin in world.stretches:
        t = since
        while margin is not None and t < (until or world.as_of):
            for scheme, buckets in BUCKETS_BY_SCHEME.items():
                left = (world.kickoffs[sr_id] - t) / timedelta(minutes=1)
                # A bucket has the quarters that end in it: at its lesser end it still is that one.
                (bucket,) = (
                    b
                    for b in buckets
                    if (b.min_minutes or 0) < left and (b.below_minutes is None or left <= b.below_minutes)
                )
                stood[world.tournaments[sr_id], platform, market, scheme.value, bucket.name].append(
                    (sr_id, specifier, t, margin)
                )
            t += QUARTER
    rows = []
    for key, quarters in stood.items():
        bucket = next(b for b in BUCKETS_BY_SCHEME[BucketScheme(key[3])] if b.name == key[4])
        fixtures = sorted({sr_id for sr_id, *_ in quarters}, key=lambda sr_id: (world.kickoffs[sr_id], sr_id))
        margins = sorted(margin for *_, margin in quarters)
        at_home = {quarter[:3]: quarter[3] for quarter in stood.get((key[0], "betpawa", *key[2:]), ())}
        apart = [
            at_home[quarter[:3]] - quarter[3] for quarter in quarters if quarter[:3] in at_home and key[1] != "betpawa"
        ]
        means = [mean(margin for other, *_, margin in quarters if other == sr_id) for sr_id in fixtures]
        half = len(fixtures) // 2
        rows.append(
            dict(zip(BUCKET_KEY, key, strict=True))
            | {
                "n_fixtures": len(fixtures),
                "n_observed_minutes": 15.0 * len(quarters),
                "margin_tw_mean": mean(margins),
                "margin_p50": margins[(len(margins) - 1) // 2],
                "margin_min": margins[0],
                "margin_max": margins[-1],
                "home_minus_platform_tw_mean": mean(apart) if apart else None,
                "observed_share": len({(sr_id, t) for sr_id, _, t, _ in quarters})
                / sum(quarters_of(world, sr_id, bucket) for sr_id in fixtures),
                "trend_pp": 100 * (mean(means[half:]) - mean(means[:half])) if len(fixtures) >= 4 else None,
            }
        )
    return sorted(rows, key=lambda row: [row[name] for name in BUCKET_KEY])


def quarters_of(world: World, sr_id: int, bucket: Any) -> float:
    """Quarters of an hour that a bucket of the fixture has until now."""
    kickoff = world.kickoffs[sr_id]
    begin = LISTED if bucket.below_minutes is None else kickoff - timedelta(minutes=bucket.below_minutes)
    return (min(kickoff - timedelta(minutes=bucket.min_minutes), world.as_of) - begin) / QUARTER


def mean(values: Any) -> float:
    given_ = list(values)
    return sum(given_) / len(given_)


@settings(max_examples=count_examples(25))
@given(worlds(), st.randoms(use_true_random=False))
def test_the_table_is_what_counting_quarters_of_an_hour_gives_whatever_the_order_and_repetition_of_rows(
    world: World, random: Random
) -> None:
    expected = pl.DataFrame(counted(world), schema=MARGIN_TTK_BUCKET_SCHEMA)
    found = build_margin_curves(**disordered(world.frames(), random), as_of=world.as_of)
    assert_frame_equal(found, expected, check_exact=False, rel_tol=1e-9, abs_tol=1e-12)
    assert_frame_equal(world.curves(), found, check_exact=True)


@settings(max_examples=count_examples(20))
@given(worlds(), st.data())
def test_a_stretch_in_two_parts_is_the_same_stretch_and_the_minutes_are_those_of_the_stretches(
    world: World, data: st.DataObject
) -> None:
    parts: list[Stretch] = []
    for stretch in world.stretches:
        since, until = stretch[4], stretch[5] or world.as_of
        halves = [(since, since + (until - since) / 2), (since + (until - since) / 2, stretch[5])]
        parts += [
            (*stretch[:4], *part, stretch[6]) for part in (halves if data.draw(st.booleans()) else [stretch[4:6]])
        ]
    curves = world.curves()
    split = World(parts, world.kickoffs, world.as_of, world.tournaments).curves()
    assert_frame_equal(split, curves, check_exact=False, rel_tol=1e-9, abs_tol=1e-12)
    margins = world.frames()["margins"].with_columns(as_of=pl.lit(world.as_of))
    assert find_lost_minutes(margins, curves).is_empty()
    assert find_rates_beyond_one(curves).is_empty()


@settings(max_examples=count_examples(15))
@given(worlds())
def test_a_tournament_does_not_depend_on_the_others(world: World) -> None:
    frames = world.frames()
    for tournament in set(world.tournaments.values()):
        alone = frames["margins"].join(frames["tournaments"].filter(tournament_key=tournament), on="sr_id", how="semi")
        of_it = build_margin_curves(**frames | {"margins": alone}, as_of=world.as_of)
        assert_frame_equal(of_it, world.curves().filter(tournament_key=tournament), check_exact=True)
