"""What a failed step of Dagster's says, in words that a user can act on."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import dagster as dg
import sqlalchemy as sa
from dagster._utils.error import SerializableErrorInfo

INTERRUPTIONS: Final = (dg.DagsterExecutionInterruptedError.__name__, KeyboardInterrupt.__name__)
OWN_PACKAGE: Final = "palimpsest_pipeline."
"""The beginning of the message of each error of ours: the name of its module."""
CHECK_FAILED: Final = "DagsterAssetCheckFailedError"  # its class is not public


FAILED_PARTITION: Final = "failed_partition"
"""Metadata of a failure in a run of several partitions: which one it was."""


@contextmanager
def of_partition(context: dg.AssetExecutionContext, key: str) -> Iterator[None]:
    """What fails in the block is the failure of this partition, where the run has several. The error itself is the cause."""
    try:
        yield
    except Exception as error:
        if len(context.partition_keys) == 1:
            raise
        raise dg.Failure(f"{key}: {error}", metadata={FAILED_PARTITION: key}) from error


def partition_of(step_failure: dg.DagsterEvent) -> str | None:
    """What `of_partition` said, if it did."""
    found = step_failure.step_failure_data.user_failure_data
    said = {} if found is None else found.metadata
    key = said[FAILED_PARTITION].value if FAILED_PARTITION in said else None
    return key if isinstance(key, str) else None


def raise_if_storage_failed(error: Exception) -> None:
    """Raise `error` when Dagster's storage caused it: then no single record is at fault, and whoever read it must look again later."""
    if isinstance(error, sa.exc.SQLAlchemyError) or isinstance(error.__cause__, sa.exc.SQLAlchemyError):
        raise error


def innermost(error: SerializableErrorInfo) -> tuple[str, str]:
    """Return class and message, without class and traceback, of the innermost error of ours; where there is none, of the innermost error.

    Ours says what to do; the error of a library that it was raised from does not.
    """
    chain = [error]
    while chain[-1].cause is not None:
        chain.append(chain[-1].cause)
    error = next((each for each in reversed(chain) if each.message.startswith(OWN_PACKAGE)), chain[-1])
    name = str(error.cls_name or "Error")
    told = error.message.strip().partition("\n")[0]
    return name, re.sub(rf"^(\w+\.)*{re.escape(name)}: ", "", told) or name
