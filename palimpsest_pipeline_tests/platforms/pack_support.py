"""Dialects as their pack.toml configures them, and recorded answers of the four later packs."""

import json
import tomllib
from pathlib import Path
from typing import Any, Final

from palimpsest_pipeline import platforms
from palimpsest_pipeline.domain.enums import Platform, Sport
from palimpsest_pipeline.platforms.base import DialectConfig

PACKS: Final = Path(platforms.__file__).parent


def configure(pack: str, country: str | None = None) -> DialectConfig:
    """Return the configuration by pack.toml for a country, or for the pack's default country."""
    content = tomllib.loads((PACKS / pack / "pack.toml").read_text(encoding="utf-8"))
    code = country or content["default_country"]
    site = content["countries"][code]
    key: Any = pack if code == content["default_country"] else f"{pack}-{code}"
    platform: Platform = key
    return DialectConfig(
        platform=platform,
        base_url=site["base_url"],
        time_zone=site.get("time_zone", "UTC"),
        headers=site.get("headers", {}),
        sport_ids={Sport(name): own_id for name, own_id in content["sports"].items()},
        params=site.get("params", {}),
        max_lists=content["limits"]["max_discovery_lists"],
    )


def load_pack_sample(samples: Path, pack: str, name: str) -> Any:
    """Return a recorded answer of a pack as plain JSON values, without the wrapper of the recording."""
    body = json.loads((samples / pack / name).read_bytes())
    return body["body"] if isinstance(body, dict) and "body" in body else body
