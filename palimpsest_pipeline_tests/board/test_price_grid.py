"""The table in memory: filters, order, moves and states of cells, without a database."""

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palimpsest_pipeline.board.price_grid import (
    FixtureBook,
    ListingRow,
    Offer,
    PlatformColumn,
    PriceGrid,
    VocabularyMarket,
    build_cell,
    find_base,
    fold,
    select_fixtures,
)
from palimpsest_pipeline.board.table_query import HomeFilter, MoveWindow, SortOrder, TableQuery
from palimpsest_pipeline.storage.marts.board_reader import MarketRows

NOW_S = 1_790_000_000.0
RESULT = VocabularyMarket("match_result", "1X2 - FT", "football", ("home", "draw", "away"), ("1", "X", "2"))
HOME, OTHER, THIRD = "betpawa", "sportybet", "bet9ja"
QUERY = TableQuery("match_result")
OFFER = Offer("offered", (2000, 3000, 4000), 0, 0.05, NOW_S - 60, NOW_S - 7200)
COLUMN = PlatformColumn(OTHER, "SportyBet", "https://bookmaker.example/event/{external_id}")


def make_rows(*fixtures: dict[str, Any]) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]], MarketRows]:
    """Rows of fixtures from 1 on, of their listings, and of a market.

    `odds` maps a platform to its prices, `ranks` an outcome to the mart's row about home; `changes` are platform,
    instant and prices.
    """
    rows, listings = [], []
    market = MarketRows([], [], [])
    for sr_id, fixture in enumerate(fixtures, start=1):
        kickoff_s = int(NOW_S + 60 * fixture.get("minutes", 60))
        names = (fixture.get("home", f"Home {sr_id}"), fixture.get("away", "Away"))
        rows.append((sr_id, kickoff_s, *names, fixture.get("key", "sr:1"), "League", fixture.get("country", "England")))
        for platform, prices in fixture.get("odds", {}).items():
            listings.append((sr_id, platform, "5", NOW_S - 60, None, platform != HOME, NOW_S - 60))
            changed_s = fixture.get("changed_s", NOW_S - 7200)
            market.offers.append(
                (sr_id, platform, "match_result", "", None, "offered", prices, 0, 0.05, changed_s, changed_s)
            )
        for outcome, (is_best, rank, n) in fixture.get("ranks", {}).items():
            market.ranks.append((sr_id, outcome, is_best, rank, n, HOME if is_best else OTHER))
        for platform, changed_s, prices in fixture.get("changes", ()):
            market.changes.append((sr_id, platform, None, changed_s, prices))
    return rows, listings, market


def make_world(*fixtures: dict[str, Any]) -> tuple[FixtureBook, PriceGrid]:
    """The fixtures of `make_rows` in memory."""
    book, grid = FixtureBook(), PriceGrid(RESULT, "", HOME)
    rows, listings, market = make_rows(*fixtures)
    book.replace(rows, listings)
    grid.replace(market)
    return book, grid


def select(world: tuple[FixtureBook, PriceGrid], **query: Any) -> list[int]:
    return select_fixtures(*world, replace(QUERY, **query), NOW_S)


def test_fixtures_come_by_kickoff_and_those_that_have_begun_do_not():
    assert select(make_world({"minutes": 90}, {"minutes": 30}, {"minutes": -1}, {"minutes": 0})) == [2, 1]


def test_a_fixture_that_has_begun_counts_nowhere_while_it_is_still_in_the_book():
    book, _ = make_world({"minutes": 90, "odds": {HOME: (2000, 3000, 4000)}}, {"minutes": -1})
    book.replace([(2, NOW_S - 60, "A", "B", "sr:9", "Cup", "Spain")], [(2, HOME, "5", NOW_S, None, True, NOW_S)], [2])
    assert [row.sr_id for row in book.list_upcoming(NOW_S)] == [1]
    assert book.find_as_of(NOW_S) == NOW_S - 60
    assert book.find_as_of(NOW_S + 7200) is None


def test_filters_of_kickoff_country_tournament_and_words():
    world = make_world(
        {"minutes": 50, "country": None},
        {"minutes": 70, "key": "sr:2"},
        {"minutes": 80, "home": "Łódź", "away": "Tromsø"},
    )
    assert select(world, within_minutes=60) == [1]
    assert select(world, country="-") == [1]
    assert select(world, country="England") == [2, 3]
    assert select(world, tournament="sr:2") == [2]
    assert select(world, search="TROMSO lodz") == [3]
    assert select(world, search="2") == [2]  # its id, and its name


