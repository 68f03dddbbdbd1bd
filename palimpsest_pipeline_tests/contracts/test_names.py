"""Names say what they hold, and none stands twice; the first line of a docstring is short."""

import ast
from collections import defaultdict
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
MODULE_CONVENTIONS = {"__init__", "__main__", "app", "assets", "checks", "errors", "jobs"}
NAME_CONVENTIONS = {"T", "log", "main"}
"""The generic type, the logger of a module, and the function that starts a process."""
PACKS = {path.split("/")[1] for path in TREES if path.startswith("platforms/") and path.count("/") > 1}
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


def list_public_names(tree: ast.Module) -> Iterator[str]:
    """The functions, classes and variables that a module defines for others."""
    for node in tree.body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names = [node.name]
            case ast.Assign() | ast.AnnAssign():
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                names = [each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)]
            case _:
                continue
        yield from (name for name in names if not name.startswith("_"))


def test_no_file_name_and_no_public_name_stands_twice():
    """Packs apart: they have the same parts."""
    paths_by_name = defaultdict(list)
    for path, tree in TREES.items():
        if path.startswith("platforms/") and path.split("/")[1] in PACKS:
            continue
        if (stem := Path(path).stem) not in MODULE_CONVENTIONS:
            paths_by_name[f"{stem}.py"].append(path)
        for name in set(list_public_names(tree)) - NAME_CONVENTIONS:
            paths_by_name[name].append(path)
    assert len(paths_by_name) > 2000
    assert not {name: paths for name, paths in paths_by_name.items() if len(paths) > 1}


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
