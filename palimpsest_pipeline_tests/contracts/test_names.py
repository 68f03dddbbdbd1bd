"""Names are nouns of the field or verbs with their object, and a docstring's first line is short."""

import ast
from collections.abc import Iterator
from pathlib import Path

import palimpsest_pipeline

PACKAGE = Path(palimpsest_pipeline.__file__).parent
TREES = {str(p.relative_to(PACKAGE)): ast.parse(p.read_text()) for p in sorted(PACKAGE.rglob("*.py"))}

PARTICIPLES = (
    "asked came chosen done found given going gone got heard held kept known left looked made moved named put said seen "
    "shown standing stood taken told touched waiting wanted went"
)
SMALL_WORDS = "by it many mine more most of others ours over own theirs them these they those to which who words"
METAPHORS = "bears beating door fall_in go_ahead keeper layers say_of_the_dead"
FORBIDDEN = frozenset(f"{PARTICIPLES} {SMALL_WORDS} {METAPHORS}".split())
"""Whole names that do not say what they hold; leading underscores and case do not count."""
ALLOWED = {
    ("operate/backfill/backfill.py", "done"): "a key of the JSON that `palimpsest backfill` prints",
    ("operate/export_days.py", "left"): "a key of the JSON that `palimpsest export` prints",
    ("simulator/faults.py", "to"): "a setting that the simulator takes over HTTP",
}
MAX_FIRST_LINE_CHARACTERS = 100


def list_names(path: str, tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Every name that a module defines, its own included, with the line."""
    parts = Path(path).with_suffix("").parts
    yield from ((part, 1) for part in parts if part != "__init__")
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, node.lineno
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name, node.lineno
            case ast.alias(asname=str(name)) | ast.ExceptHandler(name=str(name)):
                yield name, node.lineno
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
                yield name, node.lineno


def list_forbidden_names(path: str, tree: ast.Module) -> list[tuple[str, int]]:
    return [(name, line) for name, line in list_names(path, tree) if name.strip("_").lower() in FORBIDDEN]


def test_no_name_leaves_open_what_it_holds():
    wrong = [
        f"{path}:{line}: {name}"
        for path, tree in TREES.items()
        for name, line in list_forbidden_names(path, tree)
        if (path, name) not in ALLOWED
    ]
    assert not wrong, "\n".join(wrong)


def test_every_allowed_name_is_defined():
    forbidden = {(path, name) for path, tree in TREES.items() for name, _ in list_forbidden_names(path, tree)}
    assert set(ALLOWED) <= forbidden


def test_first_lines_of_docstrings_are_short():
    """Those of modules, classes and functions, and those below a constant or a field."""
    first_lines = [
        (path, node.lineno, text.partition("\n")[0])
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(text := node.value.value, str)
    ]
    assert len(first_lines) > 1000
    wrong = [f"{path}:{line}: {text}" for path, line, text in first_lines if len(text) > MAX_FIRST_LINE_CHARACTERS]
    assert not wrong, "\n".join(wrong)
