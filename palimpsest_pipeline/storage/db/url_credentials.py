"""Remove passwords in URLs from stored error messages.

Older versions of the pipeline stored errors that contained proxy URLs with their passwords.

Belongs here: the SQL statement, for the product's tables (a migration) and for Dagster's. Does not belong here:
messages that are not stored yet (`domain.secrets`).
"""

from typing import Final

URL_CREDENTIALS_PATTERN: Final = r"""\m(?!abfss?://|az://)([a-z][a-z0-9+.-]*://)[^\s'"<>]*@"""
"""A Postgres regular expression that matches from the scheme of a URL to its last @.

It allows a / before the @, because a password may contain a / that was not encoded.
"""


def hide_credentials_sql(table: str, column: str) -> str:
    """Return an UPDATE that removes user and password from every URL in a column."""
    pattern = URL_CREDENTIALS_PATTERN.replace("'", "''")
    # `like` is many times faster than the regular expression and excludes nearly every row.
    return f"""
        update {table} set {column} = regexp_replace({column}, '{pattern}', '\\1***@', 'gi')
        where {column} like '%://%@%' and {column} ~* '{pattern}'
    """
