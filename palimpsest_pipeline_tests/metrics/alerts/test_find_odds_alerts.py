"""Alerts to traders, compared with results worked out by hand and with a walk through all looks."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import md5
from random import Random
from typing import Any, Final

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from palimpsest_pipeline.metrics.alerts.find_odds_alerts import (
    EPISODE_KEY,
    ODDS_ALERTS_SCHEMA,
    OddsAlertRules,
    find_odds_alerts,
)
from palimpsest_pipeline.tables.current_prices import OddsAlert
from palimpsest_pipeline_tests.fixtures.examples import count_examples

from ..life_worlds import (
    RESULT,
    SCORER_ANN,
    SCORER_BEA,
    TOTAL,
    Book,
    Life,
    Looked,
    at,
    disordered,
    failed,
    make_answer,
    no_price,
    outcomes_frame,
    priced,
    suspended,
)
from ..odds_alert_walk import Walk

KICKOFF: Final = at(5, 18)
LATER: Final = at(9, 0)
MORNING: Final = at(5, 9)
LOW, MEDIUM, HIGH = (round(1 / 2.0 - 1 / odds, 9) for odds in (2.14, 2.2, 2.3))
"""The changes of the implied probability when 2.00 becomes these odds."""
RULES: Final = OddsAlertRules(
    levels=(LOW, MEDIUM, HIGH),
    calm_share=0.7,
    window=timedelta(minutes=60),
    max_skew=timedelta(seconds=120),
    silence_limit=timedelta(minutes=90),
    watch_before_kickoff=timedelta(days=3),
    max_odds=10,
    main_markets=("match_result",),
)
PAWA, SPORTY, BET9JA = 11, 12, 13
LISTINGS: Final = {PAWA: (1, "betpawa"), SPORTY: (1, "sportybet"), BET9JA: (1, "bet9ja")}
CALLER_COLUMNS: Final = {"status", "mapping_version", "computed_at"}
"""Columns that the caller adds."""


def list_alerts(
    looks: Sequence[Looked], *, kickoff: datetime = KICKOFF, as_of: datetime = LATER, rules: OddsAlertRules = RULES
) -> list[dict[str, Any]]:
    return compute_alerts(Life(looks, {1: [(at(1, 0), kickoff)]}, LISTINGS).frames(), as_of, rules).to_dicts()


def compute_alerts(
    frames: Mapping[str, pl.DataFrame],
    as_of: datetime = LATER,
    rules: OddsAlertRules = RULES,
    suspects: Sequence[int] = (),
) -> pl.DataFrame:
    return find_odds_alerts(**frames, outcomes=outcomes_frame(), rules=rules, as_of=as_of, suspects=suspects)


def summarize(rows: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    return [(row["alert_type"], row["opened_at"], row["closed_at"]) for row in rows]


def build_result_book(home: int | None, draw: int | None = 3400, away: int | None = 3600) -> Book:
    return {RESULT: priced(home, draw, away)}


def build_half_hourly(
    prices: Sequence[int | Book | None], listing_id: int = PAWA, begin: datetime = MORNING, second: int = 0
) -> list[Looked]:
    """An answer each half hour with the price of home in match_result, or the book."""
    books = [price if isinstance(price, Mapping) else build_result_book(price) for price in prices]
    return [
        make_answer(n, begin + n * timedelta(minutes=30) + timedelta(seconds=second), book, listing_id)
        for n, book in enumerate(books)
    ]


def test_the_columns_are_those_of_the_table() -> None:
    assert set(ODDS_ALERTS_SCHEMA) == {column.name for column in OddsAlert.__table__.columns} - CALLER_COLUMNS


def test_a_moving_price_is_one_alert_with_its_peak() -> None:
    row, *more = list_alerts(build_half_hourly([2000, 2000, 2000, 2150, 2400, 2400, 2400, 2400]))
    assert more == []
    assert row == {
        "alert_id": row["alert_id"],
        "alert_type": "price_move",
        "severity": "high",
        "platform": "betpawa",
        "sr_id": 1,
        "kickoff_date": KICKOFF.date(),
        "market_key": "match_result",
        "specifier": "",
        "outcome_key": "home",
        "baseline_at": at(5, 10),
        "baseline_odds": 2.0,
        "current_odds": 2.4,
        "change_rel": pytest.approx(0.075),
        "window_minutes": 60.0,
        "competitor": None,
        "competitor_odds": None,
        "competitor_change_rel": None,
        "opened_at": at(5, 10, 30),
        "peak_at": at(5, 11),
        "peak_change_rel": pytest.approx(0.2),
        "closed_at": at(5, 12),
        "minutes_to_kickoff": 450.0,
        "as_of": at(5, 12, 30),
    }


@pytest.mark.parametrize(
    ("price", "severity"),
    [(2140, "low"), (2199, "low"), (2200, "medium"), (2299, "medium"), (2300, "high"), (1700, "high")],
)
def test_severity_is_that_of_the_peak_and_a_threshold_counts_as_passed_when_it_is_met(
    price: int, severity: str
) -> None:
    assert [row["severity"] for row in list_alerts(build_half_hourly([2000, 2000, 2000, price, price]))] == [severity]
    assert list_alerts(build_half_hourly([2000, 2000, 2000, 2139, 2139])) == []
    tenths = replace(RULES, levels=(0.1, 0.2, 0.3))
    assert (
        len(list_alerts(build_half_hourly([2000, 2000, 2000, 2500, 2500]), rules=tenths)) == 1
    )  # in floats 0.5 - 0.4 is a little less than 0.1


def test_an_episode_ends_below_the_share_of_the_lowest_level_not_at_it() -> None:
    rules = replace(RULES, levels=(0.2, 0.3, 0.4), calm_share=0.75)  # 5.00 is 0.2 away from 2.50, and 4.00 is 0.15
    still = build_half_hourly([2500, 2500, 2500, 5000])
    at_it, below = (make_answer(n, at(5, 10, 30 + n), build_result_book(odds)) for n, odds in ((10, 4000), (20, 3990)))
    assert summarize(list_alerts([*still, at_it], rules=rules)) == [("price_move", at(5, 10, 30), KICKOFF)]
    assert summarize(list_alerts([*still, at_it, below], rules=rules)) == [("price_move", at(5, 10, 30), at(5, 10, 50))]


def test_longshots_are_judged_by_what_their_odds_imply() -> None:
    """A correct score at 235 in one book and 100 in another is no alert, nor is a fall from 60 to 20."""
    far = build_half_hourly([build_result_book(2000, 3400, 235000)] * 4)
    near = [
        *build_half_hourly([build_result_book(2000, 3400, 100000)] * 4, SPORTY),
        *build_half_hourly([build_result_book(2000, 3400, 100000)] * 4, BET9JA),
    ]
    assert list_alerts(far + near) == []
    assert (
        list_alerts(build_half_hourly([build_result_book(2000, 3400, price) for price in (60000, 60000, 60000, 20000)]))
        == []
    )
    assert [
        row["outcome_key"]
        for row in list_alerts(
            build_half_hourly([build_result_book(2000, 3400, price) for price in (60000, 60000, 60000, 6000)])
        )
    ] == ["away"]


def test_prices_that_are_both_above_the_cap_are_not_compared_and_a_long_one_beside_a_short_one_is() -> None:
    fine = replace(RULES, levels=(0.01, 0.02, 0.03))
    moves = build_half_hourly([build_result_book(2000, 3400, price) for price in (11000, 11000, 11000, 14000)])
    assert list_alerts(moves, rules=fine) == []
    assert len(list_alerts(moves, rules=replace(fine, max_odds=11))) == 1
    misplaced_point = build_half_hourly([build_result_book(price) for price in (2000, 2000, 2000, 20000)])
    assert [(row["severity"], row["current_odds"]) for row in list_alerts(misplaced_point)] == [("high", 20.0)]


def test_markets_with_a_row_per_outcome_have_one_alert_per_market() -> None:
    books = [{SCORER_ANN: priced(2000), SCORER_BEA: priced(3000)}] * 3 + [
        {SCORER_ANN: priced(2200), SCORER_BEA: priced(2400)}
    ] * 3
    rows = list_alerts(build_half_hourly(books))
    assert summarize(rows) == [("price_move", at(5, 10, 30), at(5, 11, 30))]
    assert (rows[0]["outcome_key"], rows[0]["peak_change_rel"]) == ("Bea", pytest.approx(-0.2))


def test_books_that_move_apart_are_one_alert() -> None:
    looks = build_half_hourly([2000, 2000, 2000, 2080, 2080]) + build_half_hourly(
        [2000, 2000, 2000, 1920, 1920], SPORTY, second=30
    )
    (row,) = list_alerts([*looks, *build_half_hourly([2000, 2000, 2000, 2000, 2000], BET9JA, second=20)])
    assert summarize([row]) == [("direction_disagreement", at(5, 10, 30, 30), KICKOFF)]
    expected = {
        "platform": "betpawa",
        "competitor": "sportybet",
        "severity": "low",
        "peak_change_rel": 0.04,
        "competitor_change_rel": -0.04,
    }
    expected |= {
        "outcome_key": "home",
        "baseline_at": at(5, 9, 30, 30),
        "baseline_odds": 2.0,
        "current_odds": 2.08,
        "competitor_odds": 1.92,
    }
    assert {name: row[name] for name in expected} == expected


def test_a_price_far_from_the_median_of_two_competitors_is_one_alert() -> None:
    looks = (
        build_half_hourly([2000, 2000, 2310, 2100, 2040])
        + build_half_hourly([2000] * 5, SPORTY, second=1)
        + build_half_hourly([2000, 2000, 2200, 2000, 2000], BET9JA, second=2)
    )
    rows = [row for row in list_alerts(looks) if row["alert_type"] == "home_outlier"]
    assert summarize(rows) == [("home_outlier", at(5, 10, 0, 2), at(5, 11, 0, 2))]
    expected = {
        "platform": "betpawa",
        "severity": "low",
        "baseline_at": at(5, 10, 0, 2),
        "baseline_odds": 2.1,
        "current_odds": 2.31,
    }
    expected |= {
        "peak_change_rel": 0.1,
        "window_minutes": None,
        "competitor": None,
        "competitor_odds": None,
        "outcome_key": "home",
    }
    assert {name: rows[0][name] for name in expected} == expected


def test_books_that_may_not_offer_the_same_bets_are_not_compared() -> None:
    apart = build_half_hourly([2000, 2000, 2000, 2080, 2080]) + build_half_hourly(
        [2000, 2000, 2000, 1920, 1920], SPORTY, second=30
    )
    looks = [*apart, *build_half_hourly([1500] * 5, BET9JA, second=20)]
    frames = Life(looks, {1: [(at(1, 0), KICKOFF)]}, LISTINGS).frames()
    assert set(compute_alerts(frames)["alert_type"]) == {"direction_disagreement", "home_outlier"}
    assert compute_alerts(frames, suspects=[1]).is_empty()
    moving = Life(build_half_hourly([2000, 2000, 2310]), {1: [(at(1, 0), KICKOFF)]}, LISTINGS).frames()
    assert set(compute_alerts(moving, suspects=[1])["alert_type"]) == {"price_move"}, (
        "a book's own move needs no other one"
    )


def test_a_market_that_goes_and_comes_back_are_two_rows() -> None:
    books: list[Book] = (
        [{**build_result_book(2000), TOTAL: priced(1900, 1900)}] * 2
        + [build_result_book(2000)] * 2
        + [{**build_result_book(2000), TOTAL: priced(1900, 1900)}] * 4
    )
    gone, back = list_alerts(build_half_hourly(books))
    assert summarize([gone, back]) == [
        ("market_disappeared", at(5, 10), at(5, 11)),
        ("market_returned", at(5, 11), at(5, 12)),
    ]
    assert (gone["market_key"], gone["specifier"], gone["outcome_key"], gone["severity"]) == (*TOTAL[:2], "", "low")
    (main,) = list_alerts(build_half_hourly([2000, 2000, {}]))
    assert (main["alert_type"], main["severity"], main["closed_at"]) == ("market_disappeared", "medium", KICKOFF)


def test_a_market_is_gone_when_a_good_answer_lacks_it_and_not_otherwise() -> None:
    day_before = build_half_hourly([2000, 2000], begin=at(4, 23))
    assert summarize(list_alerts([*day_before, make_answer(9, at(5, 0, 10), {})])) == [
        ("market_disappeared", at(5, 0, 10), KICKOFF)
    ]  # with a day's first answer
    assert (
        list_alerts([*day_before, failed(9, at(5, 0, 10)), make_answer(10, at(5, 0, 40), build_result_book(2000))])
        == []
    )
    never = {RESULT: suspended(2000, 3400, 3600)}
    assert list_alerts(build_half_hourly([never, never, {}])) == []
    off = build_half_hourly([2000, never, {}, never, 2000])
    assert summarize(list_alerts(off)) == [
        ("market_disappeared", at(5, 10), at(5, 11)),
        ("market_returned", at(5, 11), KICKOFF),
    ]


def test_no_alert_before_the_watch_begins_or_from_kickoff_on() -> None:
    early = build_half_hourly([2000, 2000, 2000, 2400, 2400, 2400, 2400], begin=at(1, 9))
    assert list_alerts(early) == []
    assert summarize(list_alerts(early, kickoff=at(4, 10, 40))) == [
        ("price_move", at(1, 11), at(1, 11, 30))
    ]  # still high when the watch began, at 10:40
    live = build_half_hourly([2000, 2000, 2000, 2400, 2400, {}], begin=KICKOFF - timedelta(minutes=90))
    assert list_alerts(live) == []


def test_an_id_is_a_hash_of_the_subject_and_the_opening_instant() -> None:
    looks = build_half_hourly([2000, 2000, 2000, 2400, 2400, 2400, 2000, 2000])
    first, second = list_alerts(looks)
    about = "price_move|betpawa||1|match_result||2026-05-05T10:30:00+00:00"
    assert first["alert_id"] == int(md5(about.encode()).hexdigest()[:15], 16)
    assert first["alert_id"] != second["alert_id"]
    more = [*looks, make_answer(20, at(5, 14), build_result_book(2600))]
    assert list_alerts(more)[:1] == [first | {"as_of": at(5, 14)}]


def test_no_rows_give_no_rows() -> None:
    frames = Life((), {}).frames()
    assert_frame_equal(compute_alerts(frames), pl.DataFrame(schema=ODDS_ALERTS_SCHEMA))


PRICES: Final = (2000, 2000, 2060, 2150, 2300, 1900)


@st.composite
def books(draw: st.DrawFn) -> Book:
    book: dict[tuple[str, str, str], Any] = {}
    home, over = draw(st.sampled_from(PRICES)), draw(st.sampled_from(PRICES))
    kind = draw(st.sampled_from(["priced"] * 6 + ["off", "suspended", "no_price", "gone"]))
    if kind != "gone":
        forms = {
            "priced": priced(home, 3400, 7200 - home),
            "off": priced(home, 3400, 3600, off=1),
            "suspended": suspended(home, 3400, 3600),
        }
        book[RESULT] = forms.get(kind, no_price(3))
    if draw(st.integers(0, 5)):
        book[TOTAL] = priced(over, 3800 - over)
    if draw(st.integers(0, 3)):
        book[SCORER_ANN] = priced(draw(st.sampled_from(PRICES)))
    if draw(st.integers(0, 3)):
        book[SCORER_BEA] = draw(st.sampled_from([priced(2000), priced(2300), suspended(2000)]))
    return book


@st.composite
def lives(draw: st.DrawFn) -> Life:
    """Up to three books of one fixture over two days, requested cycle by cycle, seconds or minutes apart.

    Some of the looks fail.
    """
    looks: list[Looked] = []
    now = at(3, 22)
    for cycle in range(1, draw(st.integers(2, 12))):
        now += timedelta(minutes=draw(st.sampled_from([5, 20, 30, 30, 30, 60, 60, 95, 300])))
        for n, listing_id in enumerate(LISTINGS):
            instant = now + timedelta(seconds=draw(st.sampled_from([n, n, n, 60 * n, 150 * n])))
            kind = draw(st.sampled_from(["answered"] * 9 + ["failed", "listed", "absent", "unknown", "none"]))
            if kind != "none":
                looks.append(
                    Looked(listing_id, cycle, instant, kind, book=draw(books()) if kind == "answered" else None)
                )
    return Life(looks, {1: [(at(1, 0), now + timedelta(minutes=draw(st.sampled_from([-40, 20, 60, 2880]))))]}, LISTINGS)


SHORT: Final = replace(RULES, watch_before_kickoff=timedelta(hours=4))
FINE: Final = replace(RULES, levels=(0.01, 0.025, 0.05), calm_share=0.5)
NARROW: Final = replace(FINE, max_odds=2.05, markets=("match_result", "anytime_goalscorer"))


@settings(max_examples=count_examples(40))
@given(lives(), st.sampled_from([RULES, SHORT, FINE, NARROW]), st.booleans())
def test_alerts_equal_those_of_a_walk_through_all_looks(life: Life, rules: OddsAlertRules, begun: bool) -> None:
    as_of = LATER if begun else at(3, 22)
    expected = Walk(life, rules, as_of).alerts()
    alerts = compute_alerts(life.frames(), as_of, rules)
    assert alerts["alert_id"].is_unique().all()
    ends = (
        alerts.sort(*EPISODE_KEY, "opened_at")
        .select(apart=pl.col("closed_at") <= pl.col("opened_at").shift(-1).over(EPISODE_KEY))
        .drop_nulls()
    )
    assert ends["apart"].all()
    assert (alerts["opened_at"] < alerts["closed_at"]).all()
    rows = alerts.with_columns(market=pl.struct("market_key", "specifier")).to_dicts()
    rows_by_key = [row | {"market": tuple(row["market"].values())} for row in rows]
    rows_by_key.sort(
        key=lambda row: (
            row["alert_type"],
            row["sr_id"],
            row["platform"],
            str(row["competitor"]),
            row["market"],
            row["opened_at"],
        )
    )
    assert summarize(rows_by_key) == summarize(expected)
    for row, wanted in zip(rows_by_key, expected, strict=True):
        names = wanted.keys() - {"peak"}
        assert {name: row[name] for name in names} == {name: wanted[name] for name in names}


@settings(max_examples=count_examples(12))
@given(lives(), st.randoms(use_true_random=False))
def test_order_and_duplicates_change_nothing(life: Life, random: Random) -> None:
    assert_frame_equal(compute_alerts(life.frames()), compute_alerts(disordered(life.frames(), random)))


@settings(max_examples=count_examples(12))
@given(lives(), st.integers(1, 12))
def test_later_looks_do_not_change_ended_alerts(life: Life, cycles: int) -> None:
    until = max((look.at for look in life.looks if look.cycle_id <= cycles), default=at(1, 0))
    earlier = replace(life, looks=[look for look in life.looks if look.at <= until])
    names = [name for name in ODDS_ALERTS_SCHEMA if name != "as_of"]
    before, after = (compute_alerts(part.frames(), at(3, 22)).select(names) for part in (earlier, life))
    ended = before.filter(pl.col("closed_at").is_not_null())
    assert ended.join(after, on=names, how="semi", nulls_equal=True).height == ended.height
    assert set(before["alert_id"]) <= set(after["alert_id"])
