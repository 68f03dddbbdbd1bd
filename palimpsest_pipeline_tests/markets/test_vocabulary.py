"""The vocabulary's files: faults are found with file and line, and every known fact is in the package."""

import csv
import hashlib
import re
from dataclasses import replace
from pathlib import Path
from typing import Final

import polars as pl
import pytest
from msgspec import structs

from palimpsest_pipeline.markets import KeySource, VocabularyError, assign_to_platforms, read_vocabulary
from palimpsest_pipeline.markets.key_sets import KEY_FILE_COLUMNS
from palimpsest_pipeline.markets.vocabulary import VOCABULARY_FOLDER
from palimpsest_pipeline.pipeline.installed_vocabulary import (
    find_key_source,
    list_key_sources,
    load_installed_vocabulary,
)
from palimpsest_pipeline.platforms.packs import load_packs
from palimpsest_pipeline_tests.fixtures.vocabularies import copied, read_copy


def facts(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


FAULTY_LINES: Final = facts(Path(__file__).parent / "faulty_lines.csv")
"""A line that somebody adds to a file of the vocabulary, and what is said of it."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the vocabulary that a test may spoil."""
    return copied(tmp_path / "vocabulary")


def append(path: Path, *lines: str) -> int:
    """Appends lines and returns the number of the first."""
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.write_text(",".join(KEY_FILE_COLUMNS[path.name]) + "\n", encoding="utf-8")
    count = len(path.read_text(encoding="utf-8").splitlines())
    with path.open("a", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    return count + 1


@pytest.mark.parametrize(("file", "line", "message"), [tuple(row.values()) for row in FAULTY_LINES])
def test_a_faulty_line_is_refused_with_file_and_line(folder: Path, file: str, line: str, message: str) -> None:
    number = append(folder / file, line)
    with pytest.raises(VocabularyError) as refused:
        read_copy(folder)
    assert str(refused.value).startswith(f"{file}:{number}: ")
    assert message in str(refused.value)


def test_a_wrong_header_is_refused(folder: Path) -> None:
    path = folder / "uof/keys.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("requires", "needs", 1), encoding="utf-8")
    with pytest.raises(VocabularyError, match=r"^uof/keys\.csv:1: columns must be sport,"):
        read_copy(folder)


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("markets.csv", "9999,new_market,football,ft,result,New,none,"),
        ("outcomes.csv", "match_result,4,abandoned,A"),
        ("sportybet/keys.csv", "football,9999999,,,,,match_result,"),
        ("betpawa/outcome_keys.csv", "football,3743,9999999,match_result,home"),
        ("complete_sets.csv", "match_result,without_a_draw,home|away"),
        ("betpawa/feeds.csv", "football,correct_score,4429\nfootball,correct_score,28000869"),
    ],
)
def test_the_version_changes_with_any_of_the_files(folder: Path, file: str, line: str) -> None:
    before = read_copy(folder).version
    assert before == load_installed_vocabulary().version
    append(folder / file, line)
    assert read_copy(folder).version != before
    assert read_copy(folder).version.split("+")[0] == before.split("+")[0]


def test_a_note_changes_no_version(folder: Path) -> None:
    append(folder / "notes.csv", "match_result,Regular time.")
    assert read_copy(folder).version == load_installed_vocabulary().version
    assert read_copy(folder).markets.filter(market_key="match_result")["note"].to_list() == ["Regular time."]


def test_triage_changes_no_version(folder: Path) -> None:
    append(folder / "betpawa/triage.csv", "football,1,ignored,no bet")
    assert read_copy(folder).version == load_installed_vocabulary().version
    assert read_copy(folder).triage.filter(platform="betpawa").row(-1) == (
        "betpawa",
        "football",
        "1",
        "ignored",
        "no bet",
    )


def test_known_markets_keep_their_ids_and_outcomes_their_ordinals() -> None:
    """History holds these numbers.

    Lines are added at the end of the files; then counts and digest may become those of the longer files.
    """
    package = load_installed_vocabulary()
    markets, outcomes = package.markets.head(471), package.outcomes.head(1568)
    assert package.markets["market_id"].to_list() == list(range(1, package.markets.height + 1))
    lines = [
        *markets.select("market_id", "market_key", "sport").iter_rows(),
        *outcomes.select("market_id", "ordinal", "outcome_key").iter_rows(),
    ]
    assert hashlib.sha256(repr(lines).encode()).hexdigest()[:16] == "7640e59609fa4c31"


