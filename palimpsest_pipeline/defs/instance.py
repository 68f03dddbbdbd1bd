"""Dagster's instance: `dagster.yaml` written from the settings, and opening the instance."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import dagster as dg
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from palimpsest_pipeline.domain.durable_files import replace_text
from palimpsest_pipeline.pipeline.context import DATABASE_NAMES, make_embedded_server, make_home
from palimpsest_pipeline.runtime import run_priorities
from palimpsest_pipeline.runtime.celery_broker import BROKER_VARIABLE, require_broker_url
from palimpsest_pipeline.settings import Settings, SettingsError
from palimpsest_pipeline.storage.db.connection import DatabaseUrlError, explain_connection_error, parse_url, redact_url
from palimpsest_pipeline.storage.db.locks import AdvisoryLock
from palimpsest_pipeline.storage.db.revisions import MigrationRefused

from .dagster_private import NO_COMPUTE_LOGS

STORAGE_URL_VARIABLE: Final = "PALIMPSEST_DAGSTER_DATABASE_URL"

STORAGE_CONNECT_TIMEOUT_S: Final = 10
_LOCK_TIMEOUT_S: Final = 120

NO_TIMEOUT_MS: Final = 0
POOL_RECYCLE_S: Final = 3600
"""Age in seconds at which a pooled connection is replaced before its next use."""
MAX_OVERFLOW: Final = 20
"""Maximum number of temporary connections in addition to the permanent one.

This is also Dagster's default for its web server.
"""

INSTANCE_TEMPLATE: Final = """\
# Written by palimpsest from its settings at every start; changes here are overwritten.
storage: {{postgres: {{postgres_url: {url}}}}}
run_coordinator:
  module: dagster.core.run_coordinator
  class: QueuedRunCoordinator
  config:
    dequeue_interval_seconds: 1
    dequeue_use_threads: true
    dequeue_num_workers: 4
    # No run is lost while the code server restarts.
    max_user_code_failure_retries: 5
    user_code_failure_retry_delay: 10
{launcher}concurrency:
  runs:
    # The jobs' tag dagster/priority decides which queued run goes first.
    max_concurrent_runs: {max_concurrent_runs}
    tag_concurrency_limits:
      # The runs of a backfill go one after another, in order: late coverage of a cycle makes the coverage of the next
      # day due again.
      - {{key: "dagster/backfill", limit: {backfill_runs}}}
      # The other slots are for runs that ask platforms, because a minute before a kickoff cannot be repeated.
      - {{key: "{work_tag}", value: "{derivation}", limit: {max_derivations}}}
run_monitoring:
  enabled: true
  start_timeout_seconds: {start_timeout_s}
  cancel_timeout_seconds: 60
  poll_interval_seconds: 15
run_retries: {{enabled: true, max_retries: 2, retry_on_asset_or_op_failure: false}}
# Without threads, one slow sensor would delay all others.
sensors: {{use_threads: true, num_workers: 4}}
schedules: {{use_threads: true, num_workers: 2}}
backfills: {{use_threads: true, num_workers: 2}}
auto_materialize: {{use_threads: true, num_workers: 2}}
freshness: {{enabled: true}}
retention:
  schedule: {{purge_after_days: 30}}
  sensor: {{purge_after_days: {{skipped: 3, failure: 30, success: 30}}}}
  auto_materialize: {{purge_after_days: {{skipped: 3, failure: 30, success: 30}}}}
telemetry: {{enabled: false}}
nux: {{enabled: false}}
"""
COMMAND_FILE: Final = "command.yaml"
COMMAND_TEMPLATE: Final = f"""\
# A run that a command of palimpsest executes writes to its terminal. No helper processes for logs: they would receive
# a Ctrl-C too.
compute_logs:
  module: {NO_COMPUTE_LOGS}
  class: NoOpComputeLogManager
"""
LAUNCHER_TEMPLATE: Final = """\
run_launcher:
  module: palimpsest_pipeline.defs.celery_launcher
  class: Launcher
  config:
    broker: {{env: {broker}}}
