"""Checks of this machine: settings, folders, disk space, memory, the UI's port, the broker.

Imports no Dagster.
"""

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
from .findings import Problem, doctor_check

MIN_FREE_BYTES: Final = 5 * 2**30
MIN_FREE_MEMORY_BYTES: Final = 2**30
"""Approximate memory in bytes of the code server, web server, daemon and one full cycle."""


@doctor_check("settings")
def check_settings(
    settings: Settings, environment: Mapping[str, str | None] | None = None, dotenv: Path | None = None
) -> str:
    """Report variables that begin like a setting but are not one.

    Variables that Kubernetes sets by itself, and a low limit of concurrent runs, are reported as warnings only.
    """
    unknown = find_unknown_settings(environment, dotenv)
    warnings = [setting.sentence for setting in unknown]
    if settings.max_concurrent_runs < run_priorities.MIN_RUNS_FOR_FREE_SLOTS:
        warnings.append(
            f"PALIMPSEST_MAX_CONCURRENT_RUNS is {settings.max_concurrent_runs}: derivations, a backfill or a full "
            "cycle may use all of these runs, and the minutes before a kickoff are lost during that time; with "
            f"{run_priorities.MIN_RUNS_FOR_FREE_SLOTS} or more, two are reserved for scrapes"
        )
    text = "; ".join(warnings)
    if any(not setting.is_service_variable for setting in unknown):
        raise Problem(f"{text}. `palimpsest settings` prints all settings")
    return f"warning: {text}" if text else "every name that is set is a setting"


@doctor_check("markets")
def check_market_settings(settings: Settings) -> str:
    """Report markets that the settings name and the vocabulary lacks.

    With such a market, every run fails when it computes margins or alerts to traders; its earlier steps succeed.
    """
    try:
        markets = Pipeline(settings).main_markets
        _ = Pipeline(settings).odds_alert_markets
    except SettingsError as error:
        raise Problem(error) from error
    if not markets:
        return "no main market: no margins are recorded over time"
    return f"{len(markets)} main markets: {', '.join(markets)}"


@doctor_check("home")
def check_home_folder(settings: Settings) -> str:
    existing = _find_existing_folder(settings.home)
    if not (existing.is_dir() and os.access(existing, os.W_OK)):
        raise Problem(f"{existing} cannot be written: choose another folder with PALIMPSEST_HOME_DIR")
    return str(settings.home)


def explain_unwritable(root: str) -> str | None:
    """Return why a folder or an object store cannot be written, with the remedy; None when it can.

    If the folder exists, a probe file is written and deleted.
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
        return (
            f"{root} cannot be written ({type(error).__name__}: {error}): check the address, the credentials and "
            "the permissions"
        )
    return None


@doctor_check("disk")
def check_disk_space(settings: Settings) -> str:
    existing = _find_existing_folder(settings.home)
    free = shutil.disk_usage(existing).free
    text = f"{free / 2**30:.0f} GiB free at {existing}"
    if free < MIN_FREE_BYTES:
        raise Problem(f"{text}: make room or move PALIMPSEST_HOME_DIR")
    return text


@doctor_check("memory")
def check_memory(_: Settings) -> str:
    free = psutil.virtual_memory().available
    text = f"{free / 2**30:.1f} GiB available"
    if free < MIN_FREE_MEMORY_BYTES:
        advice = "`palimpsest up` and a full cycle need about 1 GiB; end other programs, or runs may be killed"
        raise Problem(f"{text}: {advice}")
    return text


@doctor_check("ui")
def check_ui_port(settings: Settings) -> str:
    serving = read_record(settings.home)
    if serving is not None and serving.supervisor.find():
        return f"up at {serving.url} (pid {serving.supervisor.pid})"
    if serving is not None:
        raise Problem(
            "the supervisor was killed, and some processes that it started still run: `palimpsest down` ends them"
        )
    if settings.is_embedded and is_server_left(settings.home) and make_embedded_server(settings).status().running:
        raise Problem(
            "not up, but the embedded Postgres of an interrupted command still runs: `palimpsest down` stops it"
        )
    if service_record.is_record_left(settings.home):
        raise Problem(
            f"not up, and an earlier `palimpsest up` did not end normally ({service_record.RECORD_FILE}): "
            "`palimpsest down` removes its files"
        )
    try:
        check_port(settings.ui_port)
    except ServeError as error:
        raise Problem(error) from error
    return f"not up; port {settings.ui_port} is free"


@doctor_check("celery")
def check_broker(settings: Settings) -> str:
    is_ok, text = describe_broker_state(settings)
    if not is_ok:
        raise Problem(text)
    return text


def _find_existing_folder(path: Path) -> Path:
    return next(p for p in (path, *path.parents) if p.exists())
