"""Who is who among the players of one fixture: by ids and words of names, one to one, and never by chance."""

import random
from collections.abc import Sequence

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palimpsest_pipeline.domain.schemas import NAMED_PLAYERS
from palimpsest_pipeline.matching import link_players
from palimpsest_pipeline.matching.link_players import PLAYER_LINKS_SCHEMA, normalise_player_name

from .world import random_worlds

Row = tuple[int, str, str, str]
WORDS = ["Lucas", "Theo", "Hernandez", "François", "Bernard", "Silva", "Marcos", "Kanté", "N'Golo", "Østigård"]
names = st.one_of(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join),
    st.lists(st.sampled_from(WORDS), min_size=2, max_size=3).map(lambda words: f"{words[0]}, {' '.join(words[1:])}"),
    st.sampled_from(["", ",", "..."]),
)


@st.composite
def random_players(draw: st.DrawFn) -> list[Row]:
    """Players of two fixtures, some with two spellings: SportyBet's carry SportRadar ids, the others their
    platform's.
    """
    rows: list[Row] = []
    for fixture in (1, 2):
        for platform, prefix in (("sportybet", "sr:player:"), ("betpawa", ""), ("bet9ja", "p")):
            for number in range(draw(st.integers(0, 5))):
                spellings = draw(st.lists(names, min_size=1, max_size=2))
                rows += [(fixture, platform, f"{prefix}{10 * fixture + number}", name) for name in spellings]
    return rows


def frame(rows: Sequence[Row]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=NAMED_PLAYERS, orient="row")


def links(*rows: Row) -> dict[str, tuple[int | None, str | None, str, int]]:
    """(SportRadar id, evidence, status, candidates) by the platform's own id."""
    found = link_players(frame(rows)).select("external_player_id", "sr_player_id", "evidence", "status", "n_candidates")
    return {external: (sr_id, evidence, status, n) for external, sr_id, evidence, status, n in found.iter_rows()}


def sr(number: int, name: str, fixture: int = 1) -> Row:
    return (fixture, "sportybet", f"sr:player:{number}", name)


def own(number: str, name: str, fixture: int = 1) -> Row:
    return (fixture, "betpawa", number, name)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("Mateta, Jean-Philippe", "Jean-Philippe Mateta"),
        ("ODEGAARD, Martin", "Martin Ødegaard"),
        ("N'Golo Kanté", "Kante, N’Golo"),
        ("Lucas Hernández", "lucas  hernandez"),
        ("Vinícius Jr.", "Vinicius Jr"),
    ],
)
def test_names_are_equal_but_for_accents_case_punctuation_and_order(name: str, other: str) -> None:
    assert normalise_player_name(name) == normalise_player_name(other) != ""
    assert links(sr(7, name), own("a", other))["a"] == (7, "same_name", "proposed", 1)


def test_a_platform_s_own_sportradar_id_is_evidence_alone() -> None:
    assert links(sr(7, "Haaland, Erling")) == {"sr:player:7": (7, "sportradar_id", "proposed", 1)}


@pytest.mark.parametrize("digits", ["١٢٣", "7" * 19, "9" * 10_000])
def test_an_id_that_is_no_number_of_sportradar_s_leaves_all_others_as_they_are(digits: str) -> None:
    odd = (1, "sportybet", f"sr:player:{digits}", "Somebody")
    assert links(sr(7, "Haaland, Erling"), odd)["sr:player:7"] == (7, "sportradar_id", "proposed", 1)


def test_brothers_are_told_apart_by_all_words_of_a_name() -> None:
    found = links(
        sr(1, "Hernandez, Lucas"),
        sr(2, "Hernandez, Theo"),
        own("l", "Lucas Francois Bernard Hernandez"),
        own("t", "Theo Hernandez"),
    )
    assert found["l"] == (1, "name_contained", "proposed", 1)
    assert found["t"] == (2, "same_name", "proposed", 1)


def test_a_surname_alone_leads_nowhere() -> None:
    assert links(sr(1, "Hernandez, Lucas"), own("h", "Hernandez"))["h"] == (None, None, "none", 0)


def test_two_candidates_of_one_name_are_ambiguous() -> None:
    found = links(sr(1, "Silva, Bernardo"), sr(2, "Bernardo Silva"), own("b", "Bernardo Silva"))
    assert found["b"] == (None, None, "ambiguous", 2)


def test_two_players_of_a_platform_with_one_name_are_ambiguous() -> None:
    found = links(sr(1, "Silva, Bernardo"), own("a", "Bernardo Silva"), own("b", "Bernardo Silva"))
    assert found["a"] == found["b"] == (None, None, "ambiguous", 1)


