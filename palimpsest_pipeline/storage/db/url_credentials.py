"""Removal of URL credentials from rows of older versions.

Errors of older versions contained the addresses of proxies with their passwords.

Belongs here: the statement, for our tables (a migration) and for Dagster's. Does not belong here: texts that are not
written yet (`domain.secrets`).
"""

from typing import Final

URL_CREDENTIALS_PATTERN: Final = r"""\m(?!abfss?://|az://)([a-z][a-z0-9+.-]*://)[^\s'"<>]*@"""
"""A Postgres regular expression: from the scheme of a URL to its last @.

A password may contain a / that was not encoded.
"""


def hide_credentials_sql(table: str, column: str) -> str:
    """Return the update that hides the credentials of every URL in a column."""
    pattern = URL_CREDENTIALS_PATTERN.replace("'", "''")
    # `like` is many times faster than the expression, and excludes nearly every row.
    return f"""
        update {table} set {column} = regexp_replace({column}, '{pattern}', '\\1***@', 'gi')
        where {column} like '%://%@%' and {column} ~* '{pattern}'
    """
