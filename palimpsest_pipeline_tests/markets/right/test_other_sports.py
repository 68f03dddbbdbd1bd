"""Recorded tennis and basketball: labels stand where they belong, prices of one book and of two books agree, and
margins are margins.
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import polars as pl
import pytest

from palimpsest_pipeline.domain.enums import PayloadKind, Platform
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.observations import Detail
from palimpsest_pipeline.markets import normalise
from palimpsest_pipeline.metrics import build_outcome_sets, compute_market_margins
from palimpsest_pipeline.pipeline.ingest.books import collect_raw_books
from palimpsest_pipeline.pipeline.installed_vocabulary import load_installed_vocabulary
from palimpsest_pipeline.platforms.msport import MsportAdapter
from palimpsest_pipeline_tests.fixtures.platforms import SPORTYBET, build_adapters
from palimpsest_pipeline_tests.platforms.pack_support import configure, load_pack_sample

FILES: Final = {
    "betpawa_tennis": "betpawa/tennis.json",
    "sportybet_tennis": "sportybet/event_prematch_tennis.json",
    "bet9ja_tennis": "bet9ja/tennis.json",
    "betpawa_basketball": "betpawa/basketball.json",
    "sportybet_basketball": "sportybet/basketball.json",
    "bet9ja_basketball": "bet9ja/getevent_basketball.json",
}
"""The tennis of BetPawa and of SportyBet is one fixture; all others are fixtures of their own."""
SPORTS: Final = ("tennis", "basketball")
RECEIVED_AT: Final = datetime(2026, 5, 18, 7, tzinfo=UTC)


def _answer(folder: Path, book: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / FILES[book]).read_bytes())
    if book == "betpawa_basketball":
        # Recorded in play, where the markets are the same.
        found["additionalInfo"]["live"], found["results"] = False, None
    return found


def _read(platform: Platform, answer: dict[str, Any]) -> Detail:
    request = Request(platform, PayloadKind.DETAIL, "/")
    return build_adapters()[platform].read_detail(
        [Answer(request, 1, RECEIVED_AT, RECEIVED_AT, RECEIVED_AT, 200, {}, json.dumps(answer).encode())]
    )


@cache
def _prices(folder: Path) -> pl.DataFrame:
    """book, market_key, specifier, outcome, odds_milli, state; and market_id, ordinal."""
    details = [_read(Platform(book.split("_")[0]), _answer(folder, book)) for book in FILES]
    words = load_installed_vocabulary()
    return (
        normalise(collect_raw_books(details), words)
        .prices.join(words.markets.select("market_id", "market_key"), on="market_id")
        .join(words.outcomes, on=("market_id", "ordinal"))
        .with_columns(book=pl.col("capture").replace_strict(dict(enumerate(FILES)), return_dtype=pl.String))
        .select("book", "market_key", "specifier", "market_id", "ordinal", "odds_milli", "state", outcome="outcome_key")
    )


@pytest.fixture
def prices(samples: Path) -> pl.DataFrame:
    return _prices(samples)


SIDE: Final = {"home": "1|Home|Competitor1", "away": "2|Away|Competitor2", "draw": "X|Draw"}
LABELS: Final = {
    **{side: rf"({names})( \([-+:\d.]+\)|( ?(HT|2T|DNB|HT|2HT|1HT))*)" for side, names in SIDE.items()},
    "over": r"Over( [\d.]+)?",
    "under": r"Under( [\d.]+)?",
    "yes": r"(Yes|[12] - Yes|[02]-[02] Yes)",
    "no": r"(No|[12] - No|[02]-[02] No)",
    "odd": "Odd",
    "even": "Even",
    "equal": "Equal|Eq",
    "other": "Other",
    "none": "None",
    **{
        f"{a}_{o}": rf"({SIDE[a]}) ?(&|\+|-) ?{o[:2]}[a-z]*( [\d.]+)?"
        for a in ("home", "away")
        for o in ("over", "under")
    },
    **{f"{a}_{b}": rf"({SIDE[a]}) ?[/+] ?({SIDE[b]})" for a in SIDE for b in SIDE},
    **{f"quarter_{n}": rf"{n}(st|nd|rd|th)( quarter|Q)" for n in range(1, 5)},
    **{f"{side}_3_plus": rf"{side} by 3\+" for side in ("home", "away")},
    **{f"{side}_26_plus": rf"{side} by 26\+" for side in ("home", "away")},
    **{
        f"{side}_{low}_{low + 4}": rf"{side} by {low}-{low + 4}" for side in ("home", "away") for low in range(1, 26, 5)
    },
    "2": "2",
    "3": "3",
}
"""What a platform may call an outcome, whatever the market."""
GROUPS: Final = {"6_0_6_1_6_2": ["60", "61", "62"], "6_3_6_4": ["63", "64"], "7_5_7_6": ["75", "76"]}


def _fits(outcome: str, label: str, participants: tuple[str, str]) -> bool:
    pattern = LABELS.get(outcome)
    if pattern is not None:
        return re.fullmatch(pattern, label, re.IGNORECASE) is not None
    side, _, group = outcome.partition("_")
    if group in GROUPS:
        scores = [score if side == "home" else score[::-1] for score in GROUPS[group]]
        named = participants[side == "away"]
        return re.findall(r"(\d)[-:](\d)", label) == [tuple(s) for s in scores] or label == f"{named} " + ", ".join(
            f"{s[0]}-{s[1]}" for s in GROUPS[group]
        )
    score = re.fullmatch(r"(\d)_(\d)", outcome)
    return score is not None and re.fullmatch(rf"{score[1]}[-:]{score[2]}", label) is not None


def _labels(book: str, answer: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Platform market, outcome id and label, of each outcome of the answer."""
    if book.startswith("sportybet"):
        for market in answer["data"]["markets"]:
            yield from ((market["id"], outcome["id"], outcome["desc"]) for outcome in market["outcomes"])
    elif book.startswith("bet9ja"):
        names = {market["ID"]: dict(zip(market["SGNK"], market["SGN"], strict=True)) for market in answer["D"]["MK"]}
        for key in answer["D"]["O"]:
            prefix, rest, code = key.split("_", 2)
            market = f"{prefix}_{rest.split('@')[0]}"
            yield market, code, names[market][code]
    else:
        for market in answer["markets"]:
            for row in market["row"]:
                yield from ((market["marketType"]["id"], price["typeId"], price["name"]) for price in row["prices"])


