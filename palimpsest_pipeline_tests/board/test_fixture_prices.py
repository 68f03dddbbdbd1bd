"""The history of a fixture's prices as lines: suspensions, gaps and ends."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from palimpsest_pipeline.board.fixture_prices import build_history, build_markets
from palimpsest_pipeline.board.price_grid import PlatformColumn, VocabularyMarket

COLUMNS = [PlatformColumn("betpawa", "BetPawa"), PlatformColumn("sportybet", "SportyBet")]
MARKETS = {
    "total_goals": VocabularyMarket("total_goals", "Totals", "football", ("over", "under"), ("Over", "Under")),
    "scorer": VocabularyMarket("scorer", "Scorer", "football", (), ()),
}


def lines(
    changes: list[tuple], unseen: Sequence[tuple] = (), answers: dict[str, float | None] | None = None
) -> dict[int, dict]:
    """The lines of the only outcome, by place of the platform."""
    (outcome,) = build_history(changes, unseen, answers or {}, COLUMNS)["outcomes"]
    return {line["place"]: line for line in outcome["lines"]}


def change(at: float, odds: float | None, is_active: bool = True, platform: str = "betpawa") -> tuple:
    return (platform, "home", "1", at, odds, is_active, "offered")


def test_a_price_that_cannot_be_backed_is_negative_and_no_price_is_zero():
    found = lines([change(10, 2.0), change(20, 2.0, False), change(30, None, False), change(40, 2.5)])
    assert found[0] == {"place": 0, "at": [10, 20, 30, 40], "values": [2.0, -2.0, 0.0, 2.5]}


def test_the_last_value_holds_until_the_last_answer():
    assert lines([change(10, 2.0)], answers={"betpawa": 90.0})[0] == {"place": 0, "at": [10, 90], "values": [2.0, 2.0]}
    assert lines([change(10, 2.0)], answers={"betpawa": None})[0]["at"] == [10]


def test_nothing_is_drawn_while_a_platform_was_not_looked_at():
    found = lines([change(10, 2.0), change(50, 2.2)], [("betpawa", 20.0, 40.0)], {"betpawa": 60.0})
    assert found[0] == {"place": 0, "at": [10, 20, 40, 50, 60], "values": [2.0, 0.0, 2.0, 2.2, 2.2]}
    unended = lines([change(10, 2.0)], [("betpawa", 20.0, None)], {"betpawa": 15.0})
    assert unended[0] == {"place": 0, "at": [10, 20], "values": [2.0, 0.0]}
    other = lines([change(10, 2.0)], [("sportybet", 5.0, 40.0)], {"betpawa": 60.0})
    assert other[0]["values"] == [2.0, 2.0]


def test_platforms_that_are_not_shown_have_no_line():
    assert build_history([change(10, 2.0, platform="gone")], [], {}, COLUMNS) == {"outcomes": []}


@given(
    st.lists(
        st.tuples(st.integers(0, 500), st.floats(1.01, 50)), min_size=1, max_size=20, unique_by=lambda step: step[0]
    ),
    st.lists(st.tuples(st.integers(0, 500), st.one_of(st.none(), st.integers(1, 100))), max_size=4),
)
def test_at_each_instant_the_line_has_the_price_or_in_a_gap_nothing(
    steps: list[tuple[int, float]], gaps: list[tuple[int, int | None]]
):
    changes = [change(float(at), odds) for at, odds in sorted(steps)]
    unseen = [("betpawa", float(at), None if took is None else float(at + took)) for at, took in sorted(gaps, key=str)]
    line = lines(changes, unseen)[0]
    assert all(before < after for before, after in pairwise(line["at"]))
    assert len(line["at"]) == len(line["values"])
    for instant in range(610):
        expected = next((odds for at, odds in sorted(steps, reverse=True) if at <= instant), 0.0)
        if any(at <= instant and (took is None or instant < at + took) for at, took in gaps):
            expected = 0.0
        found = next((v for at, v in zip(line["at"][::-1], line["values"][::-1], strict=True) if at <= instant), 0.0)
        assert found == expected, instant


def test_markets_come_in_order_with_the_prices_of_every_platform():
    offers = [
        (1, "sportybet", "total_goals", "total=10.5", None, "offered", [1900, 1800], 2, None, 0.0, 0.0),
        (1, "betpawa", "total_goals", "total=2.5", None, "offered", [2000, 1700], 0, 0.05, 0.0, 0.0),
        (1, "sportybet", "total_goals", "total=2.5", None, "withdrawn", [None, None], 0, None, 0.0, 0.0),
        (1, "betpawa", "scorer", "", "Salah", "offered", [3000], 0, None, 0.0, 0.0),
        (1, "unknown", "total_goals", "total=2.5", None, "offered", [2000, 1700], 0, None, 0.0, 0.0),
    ]
    ranks = [("total_goals", "total=2.5", "over", True, 1, 1, "betpawa")]
    found = build_markets(MARKETS, offers, ranks, COLUMNS)
    assert [(entry["market"], entry["line"]) for entry in found] == [
        ("total_goals", "total=2.5"),
        ("total_goals", "total=10.5"),
        ("scorer", ""),
    ]
    assert found[0]["outcomes"] == [
        {"key": "over", "name": "Over", "rank": "b", "best": "betpawa", "odds": [2000, None]},
        {"key": "under", "name": "Under", "rank": "", "best": None, "odds": [1700, None]},
    ]
    assert found[0]["states"] == ["offered", "withdrawn"]
    assert found[1]["outcomes"][1]["odds"] == [None, -1800]
    assert found[2]["outcomes"][0]["name"] == "Salah"
