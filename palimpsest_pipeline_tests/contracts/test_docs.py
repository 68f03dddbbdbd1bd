"""What the README and the documentation say of settings, commands, tables and statuses is what the code has.

Their commands and queries run in `test_docs_run.py`.
"""

import json
import re
from functools import cache
from pathlib import Path

import pytest
from typer.main import get_command

from palimpsest_pipeline.cli.__main__ import app
from palimpsest_pipeline.domain.enums import FailureClass, RunStatus
from palimpsest_pipeline.operate.unknown_settings import _KnownNames
from palimpsest_pipeline.platforms.packs import ENTRY_POINT_GROUP
from palimpsest_pipeline.settings import PlatformSettings, Settings
from palimpsest_pipeline.storage.db.revisions import list_view_files, parse_view_name, sql_dir
from palimpsest_pipeline.tables import metadata
from palimpsest_pipeline.wire.retry_rules import FAILURE_RULES
from palimpsest_pipeline_tests.fixtures.documents import CHECKOUT, PAGES, find_blocks, name_page
from palimpsest_pipeline_tests.fixtures.platforms import PLATFORMS

DOCS = CHECKOUT / "docs"
TEXTS = {page: page.read_text(encoding="utf-8") for page in PAGES}
ALL_TEXT = "\n".join(TEXTS.values())
STATUSES = DOCS / "reference" / "statuses.md"
LIMITS = DOCS / "explanation" / "scraping.md"
CONTRIBUTING = CHECKOUT / "CONTRIBUTING.md"
PACKAGE = CHECKOUT / "palimpsest_pipeline"
LANGUAGES = {"sh", "sql", "python", "text", "ini", "json", "csv", "toml", "yaml"}
MAX_README_BYTES = 8192
GUIDES = [CHECKOUT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")]


def find_row(page: Path, name: str) -> list[str]:
    """Return the only row of the page's tables in which `name` stands for itself in one of the first two cells."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in TEXTS[page].splitlines()
        if line.startswith("| ")
    ]
    (match,) = [cells for cells in rows if name in cells[:2]]
    return match


@cache
def list_commands() -> set[tuple[str, ...]]:
    """Return the words of every command and group, such as `("landing", "ls")`."""

    def walk(group: dict[str, object], above: tuple[str, ...]) -> set[tuple[str, ...]]:
        own = {(*above, name) for name in group}
        return own.union(*(walk(getattr(child, "commands", {}), (*above, name)) for name, child in group.items()))

    return walk(get_command(app).commands, ())  # type: ignore[attr-defined]


def test_the_readme_is_short():
    assert len(TEXTS[CHECKOUT / "README.md"].encode()) <= MAX_README_BYTES


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.name)
def test_links_of_the_guides_beside_the_docs_lead_somewhere(guide: Path):
    targets = re.findall(r"\]\((?!https?://)([^)#\s]+)", guide.read_text(encoding="utf-8"))
    assert [target for target in targets if not (guide.parent / target).exists()] == []


def test_every_setting_that_is_named_exists():
    named = set(re.findall(r"PALIMPSEST_[A-Z0-9_]*[A-Z0-9]", ALL_TEXT))
    is_known = _KnownNames()
    assert len(named) > 5
    assert {name for name in named if not is_known(name)} <= {"PALIMPSEST_PLATFORM"}


def test_every_setting_of_a_platform_is_listed_and_no_other():
    listed = {name.lower() for name in re.findall(r"`…__([A-Z_]+)`", TEXTS[LIMITS])}
    assert listed == set(PlatformSettings.model_fields) - {"base_url", "params"}


def test_the_limits_that_are_listed_are_the_defaults():
    platforms = [Settings(_env_file=None).get_platform(platform) for platform in PLATFORMS]
    assert find_row(LIMITS, "`…__MAX_IN_FLIGHT`")[2] == ", ".join(str(p.max_in_flight) for p in platforms)
    assert (
        find_row(LIMITS, "`…__MIN_GAP_S`, `…__JITTER_S`")[2]
        == ", ".join(f"{p.min_gap_s:g} + {p.jitter_s:g}" for p in platforms) + " s"
    )


@pytest.mark.parametrize("failure", FailureClass)
def test_the_table_of_failures_is_the_one_in_force(failure: FailureClass):
    assert find_row(STATUSES, f"`{failure}`")[2] == ("yes" if FAILURE_RULES[failure].is_retryable else "no")


@pytest.mark.parametrize("status", RunStatus)
def test_every_status_is_explained(status: RunStatus):
    assert all(find_row(STATUSES, f"`{status}`"))


def test_every_command_that_is_named_exists():
    known = list_commands()
    named = [
        tuple(words.split()) for words in re.findall(r"`(?:uv run )?palimpsest ((?:[a-z]+[a-z-]*\b ?){1,2})", ALL_TEXT)
    ]
    groups = {words[0] for words in known if len(words) > 1}
    unknown = [
        words
        for words in named
        if words[:1] not in known or (len(words) > 1 and words[0] in groups and words not in known)
    ]
    assert len(named) > 20
    assert set(unknown) == {("odds-alerts",)} - {words[:1] for words in known}


def test_every_table_and_view_that_is_named_exists():
    functions = re.findall(
        r"create function ([\w.]+)", "".join(file.read_text() for file in sql_dir().glob("*_tables.sql"))
    )
    known = {*metadata.tables, *functions, *(f"palimpsest.{parse_view_name(file)}" for file in list_view_files())}
    named = set(re.findall(r"`((?:palimpsest|mart|core|ops)\.[a-z_]+)[`(]", ALL_TEXT))
    assert len(named) > 5
    assert named <= known | {ENTRY_POINT_GROUP}


def test_every_view_stands_beside_a_question():
    text = TEXTS[DOCS / "reference" / "views.md"]
    assert [name for name in map(parse_view_name, list_view_files()) if not re.search(rf"`{name}[`(]", text)] == []


@pytest.mark.parametrize("kind", ["assets", "jobs", "schedules", "sensors"])
def test_every_asset_job_schedule_and_sensor_is_listed_by_name(kind: str):
    graph = json.loads((Path(__file__).parent / "asset_graph.json").read_text(encoding="utf-8"))
    text = TEXTS[DOCS / "reference" / "automation.md"]
    assert [name for name in graph[kind] if f"`{name.rpartition('/')[2]}`" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=name_page)
def test_blocks_name_their_language_so_that_what_can_be_run_is_run(page: Path):
    assert [block.place for block in find_blocks(page) if block.language not in LANGUAGES] == []


def list_changes() -> list[list[str]]:
    """Return the names in backticks of each row of the table that leads from a change to its module."""
    section = CONTRIBUTING.read_text(encoding="utf-8").partition("## Where to change what\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ") and "`" in line]
    return [re.findall(r"`([^`]+)`", row) for row in rows]


def find_place(name: str) -> Path | None:
    """Return the file or folder that a page names: its path in the checkout or the package, or a file's bare name."""
    if name.count(".") > 1 or not re.search(r"/|\.(py|csv|md)$", name):
        return None
    places = [CHECKOUT / name, PACKAGE / name, *([] if "/" in name else PACKAGE.rglob(name))]
    return next((place for place in places if place.exists()), places[0])


def test_at_least_25_kinds_of_change_are_listed():
    assert len(list_changes()) >= 25


@pytest.mark.parametrize("names", list_changes(), ids=" ".join)
def test_a_change_leads_to_modules_that_exist_and_define_the_names(names: list[str]):
    places = [place for name in names if (place := find_place(name))]
    assert [place for place in places if not place.exists()] == []
    assert places
    text = "\n".join(place.read_text(encoding="utf-8") for place in places if place.is_file())
    unknown = [name for name in names if find_place(name) is None and "." not in name and name not in text]
    assert unknown in ([], ["palimpsest doctor"])


@pytest.mark.parametrize("page", [*PAGES, CONTRIBUTING], ids=name_page)
def test_every_path_in_the_package_that_a_page_names_exists(page: Path):
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"\b(palimpsest_pipeline(?:_tests)?/[\w./-]*\w)", text)
    assert [name for name in named if not (CHECKOUT / name).exists()] == []


def test_every_package_is_in_the_map():
    named = set(re.findall(r"`([a-z0-9_/]+)`", TEXTS[DOCS / "explanation" / "architecture.md"]))
    packages = {str(init.parent.relative_to(PACKAGE)) for init in PACKAGE.rglob("__init__.py")} - {"."}
    assert packages - named == set()
