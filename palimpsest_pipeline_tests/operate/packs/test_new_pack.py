"""A new pack as `palimpsest platforms new` writes it."""

import ast
from pathlib import Path

import pytest

from palimpsest_pipeline.operate.packs.new_pack import NewPackError, create_pack
from palimpsest_pipeline.platforms.packs import load_packs, read_pack


def test_a_pack_with_its_own_dialect_has_all_python_files(tmp_path: Path) -> None:
    pack = create_pack("lionbet", tmp_path, like=None, country="ke")
    assert pack.folder == tmp_path / "palimpsest-lionbet"
    names = {str(file.relative_to(pack.folder)) for file in pack.files}
    assert {"pyproject.toml", "palimpsest_lionbet/pack.toml", "palimpsest_lionbet/recorded/match.json"} <= names
    for file in pack.files:
        text = file.read_text()
        assert "{{" not in text, file
        if file.suffix == ".py":
            ast.parse(text)
    content = read_pack("lionbet", pack.folder / "palimpsest_lionbet").content
    assert (content.name, content.default_country) == ("Lionbet", "ke")
    assert content.trust > max(found.content.trust for found in load_packs().packs.values())


@pytest.mark.parametrize("like", sorted(load_packs().packs))
def test_a_pack_with_the_dialect_of_another_has_its_values_and_no_python(tmp_path: Path, like: str) -> None:
    pack = create_pack("tigerbet", tmp_path, like=like, country=None)
    assert not [file for file in pack.files if file.suffix == ".py"]
    new, base = read_pack("tigerbet", pack.folder / "palimpsest_tigerbet").content, load_packs().packs[like].content
    for name in ("dialect", "simulator", "sports", "limits", "params"):
        assert getattr(new, name) == getattr(base, name), name
    assert new.market_keys == like
    (country,) = new.countries.values()
    old = base.countries[base.default_country]
    assert (country.headers, country.params, country.time_zone) == (old.headers, old.params, old.time_zone)


@pytest.mark.parametrize(
    ("name", "like", "says"),
    [
        ("Lion", None, "'Lion' is not a valid pack name"),
        ("betika", None, "a pack betika is already installed"),
        ("lion", "nobody", "no installed pack is called nobody"),
        ("lion", None, "exists already"),
    ],
)
def test_a_pack_that_cannot_be_created_is_refused(tmp_path: Path, name: str, like: str | None, says: str) -> None:
    if says == "exists already":
        create_pack(name, tmp_path, like=None, country=None)
    with pytest.raises(NewPackError, match=says):
        create_pack(name, tmp_path, like=like, country=None)
