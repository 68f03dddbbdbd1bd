"""Packs that cannot be used: named with their place, left out, and harmless to the others."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from palimpsest_pipeline_tests.fixtures.commands import Command, assert_one_clear_line, environment
from palimpsest_pipeline_tests.fixtures.outside_packs import SOUND, list_search_path, write_pack


def find_packs(palimpsest: Command, site: Path, **settings: str) -> tuple[bool, str]:
    """Return doctor's finding about packs."""
    done = palimpsest("doctor", "--json", PYTHONPATH=list_search_path(site), **settings)
    (found,) = [found for found in json.loads(done.stdout) if found["name"] == "packs"]
    return found["ok"], found["detail"]


@pytest.mark.slow
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


KEYS: Final = "sport,external_market_id,requires,reads,adds,ignores,market_key,open_outcomes"
FAULTS: Final[dict[str, tuple[Callable[[Path], object], str]]] = {
    "CSV that is not UTF-8": (
        lambda folder: (folder / "vocabulary" / "keys.csv").write_bytes(f"{KEYS}\nfootball,é\n".encode("latin-1")),
        "lion/keys.csv:2: this is not UTF-8",
    ),
    "CSV that is no CSV": (
        lambda folder: (folder / "vocabulary" / "keys.csv").write_text(f"{KEYS}\nfootball,{'1' * 200_000}\n"),
        "lion/keys.csv:2: field larger than field limit",
    ),
    "a folder in the place of a CSV": (
        lambda folder: (folder / "vocabulary" / "feeds.csv").mkdir(),
        "lion/feeds.csv:1: cannot be read: Is a directory",
    ),
    "rules that are not UTF-8": (
        lambda folder: (folder / "vocabulary" / "set.toml").write_bytes(b'\nplayer_prefix = "\xe9"\n'),
        "lion/set.toml:2: this is not UTF-8",
    ),
    "rules of a wrong type": (
        lambda folder: (folder / "vocabulary" / "set.toml").write_text("player_prefix = 7\n"),
        "lion/set.toml:1: has_named_parts is true or false, and player_prefix a text",
    ),
    "a constructor that fails": (
        lambda folder: (folder / "code.py").write_text(
            "class Lion:\n    def __init__(self, config):\n        config.params['operid']\n"
        ),
        "the pack lion cannot be loaded: dialect palimpsest_lion.code:Lion: KeyError: 'operid'",
    ),
    "a class without methods": (
        lambda folder: (folder / "code.py").write_text(
            "class Lion:\n    parser_version = 1\n    def __init__(self, config):\n        pass\n"
        ),
        "the pack lion cannot be loaded: dialect palimpsest_lion.code:Lion: it lacks build_headers, discover",
    ),
    "a class whose headers fail": (
        lambda folder: (folder / "code.py").write_text(
            "from palimpsest_pipeline.platforms.msport import MsportAdapter\n"
            "class Lion(MsportAdapter):\n    def build_headers(self):\n        return {}['operid']\n"
        ),
        "the pack lion cannot be loaded: dialect palimpsest_lion.code:Lion: KeyError: 'operid'",
    ),
    "a market that nobody knows": (
        lambda folder: (folder / "vocabulary" / "keys.csv").write_text(f"{KEYS}\nfootball,7,,,,,no_such_market,\n"),
        "lion/keys.csv:2: market_key 'no_such_market' is not in markets.csv",
    ),
    "shared keys that nobody has": (
        lambda folder: (folder / "pack.toml").write_text(SOUND.lstrip().replace('"uof"', '"betradar"')),
        "pack.toml:1: market_keys 'betradar' is neither a shared set",
    ),
    "pack.toml that is no TOML": (
        lambda folder: (folder / "pack.toml").write_text(SOUND.lstrip().replace("trust = 90", "trust = ")),
        "palimpsest_lion/pack.toml:5: Invalid value",
    ),
    "pack.toml with an unknown field": (
        lambda folder: (folder / "pack.toml").write_text(SOUND.lstrip().replace("trust = 90", "trust = 90\nspeed = 1")),
        "palimpsest_lion/pack.toml:6: Object contains unknown field `speed`",
    ),
    "pack.toml with limits out of range": (
        lambda folder: (folder / "pack.toml").write_text(SOUND.lstrip().replace("flight = 2", "flight = 0")),
        "pack.toml:7: Expected `int` >= 1 - at `$.limits.max_in_flight`",
    ),
    "pack.toml with trust out of range": (
        lambda folder: (folder / "pack.toml").write_text(SOUND.lstrip().replace("trust = 90", "trust = 90000")),
        "pack.toml:5: Expected `int` <= 32767 - at `$.trust`",
    ),
}
PROBE: Final = """
import json
from palimpsest_pipeline.operate.doctor.platform_hosts import check_active_platforms
from palimpsest_pipeline.operate.packs.check_packs import check_packs
from palimpsest_pipeline.operate.packs.platform_list import list_platforms
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.platforms.packs import load_packs
from palimpsest_pipeline.settings import load_settings

active, others = (load_settings(platforms=keys) for keys in ("betpawa,sportybet,lion", "betpawa,sportybet"))
pipeline = Pipeline(active)
print(json.dumps({
    "asked": pipeline.platforms,
    "mapped": list(pipeline.vocabulary.pack_versions),
    "derived": [pipeline.find_cycle_versions(keys) is not None for keys in (("lion", "betpawa"), ("betpawa",))],
    "listed": [row["platform"] for settings in (active, others) for row in list_platforms(settings)],
    "doctor": check_active_platforms(active).detail,
    "doctor of others": check_active_platforms(others).detail,
    "check": [one.detail for one in check_packs(["lion"], recorded=None, min_share=0.9) if not one.ok],
    "problems": dict(load_packs().problems),
}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_the_fault_the_pack_is_named_and_left_out_and_the_others_work(tmp_path: Path, fault: str) -> None:
    break_pack, says = FAULTS[fault]
    is_code = fault.startswith(("a constructor", "a class"))
    pack_toml = SOUND.replace("palimpsest_pipeline.platforms.msport:MsportAdapter", "palimpsest_lion.code:Lion")
    break_pack(write_pack(tmp_path, "lion", pack_toml if is_code else SOUND, keys="football,11,,,,,,"))
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        cwd=tmp_path,
        env=environment(tmp_path, PYTHONPATH=list_search_path(tmp_path)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["asked"] == ["betpawa", "sportybet"]
    assert {"msport", "betika"} <= set(found["mapped"])
    assert found["derived"] == [False, True]
    assert {"betpawa", "msport-gh"} <= set(found["listed"])
    assert says in found["doctor"]
    assert says in " ".join(found["check"])
    is_known_at_once = fault.startswith("pack.toml")
    assert (says in found["doctor of others"]) == is_known_at_once
    assert (says in found["problems"].get("lion", "")) == is_known_at_once


@pytest.mark.slow
def test_a_pack_below_a_package_that_fails_is_named_and_the_others_work(palimpsest: Command, tmp_path: Path) -> None:
    folder = write_pack(tmp_path, "lion")
    (tmp_path / "zoo").mkdir()
    (tmp_path / "zoo" / "__init__.py").write_text("raise RuntimeError('closed today')\n")
    (tmp_path / f"{folder.name}-0.1.dist-info" / "entry_points.txt").write_text(
        "[palimpsest.platforms]\nlion = zoo.lion\n"
    )
    ok, detail = find_packs(palimpsest, tmp_path, PALIMPSEST_PLATFORMS="betpawa,sportybet")
    assert not ok
    assert detail.startswith("zoo.lion cannot be found: RuntimeError: closed today")
    listed = json.loads(palimpsest("platforms", "list", "--json", PYTHONPATH=list_search_path(tmp_path)).stdout)
    assert listed["problems"] == {"lion": "zoo.lion cannot be found: RuntimeError: closed today"}


def test_two_packs_of_one_name_are_an_error_of_every_command(palimpsest: Command, tmp_path: Path) -> None:
    for package in ("palimpsest_lion", "other_lion"):
        write_pack(tmp_path, "lion", package=package)
    done = palimpsest("settings", PYTHONPATH=list_search_path(tmp_path))
    assert_one_clear_line(done, "two packs are called lion", "palimpsest_lion", "other_lion", "uninstall one")


def test_an_unknown_pack_is_one_clear_line(palimpsest: Command) -> None:
    assert_one_clear_line(
        palimpsest("platforms", "check", "nobody"), "no installed package has a pack nobody", "betpawa"
    )


@pytest.mark.slow
def test_an_active_platform_without_a_pack_is_left_out_and_named(palimpsest: Command, tmp_path: Path) -> None:
    ok, detail = find_packs(palimpsest, tmp_path, PALIMPSEST_PLATFORMS="betpawa,sportybet,lion")
    assert not ok
    assert detail.startswith("no installed pack has the platform lion; `palimpsest platforms list` shows those that do")