def test_ids_begin_in_the_order_of_the_known_markets(market_facts: Path) -> None:
    known = [row["canonical_key"] for row in facts(market_facts / "markets.csv")]
    assert load_installed_vocabulary().markets["market_key"].head(len(known)).to_list() == known


def test_every_market_is_sold_by_somebody_and_every_closed_key_lists_outcomes() -> None:
    package = load_installed_vocabulary()
    assert package.markets.join(package.keys, on="market_id", how="anti").is_empty()
    bare = package.keys.filter(pl.col("open_pattern").is_null()).join(package.outcome_keys, on="key_id", how="anti")
    # Known by name only: nobody has seen its outcome ids.
    assert bare.select("platform", "external_market_id").rows() == [("betpawa", "4613062")]


def test_an_outcome_id_leads_to_one_thing_under_the_same_requirements() -> None:
    package = load_installed_vocabulary()
    required = (
        package.parts.filter(pl.col("role") == "require")
        .sort("key_id", "part")
        .group_by("key_id", maintain_order=True)
        .agg(requires=pl.format("{}={}", "part", "expected").str.join("|"))
    )
    keys = package.keys.join(required, on="key_id", how="left").with_columns(pl.col("requires").fill_null(""))
    place = ["platform", "sport", "external_market_id", "requires"]
    listed = package.outcome_keys.join(keys, on="key_id")
    assert listed.select(*place, "external_outcome_id").is_duplicated().sum() == 0
    assert keys.filter(pl.col("open_pattern").is_not_null()).select(place).is_duplicated().sum() == 0


SPLIT = {
    ("bet9ja", "S_RCH"): "home_sending_off",
    ("bet9ja", "S_RCA"): "away_sending_off",
    ("sportybet", "800117"): "player_booked",
}
"""What the facts hold for one bet with others, though the platforms' texts differ: their prices stand in markets of
their own.
"""
SPLIT_OUTCOMES = {
    ("bet9ja", code, SPLIT["bet9ja", key], answer)
    for key in ("S_RCH", "S_RCA")
    for code, answer in (("Y", "yes"), ("N", "no"))
}


def test_every_known_market_is_in_the_package(market_facts: Path) -> None:
    ours = {row["market_key"]: row for row in load_installed_vocabulary().markets.iter_rows(named=True)}
    keys = load_installed_vocabulary().keys.join(
        load_installed_vocabulary().markets.select("market_id", "market_key"), on="market_id"
    )
    ids = {row[:4] for row in keys.select("platform", "sport", "external_market_id", "market_key").iter_rows()}
    columns = {"betpawa": "betpawa_market_ids", "sportybet": "sportybet_market_ids", "bet9ja": "bet9ja_keys"}
    known = facts(market_facts / "markets.csv")
    for fact in known:
        market = ours[fact["canonical_key"]]
        assert (market["sport"], market["period"]) == (fact["sport"], fact["period"])
        assert not fact["fair_sum"] or market["fair_sum"] == fact["fair_sum"]
        for platform, column in columns.items():
            for external_id in filter(None, fact[column].split(";")):
                if SPLIT.get((platform, external_id)) != fact["canonical_key"]:
                    assert (platform, fact["sport"], external_id, fact["canonical_key"]) in ids
    assert len(ours) >= len(known) == 347


