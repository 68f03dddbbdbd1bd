"""`palimpsest markets` as those who keep the vocabulary use it: looking up, listing, auditing."""

import json
import shutil
from pathlib import Path

import pytest

from palimpsest_pipeline_tests.fixtures.commands import Command, assert_one_clear_line
from palimpsest_pipeline_tests.fixtures.recordings import REFUSED, write_recordings

NARROW = {"COLUMNS": "100"}
BETPAWA = "betpawa/detail_football_59_markets_v4_2026-08-21.json"
FIRST_KEYS = ["occurrences", "mapped", "comparable", "mapped_share"]


def words(text: str) -> str:
    """Printed text without the frames and line breaks of its tables."""
    return " ".join("".join(" " if c in "│┃╭╮╰╯─━" else c for c in text).split())


def test_a_market_is_shown_with_its_ids_and_readings_on_every_platform(palimpsest: Command):
    done = palimpsest("markets", "show", "total_goals", **NARROW)
    assert done.returncode == 0, done.stderr
    shown = words(done.stdout)
    assert "family total, sport football, period ft, line: total" in shown
    assert "exactly one outcome of a complete set wins: margin = sum(1/odds) - 1" in shown
    assert "betpawa 5000 total=2.5 from line=10 (quarters)" in shown
    assert "bet9ja S_OUA total=2.5 from line=2.5 (number)" in shown
    assert "1 over Over 5001 12 O" in shown
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert max(map(len, palimpsest("markets", "list", "--family", "corners", **NARROW).stdout.splitlines())) <= 100


def test_a_market_sold_in_several_grids_says_which_sets_are_complete(palimpsest_here: Command):
    (market,) = json.loads(palimpsest_here("markets", "show", "correct_score", "--json").stdout)["markets"]
    assert market["complete_sets"] == {"up_to_4_4": 26, "28_scores": 29}
    assert {
        "betpawa": {"4429": ["4430"], "28000869": ["28000870"]},
        "sportybet": {"45": ["274"]},
        "bet9ja": {"S_CSFT": ["0:0"]},
    }.items() <= market["outcomes"][0]["ids"].items()


def test_what_to_know_of_a_market_and_the_order_of_its_feeds_are_shown(palimpsest_here: Command):
    shown = words(palimpsest_here("markets", "show", "anytime_goalscorer").stdout)
    assert "note: Rules for players who do not start differ" in shown
    shown = words(palimpsest_here("markets", "show", "home_total_shots").stdout)
    assert "sportybet lists it from several feeds; the first one in an answer counts: 900552, 800160" in shown
    (market,) = json.loads(palimpsest_here("markets", "show", "home_total_shots", "--json").stdout)["markets"]
    assert {key["external_market_id"]: key["feed"] for key in market["keys"] if key["platform"] == "sportybet"} == {
        "900552": 1,
        "800160": 2,
    }
    assert {key["feed"] for key in market["keys"] if key["platform"] != "sportybet"} <= {None}


@pytest.mark.parametrize(
    ("asked", "leads_to"),
    [
        ("sportybet:18", {"total_goals", "basketball_total_points_regular"}),
        ("S_OU", {"total_goals"}),
        ("bet9ja:S_HAOU", {"home_total_goals", "away_total_goals"}),
    ],
)
def test_a_platforms_own_id_leads_to_its_markets(asked: str, leads_to: set[str], palimpsest_here: Command):
    done = palimpsest_here("markets", "show", asked, "--json")
    assert done.returncode == 0, done.stderr
    assert {m["market_key"] for m in json.loads(done.stdout)["markets"]} == leads_to


@pytest.mark.parametrize(("asked", "nearest"), [("total_gaols", "total_goals"), ("bet9ja:S_OV", "bet9ja:S_OU")])
def test_an_unknown_key_is_wrong_usage_and_the_nearest_are_named(asked: str, nearest: str, palimpsest_here: Command):
    done = palimpsest_here("markets", "show", asked)
    assert done.returncode == 2
    assert asked in done.stderr
    assert nearest in words(done.stderr).replace(asked, "")
    assert "Traceback" not in done.stderr


def test_a_word_of_a_markets_name_says_how_to_look_for_it(palimpsest_here: Command):
    told = words(palimpsest_here("markets", "show", "corners").stderr)
    assert "`palimpsest markets list --search 'corners'` lists" in told
    found = json.loads(palimpsest_here("markets", "list", "--search", "corners", "--json").stdout)["markets"]
    assert f"lists {len(found)} markets with this text" in told
    assert "total_corners" in {m["market_key"] for m in found}


def test_markets_are_found_by_what_they_are_called(palimpsest_here: Command):
    done = palimpsest_here("markets", "list", "--search", "FOULS", "--platform", "bet9ja", "--json")
    found = json.loads(done.stdout)["markets"]
    assert {"total_fouls", "home_total_fouls"} <= {m["market_key"] for m in found}
    assert all(m["bet9ja"] and m["sport"] == "football" for m in found)
    assert "no market matches" in palimpsest_here("markets", "list", "--search", "no such bet").stdout


