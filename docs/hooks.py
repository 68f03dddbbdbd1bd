"""Generates parts of the reference pages from the code.

A page names its generated part with a comment, such as `<!-- generated: modules -->`. MkDocs fills it while it builds
the site. Pages that people also read without the site hold their generated part themselves, below the comment:
`uv run pytest --update-snapshots` writes it.
"""

import ast
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
import yaml
from pydantic import SecretStr
from typer.cli import app as typer_app
from typer.testing import CliRunner

from palimpsest_pipeline.operate.data_dictionary import build_dictionary
from palimpsest_pipeline.operate.serve.metrics import METRIC_ERRORS, METRIC_ERRORS_HELP, METRICS
from palimpsest_pipeline.platforms.packs import load_packs
from palimpsest_pipeline.settings import ENV_PREFIX, PlatformSettings, Settings

ROOT = Path(__file__).parents[1]
MARKER = re.compile(r"<!-- generated: (\w+) -->")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return the page's text with each generated part in the place of its comment. MkDocs calls it for every page."""
    return MARKER.sub(lambda match: GENERATORS[match[1]]() if match[1] in GENERATORS else "", markdown)


def render_commands() -> str:
    """Return one section per command, as Typer writes them, without the title."""
    words = ["palimpsest_pipeline.cli.__main__", "utils", "docs", "--name", "palimpsest"]
    text = CliRunner().invoke(typer_app, words).stdout.partition("\n")[2]
    return text.replace("&#x27;", "'").replace("&quot;", '"').strip()


def render_settings() -> str:
    """Return tables of the common settings, the settings of a platform, and each pack's defaults."""
    pack_headings = ["Platform", "Other countries", "`…__MAX_IN_FLIGHT`", "`…__MIN_GAP_S` + `…__JITTER_S`"]
    parts = ["## Common settings", _table(["Setting", "Default", "Meaning"], _common_rows())]
    parts += [
        "## Settings of a platform",
        "Put the platform's key in place of `<KEY>`, with `_` for `-`.",
        _table(["Setting", "Default", "Meaning"], _platform_rows()),
        "## Defaults of the packs",
        "All platforms of a pack have the same limits. Each other country is a platform, such as `sportybet-gh`.",
        _table([*pack_headings, "Its own settings"], _pack_rows()),
    ]
    return "\n\n".join(parts)


def render_dictionary() -> str:
    """Return the data dictionary without its title."""
    return build_dictionary().partition("\n")[2]


def render_vocabulary() -> str:
    """Return the description of the vocabulary's files that lies beside them, without its title."""
    file = ROOT / "palimpsest_pipeline" / "markets" / "vocabulary" / "README.md"
    return file.read_text(encoding="utf-8").partition("\n")[2]


def render_queries() -> str:
    """Return each example query under the question that its first comment asks."""
    sections = []
    for file in sorted((ROOT / "sql" / "queries").glob("*.sql")):
        question, _, query = file.read_text(encoding="utf-8").partition("\n")
        title = file.stem.replace("_", " ").capitalize()
        sections.append(f"## {title}\n\n{question.removeprefix('-- ')}\n\n```sql\n{query.strip()}\n```")
    return "\n\n".join(sections)


def render_metrics() -> str:
    """Return a table of the metrics for Prometheus, with their labels and help texts."""
    rows = [(f"`{m.name}`", ", ".join(f"`{label}`" for label in m.labels), m.help) for m in METRICS]
    rows.append((f"`{METRIC_ERRORS}`", "`metric`", METRIC_ERRORS_HELP))
    return _table(["Metric", "Labels", "Meaning"], rows)


def render_alert_rules() -> str:
    """Return a table of the alert rules for Prometheus: what each means, and what to do."""
    file = ROOT / "palimpsest_pipeline" / "deploy" / "prometheus" / "rules.yaml"
    (group,) = yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
    texts = [(rule["alert"], rule["labels"]["severity"], rule["annotations"]) for rule in group["rules"]]
    rows = [(f"`{name}`", severity, text["description"], text["runbook"]) for name, severity, text in texts]
    return _table(["Alert", "Severity", "Meaning", "What to do"], rows)


def render_modules() -> str:
    """Return a table per folder of the package: its modules with their descriptions and constants."""
    package, rows_by_folder = ROOT / "palimpsest_pipeline", dict[Path, list[tuple[str, str, str]]]()
    for file in sorted(package.rglob("*.py"), key=lambda file: (file.parent.parts, file.name)):
        module = ast.parse(file.read_text(encoding="utf-8"))
        summary = (ast.get_docstring(module) or "").partition("\n")[0]
        constants = ", ".join(f"`{name}`" for name in _list_constants(module))
        if summary:
            rows_by_folder.setdefault(file.parent, []).append((f"`{file.name}`", _cell(summary), constants))
    return "\n\n".join(
        f"## {folder.relative_to(ROOT)}\n\n{_table(['Module', 'Content', 'Constants'], rows)}"
        for folder, rows in rows_by_folder.items()
    )


def _list_constants(module: ast.Module) -> Iterator[str]:
    """Yield the names in capitals that the module assigns at its top level, without private ones."""
    for statement in module.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        names = [name for target in targets for name in (target.elts if isinstance(target, ast.Tuple) else [target])]
        for name in names:
            if isinstance(name, ast.Name) and name.id.isupper() and not name.id.startswith("_"):
                yield name.id


COMMITTED_PARTS: dict[str, Callable[[], str]] = {
    "commands": render_commands,
    "settings": render_settings,
    "queries": render_queries,
}
"""The parts that the pages in the repository hold."""
GENERATORS: dict[str, Callable[[], str]] = {
    "dictionary": render_dictionary,
    "vocabulary": render_vocabulary,
    "metrics": render_metrics,
    "alert_rules": render_alert_rules,
    "modules": render_modules,
}


def _common_rows() -> Iterator[tuple[str, str, str]]:
    # An empty variable is no value: the settings of the machine that builds the site are not the defaults.
    with patch.dict(os.environ, {name: "" for name in os.environ if name.startswith(ENV_PREFIX)}):
        defaults = Settings(_env_file=None)
    for name, field in Settings.model_fields.items():
        if name != "platform":
            yield f"`{ENV_PREFIX}{name.upper()}`", _cell(_default(getattr(defaults, name))), _cell(field.description)


def _platform_rows() -> Iterator[tuple[str, str, str]]:
    pack_settings = {"base_url", *msgspec.structs.asdict(next(iter(load_packs().packs.values())).content.limits)}
    for name, field in PlatformSettings.model_fields.items():
        if name != "params":
            default = "the pack's" if name in pack_settings else _cell(_default(field.default))
            yield f"`{ENV_PREFIX}PLATFORM__<KEY>__{name.upper()}`", default, _cell(field.description)


def _pack_rows() -> Iterator[tuple[str, ...]]:
    for name, pack in load_packs().packs.items():
        content, limits = pack.content, pack.content.limits
        others = ", ".join(code for code in sorted(content.countries) if code != content.default_country)
        params = "; ".join(f"`{param.upper()}`: {_cell(one.description)}" for param, one in content.params.items())
        gap = f"{limits.min_gap_s:g} + {limits.jitter_s:g} s"
        yield f"`{name}` ({content.default_country})", others, str(limits.max_in_flight), gap, params


def _default(value: Any) -> str:
    if value is None or value is False or value in ("", {}, []):
        return ""
    if isinstance(value, SecretStr):
        return "`***`"
    return f"`{json.dumps(value) if isinstance(value, dict | list | tuple | bool) else value}`"


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|").replace("<", "&lt;")


def _table(headings: list[str], rows: Any) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
