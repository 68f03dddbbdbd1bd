"""One way to write rows over those that are there: only what differs is written. A row that stays is locked, but gets
no new version.

Belongs here: the statement. Does not belong here: where the new rows come from, and what a table means.
"""

from collections.abc import Sequence

from psycopg import sql

from .copy_frames import quote_identifier


def build_upsert(table: str, columns: Sequence[str], key: Sequence[str], source: sql.Composable) -> sql.Composed:
    """Return a statement that inserts the `columns` of `source` (what follows FROM) into `table`, or writes them over
    the rows with the same `key`.

    A row that is there as it is stays untouched.
    """
    values = [column for column in columns if column not in key]

    def listed(template: str, names: Sequence[str]) -> sql.Composed:
        return sql.SQL(", ").join(sql.SQL(template).format(sql.Identifier(name)) for name in names)

    return sql.SQL(
        """
        insert into {table} as t ({columns}) select {columns} from {source} order by {key}
        on conflict ({key}) do update set {set} where ({old}) is distinct from ({new})
        """
    ).format(
        table=quote_identifier(table),
        columns=listed("{0}", columns),
        source=source,
        key=listed("{0}", key),
        set=listed("{0} = excluded.{0}", values),
        old=listed("t.{0}", values),
        new=listed("excluded.{0}", values),
    )
