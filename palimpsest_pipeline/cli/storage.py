"""The `palimpsest` commands about storage: `export` and `storage`.

Exit codes as in `cli/__main__.py`. `export` ends with 3 when some days could be exported and others not, `storage` when
some landed cycles cannot be read.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from palimpsest_pipeline.settings import load_settings

from .console import (
    EXIT_PARTIAL,
    JsonOption,
    fail,
    open_current_pipeline,
    out,
    parse_day,
    print_frame,
    print_json,
    print_line,
    print_table,
    say,
)
from .show_rows import CsvOption, XlsxOption, show

if TYPE_CHECKING:
    import polars as pl

    from palimpsest_pipeline.storage.odds.storage_growth import Sizes

storage_app = typer.Typer()


@storage_app.command()
def export(
    start: Annotated[str | None, typer.Argument(metavar="FROM", help="First UTC day, e.g. 2026-06-26.")] = None,
    end: Annotated[str | None, typer.Argument(metavar="TO", help="Last UTC day, included. Default: FROM.")] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace exported days even if Postgres lacks some of their cycles. Needs FROM."),
    ] = False,
    adopt_root: Annotated[
        bool,
        typer.Option(
            "--adopt-root",
            help="Accept the export's folder as it is; exported days that it lacks count as never exported.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write days of the odds history as Parquet.

    Without FROM: all finished days in Postgres that are not exported, or that changed since. Each file is read back and
    compared before readers see it. Days whose export is up to date are skipped.
    """
    from palimpsest_pipeline.operate.databases import open_databases, upgrade_schema

    requested_days = None if start is None else (parse_day(start), parse_day(end or start))
    if requested_days is not None and requested_days[1] < requested_days[0]:
        raise typer.BadParameter("TO is before FROM")
    if force and requested_days is None:
        raise typer.BadParameter("--force needs the days: palimpsest export --force 2026-06-26")
    with open_databases(load_settings()) as pipeline:
        upgrade_schema(pipeline)
        from palimpsest_pipeline.operate import export_root
        from palimpsest_pipeline.operate.export_days import export_days

        if adopt_root:
            days, lost_days = export_root.adopt_root(pipeline)
            say(f"{pipeline.archive.address} is now the place of the export; it has {len(days)} days")
            if lost_days:
                say(f"from now on these days count as never exported: {', '.join(map(str, lost_days))}")
        report = export_days(pipeline, requested_days, say, force=force)
        address = pipeline.archive.address
    if as_json:
        print_json(report)
    elif report.exported:
        headings = [("day", False), *((name, True) for name in ("rows", "prices", "MB", "bytes\na price", "s"))]
        rows = [
            (day, w["rows"], w["prices"], w["bytes"] / 1e6, w["bytes_per_price"], w["seconds"])
            for day, w in report.exported.items()
        ]
        print_table(f"Exported to {address}", headings, rows)
    elif not report.failed:
        print_line("nothing to export: every finished day is in the archive and has not changed since")
    for day, why in report.left.items():
        say(f"{day}: {why}")
    if report.failed:
        failures = (why if why.startswith(day) else f"{day}: {why}" for day, why in report.failed.items())
        raise fail("; ".join(failures), EXIT_PARTIAL if report.exported else 1)


@storage_app.command()
def storage(as_json: JsonOption = False, csv: CsvOption = None, xlsx: XlsxOption = None) -> None:
    """Show the size of everything, by table and by day.

    The figures include bytes a price, growth, and the day on which the limit is reached. Landed cycles that cannot be
    read are named and not counted. A CSV file holds the sizes by table; an Excel file holds those by day and platform
    too.
    """
    from palimpsest_pipeline.pipeline.upkeep import disk_usage

    with open_current_pipeline() as pipeline, pipeline.connect() as conn:
        measured = disk_usage.measure_usage(pipeline, conn)
    tables = {
        "tables": disk_usage.summarise_tables(measured.sample),
        "days": disk_usage.summarise_days(measured.sample),
        "payloads": measured.payloads,
    }
    unreadable = [cycle.as_dict() for cycle in measured.unreadable]
    report = {"figures": measured.as_dict(), **tables, "unreadable": unreadable}

    def print_text() -> None:
        _print_sizes(**tables)
        _print_figures(measured.figures)

    show(tables, print_text, as_json=as_json, report=report, csv=csv, xlsx=xlsx)
    if measured.unreadable:
        from palimpsest_pipeline.landing import describe_unreadable

        raise fail(describe_unreadable(measured.unreadable), EXIT_PARTIAL)


def _print_sizes(tables: "pl.DataFrame", days: "pl.DataFrame", payloads: "pl.DataFrame") -> None:
    import polars as pl

    def in_mb(column: str) -> pl.Expr:
        return pl.col(column) / 1e6

    table_columns: dict[str, str | pl.Expr] = {
        "table": "table_name",
        "rows": "n_rows",
        "heap MB": in_mb("heap_bytes"),
        "index MB": in_mb("index_bytes"),
    }
    print_frame(
        "Tables, largest first (rows as the planner estimates; those of the odds history counted)",
        tables.filter(pl.col("n_rows") > 0).select(**table_columns),
    )
    day_columns: dict[str, str | pl.Expr] = {
        "day": "day",
        "answers": "n_answers",
        "rows": "n_rows",
        "prices": "n_prices",
        "Postgres\nMB": in_mb("postgres_bytes"),
        "bytes\na price": "bytes_per_price",
        "export\nMB": in_mb("export_bytes"),
        "landing\nMB": in_mb("landing_bytes"),
    }
    if days.height:
        print_frame("Odds history by day", days.select(**day_columns))
    payload_columns: dict[str, str | pl.Expr] = {
        "platform": "platform",
        "answers": "n_answers",
        "MB": in_mb("bytes"),
        "bytes an answer": "bytes_per_answer",
    }
    if payloads.height:
        print_frame("Landing by platform", payloads.select(**payload_columns))


def _print_figures(sizes: "Sizes") -> None:
    parts = (
        f"Postgres {_format_gb(sizes.postgres_bytes)}, landing {_format_gb(sizes.landing_bytes)}, export "
        f"{_format_gb(sizes.export_bytes)}"
    )
    out.print(f"{_format_gb(sizes.total_bytes)} of {_format_gb(sizes.limit_bytes)} GB: {parts} GB", highlight=False)
    if sizes.bytes_per_price is not None or sizes.export_bytes_per_price is not None:
        densities = [(sizes.bytes_per_price, "Postgres"), (sizes.export_bytes_per_price, "the export")]
        out.print(
            "; ".join(f"{value:.2f} bytes a price in {where}" for value, where in densities if value is not None),
            highlight=False,
        )
    if sizes.growth_bytes_per_day is None:
        out.print("growth: unknown until upkeep/storage_report has run for some days", highlight=False)
        return
    out.print(f"growth: {sizes.growth_bytes_per_day / 1e6:+.1f} MB a day", highlight=False)
    if sizes.days_until_limit is not None:
        out.print(f"at that rate the limit is reached in {sizes.days_until_limit:.0f} days", highlight=False)


def _format_gb(size: int) -> str:
    return f"{size / 1e9:.2f}"
