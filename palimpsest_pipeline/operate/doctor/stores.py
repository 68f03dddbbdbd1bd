"""Checks of the pipeline's data, from the database to the messages to traders.

Imports no Dagster.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

import polars as pl
import psycopg

from palimpsest_pipeline.domain.enums import Scope
from palimpsest_pipeline.domain.instants import Clock, format_hour_key
from palimpsest_pipeline.domain.push_rules import PushRulesError
from palimpsest_pipeline.landing import Landing, LandingError
from palimpsest_pipeline.pipeline.context import DATABASE_NAMES, Pipeline, make_embedded_server
from palimpsest_pipeline.pipeline.home_notes import DATA_SOURCE_FILE, describe_conflict, read_noted_source
from palimpsest_pipeline.pipeline.installed_products import STUCK_AFTER, list_cycles_without_pack, make_due_query
from palimpsest_pipeline.pipeline.live.recovery import describe_closed_cycle, recover_dead_cycles
from palimpsest_pipeline.pipeline.monitoring.alert_channels import LogChannel, MissingChannel, make_channels
from palimpsest_pipeline.pipeline.push.rules import load_rules, locate_rules
from palimpsest_pipeline.settings import Settings, SettingsError
from palimpsest_pipeline.storage.archive import MARKER_NAME, Archive, read_recorded_days
from palimpsest_pipeline.storage.db.connection import Database, DatabaseUnreachable, DatabaseUrlError
from palimpsest_pipeline.storage.db.drift import find_drift
from palimpsest_pipeline.storage.db.revisions import compute_revision
from palimpsest_pipeline.storage.derivation.due_products import read_due_failures, read_due_hours
from palimpsest_pipeline.storage.ledger import alert_rows, cycle_ledger
from palimpsest_pipeline.storage.odds.retention import read_departed_days
from palimpsest_pipeline.storage.push import outbox

from .findings import NotChecked, Problem, doctor_check
from .machine import explain_unwritable

BYTES_PER_PLATFORM: Final = 45 * 2**20
"""Landed bytes of a platform in a full cycle, at full size (some 1,500 bodies of 12-60 kB compressed)."""
MIN_SERVER_VERSION: Final = 150000
CLOCK_TOLERANCE: Final = timedelta(seconds=2)
NOT_RUNNING_DETAIL: Final = "not checked while the embedded Postgres does not run"
SEE_DATABASE_DETAIL: Final = "not checked: see the database"
UNUSABLE_DATABASE_ERRORS: Final = (
    DatabaseUrlError,
    DatabaseUnreachable,
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedFunction,
)
log = logging.getLogger(__name__)


@doctor_check("database")
def check_database(settings: Settings) -> str:
    url = find_database_url(settings)
    if url is None:
        return "embedded Postgres, not running; commands start it when they need it"
    try:
        with Database(url).connect() as conn:
            version, libpq = conn.info.server_version, psycopg.pq.version()
        differences = find_drift(url)
    except (DatabaseUrlError, DatabaseUnreachable) as error:
        raise Problem(error) from error
    if version < MIN_SERVER_VERSION:
        raise Problem(f"Postgres {version // 10000}: version 15 or newer is needed")
    if differences:
        remainder = f", and {len(differences) - 1} more" if len(differences) > 1 else ""
        raise Problem(f"{differences[0]}{remainder}")
    driver = f"psycopg {psycopg.__version__}, libpq {libpq // 10000}.{libpq % 10000}"
    return f"Postgres {version // 10000}, schema up to date at revision {compute_revision()} ({driver})"


def find_database_url(settings: Settings) -> str | None:
    """Return the URL of the program's database; None while the embedded server does not run."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    server = make_embedded_server(settings)
    return server.build_url(DATABASE_NAMES[0]) if server.status().running else None


@contextmanager
def connect_if_running(settings: Settings) -> Iterator[psycopg.Connection]:
    """Yield a connection to the program's database.

    Raises NotChecked when the embedded server does not run, or when `check_database` reports that the database cannot
    be reached or lacks tables.
    """
    url = find_database_url(settings)
    if url is None:
        raise NotChecked(NOT_RUNNING_DETAIL)
    try:
        with Database(url).connect() as conn:
            yield conn
    except UNUSABLE_DATABASE_ERRORS as error:
        raise NotChecked(SEE_DATABASE_DETAIL) from error


