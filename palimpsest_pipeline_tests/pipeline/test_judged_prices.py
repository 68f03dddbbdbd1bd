"""A list of prices from a file or a frame: what is read, and how a bad value is named."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from palimpsest_pipeline.markets import Vocabulary
from palimpsest_pipeline.metrics.prices.closing_line_value import PRICE_LIST_SCHEMA
from palimpsest_pipeline.pipeline.installed_vocabulary import load_installed_vocabulary
from palimpsest_pipeline.pipeline.judged_prices import (
    MAX_ERRORS,
    PriceListError,
    add_fair_probabilities_per_book,
    check_price_list,
    read_price_list,
)

HEADER = "sr_id,market_key,specifier,outcome_key,odds,taken_at"
RESULT = "7,match_result,,home,2.15,"


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return load_installed_vocabulary()


def read(folder: Path, vocabulary: Vocabulary, *lines: str, encoding: str = "utf-8") -> pl.DataFrame:
    file = folder / "bets.csv"
    file.write_bytes("\n".join(lines).encode(encoding))
    return read_price_list(file, vocabulary)


def test_a_file_is_read_with_the_numbers_of_its_lines(tmp_path: Path, vocabulary: Vocabulary) -> None:
    lines = (HEADER, RESULT, "", "8,total_goals,total=2.5,over, 1.9 ,2026-05-01T19:00+01:00")
    for encoding in ("utf-8", "utf-8-sig"):
        assert read(tmp_path, vocabulary, *lines, encoding=encoding).equals(
            pl.DataFrame(
                [
                    (2, 7, "match_result", "", "home", 2.15, None),
                    (4, 8, "total_goals", "total=2.5", "over", 1.9, datetime(2026, 5, 1, 18, tzinfo=UTC)),
                ],
                schema=PRICE_LIST_SCHEMA,
                orient="row",
            )
        )


def test_columns_may_be_left_out_and_in_any_order(tmp_path: Path, vocabulary: Vocabulary) -> None:
    found = read(tmp_path, vocabulary, "odds,outcome_key,market_key,sr_id", "2.15,home,match_result,7")
    assert found.row(0) == (2, 7, "match_result", "", "home", 2.15, None)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("seven,match_result,,home,2.15,", "line 2, sr_id: 'seven' is not a SportRadar id"),
        ("0,match_result,,home,2.15,", "line 2, sr_id: '0'"),
        ("99999999999999999999,match_result,,home,2.15,", "line 2, sr_id: "),
        ("7,1x2,,home,2.15,", "line 2, market_key: '1x2' is not a market_key: write 'match_result'"),
        ("7,match_resul,,home,2.15,", "line 2, market_key: 'match_resul'"),
        ("7,match_result,total=2.5,home,2.15,", "line 2, specifier: 'total=2.5' is given"),
        ("7,total_goals,,over,2.15,", "line 2, specifier: it is empty, but total_goals has lines"),
        (
            "7,match_result,,1,2.15,",
            "line 2, outcome_key: '1' is not an outcome of match_result: its outcomes are home, ",
        ),
        ("7,match_result,,,2.15,", "line 2, outcome_key: ''"),
        ("7,match_result,,home,1,", "line 2, odds: '1' is not decimal odds"),
        ("7,match_result,,home,2_1,", "line 2, odds: '2_1' is not decimal odds"),
        ("7,match_result,,home,٢.١,", "line 2, odds: '٢.١' is not decimal odds"),
        ("7,match_result,,home,inf,", "line 2, odds: 'inf' is not decimal odds"),
        ("7,match_result,,home,evens,", "line 2, odds: 'evens'"),
        ("7,match_result,,home,nan,", "line 2, odds: 'nan'"),
        ("7,match_result,,home,inf,", "line 2, odds: 'inf'"),
        ("7,match_result,,home,,", "line 2, odds: ''"),
        ("7,match_result,,home,2.15,yesterday", "line 2, taken_at: 'yesterday' is not an instant"),
        ("7,match_result,,home,2.15,2026-05-01T19:00", "line 2, taken_at: '2026-05-01T19:00' has no time zone"),
        ("7,match_result,,home,2.15", "line 2: 5 fields, but line 1 names 6"),
        ("7,match_result,,home,2.15,,", "line 2: 7 fields, but line 1 names 6"),
        ('7,match_result,,home,"2.15', "line 2: unexpected end of data"),
    ],
)
def test_a_bad_value_is_named_with_line_and_field(tmp_path: Path, vocabulary: Vocabulary, line: str, told: str) -> None:
    with pytest.raises(PriceListError) as caught:
        read(tmp_path, vocabulary, HEADER, line)
    assert str(caught.value).startswith(f"{tmp_path / 'bets.csv'} {told}")


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("sr_id,market_key,odds", "line 1, 'outcome_key': is missing"),
        ("sr_id,market_key,outcome_key,odds,specifer", "line 1, 'specifer': is not a column of a price list"),
        ("sr_id,market_key,outcome_key,odds,odds", "line 1, 'odds': is there twice"),
        ("sr_id;market_key;outcome_key;odds", "line 1, 'sr_id': is missing"),
        ("", "line 1, 'sr_id': is missing"),
    ],
)
def test_a_bad_header_is_named(tmp_path: Path, vocabulary: Vocabulary, header: str, told: str) -> None:
    with pytest.raises(PriceListError, match=told):
        read(tmp_path, vocabulary, header)


def test_all_bad_values_are_counted_and_the_first_named(tmp_path: Path, vocabulary: Vocabulary) -> None:
    with pytest.raises(PriceListError) as caught:
        read(tmp_path, vocabulary, HEADER, RESULT, *["x,match_result,,home,0,"] * MAX_ERRORS)
    named = str(caught.value).splitlines()
    assert named[0].endswith("bets.csv line 3, sr_id: 'x' is not a SportRadar id, a whole number above 0")
    assert named[1].split("bets.csv ")[1].startswith("line 3, odds: '0'")
    assert named[MAX_ERRORS:] == [f"and {MAX_ERRORS} other bad values"]


def test_what_is_no_text_file_is_an_error(tmp_path: Path, vocabulary: Vocabulary) -> None:
    with pytest.raises(PriceListError, match="No such file"):
        read_price_list(tmp_path / "none.csv", vocabulary)
    with pytest.raises(PriceListError, match="not UTF-8"):
        read(tmp_path, vocabulary, HEADER, RESULT, "ö", encoding="latin-1")


def test_a_frame_is_checked_like_a_file(vocabulary: Vocabulary) -> None:
    frame = pl.DataFrame(
        {
            "sr_id": [7, 7],
            "market_key": "match_result",
            "outcome_key": ["home", "draw"],
            "odds": [2.15, 3.3],
            "taken_at": datetime(2026, 5, 1, 18, tzinfo=UTC),
        }
    )
    assert check_price_list(frame, vocabulary)["line"].to_list() == [1, 2]
    with pytest.raises(PriceListError, match=r"the frame row 2, odds: '0\.5' is not decimal odds"):
        check_price_list(frame.with_columns(odds=pl.Series([2.15, 0.5])), vocabulary)
    with pytest.raises(PriceListError, match="'stake': is not a column"):
        check_price_list(frame.with_columns(stake=1), vocabulary)


def test_fair_probabilities_of_rows_of_prices(vocabulary: Vocabulary) -> None:
    """Odds 2.6, 2.4, 4.3: the published example of the package shin. A suspended book has none."""
    books = [("betpawa", True), ("bet9ja", False)]
    rows = pl.DataFrame(
        [
            (platform, 7, "match_result", "", outcome, odds, is_active or outcome != "draw")
            for platform, is_active in books
            for outcome, odds in (("away", 4.3), ("home", 2.6), ("draw", 2.4))
        ],
        schema=["platform", "sr_id", "market_key", "specifier", "outcome_key", "odds", "is_active"],
        orient="row",
    )
    players = rows.head(1).with_columns(market_key=pl.lit("anytime_goalscorer"), outcome_key=pl.lit("Saka"))
    added = add_fair_probabilities_per_book(pl.concat([rows, players]), ["platform", "sr_id"], vocabulary)
    assert added["fair_shin"].to_list() == [
        *(pytest.approx(p, abs=1e-11) for p in (0.2222265287474275, 0.37299406033208965, 0.4047794109200184)),
        *[None] * 4,
    ]
    assert added.select(rows.columns).equals(pl.concat([rows, players]))
    with pytest.raises(ValueError, match="the rows lack specifier"):
        add_fair_probabilities_per_book(rows.drop("specifier"), ["platform"], vocabulary)
    with pytest.raises(ValueError, match="name an outcome twice"):
        add_fair_probabilities_per_book(rows, ["sr_id"], vocabulary)
