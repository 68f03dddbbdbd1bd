"""Looks at this machine: settings, folders, room, the port of the UI, and the broker of workers. Knows no Dagster."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from uuid import uuid4

import psutil
from upath import UPath

from palimpsest_pipeline.pipeline.context import Pipeline, make_embedded_server
from palimpsest_pipeline.runtime import run_priorities
from palimpsest_pipeline.runtime.server_sharing import is_server_left
from palimpsest_pipeline.settings import Settings, SettingsError

from ..celery_workers import describe_broker_state
from ..serve import service_record
from ..serve.service_record import ServeError, check_port, read_record
from ..unknown_settings import find_unknown_settings
from .findings import Finding

MIN_FREE_BYTES: Final = 5 * 2**30
MIN_FREE_MEMORY_BYTES: Final = 2**30
"""Code server, web server, daemon and one full cycle need about so much."""


def check_settings(
    settings: Settings, environment: Mapping[str, str | None] | None = None, dotenv: Path | None = None
) -> Finding:
    """Names that begin like a setting and are none.

    Named and no fault: variables that Kubernetes sets by itself, and few runs at a time.
    """
    unknown = find_unknown_settings(environment, dotenv)
    told = "; ".join([*(one.sentence for one in unknown), *_describe_few_runs(settings)])
    if any(not one.is_service_variable for one in unknown):
        return Finding("settings", False, f"{told}. `palimpsest settings` prints them all")
    return Finding("settings", True, f"warning: {told}" if told else "every name that is set is known")


def _describe_few_runs(settings: Settings) -> list[str]:
    """Return the sentence about a queue in which a scrape may wait, if it is one."""
    if settings.max_concurrent_runs >= run_priorities.MIN_RUNS_FOR_FREE_SLOTS:
        return []
    return [
        f"PALIMPSEST_MAX_CONCURRENT_RUNS is {settings.max_concurrent_runs}: derivations, a backfill or a full cycle may hold all of them, and the "
        f"minutes before a kickoff are lost meanwhile; {run_priorities.MIN_RUNS_FOR_FREE_SLOTS} or more keep two for scrapes"
    ]


def check_market_settings(settings: Settings) -> Finding:
    """Markets that the settings name and the vocabulary lacks fail every run that tells of margins, and nothing
    before.
    """
    try:
        named = Pipeline(settings).main_markets
        _ = Pipeline(settings).odds_alert_markets
    except SettingsError as error:
        return Finding("markets", False, str(error))
    return Finding(
        "markets",
        True,
        f"{len(named)} main markets: {', '.join(named)}" if named else "no main market: no margin is kept over time",
    )


def check_home_folder(settings: Settings) -> Finding:
    existing = _find_existing_folder(settings.home)
    ok = existing.is_dir() and os.access(existing, os.W_OK)
    return Finding(
        "home",
        ok,
        str(settings.home) if ok else f"{existing} cannot be written: choose another folder with PALIMPSEST_HOME_DIR",
    )


def explain_unwritable(root: str) -> str | None:
    """Why a folder or an object store cannot be written to, and what to do; None when it can.

    Tried with a file, where the folder exists.
    """
    try:
        path = UPath(root)
        if path.protocol in ("", "file") and not path.exists():
            existing = _find_existing_folder(Path(root))
            usable = existing.is_dir() and os.access(existing, os.W_OK)
            return (
                None if usable else f"{existing} cannot be written: make it writable, or choose another folder or URL"
            )
        probe = path / f".probe-{uuid4().hex[:8]}"
        probe.write_bytes(b"probe")
        probe.unlink()
    except Exception as error:  # noqa: BLE001 - each store has errors of its own
        return f"{root} cannot be written ({type(error).__name__}: {error}): check the address, the credentials and who may write"
    return None


def check_disk_space(settings: Settings) -> Finding:
    existing = _find_existing_folder(settings.home)
    free = shutil.disk_usage(existing).free
    ok = free >= MIN_FREE_BYTES
    return Finding(
        "disk",
        ok,
        f"{free / 2**30:.0f} GiB free at {existing}" + ("" if ok else ": make room or move PALIMPSEST_HOME_DIR"),
    )


def check_memory(_: Settings) -> Finding:
    free = psutil.virtual_memory().available
    ok = free >= MIN_FREE_MEMORY_BYTES
    told = f"{free / 2**30:.1f} GiB available"
    return Finding(
        "memory",
        ok,
        told
        if ok
        else f"{told}: `palimpsest up` and a full cycle need about 1 GiB; end something, or runs may be killed",
    )


def check_ui_port(settings: Settings) -> Finding:
    serving = read_record(settings.home)
    if serving is not None and serving.supervisor.find():
        return Finding("ui", True, f"up at {serving.url} (pid {serving.supervisor.pid})")
    if serving is not None:
        return Finding(
            "ui", False, "the supervisor was killed, and some of what it started still runs: `palimpsest down` ends it"
        )
    if settings.is_embedded and is_server_left(settings.home) and make_embedded_server(settings).status().running:
        return Finding(
            "ui",
            False,
            "not up, and the embedded Postgres of a command that was broken off still runs: `palimpsest down` stops it",
        )
    if service_record.is_record_left(settings.home):
        return Finding(
            "ui",
            False,
            f"not up, and an earlier `palimpsest up` did not come to its end ({service_record.RECORD_FILE}): `palimpsest down` tidies up",
        )
    try:
        check_port(settings.ui_port)
    except ServeError as error:
        return Finding("ui", False, str(error))
    return Finding("ui", True, f"not up; port {settings.ui_port} is free")


def check_broker(settings: Settings) -> Finding:
    return Finding("celery", *describe_broker_state(settings))


def _find_existing_folder(path: Path) -> Path:
    return next(p for p in (path, *path.parents) if p.exists())
