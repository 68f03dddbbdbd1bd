"""Proposals for unmapped markets, checked with the platforms' names of bets known to be the same."""

import csv
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from palimpsest_pipeline.markets.proposals import PROPOSAL_KEY, propose_mappings
from palimpsest_pipeline.pipeline.installed_vocabulary import load_installed_vocabulary

VOCABULARY = load_installed_vocabulary()
BY_NAME = replace(VOCABULARY, keys=VOCABULARY.keys.clear())
"""The vocabulary without ids of platforms, so that proposals can use only names."""


def build_unmapped_markets(*rows: tuple[str, str, str, str, str]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict.fromkeys([*PROPOSAL_KEY, "name"], pl.String), orient="row")


def propose_one(name: str, schema: str = "", sport: str = "football") -> str | None:
    proposals = propose_mappings(build_unmapped_markets(("bet9ja", sport, "X", schema, name)), BY_NAME)
    return proposals["proposed_market_key"].item() if proposals.height else None


def test_a_known_id_in_another_form_has_its_own_market_as_proposal():
    proposals = propose_mappings(
        build_unmapped_markets(("sportybet", "football", "18", "total|variant", "Over/Under")), VOCABULARY
    )
    assert proposals.select("proposed_market_key", "proposal_evidence").rows() == [
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
def test_a_name_has_a_proposal_when_half_side_and_line_are_the_same(name: str, schema: str, market: str | None):
    assert propose_one(name, schema) == market


def test_a_market_of_another_sport_is_no_proposal():
    assert propose_one("Draw No Bet", sport="tennis") is None


def test_proposals_do_not_depend_on_the_order_of_the_markets():
    rows = build_unmapped_markets(
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
        VOCABULARY.keys.join(VOCABULARY.parts.filter(pl.col("role") == "read"), on="key_id")
        .group_by("platform", "sport", "external_market_id")
        .agg(pl.col("part").unique().sort().str.join("|").alias("specifier_schema"))
    )
    keys = VOCABULARY.keys.join(VOCABULARY.markets.select("market_id", "market_key"), on="market_id")
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
    foreign = observed.filter(~pl.col("name").is_in(VOCABULARY.markets["name"].to_list()))
    judged_proposals = (
        propose_mappings(foreign, BY_NAME)
        .join(foreign, on=PROPOSAL_KEY)
        .with_columns(right=pl.col("proposed_market_key").is_in(pl.col("known")))
    )
    assert judged_proposals.height > 100
    assert judged_proposals["right"].mean() >= 0.95, (
        judged_proposals.filter(~pl.col("right")).select(*PROPOSAL_KEY, "name", "proposed_market_key").rows()
    )


def test_where_the_vocabulary_lacks_the_bet_hardly_anything_is_proposed(observed: pl.DataFrame):
    sold_once = (
        VOCABULARY.keys.group_by("market_id").agg(pl.col("platform").n_unique().alias("n")).filter(pl.col("n") == 1)
    )
    absent = VOCABULARY.markets.join(sold_once, on="market_id", how="semi")["market_key"].to_list()
    lacking = replace(BY_NAME, markets=VOCABULARY.markets.filter(~pl.col("market_key").is_in(absent)))
    foreign = observed.filter(pl.col("known").list.eval(pl.element().is_in(absent)).list.all())
    assert foreign.height > 100
    assert propose_mappings(foreign, lacking).height <= foreign.height * 0.05, propose_mappings(foreign, lacking).rows()
