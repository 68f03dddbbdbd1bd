"""Build upsert statements that write only rows that differ.

Postgres locks an unchanged row but stores no new version of it.
"""

from collections.abc import Sequence

from psycopg import sql

from .copy_frames import quote_identifier


def build_upsert(table: str, columns: Sequence[str], key: Sequence[str], source: sql.Composable) -> sql.Composed:
    """Return a statement that inserts or updates the `columns` of `source` in `table` by `key`.

    `source` is the text after FROM. Unchanged rows are not written.
    """
    values = [column for column in columns if column not in key]

    def join_names(template: str, names: Sequence[str]) -> sql.Composed:
        return sql.SQL(", ").join(sql.SQL(template).format(sql.Identifier(name)) for name in names)

    return sql.SQL(
        """
        insert into {table} as t ({columns}) select {columns} from {source} order by {key}
        on conflict ({key}) do update set {set} where ({old}) is distinct from ({new})
        """
    ).format(
        table=quote_identifier(table),
        columns=join_names("{0}", columns),
        source=source,
        key=join_names("{0}", key),
        set=join_names("{0} = excluded.{0}", values),
        old=join_names("t.{0}", values),
        new=join_names("excluded.{0}", values),
    )