@doctor_check("clock")
def check_clock(settings: Settings) -> str:
    """Check that the database's clock and this machine's clock agree.

    Heartbeats have times of the database's clock, observations have times of this machine's clock.
    """
    with connect_if_running(settings) as conn:
        before = datetime.now(UTC)
        row = conn.execute("select clock_timestamp()").fetchone()
        after = datetime.now(UTC)
    assert row is not None
    offset = row[0] - (before + (after - before) / 2)
    text = f"the database's clock is {offset.total_seconds():+.1f} s from this machine's"
    if abs(offset) > CLOCK_TOLERANCE + (after - before) / 2:
        raise Problem(f"{text}: synchronise both with a time server, otherwise hours and heartbeats are wrong")
    return text


@doctor_check("cycles")
def check_dead_cycles(settings: Settings) -> str:
    """Close the cycles whose process died, as every command that starts a cycle does, and report them."""
    with connect_if_running(settings) as conn:
        dead = recover_dead_cycles(Pipeline(settings))
        stuck = [str(batch.cycle.cycle_id) for batch in cycle_ledger.read_silent_cycles(conn, settings.silent_after_s)]
        alive = [
            f"{batch.cycle.cycle_id} had a heartbeat at {batch.heartbeat_at:%H:%M:%S} UTC"
            for batch in cycle_ledger.read_running_cycles(conn, settings.silent_after_s)
        ]
    if stuck:
        raise Problem(f"dead, but cannot be closed: {', '.join(stuck)}; see the landing")
    return "; ".join([*map(describe_closed_cycle, dead), *alive]) or "none is running, and no process of one has died"


@doctor_check("derived")
def check_derived_products(settings: Settings) -> str:
    """Check that core and mart contain everything landed, derived with the current versions.

    Cycles that ended a short time ago are left to their own run.
    """
    pipeline = Pipeline(settings)
    with connect_if_running(settings) as conn:
        query = make_due_query(pipeline, conn)
        hours = read_due_hours(conn, query, pipeline.clock.now() - STUCK_AFTER)
        failed = read_due_failures(conn, query)
        without_pack = list_cycles_without_pack(pipeline, conn)
    pack_text = f"{len(without_pack)} cycles are not derived: {without_pack[0].sentence}" if without_pack else ""
    if not hours and pack_text:
        raise Problem(pack_text)
    if not hours:
        return "everything that was landed"
    first, last = format_hour_key(hours[0]), format_hour_key(hours[-1])
    text = f"products of {len(hours)} hours are due, from {first} to {last}"
    if failed:
        text += (
            f"; {len({failure.cycle_id for failure in failed})} cycles failed, e.g. {failed[0].cycle_id}, "
            f"{failed[0].product}: {failed[0].error}"
        )
    raise Problem(
        f"{text}. Run `palimpsest backfill {first} {last}`, which names the cycles that it cannot derive"
        f"{f'; {pack_text}' if pack_text else ''}"
    )


@doctor_check("landing")
def check_landing(settings: Settings) -> str:
    try:
        usage = Landing(settings.landing_root).measure_usage()
    except LandingError as error:
        raise Problem(error) from error
    if trouble := explain_unwritable(settings.landing_root):
        raise Problem(trouble)
    per_day = usage.group_by(pl.col("hour").dt.date()).agg(pl.col("bytes").sum())["bytes"].to_list()
    state_text = f"largest day so far {max(per_day) / 2**20:.0f} MiB" if per_day else "empty"
    full = (
        usage.filter(pl.col("scope") == Scope.FULL.value)
        .group_by("cycle_id")
        .agg(pl.col("bytes").sum())["bytes"]
        .to_list()
    )
    bytes_per_cycle = sum(full) / len(full) if full else BYTES_PER_PLATFORM * len(settings.platforms)
    forecast = 24 * 60 / settings.full_cycle_minutes * bytes_per_cycle * settings.landing_retention_days / 2**30
    basis = (
        f"full cycles like the {len(full)} that are landed"
        if full
        else f"{len(settings.platforms)} full-size platforms"
    )
    return (
        f"{settings.landing_root}: {state_text}; {basis} would fill about {forecast:.1f} GiB in "
        f"{settings.landing_retention_days} days"
    )


@doctor_check("data source")
def check_data_source(settings: Settings) -> str:
    """Check that the platforms in the settings are those that sent the stored answers.

    Simulated data must never mix with real data.
    """
    try:
        source = read_noted_source(settings.home)
    except SettingsError as error:
        raise Problem(error) from error
    if source is not None:
        if conflict := describe_conflict(settings, source):
            raise Problem(conflict)
        return f"{source} data in {settings.home}"
    with connect_if_running(settings) as conn:
        has_cycles = cycle_ledger.has_cycles(conn)
    if has_cycles:
        note = settings.home / DATA_SOURCE_FILE
        raise Problem(
            f"nothing shows whether the data are real or simulated: write the word real or simulated into {note}"
        )
    return "no platform has been asked yet"