"""


def render_instance_yaml(url: str | None, *, celery: bool, max_concurrent_runs: int) -> str:
    """Return the text of `dagster.yaml`.

    The file contains no password: it names an environment variable for the broker, and for the storage when `url` is
    None. With Celery the start timeout is longer, because a launched run may wait in the broker until a worker is free.
    """
    return INSTANCE_TEMPLATE.format(
        url=f"{{env: {STORAGE_URL_VARIABLE}}}" if url is None else f'"{url}"',
        launcher=LAUNCHER_TEMPLATE.format(broker=BROKER_VARIABLE) if celery else "",
        max_concurrent_runs=max_concurrent_runs,
        backfill_runs=run_priorities.MAX_BACKFILL_RUNS,
        work_tag=run_priorities.WORK_TAG,
        derivation=run_priorities.DERIVATION_WORK,
        max_derivations=run_priorities.compute_max_derivations(max_concurrent_runs),
        start_timeout_s=900 if celery else 120,
    )


def build_storage_url(settings: Settings) -> str:
    """Return the URL of Dagster's storage, always with the driver psycopg 2.

    Under SQLAlchemy 2.1 a URL that begins with postgresql:// means psycopg 3, which Dagster's NOTIFY cannot use.
    """
    if settings.dagster_database_url is None:
        return make_embedded_server(settings).build_url(DATABASE_NAMES[1], driver="psycopg2")
    url = settings.dagster_database_url.get_secret_value()
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.partition("+")[0] not in ("postgresql", "postgres"):
        raise SettingsError(
            f"{STORAGE_URL_VARIABLE}: not a PostgreSQL URL; write postgresql+psycopg2://USER:PASSWORD@HOST:5432/dagster"
        )
    try:
        parse_url(url)
    except DatabaseUrlError as error:
        raise SettingsError(f"{STORAGE_URL_VARIABLE}: {error}") from None
    return f"postgresql+psycopg2://{rest}"


def prepare_instance(settings: Settings) -> Path:
    """Write `dagster.yaml` and its variant for commands, set DAGSTER_HOME; return Dagster's home folder.

    The file contains the URL of the embedded server (a socket of this user, without password), so that plain `dagster
    dev` works with the file. The URL of another server may contain a password; then the file contains only the name of
    the environment variable.
    """
    make_home(settings)
    home = settings.dagster_home
    home.mkdir(exist_ok=True)
    url = build_storage_url(settings)
    if not settings.is_embedded:
        os.environ[STORAGE_URL_VARIABLE] = url
    if settings.celery_broker_url is not None:
        os.environ[BROKER_VARIABLE] = require_broker_url(settings)
    celery = settings.celery_broker_url is not None
    text = render_instance_yaml(
        url if settings.is_embedded else None, celery=celery, max_concurrent_runs=settings.max_concurrent_runs
    )
    replace_text(home / "dagster.yaml", text)  # atomically, because other processes may read the file at the same time
    replace_text(home / COMMAND_FILE, text + COMMAND_TEMPLATE)
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def open_instance(settings: Settings, *, pooled: bool = True) -> dg.DagsterInstance:
    """Open the Dagster instance of these settings, with its storage upgraded to this version of Dagster.

    With `pooled`, connections are kept open (see `pool_connections`). Raises SettingsError if its database cannot be
    reached, or belongs to a newer version of Dagster.
    """
    home = prepare_instance(settings)
    # Opening the instance creates its tables; two processes that do so at the same time would conflict.
    with _lock_storage(settings):
        instance = dg.DagsterInstance.from_config(str(home), COMMAND_FILE)
        _upgrade_storage(instance)
    if pooled:
        pool_connections(instance)
    return instance


def pool_connections(instance: dg.DagsterInstance) -> None:
    """Keep connections to Dagster's storage open for the life of the process.

    Without pooling, Dagster opens a connection for each statement, and commands and runs write some hundred events. Do
    not use it in a process that waits for hours: if the server has closed the connection, the next statement fails.
    """
    instance.optimize_for_webserver(
        statement_timeout=NO_TIMEOUT_MS, pool_recycle=POOL_RECYCLE_S, max_overflow=MAX_OVERFLOW
    )


@contextmanager
def _lock_storage(settings: Settings) -> Iterator[None]:
    """Lock Dagster's storage.

    Inside the block no other process creates or upgrades the tables of the storage.
    """
    url = make_url(build_storage_url(settings))
    engine = sa.create_engine(
        url,
        poolclass=sa.NullPool,
        isolation_level="AUTOCOMMIT",
        connect_args={"connect_timeout": STORAGE_CONNECT_TIMEOUT_S},
    )
    redacted_url = redact_url(url)
    try:
        connection = engine.connect()  # Dagster itself would retry for minutes before it fails
    except sa.exc.DBAPIError as error:
        reason = explain_connection_error(error.orig or error, url)
        raise SettingsError(
            f"cannot reach Dagster's storage {redacted_url}: {reason}. Check {STORAGE_URL_VARIABLE} and that the"
            " database exists."
        ) from None  # the text of the cause may contain a secret of the URL
    with connection:
        connection.execute(sa.text(f"set lock_timeout = '{_LOCK_TIMEOUT_S}s'"))
        try:
            connection.execute(sa.select(sa.func.pg_advisory_lock(AdvisoryLock.DAGSTER_STORAGE.value)))
        except sa.exc.OperationalError as error:
            raise SettingsError(
                "another process has been making or upgrading the tables of Dagster's storage"
                f" {redacted_url} for {_LOCK_TIMEOUT_S} s: try again later"
            ) from error
        yield


def _upgrade_storage(instance: dg.DagsterInstance) -> None:
    """Upgrade tables that an older Dagster created to the newest revision."""
    current, newest = instance.run_storage.alembic_version() or (None, None)
    if current == newest:
        return
    try:
        instance.upgrade()
    except MigrationRefused as error:
        raise SettingsError(
            f"the tables of Dagster's storage are at revision {current}, which Dagster {dg.__version__} cannot upgrade"
            f" to its own, {newest}: a newer Dagster made them. Install palimpsest-pipeline with that version, or give"
            " Dagster another database"
        ) from error
