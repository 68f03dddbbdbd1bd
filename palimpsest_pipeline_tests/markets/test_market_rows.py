"""Market rows: one place per outcome, one state per market."""

from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from palimpsest_pipeline.markets import Vocabulary, build_market_rows, normalise, read_vocabulary
from palimpsest_pipeline.markets.canonical_markets import MARKET_FILE_COLUMNS
from palimpsest_pipeline.markets.normaliser import MARKET_ROWS_SCHEMA, NORMALISED_PRICES_SCHEMA
from palimpsest_pipeline.pipeline.installed_vocabulary import load_installed_vocabulary

from .captures import captured_books

MATCH_RESULT = 1


def prices(*rows: tuple[int, int | None, bool], market_id: int = MATCH_RESULT, outcome: str = "") -> pl.DataFrame:
    """(ordinal, odds in thousandths, held off) per row."""
    full = [
        (0, market_id, "", None, outcome, ordinal, odds, "suspended" if off else "offered" if odds else "no_price")
        for ordinal, odds, off in rows
    ]
    return pl.DataFrame(full, schema=NORMALISED_PRICES_SCHEMA, orient="row")


@pytest.mark.parametrize(
    ("given", "state", "off_mask", "odds"),
    [
        ([(1, 1500, False), (2, 4000, False), (3, 6000, False)], "offered", 0b000, [1500, 4000, 6000]),
        ([(1, 1500, False), (3, 6000, True)], "offered", 0b100, [1500, None, 6000]),
        ([(1, 1500, True), (2, 4000, True), (3, 6000, True)], "suspended", 0b111, [1500, 4000, 6000]),
        ([(1, None, True), (2, None, True), (3, None, True)], "suspended", 0b111, [None, None, None]),
        ([(1, 1500, True), (2, None, False)], "suspended", 0b001, [1500, None, None]),
        ([(1, None, False), (2, None, False), (3, None, False)], "no_price", 0b000, [None, None, None]),
    ],
)
def test_state_mask_and_array_follow_from_the_outcomes(
    given: list[tuple[int, int | None, bool]], state: str, off_mask: int, odds: list[int | None]
) -> None:
    rows = build_market_rows(prices(*given), load_installed_vocabulary())
    assert dict(rows.schema) == MARKET_ROWS_SCHEMA
    assert rows.rows() == [(0, MATCH_RESULT, "", "", state, off_mask, odds)]


def test_open_outcomes_are_a_row_each() -> None:
    players = (
        load_installed_vocabulary().markets.filter(pl.col("market_key") == "anytime_goalscorer")["market_id"].item()
    )
    given = pl.concat(
        [
            prices((1, 2000, False), market_id=players, outcome="A"),
            prices((1, 3000, True), market_id=players, outcome="B"),
        ]
    )
    assert build_market_rows(given, load_installed_vocabulary()).rows() == [
        (0, players, "", "A", "offered", 0, [2000]),
        (0, players, "", "B", "suspended", 1, [3000]),
    ]


@pytest.fixture
def large(tmp_path: Path) -> Vocabulary:
    """A market of 70 outcomes, 1, and one of 63, 2."""
    files = {
        "markets.csv": ["1,big,football,ft,result,Big,none,", "2,full,football,ft,result,Full,none,"],
        "outcomes.csv": [f"big,{n},o{n},O{n}" for n in range(1, 71)] + [f"full,{n},o{n},O{n}" for n in range(1, 64)],
    }
    for name, columns in MARKET_FILE_COLUMNS.items():
        (tmp_path / name).write_text("\n".join([",".join(columns), *files.get(name, [])]) + "\n")
    (tmp_path / "VERSION").write_text("1\n")
    return read_vocabulary(tmp_path, [])


def test_a_market_with_more_outcomes_than_a_mask_has_bits_is_a_row_per_outcome(large: Vocabulary) -> None:
    rows = build_market_rows(prices((70, 2000, False), (64, 3000, True), market_id=1), large)
    assert rows.rows() == [(0, 1, "", "o64", "suspended", 1, [3000]), (0, 1, "", "o70", "offered", 0, [2000])]


def test_the_mask_reaches_the_last_bit(large: Vocabulary) -> None:
    [row] = build_market_rows(prices((63, 2000, True), (1, 3000, False), market_id=2), large).rows(named=True)
    assert (row["off_mask"], row["state"], len(row["odds_milli"]), row["odds_milli"][62]) == (
        2**62,
        "offered",
        63,
        2000,
    )


def test_captured_rows_hold_every_price_once(samples: Path) -> None:
    given = normalise(captured_books(samples), load_installed_vocabulary()).prices
    rows = build_market_rows(given, load_installed_vocabulary())
    assert rows.select("capture", "market_id", "specifier", "outcome").is_duplicated().sum() == 0
    assert (
        rows["odds_milli"].list.eval(pl.element().is_not_null()).list.sum().sum()
        == given["odds_milli"].is_not_null().sum()
    )
    assert rows["odds_milli"].explode().sum() == given["odds_milli"].sum()
    sizes = load_installed_vocabulary().outcomes.group_by("market_id").len("n")
    whole = rows.filter(pl.col("outcome") == "").join(sizes, on="market_id")
    assert (whole["odds_milli"].list.len() == whole["n"]).all()
    assert set(rows["state"]) == {"offered", "suspended", "no_price"}
    assert_frame_equal(
        build_market_rows(given.sample(fraction=1.0, shuffle=True, seed=3), load_installed_vocabulary()), rows
    )


def test_no_prices_give_no_rows() -> None:
    rows = build_market_rows(pl.DataFrame(schema=NORMALISED_PRICES_SCHEMA), load_installed_vocabulary())
    assert (rows.height, dict(rows.schema)) == (0, MARKET_ROWS_SCHEMA)
