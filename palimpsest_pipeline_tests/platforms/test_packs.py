"""Finding packs and reading their pack.toml."""

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.platforms.packs import PackError, PackPlatform, find_folder, load_packs, read_pack, read_packs
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
    ("old", "new", "line", "says"),
    [
        ('name = "Lion Bet"', "", 1, "missing required field `name`"),
        ("trust = 90", 'trust = "much"', 5, "Expected `int`, got `str` - at `$.trust`"),
        ("trust = 90", "trust = 90\ntrus = 1", 6, "unknown field `trus`"),
        ('football = "1"', 'chess = "1"', 6, "Invalid enum value 'chess'"),
        ('default_country = "ke"', 'default_country = "ng"', 4, "default_country 'ng' is not one of countries"),
        ("lions.adapter:LionAdapter", "lions.adapter", 3, "names no class: write package.module:Class"),
        ("countries.ug", "countries.uga", 10, "two-letter code"),
        ("https://ug.lion.example", "ug.lion.example", 10, "is not scheme and host"),
        ("https://ug.lion.example", "https://ug.lion.example/api", 10, "is not scheme and host"),
        ('"https://ug.lion.example"', "7", 10, "countries.ug: Expected `str`, got `int` - at `$.base_url`"),
        ("Africa/Kampala", "Africa/Nowhere", 10, "is no time zone"),
        ('edition = "b"', 'edition = "c"', 10, "edition 'c' is not one of a, b"),
        ('edition = "b"', 'size = "c"', 10, "size is no setting of lion-ug"),
        (', default = "a"', "", 9, "edition of lion has no value"),
        ('description = "Edition"', 'describe = "Edition"', 8, "params.edition: Object contains unknown field"),
        ("Africa/Kampala", "Africa", 10, "'Africa' is no time zone"),
        ("https://ug.lion.example", "https://ug.lion.example:80000", 10, "is not scheme and host"),
        ("trust = 90", "trust = 32768", 5, "Expected `int` <= 32767 - at `$.trust`"),
        ("trust = 90", "trust = -1", 5, "Expected `int` >= 0 - at `$.trust`"),
        ("max_in_flight = 2", "max_in_flight = 0", 7, "Expected `int` >= 1 - at `$.limits.max_in_flight`"),
        (
            "max_in_flight = 2",
            "max_in_flight = 2, min_gap_s = -1",
            7,
            "Expected `float` >= 0.0 - at `$.limits.min_gap_s`",
        ),
        (
            "max_in_flight = 2",
            "max_in_flight = 2, jitter_s = nan",
            7,
            "Expected `float` >= 0.0 - at `$.limits.jitter_s`",
        ),
        ("max_in_flight = 2", "max_in_flight = 2, max_body_bytes = 9", 7, "Expected `int` >= 1024"),
        ("max_in_flight = 2", "max_in_flight = 2, max_discovery_lists = 0", 7, "Expected `int` >= 1"),
        ("max_in_flight = 2", "max_in_flight = 2, min_gap_ms = 3", 7, "unknown field `min_gap_ms`"),
        ("trust = 90", "trust = ", 5, "Invalid value"),
    ],
)
def test_what_is_wrong_in_a_pack_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, says: str
) -> None:
    assert old in SOUND
    with pytest.raises(PackError) as refused:
        read_pack("lion", write_pack(tmp_path, SOUND.replace(old, new)))
    assert says in str(refused.value)
    assert str(refused.value).startswith(f"{tmp_path / 'pack.toml'}:{line}: ")


def test_a_fault_below_a_table_is_named_with_its_line(tmp_path: Path) -> None:
    text = SOUND.replace("limits = { max_in_flight = 2 }", "") + '\n[limits]\n# few\nmax_in_flight = "2"\n'
    with pytest.raises(PackError, match=r"pack\.toml:14: Expected `int`, got `str` - at `\$\.limits\.max_in_flight`"):
        read_pack("lion", write_pack(tmp_path, text))


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


@pytest.mark.parametrize(
    ("template", "url"),
    [
        ("{base_url}/event/{external_id}", "https://ug.lion.example/event/{external_id}"),
        ("https://www.lion.example/#/m?id={external_id}", "https://www.lion.example/#/m?id={external_id}"),
    ],
)
def test_the_page_of_an_event_is_on_the_site_of_the_country(tmp_path: Path, template: str, url: str) -> None:
    pack = read_pack("lion", write_pack(tmp_path, SOUND.replace("trust = 90", f'trust = 90\nevent_url = "{template}"')))
    assert PackPlatform(Platform("lion-ug"), pack, "ug").event_url == url
    plain = read_pack("lion", write_pack(tmp_path / "plain"))
    assert PackPlatform(Platform("lion"), plain, "ke").event_url is None
    assert load_packs().platforms[BET9JA].event_url == "https://sports.bet9ja.com/event/{external_id}"


@pytest.mark.parametrize(
    "template", ["javascript:alert({external_id})", "{base_url}/event", "{base_url}/\\u0022{external_id}"]
)
def test_an_address_of_an_event_is_an_http_url_with_its_id(tmp_path: Path, template: str) -> None:
    text = SOUND.replace("trust = 90", f'trust = 90\nevent_url = "{template}"')
    with pytest.raises(PackError, match=r"pack.toml:6: event_url .* is not an address with the event's id"):
        read_pack("lion", write_pack(tmp_path, text))
