"""What a failed step of Dagster's says, in words that a user can act on."""

import re
from typing import Final, Protocol

import dagster as dg
import sqlalchemy as sa

INTERRUPTION_CLASSES: Final = (dg.DagsterExecutionInterruptedError.__name__, KeyboardInterrupt.__name__)
OWN_PACKAGE_PREFIX: Final = "palimpsest_pipeline."
"""The beginning of the message of each error of ours: the name of its module."""
CHECK_FAILED_CLASS: Final = "DagsterAssetCheckFailedError"  # its class is not public


class ErrorInfo(Protocol):
    """An error as Dagster keeps it: its class has no public name."""

    @property
    def message(self) -> str: ...

    @property
    def cls_name(self) -> str | None: ...

    @property
    def cause(self) -> "ErrorInfo | None": ...


def raise_if_storage_failed(error: Exception) -> None:
    """Raise `error` when Dagster's storage caused it: then no single record is at fault, and whoever read it must
    look again later.
    """
    if isinstance(error, sa.exc.SQLAlchemyError) or isinstance(error.__cause__, sa.exc.SQLAlchemyError):
        raise error


def list_error_classes(error: ErrorInfo) -> set[str]:
    """Return the names of the classes of an error and of those that caused it."""
    return {str(each.cls_name) for each in _list_causes(error)}


def find_innermost_error(error: ErrorInfo) -> tuple[str, str]:
    """Return class and message, without class and traceback, of the innermost error of ours; where there is none, of
    the innermost error.

    Ours says what to do; the error of a library that it was raised from does not.
    """
    chain = _list_causes(error)
    error = next((each for each in reversed(chain) if each.message.startswith(OWN_PACKAGE_PREFIX)), chain[-1])
    name = str(error.cls_name or "Error")
    told = error.message.strip().partition("\n")[0]
    return name, re.sub(rf"^(\w+\.)*{re.escape(name)}: ", "", told) or name


def _list_causes(error: ErrorInfo) -> list[ErrorInfo]:
    chain = [error]
    while chain[-1].cause is not None:
        chain.append(chain[-1].cause)
    return chain
