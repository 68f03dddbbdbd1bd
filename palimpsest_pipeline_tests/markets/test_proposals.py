"""What is proposed for markets that are not mapped, judged on the names that the platforms give to bets known to be
the same.
"""

import csv
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from palimpsest_pipeline.markets.proposals import PROPOSAL_KEY, propose_mappings
from palimpsest_pipeline.pipeline.installed_vocabulary import load_installed_vocabulary

WORDS = load_installed_vocabulary()
BY_NAME = replace(WORDS, keys=WORDS.keys.clear())
"""The vocabulary with no platform's ids in it: only names are left to go by."""


def asked(*rows: tuple[str, str, str, str, str]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict.fromkeys([*PROPOSAL_KEY, "name"], pl.String), orient="row")


def proposed(name: str, schema: str = "", sport: str = "football") -> str | None:
    found = propose_mappings(asked(("bet9ja", sport, "X", schema, name)), BY_NAME)
    return found["proposed_market_key"].item() if found.height else None


def test_a_known_id_in_another_form_is_proposed_to_be_what_the_id_stands_for():
    found = propose_mappings(asked(("sportybet", "football", "18", "total|variant", "Over/Under")), WORDS)
    assert found.select("proposed_market_key", "proposal_evidence").rows() == [
        ("total_goals", "the vocabulary has this id")
    ]


@pytest.mark.parametrize(
    ("name", "schema", "market"),
    [
        ("Draw No Bet", "", "draw_no_bet"),
        ("2nd Half - Draw No Bet", "", "draw_no_bet_2h"),
        ("HT DNB", "", "draw_no_bet_1h"),
        ("Over/Under", "total", "total_goals"),
        ("Over/Under", "", None),
        ("Draw No Bet", "total", None),
        ("Next Lunar Eclipse", "", None),
        ("", "", None),
    ],
)
def test_a_name_is_proposed_when_half_side_and_line_are_the_same(name: str, schema: str, market: str | None):
    assert proposed(name, schema) == market


def test_a_market_of_another_sport_is_not_proposed():
    assert proposed("Draw No Bet", sport="tennis") is None


def test_proposals_do_not_depend_on_the_order_asked():
    rows = asked(
        *(
            ("bet9ja", "football", str(n), "", name)
            for n, name in enumerate(["Draw No Bet", "Double Chance", "Nothing", "HT DNB"])
        )
    )
    assert propose_mappings(rows.reverse(), BY_NAME).equals(propose_mappings(rows, BY_NAME))


@pytest.fixture(scope="module")
def observed(market_facts: Path) -> pl.DataFrame:
    """KEY, name and the market keys that the platforms' markets are known to stand for."""
    lines = (
        WORDS.keys.join(WORDS.parts.filter(pl.col("role") == "read"), on="key_id")
        .group_by("platform", "sport", "external_market_id")
        .agg(pl.col("part").unique().sort().str.join("|").alias("specifier_schema"))
    )
    keys = WORDS.keys.join(WORDS.markets.select("market_id", "market_key"), on="market_id")
    known = keys.group_by("platform", "sport", "external_market_id").agg(
        pl.col("market_key").unique().sort().alias("known")
    )
    with (market_facts / "observed_markets.csv").open(newline="", encoding="utf-8") as file:
        names = {(row["platform"], "football", row["raw_market_id"], row["raw_name"]) for row in csv.DictReader(file)}
    return (
        pl.DataFrame(sorted(names), schema=dict.fromkeys([*PROPOSAL_KEY[:3], "name"], pl.String), orient="row")
        .unique(PROPOSAL_KEY[:3], keep="first", maintain_order=True)
        .join(known, on=PROPOSAL_KEY[:3])
        .join(lines, on=PROPOSAL_KEY[:3], how="left")
        .with_columns(pl.col("specifier_schema").fill_null(""))
    )


def test_of_what_is_proposed_for_other_spellings_nearly_all_is_right(observed: pl.DataFrame):
    foreign = observed.filter(~pl.col("name").is_in(WORDS.markets["name"].to_list()))
    judged = (
        propose_mappings(foreign, BY_NAME)
        .join(foreign, on=PROPOSAL_KEY)
        .with_columns(right=pl.col("proposed_market_key").is_in(pl.col("known")))
    )
    assert judged.height > 100
    assert judged["right"].mean() >= 0.95, (
        judged.filter(~pl.col("right")).select(*PROPOSAL_KEY, "name", "proposed_market_key").rows()
    )


def test_where_the_vocabulary_lacks_the_bet_hardly_anything_is_proposed(observed: pl.DataFrame):
    sold_once = WORDS.keys.group_by("market_id").agg(pl.col("platform").n_unique().alias("n")).filter(pl.col("n") == 1)
    absent = WORDS.markets.join(sold_once, on="market_id", how="semi")["market_key"].to_list()
    lacking = replace(BY_NAME, markets=WORDS.markets.filter(~pl.col("market_key").is_in(absent)))
    foreign = observed.filter(pl.col("known").list.eval(pl.element().is_in(absent)).list.all())
    assert foreign.height > 100
    assert propose_mappings(foreign, lacking).height <= foreign.height * 0.05, propose_mappings(foreign, lacking).rows()
