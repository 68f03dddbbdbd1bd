"""The only exception of this package. A message is one line: the problem, then the remedy."""

from palimpsest_pipeline.domain.errors import PalimpsestError


class EmbeddedPostgresError(PalimpsestError, RuntimeError):
    """The error when the embedded Postgres cannot do an operation. The message contains a remedy."""
