"""Write cycles, discovery manifests, tournaments, listings, claims, observations and kickoffs.

Every row is derived from observations and manifests, so the order in which cycles are written does not matter. A
manifest counts the listings that each tournament declared and that were received.

Callers commit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final

import polars as pl
import psycopg

from palimpsest_pipeline.domain.enums import Platform, Scope, Trigger
from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline.tables.frame_types import Schema, get_frame_schema

from ..db.copy_frames import copy_rows, copy_to_temp_table, read_frame
from ..db.locks import AdvisoryLock

CLAIM_SCHEMA: Final = get_frame_schema("core.listing_claims", "listing_id", "claim_hash", "platform")
LISTING_SCHEMA: Final[Schema] = {
    "platform": pl.String,
    "external_id": pl.String,
    **CLAIM_SCHEMA,
    "n_markets_declared": pl.Int32,
    "observed_at": INSTANT,
    "seen_in": pl.String,
}
"""Input of `write_listings`: one row per listing and answer that contains it.

`seen_in` is `listing` (a list of discovery) or `detail` (the listing's own answer).
"""
MANIFEST_SCHEMA: Final = get_frame_schema("core.discovery_manifest", "cycle_id")
"""Input of `write_discovery`: one row per platform and tournament.

An additional row per platform has the external_id '*' and stands for the whole platform.
"""
TOURNAMENT_SCHEMA: Final[Schema] = {
    "platform": pl.String,
    "external_id": pl.String,
    "sport": pl.String,
    "name": pl.String,
    "country_raw": pl.String,
    "country_iso": pl.String,
    "sr_tournament_id": pl.Int64,
    "seen_at": INSTANT,
}
"""Input of `write_discovery`: the tournaments in the cycle's answers.

`seen_at` is the instant of the answer.
"""

NULLABLE_CLAIM_COLUMNS: Final = ("country_raw", "sr_tournament_id", "kickoff_at", "sr_id", "genius_id")
"""Columns of a claim that an answer may leave out.

Within a cycle the last value that is not null counts. Null does not delete an earlier value.
"""


@dataclass(frozen=True, slots=True)
class CycleFacts:
    """A row of core.cycles.

    `as_of` is the instant that the cycle describes: that of its last discovery answer, or of its last answer if it has
    no discovery.
    """

    cycle_id: int
    partition_hour: datetime
    trigger: Trigger
    scope: Scope
    home_platform: Platform
    as_of: datetime


def write_cycle_facts(conn: psycopg.Connection, cycle: CycleFacts) -> None:
    """Insert or correct the row of a cycle in core.cycles.

    Call it before writing manifests and listings of the cycle, which refer to this row.
    """
    conn.execute(
        """
        insert into core.cycles (cycle_id, partition_hour, trigger, scope, home_platform, as_of) values (%s, %s, %s,
            %s, %s, %s)
        on conflict (cycle_id) do update
        set partition_hour = excluded.partition_hour, trigger = excluded.trigger, scope = excluded.scope,
            home_platform = excluded.home_platform, as_of = excluded.as_of
        """,
        [cycle.cycle_id, cycle.partition_hour, cycle.trigger, cycle.scope, cycle.home_platform, cycle.as_of],
    )


def add_listing_ids(conn: psycopg.Connection, frame: pl.DataFrame) -> pl.DataFrame:
    """Add `listing_id` (Int64) to `frame`, which has platform and external_id.

    New pairs of platform and external_id get new ids. An id never changes.
    """
    keys = frame.select("platform", "external_id").unique().sort("platform", "external_id")
    copy_to_temp_table(conn, "asked_keys", "ops.listing_ids", keys)
    conn.execute(
        """
        insert into ops.listing_ids (platform, external_id)
        select platform, external_id from asked_keys k
        where not exists (select from ops.listing_ids i where i.platform = k.platform and i.external_id = k.external_id)
        order by platform, external_id
        on conflict (platform, external_id) do nothing
        """
    )
    ids = read_frame(
        conn,
        "select i.platform, i.external_id, i.listing_id::bigint as listing_id "
        "from ops.listing_ids i join asked_keys using (platform, external_id)",
    )
    return frame.join(ids, on=["platform", "external_id"], how="left", maintain_order="left")


def write_discovery(
    conn: psycopg.Connection,
    cycle: CycleFacts,
    manifests: pl.DataFrame,
    tournaments: pl.DataFrame,
    platforms: Sequence[str],
) -> int:
    """Replace the manifests of a cycle's discovery of `platforms`; return the number of rows.

    `manifests` has MANIFEST_SCHEMA. `tournaments` (TOURNAMENT_SCHEMA) are inserted or updated.
    """
    _lock_listings(conn)
    write_cycle_facts(conn, cycle)
    conn.execute(
        "delete from core.discovery_manifest where cycle_id = %s and platform = any(%s)",
        [cycle.cycle_id, list(platforms)],
    )
    rows = manifests.select(pl.lit(cycle.cycle_id, dtype=pl.Int64).alias("cycle_id"), *MANIFEST_SCHEMA)
    copy_rows(conn, "core.discovery_manifest", rows)
    _write_tournaments(conn, tournaments)
    # While the cycle's listings are not written, its manifests would mark all listings as deleted. Such a platform is
    # left out here, and `write_listings` handles it later.
    ready = conn.execute(
        """
        select i.platform from core.listing_observations o join ops.listing_ids i using (listing_id)
        where o.cycle_id = %s and i.platform = any(%s) group by i.platform
        """,
        [cycle.cycle_id, list(platforms)],
    ).fetchall()
    _refresh_deletions(conn, cycle.cycle_id, [platform for (platform,) in ready])
    return rows.height


def write_listings(
    conn: psycopg.Connection, cycle_id: int, listings: pl.DataFrame, platforms: Sequence[str]
) -> pl.DataFrame:
    """Replace the cycle's observations of `platforms` and derive the affected listings again.

    `listings` has LISTING_SCHEMA. Returns one row per listing: listing_id Int64, platform, external_id, claim_hash
    Int64. Raises ValueError when the cycle is unknown or the frame has rows of another platform.
    """
    if conn.execute("select 1 from core.cycles where cycle_id = %s", [cycle_id]).fetchone() is None:
        raise ValueError(f"cycle {cycle_id} is unknown: write its facts before its listings")
    if foreign := set(listings["platform"].unique()) - {str(platform) for platform in platforms}:
        raise ValueError(f"listings of {', '.join(sorted(foreign))} in a write of {', '.join(platforms)}")
    _lock_listings(conn)
    observations = add_claim_hash(merge_claims(add_listing_ids(conn, listings.select(LISTING_SCHEMA.keys()))))
    _replace_observations(conn, cycle_id, observations, platforms)
    _derive_event_listings(conn)
    _derive_kickoffs(conn)
    _refresh_deletions(conn, cycle_id, platforms)
    return observations.select("listing_id", "platform", "external_id", "claim_hash")


def refresh_priced_counts(conn: psycopg.Connection, listing_ids: Sequence[int]) -> None:
    """Set `event_listings.n_markets_priced` of these listings to the count in their latest answer.

    It is null when there is no answer.
    """
    _lock_listings(conn)
    conn.execute(
        """
        update core.event_listings e set n_markets_priced = c.n_markets_priced
        from unnest(%s::integer[]) as asked (listing_id)
        left join lateral (
            select n_markets_priced from core.captures where listing_id = asked.listing_id
            order by observed_at desc limit 1
        ) c on true
        where e.listing_id = asked.listing_id and e.n_markets_priced is distinct from c.n_markets_priced
        """,
        [list(listing_ids)],
    )


def merge_claims(rows: pl.DataFrame) -> pl.DataFrame:
    """Merge the claims of a cycle into one per listing: the claim of its last answer.

    Missing values come from the last answer that has them. A listing's own answer counts as later than the lists of
    discovery, because a listing is requested after it appeared in a list. `observed_at` cannot be used for the order:
    all lists of a platform have the instant of the platform's last list, and the discovery of a late platform continues
    while its listings are requested.
    """
    is_detail = pl.col("seen_in") == "detail"
    ordered = rows.sort("listing_id", is_detail, "observed_at", *CLAIM_SCHEMA, nulls_last=False, maintain_order=False)
    parts = [(pl.col(c).drop_nulls().last() if c in NULLABLE_CLAIM_COLUMNS else pl.col(c).last()) for c in CLAIM_SCHEMA]
    return (
        ordered.group_by("listing_id", maintain_order=True)
        .agg(
            pl.col("platform", "external_id").first(),
            *parts,
            pl.col("n_markets_declared").drop_nulls().last(),
            pl.col("observed_at").last(),
            # A listing counts as part of the discovery only if a list of discovery contains it.
            seen_in=pl.when((pl.col("seen_in") == "listing").any()).then(pl.lit("listing")).otherwise(pl.lit("detail")),
        )
        .sort("listing_id")
    )


def add_claim_hash(claims: pl.DataFrame) -> pl.DataFrame:
    """Add `claim_hash` (Int64), a hash of the claim's content that is the same on every machine."""
    columns = claims.select("platform", *CLAIM_SCHEMA).with_columns(pl.col("kickoff_at").dt.epoch("us"))
    hashes = [_hash_parts(row) for row in columns.iter_rows()]
    return claims.with_columns(claim_hash=pl.Series(hashes, dtype=pl.Int64))


def _hash_parts(parts: Sequence[Any]) -> int:
    text = "\x1f".join("\x00" if part is None else str(part) for part in parts)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big", signed=True)


def _lock_listings(conn: psycopg.Connection) -> None:
    conn.execute("select pg_advisory_xact_lock(%s)", [AdvisoryLock.LISTINGS])


def _write_tournaments(conn: psycopg.Connection, tournaments: pl.DataFrame) -> None:
    """Write the latest claim of each tournament, whatever the order of the rows.

    An older claim can only set first_seen_at to an earlier time, or fill values that are null in the latest claim.
    """
    rows = (
        tournaments.sort(
            "platform",
            "external_id",
            "seen_at",
            pl.all().exclude("platform", "external_id", "seen_at"),
            nulls_last=False,
        )
        .group_by("platform", "external_id", maintain_order=True)
        .agg(
            pl.col("sport", "name").last(),
            pl.col("country_raw").drop_nulls().last(),
            pl.col("country_iso").filter(pl.col("country_raw").is_not_null()).last(),
            pl.col("sr_tournament_id").drop_nulls().last(),
            first_seen_at=pl.col("seen_at").min(),
            last_seen_at=pl.col("seen_at").max(),
        )
    )
    copy_to_temp_table(conn, "seen_tournaments", "core.tournament_listings", rows)
    conn.execute(
        """
        insert into core.tournament_listings as t
            (platform, external_id, sport, name, country_raw, country_iso, sr_tournament_id, first_seen_at,
                last_seen_at)
        select platform, external_id, sport, name, country_raw, country_iso, sr_tournament_id, first_seen_at,
            last_seen_at
        from seen_tournaments
        on conflict (platform, external_id) do update
        set sport = case when excluded.last_seen_at >= t.last_seen_at then excluded.sport else t.sport end,
            name = case when excluded.last_seen_at >= t.last_seen_at then excluded.name else t.name end,
            country_raw = case when excluded.last_seen_at >= t.last_seen_at
                and excluded.country_raw is not null or t.country_raw is null
                then excluded.country_raw else t.country_raw end,
            country_iso = case when excluded.last_seen_at >= t.last_seen_at
                and excluded.country_raw is not null or t.country_raw is null
                then excluded.country_iso else t.country_iso end,
            sr_tournament_id = case when excluded.last_seen_at >= t.last_seen_at
                then coalesce(excluded.sr_tournament_id, t.sr_tournament_id)
                else coalesce(t.sr_tournament_id, excluded.sr_tournament_id) end,
            first_seen_at = least(excluded.first_seen_at, t.first_seen_at),
            last_seen_at = greatest(excluded.last_seen_at, t.last_seen_at)
        """
    )


def _replace_observations(
    conn: psycopg.Connection, cycle_id: int, new_claims: pl.DataFrame, platforms: Sequence[str]
) -> None:
    """Replace the cycle's observations.

    Afterwards the temporary table `touched` has every listing of the old and new observations.
    """
    conn.execute("drop table if exists pg_temp.touched")
    conn.execute("create temporary table touched (listing_id integer primary key) on commit drop")
    conn.execute(
        """
        with gone as (
            delete from core.listing_observations o using ops.listing_ids i
            where o.cycle_id = %s and i.listing_id = o.listing_id and i.platform = any(%s)
            returning o.listing_id
        )
        insert into touched select listing_id from gone
        """,
        [cycle_id, list(platforms)],
    )
    copy_to_temp_table(
        conn,
        "seen_claims",
        "core.listing_claims",
        new_claims.select("listing_id", "claim_hash", "platform", *CLAIM_SCHEMA),
    )
    conn.execute(
        "insert into core.listing_claims select * from seen_claims on conflict (listing_id, claim_hash) do nothing"
    )
    conn.execute("insert into touched select listing_id from seen_claims on conflict (listing_id) do nothing")
    observations = new_claims.select(
        pl.lit(cycle_id, dtype=pl.Int64).alias("cycle_id"),
        "listing_id",
        "claim_hash",
        "observed_at",
        "seen_in",
        "n_markets_declared",
    )
    copy_rows(conn, "core.listing_observations", observations)
    conn.execute(
        """
        delete from core.listing_claims c using touched t
        where c.listing_id = t.listing_id
            and not exists (select from core.listing_observations o where o.listing_id = c.listing_id
                and o.claim_hash = c.claim_hash)
        """
    )
    conn.execute("analyze touched")


def _derive_event_listings(conn: psycopg.Connection) -> None:
    """Derive the listings in the temporary table `touched` from their observations; the last one counts.

    A listing without an observation is deleted.
    """
    conn.execute(
        """
        delete from core.event_listings e using touched t
        where e.listing_id = t.listing_id
            and not exists (select from core.listing_observations o where o.listing_id = t.listing_id)
        """
    )
    conn.execute(
        """
        insert into core.event_listings as e
            (listing_id, platform, external_id, sport, kind, tournament_external_id, tournament_name, country_raw,
                sr_tournament_id,
             home_team, away_team, kickoff_at, sr_id, genius_id, is_primary, first_seen_at, last_seen_at, last_cycle_id)
        select
            t.listing_id, i.platform, i.external_id, c.sport, c.kind, c.tournament_external_id, c.tournament_name,
                c.country_raw,
            c.sr_tournament_id, c.home_team, c.away_team, c.kickoff_at, c.sr_id, c.genius_id, false, f.observed_at,
                l.observed_at, l.cycle_id
        from touched t
        join ops.listing_ids i using (listing_id)
        cross join lateral (
            select observed_at, cycle_id, claim_hash from core.listing_observations
            where listing_id = t.listing_id order by observed_at desc, cycle_id desc limit 1
        ) l
        cross join lateral (
            select observed_at from core.listing_observations where listing_id = t.listing_id
            order by observed_at limit 1
        ) f
        join core.listing_claims c on c.listing_id = t.listing_id and c.claim_hash = l.claim_hash
        order by t.listing_id
        on conflict (listing_id) do update
        set sport = excluded.sport, kind = excluded.kind, tournament_external_id = excluded.tournament_external_id,
            tournament_name = excluded.tournament_name, country_raw = excluded.country_raw,
                sr_tournament_id = excluded.sr_tournament_id,
            home_team = excluded.home_team, away_team = excluded.away_team, kickoff_at = excluded.kickoff_at,
                sr_id = excluded.sr_id,
            genius_id = excluded.genius_id, first_seen_at = excluded.first_seen_at,
                last_seen_at = excluded.last_seen_at,
            last_cycle_id = excluded.last_cycle_id
        """
    )


MAX_KICKOFF_VERSION: Final = 2**15 - 1
"""The largest number of a version of a listing's kickoff, whose column is a smallint.

All later versions of a listing's kickoff have this number; `observed_from` keeps them in order.
"""


def _derive_kickoffs(conn: psycopg.Connection) -> None:
    """Derive the kickoffs that each listing in `touched` has claimed, with the first answer that did."""
    conn.execute("drop table if exists pg_temp.kickoffs")
    conn.execute(
        f"""
        create temporary table kickoffs on commit drop as
        with claimed as (
            select distinct on (o.listing_id, o.observed_at) o.listing_id, o.observed_at, c.kickoff_at
            from touched t
            join core.listing_observations o using (listing_id)
            join core.listing_claims c using (listing_id, claim_hash)
            where c.kickoff_at is not null
            order by o.listing_id, o.observed_at, o.cycle_id desc
        ),
        compared as (
            select *, lag(kickoff_at) over (partition by listing_id order by observed_at) as before from claimed
        )
        select
            listing_id, observed_at as observed_from, kickoff_at,
            least(row_number() over (partition by listing_id
                order by observed_at), {MAX_KICKOFF_VERSION})::smallint as version
        from compared
        where before is distinct from kickoff_at
        """
    )
    conn.execute(
        """
        delete from core.kickoff_versions v using touched t
        where v.listing_id = t.listing_id and not exists (
            select from kickoffs k
            where (k.listing_id, k.observed_from, k.kickoff_at, k.version) = (v.listing_id, v.observed_from,
                v.kickoff_at, v.version)
        )
        """
    )
    conn.execute(
        "insert into core.kickoff_versions select * from kickoffs on conflict (listing_id, observed_from) do nothing"
    )


def _refresh_deletions(conn: psycopg.Connection, cycle_id: int, platforms: Sequence[str]) -> None:
    """Derive deleted_at of the listings that the cycle may affect.

    It is the instant of the first complete discovery that lacks the listing and is later than its last observation.
    """
    conn.execute("create temporary table if not exists touched (listing_id integer primary key) on commit drop")
    params = {"cycle_id": cycle_id, "platforms": list(platforms)}
    conn.execute(REFRESH_EVENT_DELETIONS_SQL, params)
    conn.execute(REFRESH_TOURNAMENT_DELETIONS_SQL, params)


FIRST_ABSENCE_SQL: Final = """
    select c.as_of
    from core.cycles c
    join core.discovery_manifest d on d.cycle_id = c.cycle_id and d.platform = l.platform and d.external_id = '*'
    left join core.discovery_manifest t
        on t.cycle_id = c.cycle_id and t.platform = l.platform and t.external_id = l.tournament_external_id
    where c.scope = 'full' and c.as_of > l.last_seen_at and (l.kickoff_at is null or c.as_of < l.kickoff_at)
        -- a tournament that the discovery does not know at all is gone only if the whole discovery is complete
        and coalesce(t.completeness, d.completeness) = 'complete'
        and not exists (select from core.listing_observations o where o.cycle_id = c.cycle_id
            and o.listing_id = l.listing_id)
    order by c.as_of
    limit 1
"""
"""SQL that selects the first complete discovery without the listing `l`.

The discovery is later than the last observation of the listing, and before its kickoff if that is known.
"""
REFRESH_EVENT_DELETIONS_SQL: Final = f"""
    update core.event_listings e set deleted_at = n.deleted_at
    from (
        select l.listing_id, ({FIRST_ABSENCE_SQL}) as deleted_at
        from core.event_listings l
        where l.platform = any(%(platforms)s) and (
            l.kickoff_at > (select as_of from core.cycles where cycle_id = %(cycle_id)s)
            or l.kickoff_at is null
            or l.listing_id in (select listing_id from touched)
        )
    ) n
    where e.listing_id = n.listing_id and e.deleted_at is distinct from n.deleted_at
"""
REFRESH_TOURNAMENT_DELETIONS_SQL: Final = """
    update core.tournament_listings e set deleted_at = n.deleted_at
    from (
        select l.platform, l.external_id, (
            select c.as_of
            from core.cycles c
            join core.discovery_manifest d on d.cycle_id = c.cycle_id and d.platform = l.platform
                and d.external_id = '*'
            where c.scope = 'full' and c.as_of > l.last_seen_at and d.completeness = 'complete'
                and not exists (
                    select from core.discovery_manifest t
                    where t.cycle_id = c.cycle_id and t.platform = l.platform and t.external_id = l.external_id
                )
            order by c.as_of
            limit 1
        ) as deleted_at
        from core.tournament_listings l
        where l.platform = any(%(platforms)s)
    ) n
    where e.platform = n.platform and e.external_id = n.external_id and e.deleted_at is distinct from n.deleted_at
"""
