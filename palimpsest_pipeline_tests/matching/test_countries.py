"""Country names as platforms write them."""

import json
from pathlib import Path

import pytest

from palimpsest_pipeline.matching import find_country_iso


@pytest.mark.parametrize(
    ("raw", "iso"),
    [
        ("England", "GB-ENG"),
        ("Scotland", "GB-SCT"),
        ("Wales", "GB-WLS"),
        ("Northern Ireland", "GB-NIR"),
        ("Republic of Ireland", "IE"),
        ("Republic of Korea", "KR"),
        ("Korea Republic", "KR"),
        ("South Korea", "KR"),
        ("DPR Korea", "KP"),
        ("USA", "US"),
        ("Czech Republic", "CZ"),
        ("Czechia", "CZ"),
        ("Türkiye", "TR"),
        ("Turkiye", "TR"),
        ("TURKEY", "TR"),
        ("Ivory Coast", "CI"),
        ("Côte d'Ivoire", "CI"),
        ("DR Congo", "CD"),
        ("Congo", "CG"),
        ("Chinese Taipei", "TW"),
        ("Bosnia & Herzegovina", "BA"),
        ("Trinidad & Tobago", "TT"),
        ("Germany Amateur", "DE"),
        (" Norway ", "NO"),
        ("NG", "NG"),
        ("Niger", "NE"),
        ("Nigeria", "NG"),
        ("Guinea", "GN"),
        ("Guinea-Bissau", "GW"),
        ("Écosse", "GB-SCT"),
        ("Allemagne", "DE"),
    ],
)
def test_a_country_has_its_iso_code(raw: str, iso: str) -> None:
    assert find_country_iso(raw) == iso


@pytest.mark.parametrize(
    "raw",
    [
        "International",
        "International Clubs",
        "Europe",
        "Clubs",
        "World",
        "ATP",
        "Simulated Reality League",
        "Africa",
        "",
        "  ",
        None,
    ],
)
def test_what_is_no_country_has_none(raw: str | None) -> None:
    assert find_country_iso(raw) is None


def test_the_names_betpawa_writes_in_french_lead_to_the_codes_it_states_itself(samples: Path) -> None:
    body = json.loads((samples / "betpawa/categories_football_v3_2025-09-27.json").read_text())
    stated = {
        r["region"]["name"]: r["region"]["iso"]
        for tree in body["withRegions"]
        for r in tree["regions"]
        if r["region"]["iso"]
    }
    assert len(stated) > 90
    assert {name: find_country_iso(name) for name in stated} == stated
