"""The errors of the landing."""

import os

from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.domain.secrets import list_store_secrets, redact


class LandingError(PalimpsestError):
    """The landing cannot do the operation.

    The message says what to do and contains no credentials of the store.
    """

    def __init__(self, message: str) -> None:
        super().__init__(redact(message, *list_store_secrets(os.environ)))


class LandingIncomplete(LandingError):
    """A manifest is missing, or names segments that are missing or have changed since they were written."""


class LandingUnreadable(LandingError):
    """A manifest, or the index of an hour, exists and cannot be read."""