def test_home_is_best_worst_absent_or_not_offering():
    world = make_world(
        {"odds": {HOME: (2100, 3000, 4000), OTHER: (2000, 3000, 4000)}, "ranks": {"home": (True, 1, 1)}},
        {"odds": {HOME: (1900, 3000, 4000), OTHER: (2000, 3000, 4000)}, "ranks": {"home": (False, 2, 1)}},
        {"odds": {OTHER: (2000, 3000, 4000)}},
        {"odds": {HOME: (2000, 3000, 4000), OTHER: (2000, 3000, 4000)}, "ranks": {"home": (False, 1, 1)}},
    )
    assert select(world, home=HomeFilter.BEST) == [1]
    assert select(world, home=HomeFilter.WORST) == [2]
    assert select(world, home=HomeFilter.LACKS) == [3]
    world[1].offers[1][HOME].state = "suspended"
    assert select(world, home=HomeFilter.UNOFFERED) == [1, 3]


def test_off_is_measured_from_the_median_of_the_comparable_competitors():
    world = make_world(
        {"odds": {HOME: (2200, 3000, 4000), OTHER: (1900, 3000, 4000), THIRD: (2100, 3000, 4000)}},
        {"odds": {HOME: (2000, 3000, 3500), OTHER: (2000, 3000, 4000)}},
    )
    book, grid = world
    assert grid.compute_off(1, book.listings[1]) == pytest.approx(0.1)
    assert grid.compute_off(2, book.listings[2]) == pytest.approx(-0.125)
    assert select(world, off_percent=11.0) == [2]
    assert select(world, off_percent=9.9, sort=SortOrder.OFF) == [2, 1]
    grid.replace(MarketRows([], [], []), [2])  # as when the fixture is derived again
    assert select(world, off_percent=9.9) == [1]


def test_prices_before_the_last_answer_and_before_15_and_60_minutes():
    history = [(NOW_S - 7200, (1800,)), (NOW_S - 1800, (1900,)), (NOW_S - 60, (2000,))]
    offer = replace(OFFER, prices=(2000,), history=history)
    listing = ListingRow("5", NOW_S - 60, None, True, NOW_S - 60)
    assert [find_base(offer, listing, window, NOW_S) for window in MoveWindow] == [(1900,), (1900,), (1800,)]
    confirmed = replace(listing, answered_s=NOW_S - 10)
    assert find_base(offer, confirmed, MoveWindow.CYCLE, NOW_S) is None
    assert find_base(offer, listing, MoveWindow.QUARTER, NOW_S + 900) is None
    new = replace(offer, history=history[1:])
    assert [find_base(new, listing, window, NOW_S) for window in MoveWindow] == [(1900,)] * 3, (
        "first seen 30 minutes ago"
    )
    assert find_base(replace(new, history=history[2:]), listing, MoveWindow.HOUR, NOW_S) is None, "its only prices"
    back_again = replace(offer, history=[*history[:2], (NOW_S - 60, (1900,))], prices=(1900,))
    assert find_base(back_again, listing, MoveWindow.QUARTER, NOW_S) is None


@pytest.mark.parametrize(
    ("listing", "offer", "is_unknown", "state", "unseen"),
    [
        (None, None, False, "not_listed", None),
        (None, None, True, "unknown", None),
        (ListingRow("5", NOW_S, None, True, NOW_S), None, False, "no_market", False),
        (ListingRow("5", None, None, True, NOW_S), None, False, "unknown", True),
        (ListingRow("5", NOW_S, NOW_S - 600, True, NOW_S), OFFER, False, "dropped", False),
        (ListingRow("5", NOW_S, None, True, NOW_S), OFFER, False, "offered", False),
        (ListingRow("5", NOW_S - 9000, None, True, NOW_S), OFFER, False, "offered", True),
        (ListingRow("5", NOW_S, None, True, NOW_S), replace(OFFER, state="suspended"), False, "suspended", False),
        (ListingRow("5", NOW_S, None, True, NOW_S), replace(OFFER, state="withdrawn"), False, "withdrawn", False),
    ],
)
def test_a_cell_tells_apart_why_there_is_no_price(
    listing: ListingRow | None, offer: Offer | None, is_unknown: bool, state: str, unseen: bool | None
):
    cell = build_cell(COLUMN, listing, offer, is_unknown=is_unknown, max_skew_s=300, now_s=NOW_S)
    assert (cell["state"], cell.get("unseen")) == (state, unseen)


