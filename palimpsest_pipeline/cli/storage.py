"""The `palimpsest` commands about storage: `export` and `storage`.

Exit codes as in `cli/__main__.py`. `export` ends with 3 when some days could be exported and others not, `storage` when
some landed cycles cannot be read.
"""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from palimpsest_pipeline.settings import load_settings

from .console import EXIT_PARTIAL, JsonOption, fail, out, parse_day, print_table, say

if TYPE_CHECKING:
    import polars as pl

    from palimpsest_pipeline.pipeline.context import Pipeline
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
        from palimpsest_pipeline.operate.export_days import export_days

        if adopt_root:
            _adopt_root(pipeline)
        report = export_days(pipeline, requested_days, say, force=force)
        address = pipeline.archive.address
    if as_json:
        out.print_json(json.dumps(report.as_dict()))
    elif report.exported:
        headings = [("day", False), *((name, True) for name in ("rows", "prices", "MB", "bytes\na price", "s"))]
        rows = [
            (day, w.rows, w.prices, f"{w.bytes / 1e6:.1f}", _format_ratio(w.bytes_per_price), f"{w.seconds:.1f}")
            for day, w in report.exported.items()
        ]
        print_table(f"Exported to {address}", headings, rows)
    elif not report.failed:
        out.print(
            "nothing to export: every finished day is in the archive and has not changed since",
            highlight=False,
            soft_wrap=True,
        )
    for day, why in report.left.items():
        say(f"{day}: {why}")
    if report.failed:
        failures = (why if why.startswith(day) else f"{day}: {why}" for day, why in report.failed.items())
        raise fail("; ".join(failures), EXIT_PARTIAL if report.exported else 1)


def _adopt_root(pipeline: "Pipeline") -> None:
    from palimpsest_pipeline.operate import export_root

    adopted = export_root.adopt_root(pipeline)
    say(f"{pipeline.archive.address} is now the place of the export; it has {len(adopted.days)} days")
    if adopted.lost_days:
        say(f"from now on these days count as never exported: {', '.join(map(str, adopted.lost_days))}")


@storage_app.command()
def storage(as_json: JsonOption = False) -> None:
    """Show the size of everything, by table and by day.

    The figures include bytes a price, growth, and the day on which the limit is reached. Landed cycles that cannot be
    read are named and not counted.
    """
    from palimpsest_pipeline.operate.databases import open_databases, require_schema
    from palimpsest_pipeline.pipeline.upkeep import disk_usage

    with open_databases(load_settings()) as pipeline:
        require_schema(pipeline)
        with pipeline.connect() as conn:
            measured = disk_usage.measure_usage(pipeline, conn)
    tables, days = disk_usage.summarise_tables(measured.sample), disk_usage.summarise_days(measured.sample)
    if as_json:
        report = {
            "figures": measured.as_dict(),
            "tables": tables.to_dicts(),
            "days": days.to_dicts(),
            "payloads": measured.payloads.to_dicts(),
            "unreadable": [cycle.as_dict() for cycle in measured.unreadable],
        }
        out.print_json(json.dumps(report, default=str))
    else:
        _print_tables(tables)
        _print_days(days)
        _print_payloads(measured.payloads)
        _print_figures(measured.figures)
    if measured.unreadable:
        from palimpsest_pipeline.landing import describe_unreadable

        raise fail(describe_unreadable(measured.unreadable), EXIT_PARTIAL)


def _print_tables(tables: "pl.DataFrame") -> None:
    headings = [("table", False), ("rows", True), ("heap MB", True), ("index MB", True)]
    rows = [
        (r["table_name"], r["n_rows"], _format_mb(r["heap_bytes"]), _format_mb(r["index_bytes"]))
        for r in tables.to_dicts()
        if r["n_rows"]
    ]
    print_table(
        "Tables, largest first (rows as the planner estimates; those of the odds history counted)", headings, rows
    )


def _print_days(days: "pl.DataFrame") -> None:
    names = ("answers", "rows", "prices", "Postgres MB", "bytes a price", "export MB", "landing MB")
    columns = ("n_answers", "n_rows", "n_prices")
    rows = [
        (
            r["day"],
            *(r[c] for c in columns),
            _format_mb(r["postgres_bytes"]),
            _format_ratio(r["bytes_per_price"]),
            _format_mb(r["export_bytes"]),
            _format_mb(r["landing_bytes"]),
        )
        for r in days.to_dicts()
    ]
    if rows:
        print_table(
            "Odds history by day", [("day", False), *((name.replace(" ", "\n", 1), True) for name in names)], rows
        )


def _print_payloads(payloads: "pl.DataFrame") -> None:
    rows = [
        (r["platform"], r["n_answers"], _format_mb(r["bytes"]), f"{r['bytes_per_answer']:.0f}")
        for r in payloads.to_dicts()
    ]
    if rows:
        print_table(
            "Landing by platform",
            [("platform", False), *((name, True) for name in ("answers", "MB", "bytes an answer"))],
            rows,
        )


def _print_figures(sizes: "Sizes") -> None:
    parts = (
        f"Postgres {_format_gb(sizes.postgres_bytes)}, landing {_format_gb(sizes.landing_bytes)}, export "
        f"{_format_gb(sizes.export_bytes)}"
    )
    out.print(f"{_format_gb(sizes.total_bytes)} of {_format_gb(sizes.limit_bytes)} GB: {parts} GB", highlight=False)
    if sizes.bytes_per_price is not None or sizes.export_bytes_per_price is not None:
        densities = [(sizes.bytes_per_price, "Postgres"), (sizes.export_bytes_per_price, "the export")]
        out.print(
            "; ".join(
                f"{_format_ratio(value)} bytes a price in {where}" for value, where in densities if value is not None
            ),
            highlight=False,
        )
    if sizes.growth_bytes_per_day is None:
        out.print("growth: unknown until upkeep/storage_report has run for some days", highlight=False)
        return
    out.print(f"growth: {sizes.growth_bytes_per_day / 1e6:+.1f} MB a day", highlight=False)
    if sizes.days_until_limit is not None:
        out.print(f"at that rate the limit is reached in {sizes.days_until_limit:.0f} days", highlight=False)


def _format_mb(size: int | None) -> str | None:
    return None if size is None else f"{size / 1e6:.1f}"


def _format_gb(size: int) -> str:
    return f"{size / 1e9:.2f}"


def _format_ratio(value: float | None) -> str | None:
    return None if value is None else f"{value:.2f}"
