"""Who may import whom. Read from the source, so that a wrong arrow fails even where nothing runs it."""

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

import palimpsest_pipeline
from palimpsest_pipeline.defs import dagster_private

PACKAGE = Path(palimpsest_pipeline.__file__).parent
NAME = PACKAGE.name

PACK_SIMULATORS = "platforms/*/simulator"
"""A pack's `simulator.py` is no part of its dialect: it renders what the dialect reads."""


def read_arrows() -> dict[str, set[str]]:
    """Each folder and each module outside a folder, with those that it may import, by the map in the documentation.

    A row of the map knows the packages that it names, or those of all earlier rows but the ones that it names.
    """
    page = (PACKAGE.parent / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    table = page.partition("| Package | What is in it | Knows |")[2].partition("\n\n")[0]
    found: dict[str, set[str]] = {}
    for line in table.splitlines()[2:]:
        package, _, known = (cell.strip() for cell in line.strip("|").split("|"))
        names = set(re.findall(r"`(\w+)`", known))
        found[package.split("`")[1]] = set(found) - names if known.startswith("all of the above") else names
    return found


ALLOWED = {**read_arrows(), "__init__": {"notebook", "settings"}}
ONLY = {
    "httpx": {"wire"},
    "aiohttp": {"wire"},
    "dagster": {"defs", "definitions", "operate"},
    "starlette": {"simulator", "board"},
    "uvicorn": {"simulator", "board"},
    "prometheus_client": {"board", "operate"},
    "jinja2": {"report"},
    "typer": {"cli"},
    "alembic": {"storage"},
}


class Import(NamedTuple):
    room: str
    module: str
    where: str
    name: str
    """What is imported: a module, or a name in one."""


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def find_room(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return PACK_SIMULATORS if parts[0] == "platforms" and parts[-1] == "simulator" else parts[0]


def imports() -> Iterator[Import]:
    """Every import in the package, relative ones resolved."""
    for module, path in MODULES.items():
        room = find_room(path)
        package = path.relative_to(PACKAGE.parent).parts[:-1]
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                base = package[: len(package) - node.level + 1] if node.level else ()
                from_ = ".".join((*base, *(node.module or "").split("."))).strip(".")
                names = [f"{from_}.{alias.name}" for alias in node.names]
            else:
                continue
            yield from (Import(room, module, f"{path.relative_to(PACKAGE)}:{node.lineno}", name) for name in names)


FOUND = list(imports())


def test_every_room_is_known_to_this_test():
    rooms = {find_room(path) for path in MODULES.values()}
    assert rooms == set(ALLOWED)


def test_rooms_import_only_along_the_arrows():
    wrong = [
        f"{each.where}: {each.room} imports {each.name}"
        for each in FOUND
        if each.name.startswith(f"{NAME}.")
        and (target := each.name.split(".")[1]) != each.room
        and target not in ALLOWED[each.room]
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("library", sorted(ONLY))
def test_a_library_with_a_room_of_its_own_is_imported_nowhere_else(library: str):
    wrong = [
        f"{each.where}: {each.name}"
        for each in FOUND
        if each.name.split(".")[0] == library and each.room not in ONLY[library]
    ]
    assert not wrong, "\n".join(wrong)


def test_no_modules_import_each_other():
    """Neither two of them nor a longer circle, imports inside functions included."""
    imported: dict[str, set[str]] = {module: set() for module in MODULES}
    for each in FOUND:
        target = each.name if each.name in MODULES else each.name.rpartition(".")[0]
        if target in MODULES and target != each.module:
            imported[each.module].add(target)
    try:
        TopologicalSorter(imported).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_every_module_of_defs_imports_dagster():
    """Or the decorator that makes a check of Dagster from a judge of cycles."""
    makes_checks = f"{NAME}.defs.cycle_checks.make_cycle_check"
    dagster = {each.module for each in FOUND if each.name.split(".")[0] == "dagster" or each.name == makes_checks}
    modules = {
        module for module, path in MODULES.items() if module.startswith(f"{NAME}.defs.") and path.name != "__init__.py"
    }
    assert modules
    assert not modules - dagster


def test_private_names_of_dagster_are_in_one_module():
    """Comments and texts count as well: `dagster.yaml` names modules, and a process is started by its name."""
    private = re.compile(r"\bdagster\._")
    modules = {str(path.relative_to(PACKAGE)) for path in MODULES.values() if private.search(path.read_text())}
    assert modules == {"defs/dagster_private.py"}


def test_every_private_name_of_dagster_is_used():
    prefix = f"{NAME}.defs.dagster_private."
    used = {each.name.removeprefix(prefix) for each in FOUND if each.name.startswith(prefix)}
    assert used == set(dagster_private.__all__)