def test_counted_market_ids_of_one_source_are_audited(palimpsest_here: Command, market_facts: Path):
    done = palimpsest_here(
        "markets", "audit", str(market_facts / "observed_markets.csv"), "--source", "audit_phase_45", "--json"
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert list(found) == ["sportybet", "bet9ja"]
    for figures in found.values():
        assert list(figures)[:4] == FIRST_KEYS
        assert figures["comparable"] <= figures["mapped"] <= figures["occurrences"]
        assert figures["mapped_share"] == pytest.approx(figures["mapped"] / figures["occurrences"])
        assert sum(m["occurrences"] for m in figures["unmapped"]) == figures["occurrences"] - figures["mapped"]
    assert (found["sportybet"]["occurrences"], found["bet9ja"]["occurrences"]) == (18_285, 19_677)
    wrong = palimpsest_here("markets", "audit", str(market_facts / "observed_markets.csv"), "--source", "nobody")
    assert_one_clear_line(wrong, "observed_markets.csv", "'nobody'", "audit_phase_43, audit_phase_45")
    idle = palimpsest_here("markets", "audit", str(market_facts), "--source", "audit_phase_45")
    assert idle.returncode == 2
    assert "--source" in idle.stderr


def test_the_table_names_as_many_unmapped_markets_as_asked_for(palimpsest: Command, folder: Path):
    ids = [
        ("bet9ja", "S_OU", 5),
        ("bet9ja", "S_NOBODY", 30),
        ("bet9ja", "S_NOWHERE", 20),
        ("bet9ja", "S_NEVER", 10),
        ("betpawa", "0", 1),
    ]
    lines = [
        f"{platform},{market},A market that nobody has ever named in so many words,{n}" for platform, market, n in ids
    ]
    (folder / "counts.csv").write_text("\n".join(["platform,raw_market_id,raw_name,occurrences", *lines]))
    done = palimpsest("markets", "audit", "counts.csv", "--platform", "bet9ja", "--top", "2", **NARROW)
    assert done.returncode == 0, done.stderr
    shown = words(done.stdout)
    assert "bet9ja 65 5 5 0.0769 0.0769" in shown
    assert "Not mapped on bet9ja: 2 of 3" in shown
    assert shown.index("S_NOBODY") < shown.index("S_NOWHERE")
    assert "S_NEVER" not in shown
    assert "betpawa" not in shown
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_what_cannot_be_read_is_named_and_the_others_go_on(palimpsest_here: Command, samples: Path, folder: Path):
    given = folder / "answers"
    given.mkdir()
    shutil.copy(samples / BETPAWA, given / "good.json")
    (given / "broken.json").write_text('{"id": "1", "markets": [')
    (given / "notes.txt").write_text("no answer")
    done = palimpsest_here("markets", "audit", str(given), "nowhere.json", "--json")
    assert done.returncode == 3
    assert list(json.loads(done.stdout)) == ["betpawa"]
    assert "broken.json" in done.stderr
    assert "nowhere.json: cannot be read" in words(done.stderr)
    assert "notes.txt" not in done.stderr
    assert_one_clear_line(
        palimpsest_here("markets", "audit", str(given / "broken.json")), "broken.json", "no detail answer"
    )


def test_a_landing_says_what_its_files_say(palimpsest_here: Command, samples: Path, folder: Path):
    recordings = write_recordings(samples, folder / "recordings")
    files = palimpsest_here("markets", "audit", str(recordings), "--json")
    assert files.returncode == 0, files.stderr  # answers in play are left out, as they should be
    assert files.stderr.count("in play") == len(REFUSED)
    assert set(json.loads(files.stdout)) == {"betpawa", "sportybet", "bet9ja"}
    assert_one_clear_line(palimpsest_here("markets", "audit"), "the landing is empty")
    assert palimpsest_here("landing", "import", str(recordings)).returncode == 0
    landed = palimpsest_here("markets", "audit", "--json")
    assert json.loads(landed.stdout) == json.loads(files.stdout)
    rooted = palimpsest_here(
        "markets",
        "audit",
        str(folder / "home" / "landing"),
        "--hour",
        "2026-06-26-10:00",
        "--platform",
        "bet9ja",
        "--json",
    )
    assert json.loads(rooted.stdout)["bet9ja"]["occurrences"] == 430


def test_a_store_that_cannot_be_reached_is_one_clear_line(palimpsest_here: Command):
    assert_one_clear_line(
        palimpsest_here("markets", "audit", "nostore://bucket/landing"), "nostore://bucket/landing", "nostore"
    )
    assert_one_clear_line(
        palimpsest_here("landing", "ls", PALIMPSEST_LANDING_URL="nostore://bucket/landing"), "nostore://bucket/landing"
    )