@pytest.mark.parametrize("book", FILES)
def test_every_outcome_leads_to_what_its_label_says(book: str, samples: Path) -> None:
    answer, words = _answer(samples, book), load_installed_vocabulary()
    platform, sport = book.split("_")
    keys = (
        words.keys.filter(platform=platform, sport=sport)
        .join(words.outcome_keys, on="key_id")
        .join(words.outcomes, on=("market_id", "ordinal"))
    )
    leads = {
        (market, code): outcome
        for market, code, outcome in keys.select("external_market_id", "external_outcome_id", "outcome_key").iter_rows()
    }
    data = answer.get("data", {})
    participants = (data.get("homeTeamName", ""), data.get("awayTeamName", ""))
    found = {
        (market, code, label, leads[market, code])
        for market, code, label in _labels(book, answer)
        if (market, code) in leads
    }
    assert len(found) > 20
    assert [fact for fact in sorted(found) if not _fits(fact[3], fact[2], participants)] == []


def test_every_market_of_tennis_and_basketball_has_a_fair_sum_as_the_books_own_probabilities_say(
    samples: Path,
) -> None:
    """SportyBet and MSport send a fair probability with every outcome; here it stands in the place of the odds."""
    words = load_installed_vocabulary()
    open_keys = words.keys.filter(pl.col("open_pattern").is_not_null())
    markets = words.markets.filter(pl.col("sport").is_in(SPORTS)).join(open_keys, on="market_id", how="anti")
    assert markets.filter((pl.col("fair_sum") != "1").fill_null(value=True)).is_empty()
    details = []
    for book in ("sportybet_tennis", "sportybet_basketball"):
        answer = _answer(samples, book)
        for market in answer["data"]["markets"]:
            for outcome in market["outcomes"]:
                outcome["odds"] = f"{2 + float(outcome['probability']):.3f}"
        details.append(_read(SPORTYBET, answer))
    msport = MsportAdapter(configure("msport"))
    for name in ("tennis.json", "basketball.json"):
        answer = load_pack_sample(samples, "msport", name)
        for market in answer["data"]["markets"]:
            for outcome in market["outcomes"]:
                outcome["odds"] = f"{2 + float(outcome['probability']):.3f}"
        request = Request(msport.platform, PayloadKind.DETAIL, "/")
        body = json.dumps(answer).encode()
        details.append(msport.read_detail([Answer(request, 1, RECEIVED_AT, RECEIVED_AT, RECEIVED_AT, 200, {}, body)]))
    sums = (
        normalise(collect_raw_books(details), words)
        .prices.join(markets, on="market_id", how="semi")
        .group_by("capture", "market_id", "specifier")
        .agg(n=pl.len(), total=(pl.col("odds_milli").cast(pl.Float64) / 1000 - 2).sum())
        .join(words.outcomes.group_by("market_id").agg(n_listed=pl.len()), on="market_id")
    )
    assert sums.filter(pl.col("n") != pl.col("n_listed")).is_empty()
    assert sums.filter((pl.col("total") - 1).abs() > 0.01).is_empty()
    measured = markets.join(sums.select("market_id").unique(), on="market_id")
    sold = words.keys.filter(pl.col("platform").is_in(["sportybet", "msport"]))
    assert set(measured["market_key"]) == set(markets.join(sold, on="market_id", how="semi")["market_key"])


