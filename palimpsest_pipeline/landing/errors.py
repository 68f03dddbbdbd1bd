"""What can be wrong with a landing."""

import os

from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.domain.secrets import list_store_secrets, redact


class LandingError(PalimpsestError):
    """The landing cannot be used as asked. The message says what to do, and shows no credentials of the store."""

    def __init__(self, message: str) -> None:
        super().__init__(redact(message, *list_store_secrets(os.environ)))


class LandingIncomplete(LandingError):
    """A manifest names segments that are not there or not as they were written."""


class LandingUnreadable(LandingError):
    """A manifest, or what says where an hour's answers lie, is there and cannot be read."""
