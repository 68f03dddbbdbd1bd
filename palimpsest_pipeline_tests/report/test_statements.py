"""What the page says first: counts with their denominators, and what could not be looked at, which is never nought."""

import dataclasses

import polars as pl
import pytest

from palimpsest_pipeline.report.fixture_columns import (
    FIXTURE_CLASSES,
    UNKNOWN_COUNT,
    build_fixture_columns,
    build_tournament_columns,
    list_leads,
)
from palimpsest_pipeline.report.statements import OfferStatus, build_figures, list_offers

from . import worlds


@pytest.fixture(scope="module")
def whole():
    return worlds.coverage(120)


@pytest.fixture(scope="module")
def lame():
    """Bet9ja could not be looked at, nor could it in the day before."""
    return worlds.coverage(120, failed=("bet9ja",))


@pytest.mark.parametrize("include_started", [False, True])
def test_cards_are_the_marts_counts_and_add_up(whole, include_started: bool):
    of_universe = build_figures(whole, include_started)
    counts = {card.name: card.n for card in of_universe.cards}
    classes = whole.fixtures.filter(pl.lit(include_started) | ~pl.col("started"))["fixture_class"].value_counts()
    assert {name: n for name, n in counts.items() if name != "all" and n} == dict(classes.iter_rows())
    assert counts["all"] == sum(n for name, n in counts.items() if name != "all")
    assert all(
        (card.total, card.share) == (counts["all"], card.n / counts["all"])
        for card in of_universe.cards
        if card.name != "all"
    )


def test_every_rate_comes_with_its_denominator(whole):
    rates = {row["platform"]: row for row in whole.rates.filter(~pl.col("include_started")).iter_rows(named=True)}
    shown = build_figures(whole, include_started=False).platforms
    assert [row.platform.key for row in shown] == ["betpawa", "sportybet", "bet9ja"]
    assert [rate.name for rate in shown[0].rates] == ["fixture_match_rate", "listing_match_rate"]  # home covers itself
    for row in shown:
        for rate in row.rates:
            assert rate.share == rates[row.platform.key][rate.name] == rate.n / rate.total, (
                row.platform.key,
                rate.name,
            )


def test_a_platform_that_could_not_be_looked_at_is_not_known(lame):
    seen = {platform.key: platform for platform in list_offers(lame)}
    assert seen["bet9ja"].offer_status is OfferStatus.PARTIAL
    assert seen["bet9ja"].status.startswith("could not be looked at (blocked: <b>403</b>")
    assert seen["sportybet"].status == "looked at completely"
    row = build_figures(lame, include_started=False).platforms[2]
    assert (row.n_fixtures, row.n_listings, row.rates) == (None, None, ())
    counts = build_tournament_columns(lame, list_offers(lame))["counts"][0]
    assert set(counts["on"][2]) == {UNKNOWN_COUNT}
    assert set(counts["gap"][1]) == {0}


def test_what_rests_on_a_platform_that_could_not_be_looked_at_is_at_least_so_much(lame):
    home, sportybet, _ = build_figures(lame, include_started=False).platforms
    assert [rate.at_least for rate in home.rates] == [True, True], "bet9ja may have the others"
    assert all(rate.share == rate.n / rate.total > 0 for rate in home.rates)
    assert [rate.at_least for rate in sportybet.rates] == [False, False, False], "neither it nor home lacks a look"
    cards = {card.name: card for card in build_figures(lame, include_started=False).cards}
    assert [name for name, card in cards.items() if card.at_least] == ["all", "matched", "competitor_only"]
    assert (cards["home_only"].n, cards["home_only"].share) == (None, None), (
        "bet9ja may have any of them: that none is known says nothing"
    )
    assert cards["undetermined"].n > 0


def test_without_a_look_at_home_no_rate_is_known():
    blind = worlds.coverage(120, failed=("betpawa",))
    home, *competitors = build_figures(blind, include_started=False).platforms
    assert (home.n_fixtures, home.rates) == (None, ())
    for row in competitors:
        assert row.n_fixtures
        assert not row.at_least, "all of it was looked at"
        assert {(rate.n, rate.total, rate.share) for rate in row.rates} == {(None, None, None)}


