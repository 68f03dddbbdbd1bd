"""A newcomer reads the first lines of a module before its code."""

import ast
from pathlib import Path

import palimpsest_pipeline

PACKAGE = Path(palimpsest_pipeline.__file__).parent


def test_every_module_has_a_docstring():
    silent = [
        str(p.relative_to(PACKAGE)) for p in PACKAGE.rglob("*.py") if not ast.get_docstring(ast.parse(p.read_text()))
    ]
    assert not silent
