"""The base of all errors that a person can meet."""


class PalimpsestError(Exception):
    """A failure that a person can act on.

    The message says what is wrong and what to do; commands show it alone and exit with 1.
    """
