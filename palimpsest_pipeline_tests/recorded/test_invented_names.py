"""The names of recorded answers: invented, and alike where the originals are alike."""

import gzip
import json
from pathlib import Path

from palimpsest_pipeline_tests.fixtures.samples import unpack

from .import_answers import ANSWERS, MARKET_FACTS, collect_names, replace_names, write_data
from .invented_names import InventedNames

NAMES = InventedNames(["Älvstad FC", "Alvstad United U21", "Alva Utd (W)", "Berg, Jonas O'Hara", "Norway"], b"key")


def test_names_keep_their_marks_countries_and_form() -> None:
    for name in ("Älvstad FC", "Alvstad United U21", "Z.ALVSTAD SRL II", "Berg, Jonas O'Hara & 2:0"):
        invented = NAMES.replace(name)
        assert invented != name
        assert [c.isalpha() for c in invented] == [c.isalpha() for c in name]
        assert [c.isupper() for c in invented] == [c.isupper() for c in name]
        assert [c.isascii() for c in invented] == [c.isascii() for c in name]
    for kept in ("Norway", "FC", "United U21", "B. O'H", "Home or Draw (W)"):
        assert NAMES.replace(kept) == kept


def test_a_word_has_one_replacement_in_each_spelling() -> None:
    club, team = NAMES.replace("Älvstad FC"), NAMES.replace("Alvstad United U21")
    assert club.split()[0][1:] == team.split()[0][1:]
    assert NAMES.replace("ALVSTAD EXACT GOALS") == f"{team.split()[0].upper()} EXACT GOALS"
    assert NAMES.replace("Alva")[:3] == team[:3]
    assert NAMES.replace("fc-alvstad", any_case=True) == f"fc-{team.split()[0].lower()}"


def test_a_word_in_lower_case_is_no_name() -> None:
    assert NAMES.replace("the berg and O'hara") == "the berg and " + NAMES.replace("O'hara")


def test_the_same_key_gives_the_same_names_and_another_key_others() -> None:
    names = ["Alvstad FC", "Berg, Jonas"]
    first = InventedNames(names, b"key").replace("Alvstad Jonas Berg")
    assert InventedNames(names, b"key").replace("Alvstad Jonas Berg") == first
    assert InventedNames(names, b"other").replace("Alvstad Jonas Berg") != first


def test_no_two_words_become_one() -> None:
    words = [f"{first}{second}{third}" for first in "BC" for second in "aeiou" for third in "bcdfgh"]
    names = InventedNames(words, b"key")
    assert len({names.replace(word) for word in words}) == len(words)
    assert not {names.replace(word) for word in words} & set(words)


def test_only_texts_with_names_of_an_answer_change() -> None:
    answer = """{"data": {"homeTeamName": "\\u00c4lvstad FC", "awayTeamName": "Berg 04",
        "tournament": {"name": "Alvstad Open"}, "id": "Alvstad", "probability": "Alvstad", "price": 1.50,
        "markets": [{"desc": "Alvstad to win", "outcomes": [{"desc": "Lund, Ola (Norway)"}, {"desc": "Ylva (Berg 04)"}]}]}}"""
    found = collect_names(json.loads(answer))
    assert found == {"Älvstad FC", "Berg 04", "Lund", "Ola", "Ylva"}
    names = InventedNames(found, b"key")
    replaced = replace_names(answer, names)
    data = json.loads(replaced)["data"]
    assert (data["tournament"]["name"], data["id"], data["probability"]) == ("Alvstad Open", "Alvstad", "Alvstad")
    assert data["markets"][0]["desc"] == f"{names.replace('Alvstad')} to win"
    assert not {"Lund", "Ola", "Ylva", "Berg", "Älvstad"} & set(replaced.replace('"', " ").replace(",", " ").split())
    assert replaced.isascii()
    assert '"price": 1.50,\n        "markets": [{"desc": ' in replaced


def test_the_same_text_is_the_same_file(tmp_path: Path) -> None:
    name = "platform/answer.json"
    write_data(tmp_path / "first", {name: "text"})
    write_data(tmp_path / "second", {name: "text"})
    packed = tmp_path / "first" / f"{name}.gz"
    assert packed.read_bytes() == (tmp_path / "second" / f"{name}.gz").read_bytes()
    assert gzip.decompress(packed.read_bytes()) == b"text"
    assert (unpack(tmp_path / "first", tmp_path / "out") / name).read_text() == "text"


def test_the_data_are_small() -> None:
    files = [file for folder in (ANSWERS, MARKET_FACTS) for file in folder.rglob("*.gz")]
    assert sum(file.stat().st_size for file in files) <= 2_000_000
