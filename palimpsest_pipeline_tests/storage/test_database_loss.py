"""What a user is told when a database was lost or a disk is full."""

import errno

import psycopg
import psycopg2
import pytest
import sqlalchemy as sa

from palimpsest_pipeline.storage.database import explain_loss


def raised_from(outer: Exception, inner: Exception) -> Exception:
    try:
        raise outer from inner
    except type(outer) as error:
        return error


LOST = psycopg.OperationalError("consuming input failed: server closed the connection unexpectedly\n\tThis probably means the server terminated")


@pytest.mark.parametrize(
    "error",
    [
        LOST,
        psycopg.errors.AdminShutdown("terminating connection"),
        raised_from(RuntimeError("too many retries for DB connection"), LOST),
        sa.exc.OperationalError("select 1", {}, psycopg2.OperationalError("connection refused")).with_traceback(None),
        raised_from(ValueError("whatever"), sa.exc.OperationalError("select 1", {}, LOST)),
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
        psycopg.errors.DiskFull('could not extend file "base/1": No space left on device\nHINT: Check free disk space.'),
        raised_from(RuntimeError("the step failed"), OSError(errno.ENOSPC, "No space left on device", "/data/x")),
    ],
)
def test_a_full_disk_is_told_in_one_line_with_what_to_do(error: Exception) -> None:
    told = explain_loss(error)
    assert told is not None
    assert told.startswith("the disk is full: ")
    assert "\n" not in told
    assert "Make room" in told


@pytest.mark.parametrize("error", [ValueError("a bug"), psycopg.errors.UniqueViolation("twice"), psycopg.errors.LockNotAvailable("locked")])
def test_any_other_error_stays_a_bug(error: Exception) -> None:
    assert explain_loss(error) is None
