"""Looks at this machine: settings, folders, room, the port of the UI, and the broker of workers. Knows no Dagster."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from uuid import uuid4

import psutil
from upath import UPath

from palimpsest_pipeline.pipeline.context import Pipeline, embedded_server
from palimpsest_pipeline.runtime import run_priorities
from palimpsest_pipeline.runtime.server_sharing import is_left
from palimpsest_pipeline.settings import Settings, SettingsError

from ..celery_workers import broker_state
from ..serve import service_record
from ..serve.service_record import ServeError, check_port, recall
from ..unknown_settings import find_unknown_settings
from .findings import Finding

LEAST_FREE_BYTES: Final = 5 * 2**30
LEAST_FREE_MEMORY_BYTES: Final = 2**30
"""Code server, web server, daemon and one full cycle need about so much."""


def settings_known(settings: Settings, environment: Mapping[str, str | None] | None = None, dotenv: Path | None = None) -> Finding:
    """Names that begin like a setting and are none. Named and no fault: variables that Kubernetes sets by itself, and few runs at a time."""
    unknown = find_unknown_settings(environment, dotenv)
    told = "; ".join([*(one.sentence for one in unknown), *_few_runs(settings)])
    if any(not one.is_service_variable for one in unknown):
        return Finding("settings", False, f"{told}. `palimpsest settings` prints them all")
    return Finding("settings", True, f"warning: {told}" if told else "every name that is set is known")


def _few_runs(settings: Settings) -> list[str]:
    """Return the sentence about a queue in which a scrape may wait, if it is one."""
    if settings.max_concurrent_runs >= run_priorities.ENOUGH_RUNS:
        return []
    return [
        f"PALIMPSEST_MAX_CONCURRENT_RUNS is {settings.max_concurrent_runs}: derivations, a backfill or a full cycle may hold all of them, and the "
        f"minutes before a kickoff are lost meanwhile; {run_priorities.ENOUGH_RUNS} or more keep two for scrapes"
    ]


def markets(settings: Settings) -> Finding:
    """Markets that the settings name and the vocabulary lacks fail every run that tells of margins, and nothing before."""
    try:
        named = Pipeline(settings).main_markets
        _ = Pipeline(settings).odds_alert_markets
    except SettingsError as error:
        return Finding("markets", False, str(error))
    return Finding("markets", True, f"{len(named)} main markets: {', '.join(named)}" if named else "no main market: no margin is kept over time")


def home(settings: Settings) -> Finding:
    existing = _existing(settings.home)
    ok = existing.is_dir() and os.access(existing, os.W_OK)
    return Finding("home", ok, str(settings.home) if ok else f"{existing} cannot be written: choose another folder with PALIMPSEST_HOME_DIR")


def unwritable(root: str) -> str | None:
    """Why a folder or an object store cannot be written to, and what to do; None when it can. Tried with a file, where the folder exists."""
    try:
        path = UPath(root)
        if path.protocol in ("", "file") and not path.exists():
            existing = _existing(Path(root))
            usable = existing.is_dir() and os.access(existing, os.W_OK)
            return None if usable else f"{existing} cannot be written: make it writable, or choose another folder or URL"
        probe = path / f".probe-{uuid4().hex[:8]}"
        probe.write_bytes(b"probe")
        probe.unlink()
    except Exception as error:  # noqa: BLE001 - each store has errors of its own
        return f"{root} cannot be written ({type(error).__name__}: {error}): check the address, the credentials and who may write"
    return None


def disk(settings: Settings) -> Finding:
    existing = _existing(settings.home)
    free = shutil.disk_usage(existing).free
    ok = free >= LEAST_FREE_BYTES
    return Finding("disk", ok, f"{free / 2**30:.0f} GiB free at {existing}" + ("" if ok else ": make room or move PALIMPSEST_HOME_DIR"))


def memory(_: Settings) -> Finding:
    free = psutil.virtual_memory().available
    ok = free >= LEAST_FREE_MEMORY_BYTES
    told = f"{free / 2**30:.1f} GiB available"
    return Finding("memory", ok, told if ok else f"{told}: `palimpsest up` and a full cycle need about 1 GiB; end something, or runs may be killed")


def ui_port(settings: Settings) -> Finding:
    serving = recall(settings.home)
    if serving is not None and serving.supervisor.find():
        return Finding("ui", True, f"up at {serving.url} (pid {serving.supervisor.pid})")
    if serving is not None:
        return Finding("ui", False, "the supervisor was killed, and some of what it started still runs: `palimpsest down` ends it")
    if settings.embedded and is_left(settings.home) and embedded_server(settings).status().running:
        return Finding("ui", False, "not up, and the embedded Postgres of a command that was broken off still runs: `palimpsest down` stops it")
    if service_record.is_left(settings.home):
        return Finding(
            "ui", False, f"not up, and an earlier `palimpsest up` did not come to its end ({service_record.PID_FILE}): `palimpsest down` tidies up"
        )
    try:
        check_port(settings.ui_port)
    except ServeError as error:
        return Finding("ui", False, str(error))
    return Finding("ui", True, f"not up; port {settings.ui_port} is free")


def celery(settings: Settings) -> Finding:
    return Finding("celery", *broker_state(settings))


def _existing(path: Path) -> Path:
    return next(p for p in (path, *path.parents) if p.exists())