def test_every_known_outcome_is_in_the_package_under_every_platform_id(market_facts: Path) -> None:
    package = load_installed_vocabulary()
    named = package.outcomes.join(package.markets.select("market_id", "market_key", "sport"), on="market_id")
    ours = set(named.select("market_key", "outcome_key").iter_rows())
    codes = package.outcome_keys.join(package.keys.filter(~pl.col("ladder")), on="key_id").join(
        named, on=("market_id", "ordinal")
    )
    have = set(codes.select("platform", "external_outcome_id", "market_key", "outcome_key").iter_rows())
    for fact in facts(market_facts / "outcomes.csv"):
        outcome = (fact["canonical_key"], fact["canonical_outcome"])
        assert outcome in ours
        expected = {
            ("betpawa", code.split(":")[-1]) for code in filter(None, fact["betpawa_outcome_type_id"].split(";"))
        }
        expected |= {("sportybet", code) for code in filter(None, [fact["sportybet_outcome_id"]])}
        expected |= {("bet9ja", code) for code in filter(None, fact["bet9ja_suffix"].split("|"))}
        assert {
            (platform, code) for platform, code in expected if (platform, code, *outcome) not in have | SPLIT_OUTCOMES
        } == set(), outcome


def test_correct_score_is_sold_in_two_grids() -> None:
    package = load_installed_vocabulary()
    rows = package.complete_sets.join(package.markets.select("market_id", "market_key"), on="market_id")
    assert dict(rows.filter(market_key="correct_score").group_by("set").len().rows()) == {
        "up_to_4_4": 26,
        "28_scores": 29,
    }


def test_ordinals_count_from_one() -> None:
    ordinals = (
        load_installed_vocabulary()
        .outcomes.group_by("market_id")
        .agg(pl.len().alias("n"), pl.col("ordinal").max().alias("last"))
    )
    assert (ordinals["n"].cast(pl.Int16) == ordinals["last"]).all()


def test_a_market_of_players_is_open_and_every_market_has_outcomes_or_is_open() -> None:
    package = load_installed_vocabulary()
    open_markets = package.keys.filter(pl.col("open_pattern").is_not_null()).select("market_id").unique()
    players = package.markets.filter(pl.col("line_kind").str.starts_with("player")).select("market_id")
    assert players.join(open_markets, on="market_id", how="anti").is_empty()
    closed = package.markets.join(open_markets, on="market_id", how="anti")
    assert closed.join(package.outcomes, on="market_id", how="anti").is_empty()


@pytest.mark.parametrize(
    ("external_id", "outcome_id", "expected"),
    [
        ("40", "sr:player:1027583", ("1027583", None)),
        ("800289", "pre:playerprops:66457014:1027583:2", ("1027583", None)),
        ("800117", "pre:playerprops:66457014:22209:1", ("22209", None)),
        ("800109", "pre:playerprops:66457014:1027583", ("1027583", None)),
        ("775", "pre:playerprops:66457014:1027583:3", ("1027583", "3")),
        ("800285", "pre:playerprops:66457014:1027583:2:1", ("1027583", "2")),
        ("830291", "pre:playerprops:66457014:250737", ("250737", None)),
    ],
)
def test_a_template_finds_the_player_and_the_threshold(
    external_id: str, outcome_id: str, expected: tuple[str, str | None]
) -> None:
    (pattern,) = load_installed_vocabulary().keys.filter(
        (pl.col("platform") == "sportybet") & (pl.col("external_market_id") == external_id)
    )["open_pattern"]
    found = re.search(pattern, outcome_id)
    assert found is not None
    assert (found["player"], found.groupdict().get("at_least")) == expected
    assert re.search(pattern, outcome_id + ":1:1") is None
    assert re.search(pattern, outcome_id.replace(expected[0], "none")) is None


def test_names_are_for_people() -> None:
    package = load_installed_vocabulary()
    assert not package.outcomes["name"].str.contains(r"[{}]").any()
    named = package.outcomes.join(package.markets.select("market_id", "market_key"), on="market_id")
    over = named.filter((pl.col("market_key") == "total_goals") & (pl.col("outcome_key") == "over"))
    assert over["name"].to_list() == ["Over"]
    assert package.markets.filter(pl.col("market_key") == "match_result").row(0, named=True) == {
        "market_id": 1,
        "market_key": "match_result",
        "sport": "football",
        "period": "ft",
        "family": "result",
        "name": "1X2 - FT",
        "line_kind": "none",
        "fair_sum": "1",
        "note": None,
        "betpawa_market_id": "3743",
    }


