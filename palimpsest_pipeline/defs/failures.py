"""What a failed step of Dagster's says, in words that a user can act on."""

import re
from typing import Final

import dagster as dg
from dagster._utils.error import SerializableErrorInfo

INTERRUPTIONS: Final = (dg.DagsterExecutionInterruptedError.__name__, KeyboardInterrupt.__name__)
CHECK_FAILED: Final = "DagsterAssetCheckFailedError"  # its class is not public


def innermost(error: SerializableErrorInfo) -> tuple[str, str]:
    """Class and message, without class and traceback, of what began it all."""
    while error.cause is not None:
        error = error.cause
    name = str(error.cls_name or "Error")
    told = error.message.strip().partition("\n")[0]
    return name, re.sub(rf"^(\w+\.)*{re.escape(name)}: ", "", told) or name
