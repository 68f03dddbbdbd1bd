"""Readers of the board learn from coverage of which platforms not all listings are known."""

from palimpsest_pipeline.pipeline.ingest.write_core import ingest_cycle
from palimpsest_pipeline.pipeline.marts.derive_marts import derive_coverage
from palimpsest_pipeline.storage.marts import board_reader
from palimpsest_pipeline.storage.marts.changed_fixtures import ANY_FIXTURE, FIXTURES_CHANNEL
from palimpsest_pipeline_tests.fixtures.landed import land_cycle
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline


def test_readers_are_notified_when_other_platforms_are_unseen(start_simulator, make_pipeline: MakePipeline) -> None:
    """The cells "not listed" and "not observed" depend on it, and no price may be derived after it."""
    pipeline = make_pipeline(start_simulator(6, 2))
    manifest = pipeline.landing.read_manifest(land_cycle(pipeline))
    ingest_cycle(pipeline, manifest.cycle_id)

    def derive(completeness: str) -> tuple[set[str], list[str]]:
        """The unseen platforms after the derivation, and the notifications of it."""
        with pipeline.connect() as conn:
            conn.execute(
                "update core.discovery_manifest set completeness = %s where platform = 'sportybet'", [completeness]
            )
            derive_coverage(pipeline, conn, manifest)
            conn.commit()
            unseen = board_reader.read_unseen_platforms(conn)
        return unseen, [each.payload for each in listener.notifies(timeout=0.5)]

    with pipeline.connect() as listener:
        listener.autocommit = True
        listener.execute(f"listen {FIXTURES_CHANNEL}".encode())
        assert derive("complete") == (set(), [])
        assert derive("partial") == ({"sportybet"}, [ANY_FIXTURE])
        assert derive("partial") == ({"sportybet"}, [])
        assert derive("complete") == (set(), [ANY_FIXTURE])