def keys_of(folder: Path, platform: str, external_id: str) -> list[tuple[str, list[str]]]:
    """Market key and outcome ids of each key of a football market, in the order of preference."""
    package = read_copy(folder)
    keys = package.keys.filter(platform=platform, sport="football", external_market_id=external_id)
    codes = package.outcome_keys.group_by("key_id").agg(pl.col("external_outcome_id").sort())
    return (
        keys.join(codes, on="key_id", how="left")
        .join(package.markets.select("market_id", "market_key"), on="market_id")
        .sort("key_id")
        .select("market_key", pl.col("external_outcome_id").fill_null([]))
        .rows()
    )


SPEAKERS = ("sportybet", "msport", "betika")


def test_packs_that_speak_one_feed_share_its_keys() -> None:
    keys = load_installed_vocabulary().keys
    ids = [set(keys.filter(platform=pack)["external_market_id"]) for pack in SPEAKERS]
    feed = {row["external_market_id"] for row in facts(VOCABULARY_FOLDER / "uof/keys.csv")}
    assert len(feed) > 200
    assert all(feed <= own for own in ids)


def test_no_row_is_written_twice() -> None:
    """A pack's row replaces the shared row of the market, so an equal row would be a needless copy."""
    for name in ("keys.csv", "outcome_keys.csv"):
        shared = {tuple(row.values()) for row in facts(VOCABULARY_FOLDER / "uof" / name)}
        for source in list_key_sources():
            path = source.folder / name
            own = {tuple(row.values()) for row in facts(path)} if path.exists() else set()
            assert not (source.shares and shared & own), path


def test_a_row_in_the_shared_set_serves_every_pack_that_speaks_it(folder: Path) -> None:
    append(folder / "uof/keys.csv", "football,1999,,,,,draw_no_bet,")
    append(folder / "uof/outcome_keys.csv", "football,1999,4,draw_no_bet,home")
    assert all(keys_of(folder, pack, "1999") == [("draw_no_bet", ["4"])] for pack in SPEAKERS)
    assert keys_of(folder, "bet9ja", "1999") == []


def test_a_packs_own_rows_of_a_market_replace_the_shared_ones(folder: Path) -> None:
    before = keys_of(folder, "betika", "11")
    append(folder / "msport/keys.csv", "football,11,,,,,home_no_bet,")
    append(folder / "msport/outcome_keys.csv", "football,11,9,home_no_bet,away")
    assert keys_of(folder, "msport", "11") == [("home_no_bet", ["9"])]
    assert keys_of(folder, "betika", "11") == before != []


def test_a_packs_outcome_row_alone_adds_to_the_shared_key(folder: Path) -> None:
    append(folder / "msport/outcome_keys.csv", "football,11,99,draw_no_bet,home")
    assert keys_of(folder, "msport", "11") == [("draw_no_bet", ["4", "5", "99"])]
    assert keys_of(folder, "betika", "11") == [("draw_no_bet", ["4", "5"])]


def test_a_triage_row_removes_a_shared_market_and_is_a_new_version(folder: Path) -> None:
    before = read_copy(folder)
    append(folder / "msport/triage.csv", "football,11,ignored,another bet")
    after = read_copy(folder)
    assert keys_of(folder, "msport", "11") == []
    assert keys_of(folder, "betika", "11") != []
    assert after.pack_versions["msport"] != before.pack_versions["msport"]


def test_a_row_that_names_a_market_only_moves_the_shared_keys_to_its_place(folder: Path) -> None:
    own = "football,8800001,,,,,draw_no_bet,"
    append(folder / "msport/keys.csv", own, "football,11,,,,,,")
    keys = read_copy(folder).keys.filter(platform="msport", sport="football")["external_market_id"].to_list()
    assert keys[-2:] == ["8800001", "11"]
    line = append(folder / "msport/keys.csv", "football,8800002,,,,,,")
    with pytest.raises(VocabularyError, match=rf"^msport/keys\.csv:{line}: 8800002 is not in the shared set"):
        read_copy(folder)


