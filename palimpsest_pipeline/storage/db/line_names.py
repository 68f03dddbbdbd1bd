"""The table ops.line_names: for each line, the names of its market and of its outcomes. Views read it.

Lines are created in `odds.market_lines`.
"""

from collections.abc import Sequence
from typing import Any, Final

import psycopg

# The views use the position in these arrays as the position in price arrays. They are equal because the ordinals of a
# market have no gaps (`markets.canonical_markets` refuses them).
WRITE_SQL: Final = r"""
insert into ops.line_names as n
    (line_id, winners_k, market_key, market, specifier, outcome_keys, outcomes, outcome_orders)
select
    l.line_id, case when m.fair_sum ~ '^\d+$' then m.fair_sum::smallint end, m.market_key, m.name, l.specifier,
    coalesce(o.keys, '{}'), coalesce(o.names, '{}'), coalesce(o.ordinals, '{}')
from ops.market_lines l
join core.markets m using (market_id)
cross join lateral (
    select array_agg(outcome_key order by ordinal) as keys, array_agg(name order by ordinal) as names,
        array_agg(ordinal order by ordinal) as ordinals
    from core.market_outcomes
    where market_id = l.market_id and (l.outcome = '' or outcome_key = l.outcome)
) o
where %(line_ids)s::int[] is null or l.line_id = any(%(line_ids)s::int[])
order by l.line_id
on conflict (line_id) do update set
    (winners_k, market_key, market, specifier, outcome_keys, outcomes, outcome_orders) =
    (excluded.winners_k, excluded.market_key, excluded.market, excluded.specifier, excluded.outcome_keys,
        excluded.outcomes, excluded.outcome_orders)
where (n.winners_k, n.market_key, n.market, n.specifier, n.outcome_keys, n.outcomes, n.outcome_orders) is distinct from
    (excluded.winners_k, excluded.market_key, excluded.market, excluded.specifier, excluded.outcome_keys,
        excluded.outcomes, excluded.outcome_orders)
"""


def write_line_names(conn: psycopg.Connection[Any], line_ids: Sequence[int] | None = None) -> int:
    """Write the names of the lines in `line_ids`, or of all lines.

    They come from core.markets and core.market_outcomes. Lines whose market is not in core.markets get no row. Returns
    the number of inserted or changed rows. The caller commits.
    """
    return conn.execute(WRITE_SQL, {"line_ids": None if line_ids is None else list(line_ids)}).rowcount


def rename_lines(conn: psycopg.Connection[Any]) -> None:
    """Update the names of all lines after a change of the vocabulary.

    Locks ops.market_lines until the caller's transaction ends: a line created before the commit would get the old names
    and keep them. Call it last in a transaction: a cycle may wait for this lock while it holds others.
    """
    conn.execute("lock table ops.market_lines in share mode")
    write_line_names(conn)