def test_margins_of_recorded_tennis_and_basketball_are_margins(prices: pl.DataFrame) -> None:
    words = load_installed_vocabulary()
    by = ("book", "market_key", "specifier", "market_id")
    outcomes = prices.with_columns(outcome=pl.lit(""))
    found = compute_market_margins(outcomes, by, build_outcome_sets(words.markets, words.outcomes, words.complete_sets))
    assert set(found["margin_status"]) <= {"ok", "incomplete_outcomes", "suspended_outcome"}
    complete = found.filter(margin_status="ok")
    assert complete.height > 350
    assert set(complete["book"]) == set(FILES)
    highest = {2: 0.13, 3: 0.17, 4: 0.27}
    wrong = complete.filter(
        (pl.col("margin") <= 0) | (pl.col("margin") >= pl.col("n_outcomes").replace_strict(highest, default=0.65))
    )
    assert wrong.select("book", "market_key", "specifier", "margin").rows() == []


ONE_BET: Final = [
    (("tennis_home_to_win_a_set", "", "yes"), ("tennis_set_handicap", "hcp=1.5", "home")),
    (("tennis_away_to_win_a_set", "", "yes"), ("tennis_set_handicap", "hcp=-1.5", "away")),
    (("tennis_match_to_end_with_score", "score=2:0", "yes"), ("tennis_correct_set_score", "", "2_0")),
    (("tennis_match_to_end_with_score", "score=0:2", "yes"), ("tennis_correct_set_score", "", "0_2")),
    (("tennis_home_to_win_exactly_1_set", "", "yes"), ("tennis_correct_set_score", "", "1_2")),
    (("tennis_away_to_win_exactly_1_set", "", "yes"), ("tennis_correct_set_score", "", "2_1")),
]
"""Bets that end alike. Who of the best of three wins exactly one set has lost the match."""


@pytest.mark.parametrize("book", ["sportybet_tennis", "bet9ja_tennis"])
@pytest.mark.parametrize(("first", "second"), ONE_BET)
def test_bets_that_end_alike_cost_much_the_same_in_one_book(
    book: str, first: tuple[str, str, str], second: tuple[str, str, str], prices: pl.DataFrame
) -> None:
    odds = [_odds(prices, book, *bet) for bet in (first, second)]
    assert max(odds) / min(odds) < 1.12


WHOLES: Final = [
    ("tennis", "tennis_first_set_and_match_result", r"_home$", "tennis_match_winner", "home"),
    ("tennis", "tennis_first_set_and_match_result", r"^home_", "tennis_set_winner_1", "home"),
    ("tennis", "tennis_set_correct_score", r"^(6_[0-4]|7_)", "tennis_set_winner_1", "home"),
    ("tennis", "tennis_set_score_group", r"^home_", "tennis_set_winner_1", "home"),
    ("tennis", "tennis_set_winner_and_total_games", r"^home_", "tennis_set_winner_1", "home"),
    ("tennis", "tennis_winner_and_total_games", r"^home_", "tennis_match_winner", "home"),
    ("tennis", "tennis_correct_set_score", r"^2_", "tennis_match_winner", "home"),
    ("basketball", "basketball_winner_and_total_points", r"^home_", "basketball_match_winner", "home"),
    ("basketball", "basketball_half_time_full_time", r"_home$", "basketball_match_result", "home"),
]
"""Outcomes of a market that make up an outcome of another."""


@pytest.mark.parametrize(("sport", "market", "parts", "whole", "outcome"), WHOLES)
@pytest.mark.parametrize("platform", ["sportybet", "bet9ja"])
def test_parts_make_up_the_whole_in_one_book(
    platform: str, sport: str, market: str, parts: str, whole: str, outcome: str, prices: pl.DataFrame
) -> None:
    book = prices.filter(book=f"{platform}_{sport}")
    shares = [_shares(book.filter(market_key=name)) for name in (market, whole)]
    together = sum(share for name, share in shares[0].items() if re.search(parts, name))
    assert together == pytest.approx(shares[1][outcome], abs=0.035)


