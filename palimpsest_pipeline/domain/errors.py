"""The base class of all errors that a user can meet."""


class PalimpsestError(Exception):
    """An error that a user can fix.

    The message contains the problem and a remedy. Commands print only the message and exit with status 1.
    """
