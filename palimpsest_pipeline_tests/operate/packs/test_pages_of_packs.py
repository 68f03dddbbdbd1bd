"""The files on the how-to pages about packs: they make a pack without a fault, and a country."""

import json
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
import pytest

from palimpsest_pipeline.operate.packs.new_pack import create_pack
from palimpsest_pipeline.platforms.packs import PackCountry, Param, load_packs, read_pack
from palimpsest_pipeline_tests.fixtures.commands import PALIMPSEST, environment
from palimpsest_pipeline_tests.fixtures.documents import CHECKOUT, find_blocks
from palimpsest_pipeline_tests.fixtures.outside_packs import list_search_path

BOOKMAKER_PAGE: Final = CHECKOUT / "docs" / "how-to" / "add-a-bookmaker.md"
COUNTRY_PAGE: Final = CHECKOUT / "docs" / "how-to" / "add-a-country.md"


def read_blocks(page: Path) -> Mapping[str, str]:
    """Return the page's only block of each language of files."""
    blocks = [block for block in find_blocks(page) if block.language in ("toml", "csv", "json")]
    assert len({block.language for block in blocks}) == len(blocks)
    return {block.language: block.text for block in blocks}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the pack that the page describes."""
    blocks = read_blocks(BOOKMAKER_PAGE)
    pack = create_pack("tigerbet", tmp_path, like=None, country="ke")
    folder = pack.folder / "palimpsest_tigerbet"
    (folder / "pack.toml").write_text(blocks["toml"])
    (folder / "recorded" / "manifest.json").write_text(blocks["json"])
    for line in blocks["csv"].splitlines():
        file, _, row = line.partition(" ")
        with (folder / "vocabulary" / file).open("a") as rows:
            rows.write(f"{row.strip()}\n")
    return folder


def test_the_pack_of_the_page_has_a_platform_in_each_country(folder: Path) -> None:
    pack = read_pack("tigerbet", folder)
    assert pack.countries == {"tigerbet": "ke", "tigerbet-ug": "ug"}


@pytest.mark.slow
def test_the_pack_of_the_page_is_sound(folder: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    metadata = site / "palimpsest_tigerbet-0.1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: palimpsest-tigerbet\nVersion: 0.1.0\n")
    (metadata / "entry_points.txt").write_text("[palimpsest.platforms]\ntigerbet = palimpsest_tigerbet\n")
    (site / folder.name).symlink_to(folder)
    done = subprocess.run(
        [*PALIMPSEST, "platforms", "check", "tigerbet", "--json"],
        cwd=tmp_path,
        env=environment(tmp_path, PYTHONPATH=list_search_path(site)),
        capture_output=True,
        text=True,
        check=False,
    )
    findings = json.loads(done.stdout)
    assert [one for one in findings if not one["ok"]] == []
    assert done.returncode == 0


def test_every_key_of_the_page_s_pack_is_explained() -> None:
    text = BOOKMAKER_PAGE.read_text(encoding="utf-8")
    explained = {name for row in text.splitlines() if row.startswith("| `") for name in row.split("|")[1].split("`")}
    assert set(tomllib.loads(read_blocks(BOOKMAKER_PAGE)["toml"])) - {"name"} <= explained


def test_the_line_of_a_country_can_be_read() -> None:
    countries = tomllib.loads(read_blocks(COUNTRY_PAGE)["toml"])["countries"]
    assert countries.keys() <= load_packs().packs["sportybet"].content.countries.keys()
    params: Mapping[str, Param] = load_packs().packs["sportybet"].content.params
    for country in countries.values():
        assert msgspec.convert(country, type=PackCountry).params.keys() <= params.keys()
