"""Captured lists and trees, damaged at random places: the reading rejects or reads on, and never breaks in any other
way.
"""

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from palimpsest_pipeline.domain.enums import PayloadKind, Platform, Sport
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, SPORTYBET, build_adapters

from .support import answer, loaded

ADAPTERS = build_adapters()
ODD = [None, True, False, -1, 0, 3.7, 10**30, "", "x", "-", [], {}, [[]], {"a": {}}, [None], ["x", {}]]
SAMPLES = [
    (BETPAWA, PayloadKind.LISTING, "list_v4_excerpt_2_of_65_events_2026-09-08.json"),
    (BETPAWA, PayloadKind.LISTING, "list_multiquery_6blocks_v3_2025-09-27.json"),
    (BETPAWA, PayloadKind.TREE, "categories_football_v3_2025-09-27.json"),
    (SPORTYBET, PayloadKind.LISTING, "list_genius_and_srl_example.json"),
    (SPORTYBET, PayloadKind.LISTING, "list_pcEvents_epl_1x2_ou_ah.json"),
    (SPORTYBET, PayloadKind.TREE, "tournament_tree_example.json"),
    (BET9JA, PayloadKind.LISTING, "geteventsingroupv2_full_envelope_example.json"),
    (BET9JA, PayloadKind.TREE, "getsports_example.json"),
]
SHALLOW_SHARE = 0.5
"""Share of damage done near the root, where most of what is read stands."""


def damage(value: Any, random: Random, odd: Sequence[Any] = ODD) -> None:
    """Replaces or removes one value somewhere inside."""
    depth = random.randint(0, 3) if random.random() < SHALLOW_SHARE else 99
    while True:
        if not value:
            return
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = random.choice(keys)
        inside = value[key]
        if depth == 0 or not isinstance(inside, dict | list) or not inside:
            break
        value, depth = inside, depth - 1
    if isinstance(value, dict) and random.random() < 0.3:
        del value[key]
    else:
        value[key] = copy.deepcopy(random.choice(odd))


@pytest.mark.parametrize(("platform", "kind", "name"), SAMPLES)
def test_damage_is_rejected_or_read_over(samples: Path, platform: Platform, kind: PayloadKind, name: str) -> None:
    adapter = ADAPTERS[platform]
    whole = json.dumps(loaded(samples, platform, name))
    for seed in range(60):
        random = Random(f"{name} {seed}")
        body = json.loads(whole)
        for _ in range(random.randint(1, 4)):
            damage(body, random)
        damaged = answer(platform, kind, body)
        adapter.judge(damaged)
        assert adapter.read_discovery([damaged], Sport.FOOTBALL).completeness != "complete", seed


NUL = ["\0", "a\0b", "\0 - \0", {"\0_\0_\0": "\0"}, ["\0"]]
NAMES = {"name", "homeTeamName", "awayTeamName", "DS", "GN", "SG", "SG_DESC", "G_DESC"}


def with_nul(value: Any, key: str = "") -> Any:
    """The same with a NUL in every name."""
    if isinstance(value, dict):
        return {key: with_nul(inside, key) for key, inside in value.items()}
    if isinstance(value, list):
        return [with_nul(inside, key) for inside in value]
    return f"{value}\0" if key in NAMES and isinstance(value, str) else value


def texts_read(platform: Platform, kind: PayloadKind, body: Any) -> str:
    """All texts of what is made of an answer, as JSON."""
    adapter, given = ADAPTERS[platform], answer(platform, kind, body)
    return msgspec.json.encode([adapter.judge(given), adapter.read_discovery([given], Sport.FOOTBALL)]).decode()


@pytest.mark.parametrize(("platform", "kind", "name"), SAMPLES)
def test_no_reading_shows_a_nul(samples: Path, platform: Platform, kind: PayloadKind, name: str) -> None:
    whole = loaded(samples, platform, name)
    plain, shown = texts_read(platform, kind, whole), texts_read(platform, kind, with_nul(whole))
    assert "\ufffd" in shown
    assert shown.replace("\ufffd", "") == plain
    for seed in range(60):
        random = Random(f"{name} {seed}")
        body = copy.deepcopy(whole)
        for _ in range(random.randint(1, 4)):
            damage(body, random, NUL)
        assert "\\u0000" not in texts_read(platform, kind, body), seed
