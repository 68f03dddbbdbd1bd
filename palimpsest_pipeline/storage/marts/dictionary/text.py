"""Render the data dictionary as Markdown. This module reads neither files nor a database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from .entries import Column, Entry

INTRODUCTION: Final = """\
# Data dictionary

`palimpsest db dictionary` prints this text, which it makes from the comments of tables, views and columns.

Analysts read `palimpsest` and `mart`. A column of a table is marked "null" where it may be empty; its meaning says
when. Instants are `timestamptz` in UTC. Ratios are shares of 1, never per cent. "Nothing there" and "could not look"
are never the same value.
"""
SCHEMA_DESCRIPTIONS: Final = {
    "palimpsest": "Views and functions for people, with stable names and columns.",
    "mart": "Derived tables. The views above read them; you may read them too.",
    "core": "The platforms' answers as canonical tables, and the odds history. For engineers; analysts use the views.",
    "ops": "The ledger of requests and runs with their outcomes. For operators; analysts use the views.",
}


@dataclass(frozen=True, slots=True)
class Guards:
    """The assets, asset checks and example queries that belong to a table."""

    assets: Sequence[str] = ()
    blocking_checks: Sequence[str] = ()
    """Names of asset checks that stop downstream assets when they fail."""
    checks: Sequence[str] = ()
    """Names of asset checks that do not stop downstream assets."""
    example_queries: Sequence[str] = ()
    """Names of example queries that read the table."""


def render_dictionary(entries: Sequence[Entry], guards: Mapping[str, Guards]) -> str:
    """Return the dictionary as Markdown.

    `guards` is keyed by full name (`schema.table`); an entry without a key has no guards.
    """
    parts = [INTRODUCTION]
    entry_names = {entry.full_name for entry in entries}
    for schema, group in groupby(entries, key=lambda entry: entry.schema):
        members = list(group)
        parts.append(f"## Schema `{schema}`\n\n{SCHEMA_DESCRIPTIONS[schema]}\n")
        parts.append(
            _render_table(
                ("", "What it is"),
                [
                    (_render_link(entry.full_name, entry_names), _take_first_sentence(entry.comment))
                    for entry in members
                ],
            )
        )
        parts += [_render_section(entry, guards.get(entry.full_name, Guards()), entry_names) for entry in members]
    return "\n".join(parts)


def _render_section(entry: Entry, guards: Guards, entry_names: set[str]) -> str:
    lines = [f"### {entry.full_name}", "", entry.comment, ""]
    if entry.kind == "function":
        lines += [f"Call: `{entry.full_name}({entry.arguments})`", ""]
    facts = {
        "One row for each": ", ".join(f"`{name}`" for name in entry.key),
        "Reads": ", ".join(_render_link(name, entry_names) for name in entry.sources),
        "Filled by": _render_names(guards.assets),
        "Blocking checks": _render_names(guards.blocking_checks),
        "Checks": _render_names(guards.checks),
        "Examples": _render_names(guards.example_queries),
    }
    lines += [f"- {label}: {text}" for label, text in facts.items() if text]
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


def _render_link(name: str, entry_names: set[str]) -> str:
    return f"[`{name}`](#{name.replace('.', '')})" if name in entry_names else f"`{name}`"


def _render_names(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _take_first_sentence(text: str) -> str:
    return text.split(". ", maxsplit=1)[0].rstrip(".") + "."
