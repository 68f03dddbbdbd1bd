"""The one exception of this package. Messages are a single line: what is wrong, then what to do."""

from palimpsest_pipeline.domain.errors import PalimpsestError


class EmbeddedPostgresError(PalimpsestError, RuntimeError):
    """The embedded Postgres cannot do what was asked; the message says what the user can do about it."""
