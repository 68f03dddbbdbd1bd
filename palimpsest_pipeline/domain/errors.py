"""The base of all errors that a user can meet."""


class PalimpsestError(Exception):
    """A failure that a user can act on.

    The message says what is wrong and what to do. Commands print it alone and exit with 1.
    """