def test_a_pack_may_share_the_keys_of_another_pack(folder: Path) -> None:
    other = {source.name: source for source in list_key_sources()}
    sportybet = replace(other["sportybet"], folder=folder / "sportybet")
    new = KeySource("new", folder / "new", "sportybet", sportybet)
    plain = read_vocabulary(folder, [sportybet, new])
    mine, theirs = (plain.keys.filter(platform=name).drop("key_id", "platform") for name in ("new", "sportybet"))
    assert mine.equals(theirs)
    n_feeds = plain.feeds.join(plain.keys, on="key_id").group_by("platform").len()
    assert dict(n_feeds.rows())["new"] == dict(n_feeds.rows())["sportybet"] > 0
    triage = dict(plain.triage.group_by("platform").len().rows())
    assert triage["new"] == triage["sportybet"] > 0
    assert plain.text_rules["new"] == plain.text_rules["sportybet"]

    feed = facts(folder / "sportybet/feeds.csv")[0]
    append(folder / "new/keys.csv", "football,11,,,,,home_no_bet,")
    append(folder / "new/outcome_keys.csv", "football,11,9,home_no_bet,away")
    append(folder / "new/triage.csv", f"football,{feed['external_market_id']},ignored,not sold here")
    changed = read_vocabulary(folder, [sportybet, new])
    assert changed.pack_versions["sportybet"] == plain.pack_versions["sportybet"]
    assert changed.pack_versions["new"] != plain.pack_versions["new"]
    mine = changed.keys.filter(platform="new", sport="football")
    assert feed["external_market_id"] not in mine["external_market_id"].to_list()
    (market_id,) = mine.filter(external_market_id="11")["market_id"]
    assert changed.markets.filter(market_id=market_id)["market_key"].item() == "home_no_bet"


def test_packs_that_share_each_others_keys_are_refused_and_named() -> None:
    packs = {
        name: replace(pack, content=structs.replace(pack.content, market_keys=shares))
        for name, shares in (("betika", "msport"), ("msport", "betika"), ("betway", "betway"), ("bet9ja", None))
        for pack in [load_packs().packs[name]]
    }
    for name in ("betika", "msport", "betway"):
        with pytest.raises(
            VocabularyError, match=r"pack\.toml:1: market_keys '\w+' is neither a shared set nor another"
        ):
            read_vocabulary(VOCABULARY_FOLDER, [find_key_source(packs[name], packs)])
    read_vocabulary(VOCABULARY_FOLDER, [find_key_source(packs["bet9ja"], packs)])


def test_players_of_sportybet_are_named_in_the_order_of_its_feeds() -> None:
    keys = load_installed_vocabulary().keys.filter(
        pl.col("open_pattern").is_not_null(), platform="sportybet", sport="football"
    )
    order = keys["external_market_id"].to_list()
    assert [order.index(market) for market in ("40", "39", "38", "800289", "800117", "775", "1191")] == sorted(
        order.index(market) for market in ("40", "39", "38", "800289", "800117", "775", "1191")
    )


def test_a_packs_rows_change_no_other_packs_version(folder: Path) -> None:
    before = read_copy(folder).pack_versions
    append(folder / "msport/keys.csv", "football,8800001,,,,,draw_no_bet,")
    after = read_copy(folder).pack_versions
    assert {pack for pack in before if before[pack] != after[pack]} == {"msport"}


def test_an_unknown_shared_set_and_a_faulty_rule_are_refused(folder: Path) -> None:
    with pytest.raises(VocabularyError, match=r"^new/pack\.toml:1: market_keys 'betradar' is neither a shared set"):
        read_vocabulary(folder, [KeySource("new", folder / "new", "betradar")])
    (folder / "uof/set.toml").write_text("prefix = 1\n", encoding="utf-8")
    with pytest.raises(VocabularyError, match=r"^uof/set\.toml:1: .*prefix"):
        read_copy(folder)


def test_a_platform_in_another_country_has_the_keys_of_its_pack() -> None:
    package = load_installed_vocabulary()
    platforms = pl.Series(["msport-gh", "msport", "bet9ja"])
    keys = assign_to_platforms(package.keys, platforms)
    counts = dict(keys.group_by("platform").len().rows())
    own = dict(package.keys.group_by("platform").len().rows())
    assert counts == {"msport-gh": own["msport"], "msport": own["msport"], "bet9ja": own["bet9ja"]}
