"""The errors of the landing."""

import os

from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.domain.secrets import list_store_secrets, redact


class LandingError(PalimpsestError):
    """The error when the landing cannot do an operation.

    The message contains a remedy and no credentials of the store.
    """

    def __init__(self, message: str) -> None:
        super().__init__(redact(message, *list_store_secrets(os.environ)))


class LandingIncomplete(LandingError):
    """The error when a manifest is missing, or when its segments are missing or have changed."""


class LandingUnreadable(LandingError):
    """The error when a manifest exists but cannot be read."""
