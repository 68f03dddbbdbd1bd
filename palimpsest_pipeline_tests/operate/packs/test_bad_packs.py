"""Packs that cannot be used: named with their place, left out, and harmless to the others."""

import json
from pathlib import Path

import pytest

from palimpsest_pipeline_tests.fixtures.commands import Command, assert_one_clear_line
from palimpsest_pipeline_tests.fixtures.outside_packs import SOUND, list_search_path, write_pack


def find_packs(palimpsest: Command, site: Path, **settings: str) -> tuple[bool, str]:
    """Return doctor's finding about packs."""
    done = palimpsest("doctor", "--json", PYTHONPATH=list_search_path(site), **settings)
    (found,) = [found for found in json.loads(done.stdout) if found["name"] == "packs"]
    return found["ok"], found["detail"]


@pytest.mark.parametrize(
    ("old", "new", "rows", "says"),
    [
        ("trust = 90", "trust = ", "", r"palimpsest_lion/pack.toml:5: Invalid value"),
        (
            "trust = 90",
            "trust = 90\nspeed = 1",
            "",
            "palimpsest_lion/pack.toml:6: Object contains unknown field `speed`",
        ),
        (
            "",
            "",
            "football,7,,,,,no_such_market,",
            "lion/keys.csv:2: market_key 'no_such_market' is not in markets.csv",
        ),
        ('"uof"', '"betradar"', "", "lion/pack.toml:1: market_keys 'betradar' is neither a shared set"),
    ],
    ids=["no TOML", "an unknown field", "a market key", "shared keys"],
)
def test_doctor_and_check_name_the_fault_and_its_line(
    palimpsest: Command, tmp_path: Path, old: str, new: str, rows: str, says: str
) -> None:
    write_pack(tmp_path, "lion", SOUND.replace(old, new), **({"keys": rows} if rows else {}))
    checked = palimpsest("platforms", "check", "lion", PYTHONPATH=list_search_path(tmp_path))
    assert checked.returncode == 1
    assert says in checked.stdout
    assert "Traceback" not in checked.stderr
    platforms = "betpawa,sportybet" if new.startswith("trust") else "betpawa,sportybet,lion"
    ok, detail = find_packs(palimpsest, tmp_path, PALIMPSEST_PLATFORMS=platforms)
    assert not ok
    assert says in detail


def test_a_pack_whose_code_fails_is_left_out_and_cannot_be_home(palimpsest: Command, tmp_path: Path) -> None:
    folder = write_pack(tmp_path, "lion", SOUND.replace("palimpsest_pipeline.platforms.msport", "palimpsest_lion.code"))
    (folder / "code.py").write_text("raise ValueError('not today')\n")
    env = {"PYTHONPATH": list_search_path(tmp_path), "PALIMPSEST_PLATFORMS": "betpawa,sportybet,lion"}
    says = "the pack lion cannot be loaded: dialect palimpsest_lion.code:MsportAdapter: ValueError: not today"
    assert find_packs(palimpsest, tmp_path, PALIMPSEST_PLATFORMS=env["PALIMPSEST_PLATFORMS"]) == (
        False,
        f"{says}. Repair or uninstall the pack, or correct PALIMPSEST_PLATFORMS",
    )
    checked = json.loads(palimpsest("platforms", "check", "lion", "--json", **env).stdout)
    assert {found["check"]: found["ok"] for found in checked} == {
        "pack.toml": True,
        "dialect": False,
        "vocabulary": True,
        "notes": False,
    }
    (bad,) = [found["detail"] for found in checked if found["check"] == "dialect"]
    assert bad == says
    other = palimpsest("platforms", "list", "--json", **env)
    assert {"betpawa", "lion"} <= {row["platform"] for row in json.loads(other.stdout)["platforms"]}
    failed = palimpsest("scrape", **env, PALIMPSEST_HOME_PLATFORM="lion")
    warning, error = failed.stderr.splitlines()
    assert failed.returncode == 1
    assert warning == f"warning: lion is left out: {says}"
    assert error == "error: PALIMPSEST_HOME_PLATFORM: lion has no pack that can be used"


def test_two_packs_of_one_name_are_an_error_of_every_command(palimpsest: Command, tmp_path: Path) -> None:
    for package in ("palimpsest_lion", "other_lion"):
        write_pack(tmp_path, "lion", package=package)
    for command in ("doctor", "settings"):
        done = palimpsest(command, PYTHONPATH=list_search_path(tmp_path))
        assert_one_clear_line(done, "two packs are called lion", "palimpsest_lion", "other_lion", "uninstall one")


def test_an_unknown_pack_is_one_clear_line(palimpsest: Command) -> None:
    assert_one_clear_line(
        palimpsest("platforms", "check", "nobody"), "no installed package has a pack nobody", "betpawa"
    )


def test_an_active_platform_without_a_pack_is_left_out_and_named(palimpsest: Command, tmp_path: Path) -> None:
    ok, detail = find_packs(palimpsest, tmp_path, PALIMPSEST_PLATFORMS="betpawa,sportybet,lion")
    assert not ok
    assert detail.startswith("no installed pack has the platform lion; `palimpsest platforms list` shows those that do")
