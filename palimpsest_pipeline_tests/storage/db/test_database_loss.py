"""What a user is told when a database was lost or a disk is full."""

import errno
from types import SimpleNamespace

import kombu.exceptions
import psycopg
import psycopg2
import pytest
import sqlalchemy as sa

from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.storage.db import connection
from palimpsest_pipeline.storage.db.connection import DatabaseGone, DatabaseUnreachable, explain_loss, give_up_on_loss


def raised_from(outer: Exception, inner: Exception) -> Exception:
    try:
        raise outer from inner
    except type(outer) as error:
        return error


LOST = psycopg.OperationalError(
    "consuming input failed: server closed the connection unexpectedly\n\tThis probably means the server terminated"
)


@pytest.mark.parametrize(
    "error",
    [
        LOST,
        psycopg.errors.AdminShutdown("terminating connection"),
        raised_from(RuntimeError("too many retries for DB connection"), LOST),
        sa.exc.OperationalError("select 1", {}, psycopg2.OperationalError("connection refused")).with_traceback(None),
        raised_from(ValueError("whatever"), sa.exc.OperationalError("select 1", {}, LOST)),
        sa.exc.DatabaseError(
            "select 1", {}, psycopg2.DatabaseError("server closed the connection unexpectedly\n\tThis probably means")
        ),
    ],
)
def test_a_lost_database_is_told_in_one_line_with_what_to_do(error: Exception) -> None:
    told = explain_loss(error)
    assert told is not None
    assert told.startswith("the database was lost: ")
    assert "\n" not in told
    assert "palimpsest doctor" in told


@pytest.mark.parametrize(
    "error",
    [
        psycopg.errors.DiskFull(
            'could not extend file "base/1": No space left on device\nHINT: Check free disk space.'
        ),
        raised_from(RuntimeError("the step failed"), OSError(errno.ENOSPC, "No space left on device", "/data/x")),
    ],
)
def test_a_full_disk_is_told_in_one_line_with_what_to_do(error: Exception) -> None:
    told = explain_loss(error)
    assert told is not None
    assert told.startswith("the disk is full: ")
    assert "\n" not in told
    assert "Make room" in told


def raised_while_handling(outer: Exception, inner: Exception) -> Exception:
    try:
        try:
            raise inner
        except type(inner):
            raise outer  # noqa: B904 - without a cause
    except type(outer) as error:
        return error


@pytest.mark.parametrize(
    "outer",
    [DatabaseUnreachable("gone"), psycopg.DataError("rollback failed"), sa.exc.InvalidRequestError("no transaction")],
)
def test_what_ours_or_a_driver_was_handling_counts_too(outer: Exception) -> None:
    assert "the database was lost: " in (explain_loss(raised_while_handling(outer, LOST)) or "")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a bug"),
        psycopg.errors.UniqueViolation("twice"),
        psycopg.errors.LockNotAvailable("locked"),
        raised_while_handling(KeyError("a bug met while the loss was handled"), LOST),
        raised_while_handling(KeyError("the same"), OSError(errno.ENOSPC, "No space left on device")),
        kombu.exceptions.OperationalError("the broker is down"),
        raised_from(RuntimeError("not sent"), kombu.exceptions.OperationalError("the broker is down")),
    ],
)
def test_any_other_error_stays_a_bug(error: Exception) -> None:
    assert explain_loss(error) is None


NOBODY = sa.create_engine("postgresql+psycopg2://nobody@127.0.0.1:1/none", poolclass=sa.NullPool)


def test_a_connection_that_fails_for_too_long_raises_an_error_that_dagster_does_not_retry() -> None:
    with give_up_on_loss(limit_s=0), pytest.raises(DatabaseGone) as gone:
        NOBODY.connect()
    told = explain_loss(gone.value)
    assert told is not None
    assert "Connection refused" in told
    with pytest.raises(sa.exc.OperationalError):  # outside of the block all is as before
        NOBODY.connect()


def test_a_database_that_is_back_in_time_is_not_lost(
    postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 0.0
    monkeypatch.setattr(connection, "time", SimpleNamespace(monotonic=lambda: now_s))
    engine = sa.create_engine(postgres.build_url("postgres", "psycopg2"), poolclass=sa.NullPool)
    with give_up_on_loss(limit_s=8):
        for seconds in (0.0, 7.0):
            now_s = seconds
            with pytest.raises(sa.exc.OperationalError):
                NOBODY.connect()
        engine.connect().close()
        now_s = 14.0
        with pytest.raises(sa.exc.OperationalError):
            NOBODY.connect()
        now_s = 22.0
        with pytest.raises(DatabaseGone):
            NOBODY.connect()
