"""What the platforms' own texts say of a market is so of the canonical market that it leads to."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import polars as pl
import pytest

from palimpsest_pipeline.pipeline.installed_vocabulary import load_installed_vocabulary

FILES: Final = (
    "sportybet/event_prematch_football_norway_france_974_markets.json",
    "sportybet/event_prematch_football_360_markets.json",
    "bet9ja/getevent_soccer_norway_france.json",
    "bet9ja/getevent_basketball.json",
    "sportybet/basketball.json",
    "betpawa/detail_football_113_markets_v3_2026-06-26.json",
)
COUNTED: Final = r"including (overtime|extra time)|(overtime|extra time) (is )?included|incl\. overtime|inc\.? overtime"
NOT_COUNTED: Final = (
    r"(overtime|extra time)[^.]{0,30} (not (included|count)|do(es)? not count|excluded)"
    r"|(exclud\w+|not including) (any )?(overtime|extra time)|regular time"
)


def _texts(folder: Path, file: str) -> Iterator[tuple[str, str]]:
    """Market id and the platform's explanation of it."""
    answer = json.loads((folder / file).read_bytes())
    if "sportybet" in file:
        yield from ((market["id"], market.get("marketGuide", "")) for market in answer["data"]["markets"])
    elif "bet9ja" in file:
        yield from ((market["ID"], market["MDESC"]) for market in answer["D"]["MK"])
    else:
        yield from (
            (market["marketType"]["id"], market["marketType"]["explainer"] or "") for market in answer["markets"]
        )


def _leads(file: str) -> dict[str, set[tuple[str, str]]]:
    """Market id to market key and period."""
    words = load_installed_vocabulary()
    sport = "basketball" if "basketball" in file else "football"
    keys = words.keys.filter(platform=Path(file).parent.name, sport=sport).join(words.markets, on="market_id")
    found: dict[str, set[tuple[str, str]]] = {}
    for market, key, period in keys.select("external_market_id", "market_key", "period").iter_rows():
        found.setdefault(market, set()).add((key, period))
    return found


@pytest.mark.parametrize("file", FILES)
def test_no_bet_on_which_overtime_counts_stands_with_one_on_which_it_does_not(file: str, samples: Path) -> None:
    leads = _leads(file)
    texts = [(market, text.lower()) for market, text in set(_texts(samples, file)) if market in leads]
    counted = {(market, *lead) for market, text in texts if re.search(COUNTED, text) for lead in leads[market]}
    not_counted = {(market, *lead) for market, text in texts if re.search(NOT_COUNTED, text) for lead in leads[market]}
    assert counted | not_counted
    assert [lead for lead in sorted(counted - not_counted) if not lead[2].startswith("incl_")] == []
    assert [lead for lead in sorted(not_counted - counted) if lead[2].startswith("incl_")] == []


def test_a_card_that_is_yellow_only_is_another_bet_than_any_card(samples: Path) -> None:
    betpawa, sportybet = dict(_texts(samples, FILES[5])), dict(_texts(samples, FILES[0]))
    assert "a yellow or red card" in betpawa["28000816"]
    assert "a yellow only card" in sportybet["800117"]
    assert _leads(FILES[5])["28000816"] == {("player_booked", "ft")}
    assert _leads(FILES[0])["800117"] == {("player_yellow_card_only", "ft")}


@pytest.mark.parametrize(
    ("market_key", "betpawa_id", "sportybet_id"),
    [("anytime_goalscorer", "129108", "40"), ("last_goalscorer", "129109", "39")],
)
def test_where_the_rules_for_players_who_do_not_start_differ_a_note_says_so(
    market_key: str, betpawa_id: str, sportybet_id: str, samples: Path
) -> None:
    assert (
        "if a player does not play, bets on that player will be void"
        in dict(_texts(samples, FILES[5]))[betpawa_id].lower()
    )
    assert "bets on non-starters are considered valid" in dict(_texts(samples, FILES[0]))[sportybet_id].lower()
    (note,) = load_installed_vocabulary().markets.filter(pl.col("market_key") == market_key)["note"]
    assert "players who do not start" in note
