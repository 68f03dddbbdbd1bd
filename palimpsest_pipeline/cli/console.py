"""Input, output and the access to the database that all commands share.

Results go to standard output and everything else to standard error. Results are tables for people or JSON for scripts.
"""

import json
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.table import Table

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.domain.printable_text import escape_controls
from palimpsest_pipeline.runtime.terminal import PrintableConsole, find_output_width
from palimpsest_pipeline.settings import PLATFORMS_VARIABLE, Settings, load_settings

if TYPE_CHECKING:
    from palimpsest_pipeline.pipeline.context import Pipeline

EXIT_PARTIAL = 3
"""Exit code when only a part succeeded."""
EXIT_CANCELLED = 130
"""Exit code of a cancelled command, the same that a shell reports after Ctrl-C."""

out = PrintableConsole(width=find_output_width(sys.stdout))
err = PrintableConsole(stderr=True, width=find_output_width(sys.stderr))

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else on standard output.")]


def _check_platform(platform: Platform | None) -> Platform | None:
    from palimpsest_pipeline.platforms.packs import load_packs

    if platform is not None and platform not in load_packs().platforms:
        raise typer.BadParameter(
            f"no installed pack has the platform {platform!r}; `palimpsest platforms list` shows those that do"
        )
    return platform


PlatformOption = Annotated[
    Platform | None, typer.Option(metavar="PLATFORM", callback=_check_platform, help="Only this platform.")
]


@contextmanager
def open_current_pipeline(settings: Settings | None = None) -> "Iterator[Pipeline]":
    """Yield the pipeline with its database running, for a command that does not upgrade the schema.

    Raises SchemaOutOfDate unless the schema has the version of this program.
    """
    from palimpsest_pipeline.operate.databases import open_databases, require_schema

    with open_databases(settings or load_settings()) as pipeline:
        require_schema(pipeline)
        yield pipeline


def print_json(value: Any, encode: Callable[[Any], Any] | None = None) -> None:
    """Print `value` as JSON on standard output.

    `encode`, by default `encode_value`, encodes values that JSON lacks.
    """
    out.print_json(json.dumps(value, default=encode or encode_value))


def encode_value(value: Any) -> Any:
    """Return what JSON prints for `value`.

    That is a dict for a dataclass, a list of rows for a frame, ISO 8601 for a date or an instant, a float for a
    decimal, and text for anything else.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if hasattr(value, "to_dicts"):
        return value.to_dicts()
    if isinstance(value, date):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else str(value)


def print_line(text: str) -> None:
    """Print text on standard output as it is; a line that is too long for the terminal is not wrapped."""
    out.print(text, highlight=False, markup=False, soft_wrap=True)


def print_finding(is_ok: bool, text: str) -> None:
    """Print one line of a list of checks."""
    mark = "[green]ok[/]  " if is_ok else "[red]bad[/] "
    out.print(f"{mark} {escape_markup(text)}", highlight=False, soft_wrap=True)


def say(message: str) -> None:
    """Print a line of progress on standard error, so that scripts can read standard output."""
    err.print(message, style="dim", markup=False, highlight=False, soft_wrap=True)


def format_command(arguments: str, home: Path, platforms: Sequence[Platform] = ()) -> str:
    """Return a `palimpsest` command that uses this home folder when pasted into another terminal.

    The terminal must be in the same working directory. With `platforms`, the command makes these the active platforms.
    """
    # uv sets the variable UV for the commands it runs. Without `uv run`, `palimpsest` is then not on the PATH.
    command = "uv run palimpsest" if "UV" in os.environ else "palimpsest"
    active = f"{PLATFORMS_VARIABLE}={','.join(platforms)} " if platforms else ""
    return f"PALIMPSEST_HOME_DIR={shlex.quote(str(home))} {active}{command} {arguments}"


def fail(message: str, code: int = 1) -> typer.Exit:
    """Print one error line, and return the typer.Exit with this exit code for the caller to raise."""
    escaped = escape_markup(message, kept_characters="\n")
    err.print(f"[bold red]error:[/] {escaped}", soft_wrap=True, highlight=False)
    return typer.Exit(code)


def escape_markup(text: str, kept_characters: str = "") -> str:
    """Return text in a form that rich prints unchanged.

    Control characters become escapes, except those in `kept_characters`: a newline in a name must not start a new line.
    """
    return escape_controls(text, kept_characters).replace("[", "\\[")


def parse_day(text: str) -> date:
    """Return the UTC day of a text like `2026-06-26`. Raises typer.BadParameter."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a day; write it as 2026-06-26") from None


