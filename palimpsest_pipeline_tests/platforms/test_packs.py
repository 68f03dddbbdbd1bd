"""Finding packs and reading their pack.toml."""

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.platforms.packs import PackError, find_folder, load_packs, read_pack, read_packs
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, PLATFORMS, SPORTYBET

GROUP = "palimpsest.platforms"
SOUND = """
name = "Lion Bet"
dialect = "lions.adapter:LionAdapter"
default_country = "ke"
trust = 90
sports = { football = "1" }
limits = { max_in_flight = 2 }
params.edition = { description = "Edition", choices = ["a", "b"], default = "a" }
countries.ke = { base_url = "https://lion.example" }
countries.ug = { base_url = "https://ug.lion.example", time_zone = "Africa/Kampala", params = { edition = "b" } }
"""


def write_pack(folder: Path, text: str = SOUND) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pack.toml").write_text(text)
    return folder


def test_the_packs_of_the_package_are_found_and_each_country_is_a_platform() -> None:
    packs = load_packs()
    assert {"betpawa", "sportybet", "bet9ja"} <= packs.packs.keys()
    assert packs.problems == {}
    assert len(packs.packs["betpawa"].countries) == 22
    hosts = {country.base_url for country in packs.packs["betpawa"].content.countries.values()}
    brands = {country.params["brand"] for country in packs.packs["betpawa"].content.countries.values()}
    assert len(hosts) == len(brands) == 22
    assert packs.require(BETPAWA).fill_params() == {"brand": "betpawa-nigeria", "api_version": "v4"}
    assert packs.require(Platform("sportybet-gh")).name == "SportyBet GH"


def test_trust_is_the_packs_number_and_unknown_platforms_come_last() -> None:
    mixed = [Platform("nobody"), BET9JA, Platform("sportybet-gh"), SPORTYBET, BETPAWA]
    assert load_packs().order_by_trust(mixed) == (BETPAWA, SPORTYBET, "sportybet-gh", BET9JA, "nobody")
    assert load_packs().order_by_trust(reversed(PLATFORMS)) == PLATFORMS


def test_a_pack_has_a_platform_in_each_country(tmp_path: Path) -> None:
    pack = read_pack("lion", write_pack(tmp_path))
    assert pack.countries == {"lion": "ke", "lion-ug": "ug"}


def test_a_missing_platform_is_named_with_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="the pack bet9ja has no country gh; its platforms are bet9ja"):
        load_packs().require(Platform("bet9ja-gh"))
    with pytest.raises(PackError, match="no installed pack has the platform lion"):
        load_packs().require(Platform("lion"))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('name = "Lion Bet"', "", "missing required field `name`"),
        ("trust = 90", 'trust = "much"', "Expected `int`, got `str` - at `$.trust`"),
        ("trust = 90", "trust = 90\ntrus = 1", "unknown field `trus`"),
        ('football = "1"', 'chess = "1"', "Invalid enum value 'chess'"),
        ('default_country = "ke"', 'default_country = "ng"', "default_country 'ng' is not one of countries"),
        ("lions.adapter:LionAdapter", "lions.adapter", "names no class: write package.module:Class"),
        ("countries.ug", "countries.uga", "two-letter code"),
        ("Africa/Kampala", "Africa/Nowhere", "is no time zone"),
        ('edition = "b"', 'edition = "c"', "edition 'c' is not one of a, b"),
        ('edition = "b"', 'size = "c"', "size is no setting of lion-ug"),
        (', default = "a"', "", "edition of lion has no value"),
        ("trust = 90", "trust = ", "Invalid value"),
    ],
)
def test_what_is_wrong_in_a_pack_is_named_with_its_file(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in SOUND
    with pytest.raises(PackError) as refused:
        read_pack("lion", write_pack(tmp_path, SOUND.replace(old, new)))
    assert says in str(refused.value)
    assert str(refused.value).startswith(f"{tmp_path / 'pack.toml'}: ")


def test_a_pack_that_cannot_be_read_leaves_the_others_alone() -> None:
    points = [
        EntryPoint("bet9ja", "palimpsest_pipeline.platforms.bet9ja", GROUP),
        EntryPoint("lion", "no.such.package", GROUP),
        EntryPoint("tiger", "json", GROUP),
    ]
    packs = read_packs(points)
    assert packs.packs.keys() == {"bet9ja"}
    assert packs.problems["lion"].startswith("no.such.package cannot be found")
    assert "pack.toml cannot be read" in packs.problems["tiger"]
    with pytest.raises(PackError, match=r"the pack of lion-ug cannot be read: no\.such\.package"):
        packs.require(Platform("lion-ug"))


def test_two_packs_of_one_name_are_an_error() -> None:
    points = [EntryPoint("bet9ja", f"palimpsest_pipeline.platforms.{name}", GROUP) for name in ("bet9ja", "betpawa")]
    with pytest.raises(PackError, match="two packs are called bet9ja"):
        read_packs(points)


def test_a_module_without_a_folder_is_no_pack() -> None:
    with pytest.raises(PackError, match="no package with a folder"):
        find_folder("csv")
