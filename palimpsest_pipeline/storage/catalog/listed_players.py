"""Write and read the players that listings name, and the proposed links between them.

A link says that players of different platforms are the same person in a fixture. The names of a cycle are replaced as a
whole, so the order of cycles does not matter. Callers commit.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

import polars as pl
import psycopg

from palimpsest_pipeline.domain.text_limits import cut_key
from palimpsest_pipeline.tables.frame_types import Schema

from ..db.copy_frames import copy_rows, copy_to_temp_table, read_frame
from ..db.locks import AdvisoryLock

PLAYER_SCHEMA: Final[Schema] = {
    "listing_id": pl.Int64,
    "external_player_id": pl.String,
    "name": pl.String,
    "team": pl.String,
}
"""Input of `write_players`: one row per listing, player and spelling of the name.

`team` may be null.
"""
NAMED_PLAYERS_SQL: Final = """
    select distinct e.fixture_sr_id, e.platform, p.external_player_id, p.name
    from core.event_listings e join core.player_lists p using (listing_id)
    where e.fixture_sr_id = any(%s)
"""


def write_players(conn: psycopg.Connection, cycle_id: int, platform: str, players: pl.DataFrame) -> int:
    """Replace the player names of a platform's answers in a cycle by `players` (`PLAYER_SCHEMA`).

    Lists of players that no cycle uses are deleted. Returns the number of listings that name a player.
    """
    # Without the lock, this session could delete a list that another cycle starts to use.
    conn.execute("select pg_advisory_xact_lock(%s)", [AdvisoryLock.LISTINGS])
    lists = _add_list_hash(players.select(PLAYER_SCHEMA.keys()))
    observed = lists.select(pl.lit(cycle_id, pl.Int64).alias("cycle_id"), "listing_id", "list_hash").unique(
        maintain_order=True
    )
    before = conn.execute(
        """
        delete from core.player_list_observations o using ops.listing_ids i
        where o.cycle_id = %s and i.listing_id = o.listing_id and i.platform = %s returning o.listing_id
        """,
        [cycle_id, platform],
    ).fetchall()
    copy_to_temp_table(conn, "named_players", "core.player_lists", lists)
    conn.execute(
        "insert into core.player_lists (listing_id, external_player_id, name, team, list_hash) "
        "select * from named_players on conflict do nothing"
    )
    copy_rows(conn, "core.player_list_observations", observed)
    conn.execute(
        """
        delete from core.player_lists p
        where p.listing_id = any(%s) and not exists (
            select from core.player_list_observations o where o.listing_id = p.listing_id and o.list_hash = p.list_hash
        )
        """,
        [[listing_id for (listing_id,) in before]],
    )
    return observed.height


def read_players_of_fixtures(conn: psycopg.Connection, fixture_sr_ids: Sequence[int]) -> pl.DataFrame:
    """Return every player that a listing of these fixtures has named (`NAMED_PLAYERS`)."""
    return read_frame(conn, NAMED_PLAYERS_SQL, [list(fixture_sr_ids)])


def write_player_links(conn: psycopg.Connection, fixture_sr_ids: Sequence[int], links: pl.DataFrame) -> None:
    """Replace the player links of these fixtures by `links` (columns of core.player_links).

    The fixtures must exist. Unchanged rows are not written.
    """
    copy_to_temp_table(conn, "found_links", "core.player_links", links)
    conn.execute(
        """
        delete from core.player_links l
        where l.fixture_sr_id = any(%s) and not exists (
            select from found_links f
            where (f.fixture_sr_id, f.platform, f.external_player_id) = (l.fixture_sr_id, l.platform,
                l.external_player_id)
                and (f.player_name, f.sr_player_id, f.evidence, f.status, f.n_candidates)
                    is not distinct from (l.player_name, l.sr_player_id, l.evidence, l.status, l.n_candidates)
        )
        """,
        [list(fixture_sr_ids)],
    )
    conn.execute("insert into core.player_links select * from found_links on conflict do nothing")


def _add_list_hash(players: pl.DataFrame) -> pl.DataFrame:
    """Return distinct rows in the order of core.player_lists, with the hash of each listing's list.

    `list_hash` (Int64) does not depend on the machine or the order of rows. Names and teams are part of the table's
    key, so they are shortened to the maximum length of a key.
    """
    cut = (pl.Series(name, map(cut_key, players[name].fill_null("")), pl.String) for name in ("name", "team"))
    rows = players.with_columns(cut).unique().sort(pl.all())
    text = pl.concat_str("external_player_id", "name", "team", separator="\x1f")
    lists = rows.group_by("listing_id", maintain_order=True).agg(text.str.join("\x1e"))
    hashes = [
        int.from_bytes(blake2b(content.encode(), digest_size=8).digest(), "big", signed=True)
        for content in lists["external_player_id"]
    ]
    return rows.join(
        lists.select("listing_id", list_hash=pl.Series(hashes, dtype=pl.Int64)), on="listing_id", maintain_order="left"
    )
