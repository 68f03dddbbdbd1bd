"""How much of what was seen the vocabulary knows: every captured prematch book, and the market ids counted on two
hundred events.
"""

import json
from functools import cache
from pathlib import Path

import polars as pl
import pytest

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.landing import Landing
from palimpsest_pipeline.markets.audit_occurrences import count_by_platform, rank_unmapped
from palimpsest_pipeline.pipeline.installed_vocabulary import load_installed_vocabulary
from palimpsest_pipeline.pipeline.market_audit import AuditFilter, AuditResult, audit_markets
from palimpsest_pipeline_tests.fixtures.platforms import SPORTYBET, build_adapters

FOOTBALL = {
    "betpawa/detail_football_113_markets_v3_2026-06-26.json": 0.98,
    "betpawa/detail_football_59_markets_v4_2026-08-21.json": 0.98,
    "sportybet/event_prematch_football_norway_france_974_markets.json": 0.95,
    "sportybet/event_prematch_football_360_markets.json": 0.95,
    "bet9ja/getevent_soccer_norway_france.json": 0.95,
    "bet9ja/getevent_soccer_qatar_sudan_suspended_prices.json": 0.95,
}
OTHERS = {
    "sportybet/event_prematch_tennis.json": 1.0,
    "bet9ja/getevent_basketball.json": 0.9,
    "bet9ja/tennis.json": 1.0,
    "betpawa/tennis.json": 1.0,
    "sportybet/basketball.json": 0.9,
}
DECLARED = {
    "sportybet/event_prematch_football_norway_france_974_markets.json": 974,
    "sportybet/event_prematch_football_360_markets.json": 360,
}
"""(market, line) pairs that the captures' names declare."""


@cache
def audited(*places: str, source: str | None = None, platform: Platform | None = None) -> AuditResult:
    return audit_markets(
        places, Landing("nowhere"), build_adapters(), load_installed_vocabulary(), AuditFilter(platform, source)
    )


def figures(found: AuditResult) -> dict[str, dict[str, float]]:
    return {row["platform"]: row for row in count_by_platform(found.occurrences).to_dicts()}


@pytest.mark.parametrize(("file", "least"), [*FOOTBALL.items(), *OTHERS.items()])
def test_a_captured_book_is_known(file: str, least: float, samples: Path):
    found = audited(str(samples / file))
    assert found.left_out == []
    ((platform, book),) = figures(found).items()
    assert platform == Path(file).parent.name
    assert book["occurrences"] == DECLARED.get(file, book["occurrences"]) > 20
    assert book["mapped_share"] >= least, rank_unmapped(found.occurrences, load_installed_vocabulary())


@pytest.mark.parametrize("file", [*FOOTBALL, *OTHERS])
def test_every_market_that_is_not_known_is_listed(file: str, samples: Path):
    found = audited(str(samples / file))
    ((_, book),) = figures(found).items()
    missing = rank_unmapped(found.occurrences, load_installed_vocabulary())
    assert missing["occurrences"].sum() == book["occurrences"] - book["mapped"]
    assert missing.filter(
        (pl.col("external_market_id") == "") | (pl.col("name") == "") | (pl.col("error_class") == "")
    ).is_empty()
    assert missing.select(["platform", "sport", "external_market_id", "error_class"]).is_duplicated().sum() == 0


def test_every_line_of_the_recorded_basketball_of_betpawa_is_known(samples: Path, tmp_path: Path):
    """It was recorded in play, which is no prematch book; the markets are the same."""
    answer = json.loads((samples / "betpawa/basketball.json").read_bytes())
    answer["additionalInfo"]["live"] = False
    answer["results"] = None
    file = tmp_path / "basketball.json"
    file.write_text(json.dumps(answer))
    found = audited(str(file))
    assert found.left_out == []
    assert figures(found)["betpawa"]["mapped_share"] == 1.0, rank_unmapped(
        found.occurrences, load_installed_vocabulary()
    )


def test_what_was_counted_on_two_hundred_events_is_known(market_facts: Path):
    found = figures(audited(str(market_facts / "observed_markets.csv"), source="audit_phase_45"))
    assert found["sportybet"]["mapped_share"] >= 0.886
    assert found["bet9ja"]["mapped_share"] >= 0.990


@pytest.mark.parametrize(
    ("platform", "successes", "everything", "least"),
    [("sportybet", 19_962, 38_247, 0.945), ("bet9ja", 13_371, 33_048, 0.994)],
)
def test_with_what_another_system_mapped_already_nearly_everything_is_known(
    platform: str, successes: int, everything: int, least: float, market_facts: Path
):
    """The counts are of what that system failed on; its successes it reported as a total only."""
    failed = figures(audited(str(market_facts / "observed_markets.csv"), source="audit_phase_45"))[platform]
    assert failed["occurrences"] + successes == everything
    assert (failed["mapped"] + successes) / everything >= least


def test_an_answer_given_twice_counts_once(samples: Path):
    file = str(samples / "bet9ja/getevent_soccer_norway_france.json")
    once, twice = audited(file), audited(file, file)
    assert figures(once) == figures(twice)
    assert once.occurrences.height == 430


def test_comparable_is_mapped_and_sold_by_two_platforms(samples: Path):
    found = audited(*(str(samples / file) for file in FOOTBALL)).occurrences
    assert found.filter(pl.col("comparable") & (pl.col("error_class") != "")).is_empty()
    shares = found.group_by("platform", "external_market_id").agg(pl.col("comparable").any())
    known = {(platform, market): comparable for platform, market, comparable in shares.iter_rows()}
    assert known["bet9ja", "S_OU"] is known["sportybet", "1"] is known["betpawa", "3743"] is True
    assert known["bet9ja", "S_HCRC"] is False  # nobody else sells a red card for the home coach


def test_a_platform_that_is_asked_for_reads_its_own_answers_only(samples: Path):
    file = str(samples / "bet9ja/getevent_soccer_norway_france.json")
    found = audited(file, platform=SPORTYBET)
    assert found.occurrences.is_empty()
    assert [(x.where, x.reason.startswith("no detail answer of sportybet")) for x in found.left_out] == [(file, True)]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("platform,raw_market_id\nbetpawa,1\n", "has no column occurrences"),
        ("platform,raw_market_id,occurrences\nbetpawa,1,many\n", "betpawa, 1, many"),
        ("platform,raw_market_id,occurrences\nnobody,1,2\n", "nobody, 1, 2"),
        ("", "cannot be read"),
    ],
)
def test_a_faulty_csv_is_left_out_with_the_reason(content: str, reason: str, tmp_path: Path):
    file = tmp_path / "counts.csv"
    file.write_text(content)
    found = audited(str(file))
    assert found.occurrences.is_empty()
    assert [reason in x.reason for x in found.left_out] == [True]
