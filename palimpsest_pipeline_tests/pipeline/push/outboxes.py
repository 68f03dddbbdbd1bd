"""A database with an outbox and the sender's role, rules in it, and a sender in a thread or as a process."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from sqlalchemy import make_url

from palimpsest_pipeline.domain.push_rules import PushRule
from palimpsest_pipeline.pipeline.push.send import run_sender
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.storage.db import roles
from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline.storage.push import outbox
from palimpsest_pipeline_tests.fixtures.postgres import migrated_database

KEY: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SINCE: Final = datetime(2026, 5, 1, 12, tzinfo=UTC)


@contextmanager
def open_outbox(server: EmbeddedPostgres) -> Iterator[Database]:
    """A migrated database that the sender was let into."""
    with migrated_database(server) as url:
        database = Database(url)
        with database.connect() as conn:
            roles.ensure_role(conn)
            roles.forbid_writing(conn)
            roles.forbid_locking(conn)
        yield database


def connect_as_sender(database: Database) -> psycopg.Connection:
    return psycopg.connect(make_conninfo(database.conninfo, user=roles.SENDER_ROLE), autocommit=True)


def build_sender_url(database: Database) -> str:
    return make_url(database.url).set(username=roles.SENDER_ROLE).render_as_string(hide_password=False)


def put_rules(database: Database, *names: str, webhook: str = "TEST_WEBHOOK_URL", **fields: Any) -> None:
    """Make rules of these names the ones in force."""
    rules = [PushRule(source="odds_alerts", webhook=webhook, name=name, **fields) for name in names]
    with database.connect() as conn:
        outbox.store_rules(conn, rules, SINCE)


def put_messages(database: Database, rule: str, numbers: Sequence[int]) -> None:
    """Append messages of a rule, in one transaction; their ids are `rule-number`."""
    with database.connect() as conn:
        outbox.add_messages(
            conn,
            [
                outbox.NewMessage(f"{rule}-{number}", rule, "1", SINCE, f'{{"text":"{rule} {number}"}}')
                for number in numbers
            ],
        )


def read_states(database: Database, rule: str) -> list[tuple[str, int, int | None, str | None]]:
    """State, attempts, last status and last error of the rule's messages, in their order."""
    with database.connect() as conn:
        return conn.execute(
            "select state, n_attempts, last_status, last_error from ops.push_outbox where rule = %s order by message_seq",
            [rule],
        ).fetchall()


class SenderProcess:
    """`palimpsest odds-alerts send`, and the lines that it has said so far."""

    def __init__(self, database: Database, folder: Path, variables: dict[str, str]) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PALIMPSEST_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "palimpsest_pipeline.cli", "odds-alerts", "send"],
            env={**environment, "PALIMPSEST_SENDER_DATABASE_URL": build_sender_url(database), **variables},
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(self.process.stdout)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._thread.join()

    @property
    def output(self) -> str:
        return "".join(self.lines)


@contextmanager
def running_sender_process(database: Database, folder: Path, **variables: str) -> Iterator[SenderProcess]:
    sender = SenderProcess(database, folder, variables)
    try:
        yield sender
    finally:
        sender.kill()


class SenderThread:
    """The sender in a thread of this process, and the lines that it has said so far."""

    def __init__(self, database: Database) -> None:
        self.lines: list[str] = []
        self._loop = asyncio.new_event_loop()
        self._task = self._loop.create_task(run_sender(Database(build_sender_url(database)), self.lines.append))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._task)
        self._loop.close()

    def stop(self) -> None:
        """Cancel the sender and wait for its end. Raises the error with which it has ended."""
        if self.is_running():
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join()
        if not self._task.cancelled():
            self._task.result()

    def is_running(self) -> bool:
        return self._thread.is_alive()

    @property
    def output(self) -> str:
        return "\n".join(self.lines)


@contextmanager
def running_sender(database: Database, folder: Path, **variables: str) -> Iterator[SenderThread]:
    """A sender with these variables of the environment, and with the `.env` of `folder`."""
    with pytest.MonkeyPatch.context() as patch, chdir(folder):
        for name, value in variables.items():
            patch.setenv(name, value)
        sender = SenderThread(database)
        try:
            yield sender
        finally:
            sender.stop()
