"""Looks at everything a user commonly has wrong, and says how to mend it."""

import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

import polars as pl
import psycopg

from ..domain.words import Scope
from ..landing import Landing, LandingError
from ..settings import Settings
from ..storage import ledger, migrate
from ..storage.database import Database, DatabaseUnreachable, DatabaseUrlError
from .landing.recover import close_dead, closed_words
from .pipeline import DATABASES, Pipeline, embedded_server
from .serve.record import ServeError, check_port, recall

LEAST_FREE_BYTES: Final = 5 * 2**30
BYTES_PER_FULL_CYCLE: Final = 170 * 2**20
"""Landed bytes of one full cycle at the platforms' full size (about 4,500 bodies of 15-77 KB compressed)."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `detail` says what was found and, when not ok, what to do."""

    subject: str
    ok: bool
    detail: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def examine(settings: Settings) -> list[Finding]:
    """Every finding, in the order in which a user would mend them. Starts nothing; changes nothing but a probe file and cycles that are dead."""
    looks: list[Callable[[Settings], Finding]] = [home_is_writable, database, landing, cycles, disk, ui_port]
    return [look(settings) for look in looks]


def home_is_writable(settings: Settings) -> Finding:
    home = settings.home
    existing = next(p for p in (home, *home.parents) if p.exists())
    ok = existing.is_dir() and os.access(existing, os.W_OK)
    return Finding("home", ok, str(home) if ok else f"{existing} cannot be written: choose another folder with PALIMPSEST_HOME_DIR")


def database(settings: Settings) -> Finding:
    if settings.database_url is None:
        server = embedded_server(settings)
        status = server.status()
        if not status.running:
            return Finding("database", True, "embedded Postgres, not running; commands start it when they need it")
        url = server.url(DATABASES[0])
    else:
        url = settings.database_url.get_secret_value()
    try:
        with Database(url).connect() as conn:
            row = conn.execute("show server_version_num").fetchone()
        differences = migrate.check(url)
    except (DatabaseUrlError, DatabaseUnreachable) as error:
        return Finding("database", False, str(error))
    version = int(row[0]) if row else 0
    if version < 150000:
        return Finding("database", False, f"Postgres {version // 10000}: version 15 or newer is needed")
    if differences:
        return Finding("database", False, f"schema differs from the models ({differences[0]}): run `palimpsest db upgrade`")
    return Finding("database", True, f"Postgres {version // 10000}, schema up to date")


def landing(settings: Settings) -> Finding:
    try:
        usage = Landing(settings.landing_root).usage()
    except LandingError as error:
        return Finding("landing", False, str(error))
    per_day = usage.group_by(pl.col("hour").dt.date()).agg(pl.col("bytes").sum())["bytes"]
    seen = f"largest day so far {per_day.max() / 2**20:.0f} MiB" if per_day.len() else "empty"  # type: ignore[operator]
    full = usage.filter(pl.col("scope") == Scope.FULL.value).group_by("cycle_id").agg(pl.col("bytes").sum())["bytes"]
    each = full.mean() if full.len() else BYTES_PER_FULL_CYCLE
    forecast = 24 * 60 / settings.full_cycle_minutes * each * settings.landing_retention_days / 2**30  # type: ignore[operator]
    of_what = f"full cycles like the {full.len()} that are landed" if full.len() else "full-size platforms"
    return Finding(
        "landing",
        True,
        f"{settings.landing_root}: {seen}; {of_what} would fill about {forecast:.1f} GiB in {settings.landing_retention_days} days",
    )


def cycles(settings: Settings) -> Finding:
    """Closes the cycles whose process died, as every command does that starts one."""
    if settings.embedded and not embedded_server(settings).status().running:
        return Finding("cycles", True, "not looked at while the database does not run")
    pipeline = Pipeline(settings)
    try:
        dead = close_dead(pipeline)
        with pipeline.connect() as conn:
            stuck = [str(batch.cycle.cycle_id) for batch in ledger.silent_batches(conn, settings.silent_after_s)]
            alive = [
                f"{batch.cycle.cycle_id} gave a sign of life {batch.heartbeat_at:%H:%M:%S} UTC"
                for batch in ledger.running_batches(conn, settings.silent_after_s)
            ]
    except (DatabaseUrlError, DatabaseUnreachable, psycopg.errors.UndefinedTable):
        return Finding("cycles", True, "not looked at: see the database")
    if stuck:
        return Finding("cycles", False, f"dead, and cannot be closed: {', '.join(stuck)}; see the landing")
    return Finding("cycles", True, "; ".join([*map(closed_words, dead), *alive]) or "none runs, and none has died unnoticed")


def disk(settings: Settings) -> Finding:
    existing = next(p for p in (settings.home, *settings.home.parents) if p.exists())
    free = shutil.disk_usage(existing).free
    ok = free >= LEAST_FREE_BYTES
    return Finding("disk", ok, f"{free / 2**30:.0f} GiB free at {existing}" + ("" if ok else ": make room or move PALIMPSEST_HOME_DIR"))


def ui_port(settings: Settings) -> Finding:
    serving = recall(settings.home)
    if serving is not None:
        return Finding("ui", True, f"running at {serving.url} (pid {serving.supervisor.pid})")
    try:
        check_port(settings.ui_port)
    except ServeError as error:
        return Finding("ui", False, str(error))
    return Finding("ui", True, f"port {settings.ui_port} is free")
