"""Notifications about derived fixtures reach listeners with the commit of the writer, and only then."""

import psycopg

from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline.storage.marts.changed_fixtures import (
    FIXTURES_CHANNEL,
    MAX_PAYLOAD_BYTES,
    notify_readers,
    parse_payload,
)


def collect(listener: psycopg.Connection) -> list[str]:
    return [notification.payload for notification in listener.notifies(timeout=0.2)]


def test_fixtures_are_told_at_the_commit_in_payloads_that_postgres_takes(migrated_url: str) -> None:
    sr_ids = range(10_000_000, 10_003_000)
    with Database(migrated_url).connect(autocommit=True) as listener, Database(migrated_url).connect() as writer:
        listener.execute(f"listen {FIXTURES_CHANNEL}".encode())
        notify_readers(writer, sr_ids)
        assert collect(listener) == []
        writer.commit()
        payloads = collect(listener)
        assert len(payloads) == 4
        assert all(len(payload) <= MAX_PAYLOAD_BYTES for payload in payloads)
        assert [sr_id for payload in payloads for sr_id in sorted(parse_payload(payload) or ())] == list(sr_ids)
        notify_readers(writer, [7])
        writer.rollback()
        notify_readers(writer, [])
        writer.commit()
        assert collect(listener) == []
