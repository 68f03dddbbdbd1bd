"""The `palimpsest landing` commands: list the landed answers, import answers, and free space.

Exit codes as in `cli/__main__.py`; `landing ls` ends with 3 when some cycles cannot be read and others can.
"""

from pathlib import Path
from typing import Annotated

import typer

from palimpsest_pipeline.settings import load_settings

from .console import (
    EXIT_PARTIAL,
    JsonOption,
    fail,
    open_current_pipeline,
    out,
    print_frame,
    print_json,
    print_line,
    say,
)
from .show_rows import CsvOption, XlsxOption, show

landing_app = typer.Typer(no_args_is_help=True, help="The raw answers.")

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only name the changes; make none.")]


@landing_app.command("import")
def landing_import(
    folder: Annotated[Path, typer.Argument(help="Folder with the payloads and their manifest.json.")],
    as_json: JsonOption = False,
) -> None:
    """Add recorded payloads to the landing. Payloads that are already there are not added twice.

    Days before the first day of the installation become part of it. Running servers of Dagster notice this only after a
    restart.
    """
    from palimpsest_pipeline.domain.instants import format_hour_key
    from palimpsest_pipeline.landing import import_payloads
    from palimpsest_pipeline.operate.databases import open_databases, upgrade_schema
    from palimpsest_pipeline.pipeline.home_notes import lower_first_day
    from palimpsest_pipeline.pipeline.record_landed_cycles import record_closed

    with open_databases(load_settings()) as pipeline:
        upgrade_schema(pipeline)
        manifests = import_payloads(
            pipeline.landing, folder, pipeline.import_platforms, pipeline.installed_platforms, pipeline.clock
        )
        with pipeline.connect() as conn:
            for manifest in manifests:
                record_closed(conn, manifest)
        if manifests:
            lower_first_day(pipeline.settings, min(manifest.partition_hour.date() for manifest in manifests), say)
    if as_json:
        print_json(
            [{"hour": format_hour_key(m.partition_hour), "cycle_id": m.cycle_id, "payloads": m.rows} for m in manifests]
        )
        return
    for m in manifests:
        out.print(f"{format_hour_key(m.partition_hour)}  cycle {m.cycle_id}  {m.rows} payloads", highlight=False)
    hours = sorted(format_hour_key(m.partition_hour) for m in manifests)
    out.print(f"next: palimpsest backfill {hours[0]} {hours[-1]}" if hours else "nothing new", highlight=False)


@landing_app.command("ls")
def landing_ls(as_json: JsonOption = False, csv: CsvOption = None, xlsx: XlsxOption = None) -> None:
    """List the landed cycles with their size on disk, then the size of an answer by platform.

    Cycles that cannot be read are named.
    """
    import polars as pl

    from palimpsest_pipeline.domain.instants import format_hour_key
    from palimpsest_pipeline.landing import describe_unreadable, measure_cycles
    from palimpsest_pipeline.pipeline.context import Pipeline
    from palimpsest_pipeline.pipeline.upkeep.disk_usage import summarise_answers

    landing = Pipeline(load_settings()).landing
    landed = landing.list_readable_cycles()
    usage = measure_cycles(landed.manifests)
    sizes: dict[int, tuple[int, int | None]] = {
        cycle_id: (size, answer_size) for cycle_id, _, size, answer_size in summarise_answers(usage, "cycle_id").rows()
    }
    rows = [
        {
            "hour": format_hour_key(m.partition_hour),
            "cycle_id": m.cycle_id,
            "trigger": str(m.trigger),
            "scope": str(m.scope),
            "status": str(m.status),
            "answers": m.rows,
            "bytes": sizes.get(m.cycle_id, (0, None))[0],
            "bytes_per_answer": sizes.get(m.cycle_id, (0, None))[1],
        }
        for m in landed.manifests
    ]
    tables = {"cycles": pl.DataFrame(rows, infer_schema_length=None), "platforms": summarise_answers(usage)}

    def print_text() -> None:
        if rows:
            print_frame("Landing", tables["cycles"])
            print_frame("Bytes an answer, by platform", tables["platforms"])
        elif not landed.unreadable:
            out.print("the landing is empty")

    unreadable = [cycle.as_dict() for cycle in landed.unreadable]
    report = {"cycles": rows, "platforms": tables["platforms"], "unreadable": unreadable}
    show(tables, print_text, as_json=as_json, report=report, csv=csv, xlsx=xlsx)
    if landed.unreadable:
        raise fail(describe_unreadable(landed.unreadable), EXIT_PARTIAL if rows else 1)


@landing_app.command("rescan")
def landing_rescan(as_json: JsonOption = False) -> None:
    """Rebuild the database's record of the landed cycles.

    Reads every manifest, and names the cycles that cannot be read or lack segments. The pipeline keeps this record up
    to date by itself: use this command only after you removed or restored files of the landing by hand. Exit code 3
    when a cycle is damaged.
    """
    from palimpsest_pipeline.pipeline.record_landed_cycles import rescan_landing

    with open_current_pipeline() as pipeline:
        rescan = rescan_landing(pipeline)
    if as_json:
        counts = {
            "whole": rescan.n_whole,
            "gone": rescan.n_gone,
            "corrected": rescan.n_corrected,
            "damaged": rescan.damaged,
        }
        print_json(counts)
    else:
        out.print(
            f"{rescan.n_whole} cycles are landed, {rescan.n_gone} are gone; {rescan.n_corrected} rows corrected",
            highlight=False,
        )
    if rescan.damaged:
        problems = "; ".join(f"cycle {cycle_id}: {problem}" for cycle_id, problem in rescan.damaged.items())
        raise fail(f"{len(rescan.damaged)} cycles cannot be derived: {problems}", EXIT_PARTIAL)


@landing_app.command("expire")
def landing_expire(
    days: Annotated[
        int | None, typer.Option(min=1, help="Days to keep. Default: PALIMPSEST_LANDING_RETENTION_DAYS.")
    ] = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Remove the hours older than the retention that are fully derived and whose days are exported.

    The other hours stay, each with its reason.
    """
    from palimpsest_pipeline.domain.instants import format_hour_key
    from palimpsest_pipeline.pipeline.upkeep.landing_retention import expire_landing

    with open_current_pipeline() as pipeline:
        result = expire_landing(pipeline, days, dry_run=dry_run)
    removed = [format_hour_key(hour) for hour in result.removed]
    kept_reasons = {format_hour_key(hour): reason for hour, reason in result.kept_hours.items()}
    if as_json:
        report = {
            "removed": [] if dry_run else removed,
            "to_remove": removed if dry_run else [],
            "bytes": result.bytes_removed,
            "kept": kept_reasons,
        }
        print_json(report)
        return
    for key, why in kept_reasons.items():
        say(f"{key} is kept: {why}")
    if not removed:
        out.print("nothing to remove")
        return
    verb = "to remove" if dry_run else "removed"
    print_line(f"{len(removed)} hours {verb}, {result.bytes_removed / 1e6:.1f} MB: {', '.join(removed)}")