def parse_hour(text: str) -> datetime:
    """Return the UTC hour of `2026-06-26-19:00`, `2026-06-26T19:00` or `2026-06-26` (its first hour).

    Raises typer.BadParameter.
    """
    for pattern in ("%Y-%m-%d-%H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%MZ", "%Y-%m-%d"):
        try:
            return datetime.strptime(text, pattern).replace(tzinfo=UTC, minute=0)
        except ValueError:
            continue
    raise typer.BadParameter(f"{text!r} is not a UTC hour; write it as 2026-06-26-19:00")


def parse_hours(first: str, last: str, now: datetime) -> tuple[datetime, datetime]:
    """Return the first and the last UTC hour of a range, both included, each given as for `parse_hour`.

    A day as `last` means its last hour; for today, the current hour. Raises typer.BadParameter when the range is
    reversed or ends in the future.
    """
    begin, end, current = parse_hour(first), parse_hour(last), now.replace(minute=0, second=0, microsecond=0)
    if ":" not in last and end <= current:
        end = min(end + timedelta(hours=23), current)
    if end < begin:
        raise typer.BadParameter("TO is before FROM")
    if end > current:
        raise typer.BadParameter(
            f"{end:%Y-%m-%d-%H:%M} has not begun: the current hour is {current:%Y-%m-%d-%H:%M}, in UTC"
        )
    return begin, end


def parse_instant(text: str) -> datetime:
    """Return the UTC instant of ISO 8601 text with a zone, `2026-06-26T19:00Z`. Raises typer.BadParameter."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not an instant; write it as 2026-06-26T19:00Z") from None
    if instant.tzinfo is None:
        raise typer.BadParameter(
            f"{text!r} has no time zone: write {instant.isoformat()}Z for UTC, or an offset such as +01:00 at its end"
        )
    return instant.astimezone(UTC)


def print_frame(title: str, frame: Any) -> None:
    """Print a Polars frame as a table for people."""
    print_table(title, [(name, bool(frame.schema[name].is_numeric())) for name in frame.columns], frame.iter_rows())


PLATFORM_HEADING: Final = "platform"
DECIMALS: Final = {"MB": 1, "s": 1, "ms": 0, "price": 2, "answer": 0}
"""Decimals of a float by the last word of its heading, such as `bytes a price`. All others have four."""


def print_table(title: str, columns: Sequence[tuple[str, bool]], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table. A column is its heading, and whether its values are numbers.

    A text that does not fit is wrapped, never cut. A platform's key stays on one line, so that it can be copied. The
    headings decide the decimals of floats.
    """
    decimals = [DECIMALS.get(name.split()[-1], 4) for name, _ in columns]
    table = Table(title=title, title_justify="left", header_style="bold")
    for name, is_numeric in columns:
        table.add_column(
            name, justify="right" if is_numeric else "left", overflow="fold", no_wrap=name == PLATFORM_HEADING
        )
    for row in rows:
        table.add_row(*(escape_markup(_format_cell(*cell)) for cell in zip(row, decimals, strict=True)))
    out.print(table)


MAX_PLATFORM_COLUMNS: Final = 6
"""Maximum number of platforms side by side. With more, their prices would be wrapped."""


def print_price_table(title: str, platforms: Sequence[str], prices: Mapping[str, Mapping[str, str | None]]) -> None:
    """Print `prices` (outcome to platform to text) as a table with a column per platform.

    With many platforms and few outcomes, each platform has a row instead. With many of both, there are several tables.
    """
    if len(platforms) > MAX_PLATFORM_COLUMNS and len(prices) <= MAX_PLATFORM_COLUMNS:
        headings = [(PLATFORM_HEADING, False), *((outcome, True) for outcome in prices)]
        rows = [[platform, *(cells.get(platform) for cells in prices.values())] for platform in platforms]
        print_table(title, headings, rows)
        return
    for first in range(0, len(platforms), MAX_PLATFORM_COLUMNS):
        columns = platforms[first : first + MAX_PLATFORM_COLUMNS]
        print_table(
            title,
            [("outcome", False), *((platform, True) for platform in columns)],
            [[outcome, *(cells.get(platform) for platform in columns)] for outcome, cells in prices.items()],
        )


def _format_cell(value: Any, n_decimals: int) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return f"{value:.{n_decimals}f}" if isinstance(value, float) else str(value)
