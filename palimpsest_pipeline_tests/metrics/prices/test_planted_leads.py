"""Leaders that are planted in the simulated world are found, and no steam is found in a world without any."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import combinations
from random import Random
from typing import Any, Final

import polars as pl
import pytest

from palimpsest_pipeline.metrics.prices.price_leads import PriceLeadRules, find_price_leads
from palimpsest_pipeline.settings import Settings
from palimpsest_pipeline.simulator.script import apply_script
from palimpsest_pipeline_tests.metrics.life_worlds import Life

from .planted_leads import EPOCH, EVERY, MARKETS, OUTCOMES, SETS, build_timeline, list_shared_fixtures, poll

HOURS: Final = 6
DEFAULTS: Final = Settings()
RULES: Final = PriceLeadRules(
    min_rise=DEFAULTS.price_lead_min_rise,
    window=timedelta(minutes=DEFAULTS.price_lead_window_minutes),
    steam_window=timedelta(minutes=DEFAULTS.price_lead_steam_minutes),
    steam_platforms=DEFAULTS.price_lead_steam_platforms,
    silence_limit=timedelta(minutes=DEFAULTS.not_observed_after_minutes),
    watch_before_kickoff=timedelta(days=30),
    main_markets=MARKETS,
)
Planted = tuple[str, int, str, str, datetime, datetime]
"""Type, fixture, leader, follower, and when each did it."""


def find(life: Life) -> pl.DataFrame:
    return find_price_leads(
        **life.frames(), outcomes=OUTCOMES, sets=SETS, rules=RULES, as_of=EPOCH + timedelta(days=60)
    )


def plant(seed: int, lags_s: tuple[int, int]) -> tuple[Life, list[Planted]]:
    """A world in which every platform follows another one, once with its price and once with a suspension."""
    timeline, random = build_timeline(seed, 600), Random(seed)
    # With far more or fewer goals, the same factor hardly changes any chance, or a price ends.
    fixtures = [f for f in list_shared_fixtures(timeline) if 0.7 <= f.expected.home_goals <= 2]
    planted = []
    for fixture in fixtures:
        for action, hour in (("lead", 1), ("suspend", 4)):
            order = sorted(fixture.platforms)
            random.shuffle(order)
            lag_s, begin = random.randint(*lags_s), EPOCH + timedelta(hours=hour, seconds=random.randint(0, 3600))
            settings: dict[str, Any] = {"factor": 1.6} if action == "lead" else {"minutes": 90}
            apply_script(
                timeline,
                {"action": action, "sr_id": fixture.sr_id, "platforms": order, "lag_s": lag_s, **settings},
                begin,
            )
            for first, second in combinations(range(len(order)), 2):
                at = [begin + timedelta(seconds=lag_s * place) for place in (first, second)]
                kind = "move" if action == "lead" else "suspension"
                planted.append((kind, fixture.sr_id or 0, str(order[first]), str(order[second]), *at))
    return poll(timeline, fixtures, HOURS), planted


@pytest.fixture(scope="module", params=[1, 2])
def planted(request: pytest.FixtureRequest) -> Iterator[tuple[pl.DataFrame, list[Planted]]]:
    life, truth = plant(request.param, (11 * 60, 24 * 60))
    yield find(life), truth


def match(leads: pl.DataFrame, truth: list[Planted]) -> pl.DataFrame:
    """The planted pairs, each with the row of the main market that times it best, or nulls. A market that was suspended
    by chance when its price moved is timed badly.
    """
    names = ["lead_type", "sr_id", "leader", "follower", "led_at", "followed_at"]
    wanted = (
        pl.DataFrame(truth, schema=names, orient="row")
        .with_row_index("nth")
        .cast({"led_at": pl.Datetime("us", "UTC"), "followed_at": pl.Datetime("us", "UTC")})
    )
    inside = pl.all_horizontal(
        pl.col("led_at") > pl.col("leader_after"),
        pl.col("led_at") <= pl.col("leader_at"),
        pl.col("followed_at") > pl.col("follower_after"),
        pl.col("followed_at") <= pl.col("follower_at"),
    )
    found = wanted.join(leads, on=names[:4]).filter(inside)
    found = found.sort(pl.col("lag_max_s") - pl.col("lag_min_s"), "market_key").unique(
        "nth", keep="first", maintain_order=True
    )
    return wanted.join(found.drop(names), on="nth", how="left").with_columns(
        true_lag_s=(pl.col("followed_at") - pl.col("led_at")).dt.total_seconds()
    )


@pytest.mark.parametrize("lead_type", ["move", "suspension"])
def test_planted_leaders_are_found_and_their_lag_is_within_one_polling_interval(
    planted: tuple[pl.DataFrame, list[Planted]], lead_type: str
) -> None:
    leads, truth = planted
    matched = match(leads, truth).filter(pl.col("lead_type") == lead_type)
    found = matched.filter(pl.col("lag_s").is_not_null())
    assert matched.height > 400
    assert found.height / matched.height >= 0.99
    timed = found.filter(
        pl.max_horizontal(
            pl.col("leader_at") - pl.col("leader_after"), pl.col("follower_at") - pl.col("follower_after")
        )
        <= EVERY
    )
    assert timed.height / matched.height >= 0.98
    error = (timed["lag_s"] - timed["true_lag_s"]).abs()
    assert (error <= EVERY.total_seconds()).all()
    assert found.filter(~pl.col("true_lag_s").is_between("lag_min_s", "lag_max_s")).is_empty()


@pytest.mark.parametrize("seed", [3, 4])
def test_no_steam_is_found_where_books_move_on_their_own(seed: int) -> None:
    timeline = build_timeline(seed, 600)
    leads = find(poll(timeline, list_shared_fixtures(timeline), HOURS))
    assert leads.height > 100, "a world in which nothing moves says nothing about steam"
    assert leads["steam_at"].null_count() == leads.height
