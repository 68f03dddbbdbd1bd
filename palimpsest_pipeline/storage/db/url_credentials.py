"""Taking the credentials of URLs out of rows that older versions wrote: the address of a proxy, password included,
stood in errors.

Belongs here: the statement, for our tables (a migration) and for Dagster's. Does not: texts that are yet to be written
(`domain.secrets`).
"""

from typing import Final

URL_CREDENTIALS_PATTERN: Final = r"""\m(?!abfss?://|az://)([a-z][a-z0-9+.-]*://)[^\s'"<>]*@"""
"""Regular expression of Postgres: from the scheme of a URL to its last @, since a password may hold a / that was not
encoded.
"""


def hide_credentials_sql(table: str, column: str) -> str:
    """Return the update that hides the credentials of every URL in a column."""
    pattern = URL_CREDENTIALS_PATTERN.replace("'", "''")
    # `like` is many times faster than the expression, and rules out nearly every row.
    return f"""
        update {table} set {column} = regexp_replace({column}, '{pattern}', '\\1***@', 'gi')
        where {column} like '%://%@%' and {column} ~* '{pattern}'
    """
