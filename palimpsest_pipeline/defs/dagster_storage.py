"""Dagster's Postgres storage on connections that stay open, for every process that opens the instance: named in `dagster.yaml`.

Dagster's own opens one for each statement or two, some five for every event of every partition: a month of hours took a hundred thousand of them
and longer than the work. Belongs here: how Dagster's storage reaches its database. Does not: which database that is.
"""

import os
from functools import cache
from typing import Any, Final

from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.auth import PgTokenProvider
from dagster_postgres.utils import create_pg_engine, get_token_provider_from_config, pg_url_from_config
from sqlalchemy import Engine

from .dagster_event_log import EVENTS_AT_ONCE, BatchingEventLog

KEPT: Final = 2
"""Connections that stay open in a process ..."""
MORE: Final = 20
"""... and how many more there may be while threads need them."""
RECYCLE_S: Final = 3600

# Dagster reads it at every event: a step tells of all its materializations in one statement, so that those of a run that is killed are told of as a
# whole or not at all.
os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", str(EVENTS_AT_ONCE))


class LastingPostgresStorage(DagsterPostgresStorage):
    """`DagsterPostgresStorage` with the same configuration. Passwords that expire (`auth_provider`) keep Dagster's own connections."""

    def __init__(self, postgres_url: str, *args: Any, token_provider: PgTokenProvider | None = None, **options: Any) -> None:
        super().__init__(postgres_url, *args, token_provider=token_provider, **options)
        if token_provider is None:
            self._event_log_storage = BatchingEventLog(postgres_url, False)
            for part in (self._run_storage, self._event_log_storage, self._schedule_storage):
                part._engine = _engine(postgres_url)

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> "LastingPostgresStorage":
        return cls(
            pg_url_from_config(config_value),
            should_autocreate_tables=config_value.get("should_autocreate_tables", True),
            inst_data=inst_data,
            token_provider=get_token_provider_from_config(config_value),
        )


@cache  # a code server opens an instance for every tick of a sensor
def _engine(url: str) -> Engine:
    """The process's one engine for the database. A connection that the server has closed meanwhile is replaced before it is used."""
    engine = create_pg_engine(
        url, isolation_level="AUTOCOMMIT", pool_size=KEPT, max_overflow=MORE, pool_recycle=RECYCLE_S, pool_pre_ping=True, pool_use_lifo=True
    )
    os.register_at_fork(after_in_child=lambda: engine.dispose(close=False))  # they are the parent's
    return engine
