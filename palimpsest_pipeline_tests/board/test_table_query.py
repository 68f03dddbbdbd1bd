"""The parameters of the table's URL: each bad value is refused with the name of its field."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palimpsest_pipeline.board.table_query import (
    PARSERS,
    BadParameter,
    HomeFilter,
    MoveWindow,
    SortOrder,
    TableQuery,
    parse_fixture_id,
    parse_table_query,
)


def test_no_parameters_select_everything():
    assert parse_table_query({}, "match_result") == TableQuery("match_result")
    assert parse_table_query({"country": "", "arrows": "60"}, "match_result") == TableQuery("match_result")
    assert parse_table_query({"line": ""}, "match_result") == TableQuery("match_result", line="")


def test_every_parameter_is_read():
    given_values = {
        "market": "total_goals", "line": "total=2.5", "within": "360", "from": "2026-11-24T18:00", "until": "2026-11-24T20:00Z",
        "country": "England", "tournament": "sr:17", "home": "worst", "off": "2.5", "moved": "15", "search": "Łódź", "sort": "off",
        "offset": "60", "limit": "30", "fixtures": "7,8",
    }  # fmt: skip
    assert parse_table_query(given_values, "match_result") == TableQuery(
        market="total_goals",
        line="total=2.5",
        within_minutes=360,
        kickoff_from=datetime(2026, 11, 24, 18, tzinfo=UTC),
        kickoff_until=datetime(2026, 11, 24, 20, tzinfo=UTC),
        country="England",
        tournament="sr:17",
        home=HomeFilter.WORST,
        off_percent=2.5,
        move_window=MoveWindow.QUARTER,
        search="Łódź",
        sort=SortOrder.OFF,
        offset=60,
        limit=30,
        fixtures=frozenset({7, 8}),
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("within", "soon"), ("within", "0"), ("within", "-5"), ("within", "٣"), ("within", "9" * 400), ("off", "5%"), ("off", "nan"), ("off", "1e3"),
        ("from", "tomorrow"), ("from", "2026-13-40T00:00"), ("until", "2026-11-24"), ("home", "first"), ("sort", "random()"), ("moved", "16"),
        ("arrows", "<b>"), ("limit", "501"), ("offset", "1.5"), ("search", "x" * 201), ("country", "a\0b"), ("fixtures", "1,,2"), ("fixtures", "1 or 1=1"),
        ("colour", "red"), ("'; drop table x; --", "1"),
    ],
)  # fmt: skip
def test_a_bad_value_is_refused_by_the_name_of_its_field(name: str, value: str):
    with pytest.raises(BadParameter) as refused:
        parse_table_query({name: value}, "match_result")
    assert refused.value.field == name
    assert str(refused.value).startswith(f"{name}: ")


def test_a_window_that_ends_before_it_begins_is_refused():
    with pytest.raises(BadParameter, match="before `from`"):
        parse_table_query({"from": "2026-11-24T18:00", "until": "2026-11-24T17:00"}, "match_result")


@given(st.dictionaries(st.sampled_from([*PARSERS, "other"]), st.text(max_size=30), max_size=4))
def test_any_text_is_read_or_refused(values: dict[str, str]):
    try:
        query = parse_table_query(values, "match_result")
    except BadParameter as refused:
        assert refused.field in values
    else:
        assert 1 <= query.limit <= (500 if query.fixtures is None else 10_000)


def test_an_answer_with_chosen_rows_has_more_ids():
    query = parse_table_query({"limit": "10000", "fixtures": "7"}, "match_result")
    assert (query.limit, query.fixtures) == (10_000, frozenset({7}))
    with pytest.raises(BadParameter, match="limit: '501' is not a whole number from 1 to 500"):
        parse_table_query({"limit": "501"}, "match_result")


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "1" * 16, "７"])
def test_an_id_of_a_fixture_is_a_number(text: str):
    with pytest.raises(BadParameter, match="fixture: "):
        parse_fixture_id(text)