def test_a_contained_name_that_fits_another_too_is_ambiguous_and_an_equal_one_is_not() -> None:
    found = links(sr(1, "Lucas Hernandez"), own("l", "Lucas Francois Hernandez"), own("p", "Lucas Pires Hernandez"))
    assert found["l"] == found["p"] == (None, None, "ambiguous", 1)
    found = links(sr(1, "Lucas Hernandez"), own("l", "Lucas Francois Hernandez"), own("p", "Lucas Hernandez"))
    assert found["p"] == (1, "same_name", "proposed", 1)
    assert found["l"] == (None, None, "ambiguous", 1)


def test_any_spelling_of_a_player_may_speak_for_him() -> None:
    found = links(sr(1, "Langas, Sondre"), sr(1, "Sondre Klingen Langas"), own("l", "Sondre Klingen Langas"))
    assert found["l"] == (1, "same_name", "proposed", 1)


def test_another_fixture_s_players_are_no_candidates() -> None:
    assert links(sr(1, "Erling Haaland", fixture=2), own("h", "Erling Haaland", fixture=1))["h"][2] == "none"


@given(random_players())
@random_worlds
def test_every_player_has_one_row_whatever_the_order_of_the_rows(rows: list[Row]) -> None:
    found = link_players(frame(rows))
    assert set(found.select("fixture_sr_id", "platform", "external_player_id").iter_rows()) == {row[:3] for row in rows}
    assert found.height == len({row[:3] for row in rows})
    assert found.schema == pl.Schema(PLAYER_LINKS_SCHEMA)
    shuffled = random.Random(len(rows)).sample(rows, len(rows))
    assert link_players(frame(shuffled + rows)).equals(found)


@given(random_players())
@random_worlds
def test_links_are_one_to_one_and_rest_on_evidence(rows: list[Row]) -> None:
    found = link_players(frame(rows))
    proposed = found.filter(pl.col("status") == "proposed")
    assert not proposed.select("fixture_sr_id", "platform", "sr_player_id").is_duplicated().any()
    assert proposed["evidence"].null_count() == proposed["sr_player_id"].null_count() == 0
    rest = found.filter(pl.col("status") != "proposed")
    assert rest["evidence"].null_count() == rest["sr_player_id"].null_count() == rest.height
    words = {(fixture, platform, external): set() for fixture, platform, external, _ in rows}
    for fixture, platform, external, name in rows:
        words[fixture, platform, external].add(normalise_player_name(name))
    for fixture, platform, external, sr_id, evidence, status, n in found.drop("player_name").select(
        "fixture_sr_id", "platform", "external_player_id", "sr_player_id", "evidence", "status", "n_candidates"
    ).iter_rows():  # fmt: skip
        mine = words[fixture, platform, external]
        if evidence == "sportradar_id":
            assert external == f"sr:player:{sr_id}"
            continue
        fitting = {
            other: mine & theirs - {""}
            for (where, _, other), theirs in words.items()
            if where == fixture and other.startswith("sr:") and any(fits(a, b) for a in mine for b in theirs)
        }
        assert n == len(fitting)
        assert status != "none" or not fitting
        if status == "proposed":
            assert (evidence == "same_name") == bool(fitting[f"sr:player:{sr_id}"])
            equal = [other for other, shared in fitting.items() if shared]
            assert len(equal if evidence == "same_name" else fitting) == 1


def fits(one: str, other: str) -> bool:
    """Equal, or all words of one, two at least, in the other: told the plain way."""
    a, b = set(one.split()), set(other.split())
    return one == other != "" or (len(a & b) >= 2 and (a <= b or b <= a))


@given(random_players())
@random_worlds
def test_it_does_not_matter_which_side_has_the_longer_name(rows: list[Row]) -> None:
    two = [row for row in rows if row[1] != "bet9ja"]
    turned = [
        (fixture, "betpawa", external.removeprefix("sr:player:"), name)
        if platform == "sportybet"
        else (fixture, "sportybet", f"sr:player:{external}", name)
        for fixture, platform, external, name in two
    ]
    there = {
        (f, e, s, k)
        for f, p, e, _, s, k, _, _ in link_players(frame(two)).iter_rows()
        if p == "betpawa" and s is not None
    }
    back = {
        (f, str(s), int(e), k)
        for f, p, e, _, s, k, _, _ in link_players(frame(turned)).iter_rows()
        if p == "betpawa" and s is not None
    }
    assert there == back


def test_nothing_comes_of_nothing() -> None:
    assert link_players(frame([])).is_empty()
