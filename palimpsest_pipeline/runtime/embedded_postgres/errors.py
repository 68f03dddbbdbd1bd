"""The only exception of this package. Its messages are one line: the problem, then the remedy."""

from palimpsest_pipeline.domain.errors import PalimpsestError


class EmbeddedPostgresError(PalimpsestError, RuntimeError):
    """The embedded Postgres cannot do its task. The message says what the user can do about it."""
