"""Recorded books of packs that speak the unified feed.

The share of their lines that has a canonical market, every price counted by other means, and prices beside those of
another book.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import polars as pl
import pytest

from palimpsest_pipeline.domain.enums import PayloadKind, Platform
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.observations import Detail
from palimpsest_pipeline.markets import normalise
from palimpsest_pipeline.pipeline.ingest.books import collect_raw_books
from palimpsest_pipeline.pipeline.installed_vocabulary import load_installed_vocabulary
from palimpsest_pipeline.platforms.betika import BetikaAdapter
from palimpsest_pipeline.platforms.msport import MsportAdapter
from palimpsest_pipeline_tests.fixtures.platforms import build_adapters
from palimpsest_pipeline_tests.platforms.pack_support import configure, load_pack_sample

RECEIVED_AT: Final = datetime(2026, 5, 1, 10, tzinfo=UTC)
ADAPTERS: Final[dict[str, Any]] = {
    "msport": MsportAdapter(configure("msport")),
    "betika": BetikaAdapter(configure("betika")),
}
SHARES: Final = [
    ("msport", "prematch.json", 188, 188),
    ("msport", "wc_nf.json", 631, 618),
    ("msport", "tennis.json", 41, 41),
    ("msport", "basketball.json", 353, 348),
    ("betika", "2026-08-09_match_72230652_football.json", 53, 53),
    ("betika", "2026-08-09_match_68095974_basketball.json", 16, 16),
    ("betika", "2026-08-09_match_73550032_tennis.json", 2, 2),
]
"""Pack, answer, lines in it, and lines that are mapped whole."""


def read(samples: Path, pack: str, name: str) -> Detail:
    adapter, body = ADAPTERS[pack], json.dumps(load_pack_sample(samples, pack, name)).encode()
    detail: Detail = adapter.read_detail([make_answer(adapter.platform, body)])
    return detail


def make_answer(platform: Platform, body: bytes) -> Answer:
    request = Request(platform, PayloadKind.DETAIL, "/")
    return Answer(request, 1, RECEIVED_AT, RECEIVED_AT, RECEIVED_AT, 200, {}, body)


def canonical(detail: Detail) -> pl.DataFrame:
    """market_key, specifier, outcome, odds_milli, state of every price."""
    words = load_installed_vocabulary()
    return (
        normalise(collect_raw_books([detail]), words)
        .prices.join(words.markets.select("market_id", "market_key"), on="market_id")
        .join(words.outcomes.select("market_id", "ordinal", "outcome_key"), on=("market_id", "ordinal"), how="left")
        .select(
            "market_key",
            "specifier",
            pl.when(pl.col("outcome") == "").then("outcome_key").otherwise("outcome").alias("outcome"),
            "odds_milli",
            "state",
        )
    )


@pytest.mark.parametrize(("pack", "name", "n_lines", "n_mapped"), SHARES)
def test_lines_of_a_recorded_answer_are_mapped(
    samples: Path, pack: str, name: str, n_lines: int, n_mapped: int
) -> None:
    detail = read(samples, pack, name)
    unmapped = normalise(collect_raw_books([detail]), load_installed_vocabulary()).unmapped
    lines = set(zip(detail.prices.market_id, detail.prices.specifier, strict=True))
    assert (len(lines), len(lines) - unmapped.height) == (n_lines, n_mapped)


def test_what_is_not_mapped_of_the_largest_book_is_known(samples: Path) -> None:
    words = load_installed_vocabulary()
    unmapped = normalise(collect_raw_books([read(samples, "msport", "wc_nf.json")]), words).unmapped
    triaged = set(words.triage.filter(platform="msport")["external_market_id"])
    unknown = unmapped.filter(error_class="unknown_market")
    assert set(unknown["external_market_id"]) <= triaged
    rest = unmapped.filter(pl.col("error_class") != "unknown_market")
    # Certain and impossible outcomes, which no other book lists: "0-5+" goals, a draw without goals and over.
    assert {text for samples_ in rest["sample_outcomes"] for text in samples_} == {
        "0-5+",
        "0-3+",
        "300000608=Draw & NG & Over 1.5",
        "300000708=Draw & NG & Over 2.5",
        "300000808=Draw & NG & Over 3.5",
    }


def test_every_price_of_the_largest_book_is_counted_by_other_means(samples: Path) -> None:
    body = load_pack_sample(samples, "msport", "wc_nf.json")
    markets = body["data"]["markets"]
    outcomes = [o for m in markets for o in m["outcomes"]]
    assert (len(markets), len(outcomes)) == (631, 4603)
    unmapped = {"1577", "1628", "3000003", "3000004"}
    without_place = {"0-5+", "0-3+", "300000608", "300000708", "300000808"}
    counted = [
        o
        for m in markets
        for o in m["outcomes"]
        if str(m["id"]) not in unmapped and not (o["id"] in without_place and m["id"] >= 1_000_000)
    ]
    prices = canonical(read(samples, "msport", "wc_nf.json"))
    assert prices.height == len(counted) == 4295
    assert prices["odds_milli"].drop_nulls().len() == sum(float(o["odds"]) > 1 for o in counted) == 4290


def test_early_payouts_are_what_their_names_say(samples: Path) -> None:
    """1UP pays less than 2UP, and 2UP less than the result: fewer goals ahead are enough."""
    for name in ("wc_nf.json", "prematch.json"):
        prices = canonical(read(samples, "msport", name))
        for side in ("home", "away"):
            one_up, two_up, result = (
                prices.filter(market_key=key, outcome=side)["odds_milli"].item()
                for key in ("match_result_1up", "match_result_2up", "match_result")
            )
            assert one_up < two_up < result


def test_prices_differ_little_from_those_of_another_book(samples: Path) -> None:
    """Differences of implied probability over 0.12 are known one by one."""
    body = (samples / "sportybet" / "event_prematch_football_norway_france_974_markets.json").read_bytes()
    sportybet = Platform("sportybet")
    theirs = canonical(build_adapters()[sportybet].read_detail([make_answer(sportybet, body)]))
    ours = canonical(read(samples, "msport", "wc_nf.json"))
    key = ["market_key", "specifier", "outcome"]
    pairs = (
        ours.filter(state="offered")
        .join(theirs.filter(state="offered"), on=key)
        .with_columns(apart=(1000 / pl.col("odds_milli") - 1000 / pl.col("odds_milli_right")).abs())
    )
    far = pairs.filter(pl.col("apart") > 0.12)
    assert pairs.height > 2600
    assert far.height == 8 <= 0.01 * pairs.height
    assert set(far["market_key"]) <= {
        "player_left_foot_shots_on_target",
        "player_right_foot_shots_on_target",
        "player_fouls_won",
    }
    assert far["apart"].max() < 0.14


def test_a_players_name_is_read_without_the_team(samples: Path) -> None:
    """MSport writes "Heevits, Entudr (Norway)" where other books write the name alone."""
    batch = normalise(collect_raw_books([read(samples, "msport", "wc_nf.json")]), load_installed_vocabulary())
    assert batch.players.filter(outcome="sr:player:991181").rows() == [
        (0, "sr:player:991181", "Heevits, Entudr", "Norway")
    ]
    assert not batch.players["name"].str.contains("(", literal=True).any()
    assert set(batch.players["team"].drop_nulls()) == {"Norway", "France"}


def test_a_line_of_an_exact_number_of_goals_keeps_its_top(samples: Path) -> None:
    """MSport ends at 5+ where SportyBet ends at 6+: the top is part of the line, so they are never compared."""
    prices = canonical(read(samples, "msport", "wc_nf.json")).filter(market_key="exact_goals")
    assert set(prices["specifier"]) <= {f"top={n}" for n in range(2, 10)}
    assert "top=6" not in set(prices["specifier"])
    assert prices.height > 0


def test_betika_lists_markets_that_it_does_not_offer(samples: Path) -> None:
    """`market_groups` names every market of the site, `side_bets` of a list counts neither markets nor lines: both are ignored."""
    body = load_pack_sample(samples, "betika", "2026-08-09_match_72230652_football.json")
    detail = read(samples, "betika", "2026-08-09_match_72230652_football.json")
    offered = {market["sub_type_id"] for market in body["data"]}
    named = {number for group in body["market_groups"] for number in group["markets"]}
    assert named - offered
    assert set(detail.prices.market_id) == offered
    matches = load_pack_sample(samples, "betika", "2026-08-09_matches_football_sort2_period9_p1.json")["data"]
    (n_side_bets,) = [int(match["side_bets"]) for match in matches if match["parent_match_id"] == "72230652"]
    assert n_side_bets not in (len(offered), len(set(detail.prices.market_id)), len(detail.prices.market_id))
    assert detail.listing.n_markets_declared is None