@pytest.mark.parametrize(
    ("external_id", "link"),
    [
        ("12", "https://bookmaker.example/event/12"),
        ("sr:match:7", "https://bookmaker.example/event/sr:match:7"),
        ('"><script>', None),
        ("../x", None),
        (None, None),
    ],
)
def test_a_link_is_made_of_plain_ids_alone(external_id: str | None, link: str | None):
    assert COLUMN.build_link(external_id) == link


def test_lines_of_single_outcomes_are_one_offer():
    grid = PriceGrid(RESULT, "", HOME)
    rows = [
        (1, OTHER, "match_result", "", key, state, [odds], off, None, NOW_S, NOW_S)
        for key, state, odds, off in (("away", "offered", 4000, 0), ("home", "suspended", 2000, 1))
    ]
    grid.replace(MarketRows(rows, [], []))
    offer = grid.offers[1][OTHER]
    assert (offer.state, offer.prices) == ("offered", (2000, None, 4000))
    assert [offer.is_active(place) for place in range(3)] == [False, False, True]


def draw_fixture(draw: random.Random) -> dict[str, Any]:
    """A fixture on one or two platforms, with ranks of home and changes of prices, or with neither."""

    def draw_prices() -> tuple[int, ...]:
        return tuple(draw.randrange(1100, 9000) for _ in range(3))

    platforms = draw.sample((HOME, OTHER), draw.randrange(1, 3))
    return {
        "minutes": draw.randrange(1, 500),
        "odds": {platform: draw_prices() for platform in platforms},
        "changed_s": NOW_S - draw.randrange(1, 7200),
        "ranks": {key: (draw.random() < 0.5, 1, 1) for key in RESULT.outcome_keys if draw.random() < 0.5},
        "changes": [
            (platform, NOW_S - 60 * minutes, draw_prices())
            for platform in platforms
            for minutes in sorted(draw.sample(range(60), draw.randrange(3)), reverse=True)
        ],
    }


@given(st.integers(0, 2**32), st.integers(1, 12))
def test_replacing_a_part_gives_what_reading_everything_gives(seed: int, size: int):
    draw = random.Random(seed)
    fixtures = [draw_fixture(draw) for _ in range(size)]
    changed = [draw_fixture(draw) if draw.random() < 0.5 else each for each in fixtures]
    (book, grid), (whole_book, whole_grid) = make_world(*fixtures), make_world(*changed)
    for sr_id in range(1, size + 1):
        grid.compute_off(sr_id, book.listings[sr_id])  # its results must not outlive the prices
    only = [sr_id for sr_id in range(1, size + 1) if changed[sr_id - 1] is not fixtures[sr_id - 1]]
    fixture_rows, listings, rows = make_rows(*changed)
    book.replace(*(take(part, only) for part in (fixture_rows, listings)), only)
    grid.replace(MarketRows(*(take(part, only) for part in (rows.offers, rows.ranks, rows.changes))), only)
    assert (book.fixtures, book.listings) == (whole_book.fixtures, whole_book.listings)
    assert (grid.offers, grid.ranks) == (whole_grid.offers, whole_grid.ranks)
    for sr_id in range(1, size + 1):
        assert grid.compute_off(sr_id, book.listings[sr_id]) == whole_grid.compute_off(
            sr_id, whole_book.listings[sr_id]
        )
    for query in ({}, {"sort": SortOrder.OFF}, {"home": HomeFilter.BEST}, {"move_window": MoveWindow.QUARTER}):
        assert select((book, grid), **query) == select((whole_book, whole_grid), **query)


def take(rows: list[tuple[Any, ...]], sr_ids: list[int]) -> list[tuple[Any, ...]]:
    return [row for row in rows if row[0] in sr_ids]


def test_a_fold_has_no_accents_and_no_case():
    assert fold("BRØNDBY Żółć Straße") == "brondby zolc strasse"
