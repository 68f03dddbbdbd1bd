"""Who may import whom. Read from the source, so that a wrong arrow fails even where nothing runs it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import palimpsest_pipeline
from palimpsest_pipeline.defs import dagster_private

PACKAGE = Path(palimpsest_pipeline.__file__).parent
ROOMS = ("domain", "wire", "platforms", "scrape", "landing", "markets", "matching", "metrics", "storage", "simulator", "report", "defs")

ALLOWED = {
    "domain": set(),
    "wire": {"domain"},
    "platforms": {"domain", "wire"},
    "scrape": {"domain", "wire", "platforms"},
    "landing": {"domain"},
    "markets": {"domain"},
    "matching": {"domain"},
    "metrics": {"domain"},
    "storage": {"domain"},
    "simulator": {"domain", "markets"},
    "report": {"domain", "storage"},
    "defs": {*ROOMS, "settings", "setting_names", "definitions", "terminal"},
    "settings": {"domain"},
    "setting_names": {"settings"},
    "cli": {
        "domain",
        "settings",
        "setting_names",
        "defs",
        "landing",
        "storage",
        "simulator",
        "console",
        "terminal",
        "cli_compare",
        "cli_db",
        "cli_files",
        "cli_landing",
        "cli_markets",
        "cli_odds_alerts",
        "cli_orchestration",
        "cli_prices",
        "cli_report",
        "cli_sql",
        "cli_storage",
    },
    "cli_compare": {"settings", "defs", "markets", "storage", "console", "cli_files"},
    "cli_db": {"settings", "defs", "storage", "console"},
    "cli_landing": {"domain", "settings", "defs", "landing", "console"},
    "cli_markets": {"domain", "settings", "defs", "markets", "console"},
    "cli_files": {"console", "spreadsheet"},
    "cli_odds_alerts": {"domain", "settings", "defs", "storage", "console", "cli_files"},
    "cli_orchestration": {"domain", "settings", "defs", "storage", "console"},
    "cli_prices": {"domain", "settings", "defs", "markets", "storage", "console", "cli_files"},
    "cli_sql": {"settings", "defs", "storage", "console"},
    "cli_report": {"settings", "defs", "console"},
    "cli_storage": {"domain", "settings", "defs", "landing", "storage", "console"},
    "console": {"domain", "terminal"},
    "terminal": {"domain"},
    "__init__": {"notebook", "settings"},
    "spreadsheet": set(),
    "notebook": {"domain", "settings", "defs", "markets", "spreadsheet", "storage"},
    "definitions": {"defs", "domain", "settings"},
}
ONLY = {
    "httpx": {"wire"},
    "aiohttp": {"wire"},
    "dagster": {"defs", "definitions"},
    "starlette": {"simulator"},
    "jinja2": {"report"},
    "typer": {
        "cli",
        "cli_compare",
        "cli_db",
        "cli_files",
        "cli_landing",
        "cli_markets",
        "cli_odds_alerts",
        "cli_orchestration",
        "cli_prices",
        "cli_report",
        "cli_sql",
        "cli_storage",
        "console",
    },
    "alembic": {"storage"},
}


def imports() -> Iterator[tuple[str, str, int, str]]:
    """(room, file, line, dotted name) of every import in the package, relative ones resolved."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        package = ("palimpsest_pipeline", *parts[:-1])
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                base = package[: len(package) - node.level + 1] if node.level else ()
                module = ".".join((*base, *(node.module or "").split("."))).strip(".")
                names = [f"{module}.{alias.name}" for alias in node.names]
            else:
                continue
            yield from ((parts[0], str(path.relative_to(PACKAGE)), node.lineno, name) for name in names)


FOUND = list(imports())


def test_every_room_is_known_to_this_test():
    rooms = {p.name for p in PACKAGE.iterdir() if p.is_dir() and (p / "__init__.py").exists()}
    assert rooms <= set(ROOMS)


def test_rooms_import_only_along_the_arrows():
    wrong = [
        f"{file}:{line}: {room} imports {name}"
        for room, file, line, name in FOUND
        if name.startswith("palimpsest_pipeline.")
        and (target := name.split(".")[1]) != room
        and target in {*ALLOWED}
        and target not in ALLOWED.get(room, set())
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("library", sorted(ONLY))
def test_a_library_with_a_room_of_its_own_is_imported_nowhere_else(library: str):
    wrong = [f"{file}:{line}: {name}" for room, file, line, name in FOUND if name.split(".")[0] == library and room not in ONLY[library]]
    assert not wrong, "\n".join(wrong)


def test_the_walk_sees_the_imports_that_must_be_there():
    assert any(room == "wire" and name.split(".")[0] == "httpx" for room, _, _, name in FOUND)
    assert any(room == "defs" and name.startswith("palimpsest_pipeline.landing") for room, _, _, name in FOUND)


def test_private_names_of_dagster_are_in_one_module():
    """Comments and texts count as well: `dagster.yaml` names modules, and a process is started by its name."""
    private = re.compile(r"\bdagster\._")
    modules = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if private.search(path.read_text())}
    assert modules == {"defs/dagster_private.py"}


def test_every_private_name_of_dagster_is_used():
    names = set(dagster_private.__all__)
    used = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "dagster_private":
                used |= {alias.name for alias in node.names}
    assert used == names
