"""Leaders and steam that are planted in the simulated world are found, and no steam is found in a world without any."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import combinations
from random import Random
from typing import Any, Final

import polars as pl
import pytest

from palimpsest_pipeline.metrics.prices.price_leads import LEAD_KEY, PriceLeadRules, find_price_leads
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


def plant(
    seed: int, lags_s: tuple[int, int], size: int = 250, hours: float = HOURS, every: timedelta = EVERY
) -> tuple[Life, list[Planted]]:
    """A world in which every platform follows another one, once with its price and once with a suspension."""
    timeline, random = build_timeline(seed, size), Random(seed)
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
    return poll(timeline, fixtures, hours, every), planted


@pytest.fixture(scope="module", params=[1, pytest.param(2, marks=pytest.mark.slow)])
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
    assert matched.height > 160
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


def classify(leads: pl.DataFrame, truth: list[Planted]) -> pl.DataFrame:
    """The rows that have a planted event at least on one side, with the true lag (null: the other side moved on its own)."""
    names = ["lead_type", "sr_id", "platform", "done_at"]
    events = (
        pl.DataFrame(
            [
                (kind, sr_id, platform, done_at)
                for kind, sr_id, first, second, *instants in truth
                for platform, done_at in zip((first, second), instants, strict=True)
            ],
            schema=names,
            orient="row",
        )
        .cast({"done_at": pl.Datetime("us", "UTC")})
        .unique()
    )
    for end in ("leader", "follower"):
        done_at = pl.col(f"{end}_done_at")
        is_inside = (done_at > pl.col(f"{end}_after")) & (done_at <= pl.col(f"{end}_at"))
        leads = leads.join(
            events.rename({"platform": end, "done_at": f"{end}_done_at"}), on=["lead_type", "sr_id", end], how="left"
        ).with_columns(pl.when(is_inside).then(done_at))
    return leads.filter(pl.any_horizontal(pl.col("leader_done_at", "follower_done_at").is_not_null())).with_columns(
        true_lag_s=(pl.col("follower_done_at") - pl.col("leader_done_at")).dt.total_seconds()
    )


@pytest.mark.parametrize("lead_type", ["move", "suspension"])
def test_planted_leaders_are_hardly_ever_taken_for_followers(
    planted: tuple[pl.DataFrame, list[Planted]], lead_type: str
) -> None:
    """Measured: at most 0.6 % of the rows of two planted events are reversed, none of them with a proven order.

    These are moves that a suspended market hid, so that their middles are far from them. In 10 to 15 % of the rows with
    a planted event the other side is a move or suspension that the book made on its own within the hour.
    """
    leads, truth = planted
    rows = classify(leads, truth).filter(pl.col("lead_type") == lead_type)
    pairs = rows.filter(pl.col("true_lag_s").is_not_null())
    assert pairs.height > 800
    assert pairs.height / rows.height >= 0.85
    reversed_pairs = pairs.filter(pl.col("true_lag_s") < 0)
    assert reversed_pairs.height / pairs.height <= 0.01
    assert (reversed_pairs["lag_min_s"] < 0).all()
    assert pairs.select([*LEAD_KEY[:4], "leader_done_at", "follower_done_at"]).is_unique().all()


@pytest.mark.parametrize("every", [timedelta(minutes=n) for n in (2, 5, 10, 30)], ids=str)
@pytest.mark.parametrize("seed", [3, pytest.param(4, marks=pytest.mark.slow)])
def test_no_steam_is_found_where_books_move_on_their_own(seed: int, every: timedelta) -> None:
    timeline = build_timeline(seed, 120)
    hours = 2 if every < EVERY else HOURS
    leads = find(poll(timeline, list_shared_fixtures(timeline), hours, every))
    assert leads.height > 15, "a world in which nothing moves says nothing about steam"
    assert leads["steam_at"].null_count() == leads.height


@pytest.mark.parametrize("seed", [5, pytest.param(6, marks=pytest.mark.slow)])
def test_planted_steam_is_found_where_answers_are_close_together(seed: int) -> None:
    """All three platforms move within some minutes, and are asked every two minutes."""
    life, truth = plant(seed, (30, 120), size=150, hours=2.5, every=timedelta(minutes=2))
    leads = find(life)
    steam = leads.filter(pl.col("steam_at").is_not_null())
    moves = {(kind, sr_id): at for kind, sr_id, _, _, at, _ in truth if kind == "move"}
    result = steam.filter(pl.col("market_key") == "match_result")
    assert len(moves) > 50
    assert set(steam["sr_id"]) == {sr_id for _, sr_id in moves}
    is_wide = pl.any_horizontal(
        pl.col(f"{end}_at") - pl.col(f"{end}_after") > RULES.steam_window for end in ("leader", "follower")
    )
    wide = leads.filter(pl.col("lead_type") == "move", pl.col("market_key") == "match_result", is_wide)
    assert {sr_id for _, sr_id in moves} - set(result["sr_id"]) <= set(wide["sr_id"]), "only suspended markets hide it"
    assert result["sr_id"].n_unique() / len(moves) >= 0.85
    assert set(steam["steam_platforms"]) == {3}
    per_steam = steam.group_by("sr_id", "market_key", "steam_at").agg(
        n_platforms=pl.concat_list("leader", "follower").list.explode(keep_nulls=False, empty_as_null=False).n_unique(),
        n_outcomes=pl.col("outcome_key").n_unique(),
    )
    assert set(per_steam["n_platforms"]) == {3}
    assert set(per_steam["n_outcomes"]) == {1}
    assert per_steam.select("sr_id", "market_key").is_unique().all(), "one move is one steam"
