"""Loose JSON values read one way: odds, numbers, instants, names of simulated leagues."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palimpsest_pipeline.domain.enums import PayloadKind
from palimpsest_pipeline.platforms import json_values
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA

from .support import answer


@pytest.mark.parametrize(
    ("value", "milli"),
    [
        ("1.85", 1850),
        ("2.1", 2100),
        ("12", 12000),
        ("250.00", 250000),
        (1.84, 1840),
        (4.59, 4590),
        (1.15, 1150),
        (3, 3000),
        ("1.0005", None),
        ("1.8375", 1838),
        ("1.8385", 1838),
        ("1.01", 1010),
        (" 2.5 ", 2500),
        ("1", None),
        ("1.00", None),
        ("0.00", None),
        (0.0, None),
        (1, None),
        (1.0, None),
        (None, None),
        ("", None),
        ("-", None),
        ("-2.5", None),
        ("+2.5", None),
        ("2_4", None),
        ("1_000.5", None),
        ("2.4_0", None),
        ("2.5e0", None),
        ("2,5", None),
        ("2.5.1", None),
        (".5", None),
        ("\u0662.\u0665", None),
        ("2.", 2000),
        ("evens", None),
        ("NaN", None),
        ("Infinity", None),
        ("1e99", None),
        (float("nan"), None),
        (float("inf"), None),
        (True, None),
        ([2.5], None),
    ],
)
def test_odds_are_exact_and_what_is_no_price_is_none(value: object, milli: int | None) -> None:
    assert json_values.parse_odds_milli(value) == milli


@given(st.text(alphabet="0123456789._-+eE \u0662", max_size=8))
def test_text_with_anything_but_digits_and_one_point_is_no_price(text: str) -> None:
    digits = text.strip().replace(".", "", 1)
    if not (digits.isascii() and digits.isdigit()):
        assert json_values.parse_odds_milli(text) is None


@given(st.integers(min_value=101, max_value=100_000))
def test_odds_of_two_decimals_are_the_same_from_text_and_from_number(hundredths: int) -> None:
    text = f"{hundredths // 100}.{hundredths % 100:02d}"
    assert json_values.parse_odds_milli(text) == json_values.parse_odds_milli(float(text)) == hundredths * 10


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (7, 7),
        ("87", 87),
        ("-2", -2),
        (-10, -10),
        (10.0, 10),
        (2.5, None),
        ("2.5", None),
        ("", None),
        ("-", None),
        (None, None),
        (True, None),
        ("٣", None),
    ],
)
def test_whole_numbers_come_as_numbers_or_digits(value: object, number: int | None) -> None:
    assert json_values.read_integer(value) == number


@pytest.mark.parametrize("value", ["0", 0, "", None, "sr:match:1", "-5", 1.5, "9" * 30])
def test_what_is_no_positive_number_is_no_id(value: object) -> None:
    assert json_values.read_positive_id(value) is None


def test_a_count_beyond_any_sport_s_is_unknown_so_that_counts_can_be_added_up() -> None:
    assert json_values.read_count(100_000) == 100_000
    for absurd in (100_001, 2**31 - 1, "2147483647", 10**30, -1):
        assert json_values.read_count(absurd) is None


@pytest.mark.parametrize(
    "value", ["2026-06-26", "2026-06-26T19:00:00", "19:00", "", None, 1782500400, "0001-01-01T00:00:00+14:00", "soon"]
)
def test_an_instant_without_zone_or_that_no_date_can_hold_is_refused(value: object) -> None:
    assert json_values.parse_iso_instant(value) is None


def test_instants_are_in_utc_whatever_their_form() -> None:
    kickoff = datetime(2026, 6, 26, 19, 0, tzinfo=UTC)
    assert json_values.parse_iso_instant("2026-06-26T19:00:00Z") == kickoff
    assert json_values.parse_iso_instant("2026-06-26T15:00:00-04:00") == kickoff
    assert json_values.parse_iso_instant("2026-06-26 19:00:00", UTC) == kickoff
    assert json_values.parse_epoch_ms(1782500400000) == kickoff
    assert json_values.parse_epoch_ms("1782500400000") == kickoff
    assert json_values.parse_epoch_ms(1782500400000).tzinfo is UTC  # type: ignore[union-attr]


def test_placeholders_are_read_as_the_instants_that_they_are() -> None:
    """So that a listing with one can be read: whether a kickoff is credible is judged by the age of the answer."""
    assert json_values.parse_iso_instant("9999-12-31T23:59:59Z") == datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert json_values.parse_iso_instant("0001-01-01T00:00:00Z") == datetime(1, 1, 1, tzinfo=UTC)
    assert json_values.parse_epoch_ms(0) == datetime(1970, 1, 1, tzinfo=UTC)
    assert json_values.parse_epoch_ms(1782500400) == datetime(1970, 1, 21, 15, 8, 20, 400_000, tzinfo=UTC)
    assert json_values.parse_epoch_ms(-62135596800000) == datetime(1, 1, 1, tzinfo=UTC)
    for beyond in (10**18, -(10**18), 10**400):
        assert json_values.parse_epoch_ms(beyond) is None


@pytest.mark.parametrize(
    ("country", "tournament", "home", "away"),
    [
        ("Simulated Reality League", "LaLiga", "Real", "Barcelona"),
        ("England", "Premier League SRL", "A", "B"),
        ("England", "Premier League", "Arsenal SRL", "Chelsea Srl"),
        ("Electronic Leagues", "Adriatic", "A", "B"),
        (None, "Esoccer Battle", "A", "B"),
        ("Zoom Soccer", "League", "A", "B"),
    ],
)
def test_simulated_leagues_are_told_by_their_names(country: str | None, tournament: str, home: str, away: str) -> None:
    assert json_values.is_simulated(country, tournament, home, away)


@pytest.mark.parametrize(
    ("country", "tournament", "home", "away"),
    [
        ("Italy", "Serie D", "Brindisi SRL", "Bari"),
        ("England", "Premier League", "Leeds", "Arsenal"),
        (None, "Freeform", "Zoomers FC", "Virtus Bologna"),
    ],
)
def test_real_clubs_are_not_taken_for_simulated_ones(
    country: str | None, tournament: str, home: str, away: str
) -> None:
    assert not json_values.is_simulated(country, tournament, home, away)


def test_items_of_takes_objects_and_lists_alike() -> None:
    assert list(json_values.iterate_items({"7": "a"})) == [("7", "a")]
    assert list(json_values.iterate_items(["a", "b"])) == [("0", "a"), ("1", "b")]
    assert [list(json_values.iterate_items(nothing)) for nothing in ([], {}, None, False, "text")] == [[]] * 5


@pytest.mark.parametrize("value", [10**400, -(10**400), 1e306, "1e999999", "-1e999999", "1e99999", "sNaN", "9" * 5000])
def test_odds_out_of_all_bounds_are_none(value: object) -> None:
    assert json_values.parse_odds_milli(value) is None


def test_a_memo_gives_what_its_function_gives_and_forgets_when_it_is_full() -> None:
    asked: list[int] = []

    def doubled(n: int) -> int:
        asked.append(n)
        return 2 * n

    memo = json_values.Memo(doubled, 3)
    assert [memo[n] for n in (1, 2, 1, 3, 4, 1)] == [2, 4, 2, 6, 8, 2]
    assert asked == [1, 2, 3, 4, 1]
    assert len(memo) <= 3


@given(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False),
        st.decimals(0, 2000, places=2).map(str),
        st.text(max_size=6),
    )
)
def test_odds_by_memo_are_the_odds(value: json_values.RawOdds) -> None:
    assert json_values.MILLI_BY_ODDS[value] == json_values.parse_odds_milli(value)
    assert json_values.MILLI_BY_ODDS[value] == json_values.parse_odds_milli(value)


@pytest.mark.parametrize(
    "text", ["", "a\0", "\0\0", "\\\0", "\\u0000", "\\\\u0000", "\\\\\0", '"\0"', "\n\0", "\U0001f600\0", "\x01"]
)
@pytest.mark.parametrize("ensure_ascii", [True, False])
def test_a_nul_becomes_the_character_for_what_is_no_character(text: str, ensure_ascii: bool) -> None:
    body = json.dumps({text: [text]}, ensure_ascii=ensure_ascii).encode()
    shown = text.replace("\0", "\ufffd")
    given_answer = answer(BETPAWA, PayloadKind.DETAIL, body)
    assert json.loads(json_values.read_json_body(given_answer)) == {shown: [shown]}
    assert given_answer.body == body
