"""Looks at this machine: settings, folders, room, the port of the UI, and the broker of workers. Knows no Dagster."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from uuid import uuid4

import psutil
from dotenv import dotenv_values
from pydantic import BaseModel
from rapidfuzz import fuzz, process
from upath import UPath

from ...settings import Settings, SettingsError
from ...storage.embedded.privilege import USER_VARIABLE
from ..celery import broker_state
from ..pipeline import Pipeline, embedded_server
from ..serve import record
from ..serve.record import ServeError, check_port, recall
from ..sharing import is_left
from .findings import Finding

PREFIX: Final = "PALIMPSEST_"
DOTENV: Final = ".env"
LEAST_FREE_BYTES: Final = 5 * 2**30
LEAST_FREE_MEMORY_BYTES: Final = 2**30
"""Code server, web server, daemon and one full cycle need about so much."""
ALIKE: Final = 60
"""How alike two names are, of 100, for one to be offered for the other."""


def settings_known(settings: Settings, environment: Iterable[str] | None = None, dotenv: Path | None = None) -> Finding:
    """Names that begin like a setting and are none: nobody reads them, and nothing else would say so."""
    file = dotenv or Path(DOTENV)
    places = {"environment": list(os.environ if environment is None else environment), file.name: list(dotenv_values(file)) if file.exists() else []}
    known = set(settings.masked()) | {USER_VARIABLE}
    fields = {f"{PREFIX}{name.upper()}": getattr(settings, name) for name in type(settings).model_fields}
    whole = {name for name, value in fields.items() if isinstance(value, BaseModel)}
    mappings = {name for name, value in fields.items() if isinstance(value, dict)} | {name for name in known if name.endswith("__HEADERS")}
    of_mappings = tuple(f"{name}__" for name in mappings)
    unknown = [
        f"{name} ({place}) is no setting{_nearest(name.upper(), known)}"
        for place, names in places.items()
        for name in names
        if name.upper().startswith(PREFIX) and name.upper() not in known | whole and not name.upper().startswith(of_mappings)
    ]
    if unknown:
        return Finding("settings", False, f"{'; '.join(unknown)}. `palimpsest settings` prints them all")
    n_set = sum(name.upper().startswith(PREFIX) for names in places.values() for name in names)
    return Finding("settings", True, f"{n_set} set, all of them known")


def _nearest(name: str, known: Iterable[str]) -> str:
    own = {one.removeprefix(PREFIX): one for one in sorted(known)}
    found = process.extractOne(name.removeprefix(PREFIX), own.keys(), scorer=fuzz.ratio, score_cutoff=ALIKE)
    return f", but {own[found[0]]} is" if found else ""


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


def export(settings: Settings) -> Finding:
    trouble = unwritable(settings.export_root)
    return Finding("export", trouble is None, trouble or f"{settings.export_root} can be written")


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
    if record.is_left(settings.home):
        return Finding(
            "ui", False, f"not up, and an earlier `palimpsest up` did not come to its end ({record.PID_FILE}): `palimpsest down` tidies up"
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
