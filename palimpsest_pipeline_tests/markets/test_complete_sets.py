"""The grids in which one bet is sold: each names outcomes that the vocabulary has, and a faulty line is named."""

from pathlib import Path

import pytest

from palimpsest_pipeline.markets import VocabularyError, vocabulary
from palimpsest_pipeline.markets.complete_sets import COMPLETE_SETS, FILE, complete_sets


def test_correct_score_is_sold_in_two_grids() -> None:
    words = vocabulary()
    rows = complete_sets(words).join(words.markets.select("market_id", "market_key"), on="market_id")
    sizes = dict(rows.filter(market_key="correct_score").group_by("set").len().rows())
    assert sizes == {"up_to_4_4": 26, "28_scores": 29}
    assert dict(rows.schema) == {**COMPLETE_SETS, "market_key": rows.schema["market_key"]}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("no_such_market,all,home", "outcome 'home' of no_such_market is not in outcomes.csv"),
        ("match_result,all,home|drawn", "outcome 'drawn' of match_result is not in outcomes.csv"),
        ("match_result,all,", "outcome '' of match_result is not in outcomes.csv"),
        ("match_result,all,home|home", "outcome 'home' of match_result is there twice"),
    ],
)
def test_a_faulty_grid_is_refused_by_file_and_line(tmp_path: Path, row: str, message: str) -> None:
    (tmp_path / FILE).write_text(f"market_key,set,outcome_keys\nmatch_result,two,home|away\n{row}\n")
    with pytest.raises(VocabularyError, match=rf"^complete_sets\.csv:3: {message}"):
        complete_sets(vocabulary(), tmp_path)
