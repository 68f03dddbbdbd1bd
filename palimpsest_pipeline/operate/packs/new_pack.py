"""`palimpsest platforms new`: a package with a working pack, for the user to adapt to a real site.

A pack with its own dialect describes a made-up site: its simulator renders the answers, and its adapter reads them. A
pack with the dialect of another pack has only a `pack.toml`, vocabulary files and notes.
"""

import json
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.markets.key_sets import KEY_FILE_COLUMNS
from palimpsest_pipeline.platforms.packs import MAX_TRUST, NAME_PATTERN, Pack, load_packs, read_pack

TEMPLATE: Final = files(__package__) / "template"
PROJECT_FILE: Final = "pyproject.toml"
SUFFIX: Final = ".txt"
"""Suffix of the template's files, so that no tool treats them as files of this package."""
SHARED_FILES: Final = (PROJECT_FILE, "GOTCHAS.md")
"""Template files that a pack with the dialect of another pack has too."""
TRUST_BEHIND_ALL: Final = 10


class NewPackError(PalimpsestError):
    """A new pack that cannot be created."""


@dataclass(frozen=True, slots=True)
class NewPack:
    """The folder of a new package, and the platform key of its pack."""

    folder: Path
    name: str
    files: tuple[Path, ...]


def create_pack(name: str, parent: Path, *, like: str | None, country: str | None) -> NewPack:
    """Write the package `palimpsest-<name>` into `parent`, and return it.

    `like` names the pack whose dialect and market keys the new pack uses; None gives it a dialect of its own. `country`
    is its default country; None means that of `like`, or Nigeria. Raises NewPackError, and PackError when the values
    give no valid pack.toml.
    """
    packs = load_packs()
    if not NAME_PATTERN.fullmatch(name):
        raise NewPackError(
            f"{name!r} is not a valid pack name: use at most 21 lowercase letters and digits, a letter first"
        )
    if name in packs.packs.keys() | packs.problems.keys():
        raise NewPackError(f"a pack {name} is already installed")
    if like is not None and like not in packs.packs:
        raise NewPackError(f"no installed pack is called {like}; there are {', '.join(packs.packs)}")
    folder, package = parent / f"palimpsest-{name}", f"palimpsest_{name}"
    if folder.exists():
        raise NewPackError(f"{folder} exists already")
    trust = min(MAX_TRUST, max(pack.content.trust for pack in packs.packs.values()) + TRUST_BEHIND_ALL)
    base = packs.packs[like] if like is not None else None
    code = country or (base.content.default_country if base else "ng")
    values = {
        "name": name,
        "package": package,
        "class": name.capitalize(),
        "title": name.capitalize(),
        "title_text": json.dumps(name.capitalize()),
        "country": code,
        "trust": str(trust),
    }
    texts = _fill_template(TEMPLATE, values)
    if base is not None:
        texts = {file: text for file, text in texts.items() if file in SHARED_FILES}
        texts["pack.toml"] = _write_pack_file(base, values)
        texts["vocabulary/keys.csv"] = ",".join(KEY_FILE_COLUMNS["keys.csv"]) + "\n"
        texts["vocabulary/outcome_keys.csv"] = ",".join(KEY_FILE_COLUMNS["outcome_keys.csv"]) + "\n"
        texts["GOTCHAS.md"] = texts["GOTCHAS.md"].partition("1. ")[0] + (
            f"1. **The site has the dialect and market keys of {base.name}.** `vocabulary` has only the differences.\n"
        )
    written = []
    for file, text in sorted(texts.items()):
        path = folder / file if file == PROJECT_FILE else folder / package / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    read_pack(name, folder / package)
    return NewPack(folder, name, tuple(written))


def _fill_template(folder: Traversable, values: dict[str, str], prefix: str = "") -> dict[str, str]:
    texts: dict[str, str] = {}
    for entry in folder.iterdir():
        if entry.is_dir():
            texts |= _fill_template(entry, values, f"{prefix}{entry.name}/")
        elif entry.name.endswith(SUFFIX):
            text = entry.read_text(encoding="utf-8")
            for key, value in values.items():
                text = text.replace(f"{{{{{key}}}}}", value)
            texts[prefix + entry.name.removesuffix(SUFFIX)] = text
    return texts


def _write_pack_file(base: Pack, values: dict[str, str]) -> str:
    """Return a pack.toml with the dialect of `base`, and the values of its default country as an example."""
    content = base.content
    country = content.countries[content.default_country]
    lines = [
        f"# {values['title']}: a site in the dialect of {content.name}.",
        f"name = {values['title_text']}",
        f"dialect = {json.dumps(content.dialect)}",
        *([f"simulator = {json.dumps(content.simulator)}"] if content.simulator else []),
        f'market_keys = "{base.name}"',
        f'default_country = "{values["country"]}"',
        f"trust = {values['trust']}  # the lowest number is trusted first for names, country and kickoff",
        f"sports = {_write_table({str(sport): own_id for sport, own_id in content.sports.items()})}",
        "",
        "[limits]",
        *(f"{name} = {getattr(content.limits, name)}" for name in content.limits.__struct_fields__),
        "",
    ]
    for name, param in content.params.items():
        lines += [f"[params.{name}]", f"description = {json.dumps(param.description)}"]
        lines += [f"default = {json.dumps(param.default)}"] if param.default is not None else []
        lines += [f"choices = {json.dumps(list(param.choices))}"] if param.choices else []
        lines.append("")
    site = [f'base_url = "https://www.{values["name"]}.example"']
    site += [f"time_zone = {json.dumps(country.time_zone)}"] if country.time_zone != "UTC" else []
    site += [f"headers = {_write_table(country.headers)}"] if country.headers else []
    site += [f"params = {_write_table(country.params)}"] if country.params else []
    return "\n".join([*lines, "[countries]", f"{values['country']} = {{ {', '.join(site)} }}", ""])


def _write_table(table: dict[str, str]) -> str:
    return f"{{ {', '.join(f'{json.dumps(key)} = {json.dumps(value)}' for key, value in table.items())} }}"
