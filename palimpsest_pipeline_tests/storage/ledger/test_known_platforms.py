"""The platforms that the database knows: written when they are new or differ, and otherwise only read."""

import psycopg

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline.storage.ledger.known_platforms import KnownPlatform, write_platforms

LION, TIGER = (KnownPlatform(Platform(key), key.title(), rank) for rank, key in enumerate(["lion", "tiger"], start=70))


def read_rows(conn: psycopg.Connection) -> set[KnownPlatform]:
    rows = conn.execute("select platform, name, trust_rank from ops.platforms where trust_rank >= 70").fetchall()
    return {KnownPlatform(Platform(platform), name, trust) for platform, name, trust in rows}


def test_new_platforms_are_written_and_changed_ones_corrected(conn: psycopg.Connection) -> None:
    write_platforms(conn, [LION])
    assert read_rows(conn) == {LION}
    changed = KnownPlatform(LION.platform, "Lion Bet", 80)
    write_platforms(conn, [changed, TIGER])
    assert read_rows(conn) == {changed, TIGER}


def test_platforms_that_are_known_are_not_locked(migrated_database_url: str) -> None:
    database = Database(migrated_database_url)
    with database.connect() as conn:
        write_platforms(conn, [LION, TIGER])
    with database.connect() as deriving, database.connect() as opening:
        write_platforms(deriving, [LION, TIGER])
        opening.execute("set local lock_timeout = '1s'")
        write_platforms(opening, [TIGER, LION])
