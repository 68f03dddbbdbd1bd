"""Reference pages that people read in the repository hold what the code says now."""

import importlib.util
from types import ModuleType

import pytest

from palimpsest_pipeline_tests.fixtures.documents import CHECKOUT
from palimpsest_pipeline_tests.fixtures.snapshots import Snapshot

PAGES = {"commands": "cli", "settings": "settings", "queries": "example-queries"}


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hooks", CHECKOUT / "docs" / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_committed_part_has_a_page(hooks: ModuleType):
    assert hooks.COMMITTED_PARTS.keys() == PAGES.keys()


@pytest.mark.parametrize("part", PAGES)
def test_the_page_holds_what_the_code_says(part: str, hooks: ModuleType, snapshot: Snapshot):
    page = CHECKOUT / "docs" / "reference" / f"{PAGES[part]}.md"
    head, marker, _ = page.read_text(encoding="utf-8").partition(f"<!-- generated: {part} -->\n")
    assert marker
    snapshot(page, f"{head}{marker}\n{hooks.COMMITTED_PARTS[part]()}\n")