def test_a_look_at_a_part_of_a_platform_bounds_what_is_shared_and_not_its_own_rates(whole):
    """Of home's fixtures at least so many are there: home is known. Of its own nobody knows how many there are."""
    part = pl.col("platform").is_in(["bet9ja", "all"])
    completeness = pl.when(platform="bet9ja").then(pl.lit("partial")).otherwise("completeness").alias("completeness")
    rates = whole.rates.with_columns(completeness, evidence=pl.when(part).then(pl.lit("partial")).otherwise("evidence"))
    unseen = pl.when(platform="bet9ja").then(None).otherwise("looked_at").alias("looked_at")
    found = dataclasses.replace(whole, rates=rates, platforms=whole.platforms.with_columns(unseen))
    bet9ja = build_figures(found, include_started=False).platforms[2]
    assert bet9ja.at_least
    assert {rate.name: (rate.n is not None, rate.at_least) for rate in bet9ja.rates} == {
        "fixture_match_rate": (False, False),
        "home_covered_rate": (True, True),
        "listing_match_rate": (False, False),
    }


def test_a_platform_of_an_earlier_look_says_of_when_it_is():
    carried = worlds.coverage(30, carried=("sportybet",))
    (platform,) = (p for p in list_offers(carried) if p.key == "sportybet")
    assert platform.offer_status is OfferStatus.CARRIED
    assert platform.status.endswith("its listings are those of 22 Nov, 05:30 UTC")
    assert (
        build_fixture_columns(carried, list_offers(carried))["stale_since"][0] == int(worlds.AS_OF.timestamp()) - 1800
    )


def test_where_all_were_looked_at_nothing_is_unknown(whole):
    counts = build_tournament_columns(whole, list_offers(whole))["counts"][0]
    assert UNKNOWN_COUNT not in {n for column in counts["on"] for n in column}
    assert set(build_fixture_columns(whole, list_offers(whole))["unknown"]) == {0}


def test_fixtures_carry_class_platforms_and_kickoffs_as_they_are(lame):
    seen = list_offers(lame)
    shown = build_fixture_columns(lame, seen)
    rows = {row["sr_id"]: row for row in lame.fixtures.iter_rows(named=True)}
    keys = [platform.key for platform in seen]
    listings = {(row["sr_id"], row["platform"]): row for row in lame.listings.iter_rows(named=True)}
    assert sorted(shown["sr_id"]) == sorted(rows)
    assert shown["kickoff"] == sorted(shown["kickoff"])
    names = build_tournament_columns(lame, seen)
    for n, sr_id in enumerate(shown["sr_id"]):
        row = rows[sr_id]
        assert FIXTURE_CLASSES[shown["class"][n]] == row["fixture_class"]
        assert names["key"][shown["tournament"][n]] == row["tournament_key"]
        assert [key for k, key in enumerate(keys) if shown["on"][n] >> k & 1] == [
            key for key in keys if key in row["platforms"]
        ]
        assert shown["unknown"][n] == (0 if "bet9ja" in row["platforms"] else 4)
        for k, key in enumerate(keys):
            claim = listings.get((sr_id, key))
            assert shown["markets"][k][n] == (claim and claim["n_markets_priced"])
            if k:
                gap = {(r["sr_id"], r["platform"]): r for r in lame.gaps.iter_rows(named=True)}.get((sr_id, key))
                told = tuple(shown[name][k - 1][n] for name in ("home_lacks", "lacks", "not_compared"))
                assert told == (
                    (gap["n_home_missing"], gap["n_platform_missing"], gap["n_unknown"]) if gap else (None, None, None)
                )
            assert shown["moved"][k][n] == (claim and (claim["kickoff_at"] - row["effective_kickoff"]).total_seconds())


def test_markets_that_were_not_compared_are_no_equal_books():
    carried = worlds.coverage(120, carried=("bet9ja",))
    shown = build_fixture_columns(carried, list_offers(carried))
    sportybet, bet9ja = shown["not_compared"]
    on_both = [on & 0b101 == 0b101 for on in shown["on"]]
    assert [n == 17 for n in bet9ja] == on_both
    assert 0 in sportybet
    assert 17 in sportybet


def test_the_order_of_rows_changes_nothing(whole):
    shuffled = worlds.coverage(120)
    for name in ("fixtures", "tournaments", "listings", "leads", "gaps", "rates"):
        object.__setattr__(shuffled, name, getattr(whole, name).sample(fraction=1, shuffle=True, seed=3))
    for made in (build_fixture_columns, build_tournament_columns, list_leads):
        assert made(shuffled, list_offers(shuffled)) == made(whole, list_offers(whole))


def test_leads_are_those_of_fixtures_that_competitors_alone_list(whole):
    told = list_leads(whole, list_offers(whole))
    assert set(told) == set(whole.fixtures.filter(fixture_class="competitor_only")["sr_id"])
    assert all(
        place in (1, 2) and censored == (place == 2) for lines in told.values() for place, _, censored, _ in lines
    )