QUARTERS: Final = [
    ("basketball_quarter_draw_no_bet", "home", lambda result: result["home"] / (result["home"] + result["away"])),
    ("basketball_quarter_odd_even_points", "odd", lambda _: 0.5),
]


@pytest.mark.parametrize("platform", ["sportybet", "bet9ja"])
@pytest.mark.parametrize("quarter", [1, 2, 3, 4])
def test_bets_on_a_quarter_agree(platform: str, quarter: int, prices: pl.DataFrame) -> None:
    book = prices.filter(book=f"{platform}_basketball")
    of_quarter = book.filter(specifier=f"quarternr={quarter}")
    result = _shares(of_quarter.filter(market_key="basketball_quarter_result"))
    for market, outcome, expected in QUARTERS:
        assert _shares(of_quarter.filter(market_key=market))[outcome] == pytest.approx(expected(result), abs=0.02)
    margin = _shares(of_quarter.filter(market_key="basketball_quarter_winning_margin"))
    assert margin["home_3_plus"] < result["home"]
    assert margin["away_3_plus"] < result["away"]
    handicap = _shares(
        book.filter(market_key="basketball_quarter_point_handicap", specifier=f"hcp=-2.5|quarternr={quarter}")
    )
    if handicap:
        assert margin["home_3_plus"] == pytest.approx(handicap["home"], abs=0.03)


@pytest.mark.parametrize("platform", ["sportybet", "bet9ja"])
def test_a_team_and_the_other_make_up_the_points_of_both(platform: str, prices: pl.DataFrame) -> None:
    """The lines at which over and under are as likely."""
    book = prices.filter(book=f"{platform}_basketball")
    for of_both, home, away, rest in (
        ("basketball_total_points_1h", "basketball_home_total_points_1h", "basketball_away_total_points_1h", ""),
        (
            "basketball_quarter_total_points",
            "basketball_quarter_home_total_points",
            "basketball_quarter_away_total_points",
            "quarternr=1",
        ),
    ):
        lines = [
            _even_line(book.filter((pl.col("market_key") == name) & pl.col("specifier").str.starts_with(rest)))
            for name in (of_both, home, away)
        ]
        assert lines[0] == pytest.approx(lines[1] + lines[2], abs=2.5)


def test_a_handicap_of_three_outcomes_is_the_neighbour_of_one_of_two(prices: pl.DataFrame) -> None:
    """SportyBet's `0:7` gives the away team seven points: home wins by eight or more, which is the line -7.5, but
    for overtime.
    """
    book = prices.filter(book="sportybet_basketball")
    three = _shares(book.filter(market_key="basketball_point_handicap_3way", specifier="hcp=-7"))
    two = _shares(book.filter(market_key="basketball_point_handicap", specifier="hcp=-7.5"))
    assert three["home"] == pytest.approx(two["home"], abs=0.02)


def test_two_books_agree_on_their_common_tennis(prices: pl.DataFrame) -> None:
    on = ["market_key", "specifier", "outcome"]
    ours, theirs = (prices.filter(book=f"{platform}_tennis", state="offered") for platform in ("betpawa", "sportybet"))
    pairs = ours.join(theirs, on=on).with_columns(
        apart=(1000 / pl.col("odds_milli") - 1000 / pl.col("odds_milli_right")).abs()
    )
    assert pairs.height > 30
    assert pairs.filter(pl.col("apart") > 0.12).is_empty()


def _odds(prices: pl.DataFrame, book: str, market: str, specifier: str, outcome: str) -> int:
    return int(prices.filter(book=book, market_key=market, specifier=specifier, outcome=outcome)["odds_milli"].item())


def _shares(market: pl.DataFrame) -> dict[str, float]:
    """Chance of each outcome, the margin taken out in proportion; of several lines the one with the middle
    specifier.
    """
    specifiers = sorted(market["specifier"].unique())
    chosen = market.filter(pl.col("specifier") == specifiers[len(specifiers) // 2]) if specifiers else market
    inverse = {outcome: 1000 / odds for outcome, odds in chosen.select("outcome", "odds_milli").iter_rows()}
    return {outcome: chance / sum(inverse.values()) for outcome, chance in inverse.items()}


def _even_line(market: pl.DataFrame) -> float:
    over = market.filter(outcome="over").with_columns(
        line=pl.col("specifier").str.extract(r"total=([\d.]+)").cast(pl.Float64)
    )
    under = market.filter(outcome="under").select("specifier", under="odds_milli")
    both = over.join(under, on="specifier").with_columns(apart=(pl.col("odds_milli").log() - pl.col("under").log()))
    nearest = both.sort(pl.col("apart").abs()).row(0, named=True)
    return float(nearest["line"])
