"""The dictionary as Markdown. Pure: entries and what guards them in, text out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from .entries import Column, Entry

INTRODUCTION: Final = """\
# Data dictionary

Made by `palimpsest db dictionary` from the comments of tables, views and columns; a test fails when it is out of date. Do not edit it: the models
(`palimpsest_pipeline/storage/tables`) and the views (`sql/views`) say what is here.

Analysts read `palimpsest` and `mart`. Of tables, a column says "null" where it may be empty; its meaning says when. Instants are `timestamptz` in
UTC. Ratios are shares of 1, never per cent. "Nothing there" and "could not look" are never the same value. Besides the tests that are named here,
every view is read as the analysts' role and its key is held in `pipeline/test_analyst_role.py`, and models and migrations are compared in
`storage/db/test_migrations.py`.
"""
SCHEMA_DESCRIPTIONS: Final = {
    "palimpsest": "Views and functions for people: names and columns that stay as they are.",
    "mart": "What is derived, as tables: the views above read them, and so may you.",
    "core": "What the platforms showed, and the odds history. For engineers; analysts read it through the views.",
    "ops": "The ledger: what ran, and how it went. For operators; analysts read it through the views.",
}


@dataclass(frozen=True, slots=True)
class Guards:
    """What fills a table, and what notices when it is wrong."""

    assets: Sequence[str] = ()
    blocking_checks: Sequence[str] = ()
    """Asset checks that stop what is downstream when they fail ..."""
    checks: Sequence[str] = ()
    """... and the others."""
    tests: Sequence[str] = ()
    """Files of tests that name it."""
    example_queries: Sequence[str] = ()
    """Example queries that read it."""


def render_dictionary(entries: Sequence[Entry], guards: Mapping[str, Guards]) -> str:
    """The whole text. `guards`: by full name; what is not there has none."""
    parts = [INTRODUCTION]
    known = {entry.full_name for entry in entries}
    for schema, group in groupby(entries, key=lambda entry: entry.schema):
        members = list(group)
        parts.append(f"## Schema `{schema}`\n\n{SCHEMA_DESCRIPTIONS[schema]}\n")
        parts.append(
            _render_table(
                ("", "What it is"),
                [(_render_link(entry.full_name, known), _take_first_sentence(entry.comment)) for entry in members],
            )
        )
        parts += [_render_section(entry, guards.get(entry.full_name, Guards()), known) for entry in members]
    return "\n".join(parts)


def _render_section(entry: Entry, guards: Guards, known: set[str]) -> str:
    lines = [f"### {entry.full_name}", "", entry.comment, ""]
    if entry.kind == "function":
        lines += [f"Call: `{entry.full_name}({entry.arguments})`", ""]
    facts = {
        "One row for each": ", ".join(f"`{name}`" for name in entry.key),
        "Reads": ", ".join(_render_link(name, known) for name in entry.sources),
        "Filled by": _render_names(guards.assets),
        "Blocking checks": _render_names(guards.blocking_checks),
        "Checks": _render_names(guards.checks),
        "Tests": _render_names(guards.tests),
        "Examples": _render_names(guards.example_queries),
    }
    lines += [f"- {what}: {said}" for what, said in facts.items() if said]
    if any(facts.values()):
        lines.append("")
    if [column.name for column in entry.columns] == [""]:
        return "\n".join([*lines, f"Returns `{entry.columns[0].type}`.", ""])
    return "\n".join(
        [
            *lines,
            _render_table(("Column", "Type", "Unit", "Meaning"), [_render_column(column) for column in entry.columns]),
        ]
    )


def _render_column(column: Column) -> tuple[str, ...]:
    return f"`{column.name}`", column.type + (", null" if column.is_nullable else ""), column.unit, column.meaning


def _render_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [_render_row(headings), _render_row(["---"] * len(headings)), *(_render_row(row) for row in rows)]
    return "\n".join(lines) + "\n"


def _render_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _render_link(name: str, known: set[str]) -> str:
    return f"[`{name}`](#{name.replace('.', '')})" if name in known else f"`{name}`"


def _render_names(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _take_first_sentence(text: str) -> str:
    return text.split(". ", maxsplit=1)[0].rstrip(".") + "."