@doctor_check("export")
def check_export(settings: Settings) -> str:
    """Check that the folder of the export can be written, and that it contains the exported days."""
    root = settings.export_root
    if trouble := explain_unwritable(root):
        raise Problem(trouble)
    archive = Archive(root)
    days = set(archive.list_catalogued_days())
    state_text = f"{root} can be written and has {len(days)} days"
    try:
        with connect_if_running(settings) as conn:
            recorded = set(read_recorded_days(conn))
            departed_days = [] if recorded else read_departed_days(conn, Clock(settings.clock_offset_s).now().date())
    except NotChecked as reason:
        return f"{state_text}; their completeness is {reason}"
    is_marked, missing_days = archive.is_marked(), recorded - days
    if missing_days or (not is_marked and (days != recorded or departed_days)):
        newest = f", the newest {max(recorded)}" if recorded else ""
        text = (
            f"{len(recorded)} days were exported{newest}; {root} has {len(days & recorded)} of them and "
            f"{len(days - recorded)} others"
        )
        if departed_days:
            text = (
                f"no export is recorded, but {len(departed_days)} days of cycles, the newest {departed_days[-1]}, have "
                f"left Postgres; {root} has {len(days)} days"
            )
        raise Problem(
            f"{text}{'' if is_marked else f', and lacks its marker {MARKER_NAME}'}. If that folder is not mounted, or "
            "PALIMPSEST_EXPORT_URL names another place than before, correct that. If it is the right place now, run "
            "`palimpsest export --adopt-root`: days that it lacks then count as never exported"
        )
    return state_text if is_marked else f"{state_text}; the next export or scrape marks it"


@doctor_check("alerts")
def check_alerts(settings: Settings) -> str:
    """Check that the channels of alerts can be created, and report how many alerts are open."""
    channels = make_channels(settings, log)
    if problems := [channel.why for channel in channels if isinstance(channel, MissingChannel)]:
        raise Problem(
            f"{'; '.join(problems)}: name a class that can be imported here, such as my_package.pager:Pager; its "
            "alerts wait until then"
        )
    channel_names = [channel.name for channel in channels if not isinstance(channel, LogChannel)]
    text = (
        f"sent by {', '.join(channel_names)}"
        if channel_names
        else "sent to Dagster's logs only; set PALIMPSEST_ALERT_WEBHOOK_URL to post them"
    )
    if find_database_url(settings) is None:
        return text
    try:
        with connect_if_running(settings) as conn:
            alerts = alert_rows.read_recent_alerts(conn, datetime.now(UTC))
    except NotChecked as reason:
        return f"{text}; open alerts were {reason}"
    n_open = sum(alert.closed_at is None for alert in alerts)
    return f"{text}; " + (f"{n_open} open: see `palimpsest alerts`" if n_open else "none open")


LATE_AFTER: Final = timedelta(minutes=5)
"""Age of the oldest pending message above which its delivery counts as stuck."""


@doctor_check("push")
def check_push(settings: Settings) -> str:
    """Check that the rules can be read, and that their messages are delivered."""
    try:
        rules = load_rules(Pipeline(settings))
    except PushRulesError as error:
        raise Problem(f"{error}. Until it is corrected, the rules in force stay") from error
    text = f"{len(rules)} rules in {locate_rules(settings)}" if rules else "no rules for messages to traders"
    if find_database_url(settings) is None:
        return text
    try:
        with connect_if_running(settings) as conn:
            statuses, is_running = outbox.read_rule_status(conn), outbox.is_sender_running(conn)
    except NotChecked as reason:
        return f"{text}; messages were {reason}"
    problems = [
        f"{status.rule}: {status.n_failed} messages were refused and are not sent again ({status.last_error}); correct "
        f"the cause, then run `palimpsest odds-alerts retry {status.rule}`"
        for status in statuses
        if status.n_failed
    ]
    now = datetime.now(UTC)
    late = [status for status in statuses if status.oldest_pending_at and now - status.oldest_pending_at > LATE_AFTER]
    problems += [
        f"{status.rule}: {status.n_pending} messages wait since {status.oldest_pending_at:%Y-%m-%d %H:%M} UTC"
        + (f" ({status.last_error})" if status.last_error else "")
        for status in late
    ]
    if late and not is_running:
        problems.append("no sender runs: restart `palimpsest up`, or run `palimpsest odds-alerts send`")
    if problems:
        raise Problem("; ".join(problems))
    n_delivered = sum(status.n_delivered for status in statuses)
    sender = "the sender runs" if is_running else "no sender runs"
    return f"{text}; {n_delivered} messages delivered; {sender}" if statuses else text
