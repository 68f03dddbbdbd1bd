"""The errors of failed steps in Dagster, as class and message for the user."""

import re
from typing import Final, Protocol

import dagster as dg
import sqlalchemy as sa

INTERRUPTION_CLASSES: Final = (dg.DagsterExecutionInterruptedError.__name__, KeyboardInterrupt.__name__)
OWN_PACKAGE_PREFIX: Final = "palimpsest_pipeline."
"""Prefix of errors of this project: Dagster writes the error's module in front of each message."""
CHECK_FAILED_CLASS: Final = "DagsterAssetCheckFailedError"  # Dagster does not export the class


class ErrorInfo(Protocol):
    """The attributes of an error as Dagster stores it. Dagster's own class has no public name."""

    @property
    def message(self) -> str: ...

    @property
    def cls_name(self) -> str | None: ...

    @property
    def cause(self) -> "ErrorInfo | None": ...


def raise_if_storage_failed(error: Exception) -> None:
    """Raise `error` if Dagster's storage caused it.

    An error of the storage says nothing about the record that was read: the caller must read it again later.
    """
    if isinstance(error, sa.exc.SQLAlchemyError) or isinstance(error.__cause__, sa.exc.SQLAlchemyError):
        raise error


def find_innermost_error(error: ErrorInfo) -> tuple[str, str]:
    """Return class and message of the innermost cause that is an error of this project, if any.

    Without such a cause, return those of the innermost cause. Errors of this project are preferred because they contain
    advice. The message comes without class and traceback.
    """
    chain = list_causes(error)
    error = next((each for each in reversed(chain) if each.message.startswith(OWN_PACKAGE_PREFIX)), chain[-1])
    name = str(error.cls_name or "Error")
    first_line = error.message.strip().partition("\n")[0]
    return name, re.sub(rf"^(\w+\.)*{re.escape(name)}: ", "", first_line) or name


def list_causes(error: ErrorInfo) -> list[ErrorInfo]:
    """Return an error and all its causes, the innermost last."""
    chain = [error]
    while chain[-1].cause is not None:
        chain.append(chain[-1].cause)
    return chain
