"""Which products are due, and why: the database's answer against one that is worked out in Python from the same
facts.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from palimpsest_pipeline.domain.enums import Platform, Scope
from palimpsest_pipeline.storage.derivation import derived_products, landed_cycles
from palimpsest_pipeline.storage.derivation.due_products import (
    CycleVersions,
    DueCycle,
    DueProduct,
    DueQuery,
    DueReason,
    Product,
    delete_failure,
    delete_failures,
    read_due_cycles,
    read_due_failures,
    read_due_hours,
    read_due_products,
    read_failures,
    record_failure,
)
from palimpsest_pipeline.storage.derivation.landed_cycles import LandedCycleRecord
from palimpsest_pipeline_tests.fixtures.examples import count_examples
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA

from ..table_rows import insert

HOUR: Final = datetime(2026, 5, 1, 12, tzinfo=UTC)
PRODUCTS: Final = (
    Product("core", "tournaments"),
    Product("core", "odds_snapshots", by_platform=True),
    Product("mart", "coverage", (Scope.FULL, Scope.RECORDED)),
)
MARKS: Final = (
    Product("core", "tournaments"),
    Product("core", "odds_snapshots/bet9ja"),
    Product("core", "odds_snapshots/betpawa"),
    Product("mart", "coverage", (Scope.FULL, Scope.RECORDED)),
)
ALONE, BOTH = (BET9JA,), (BET9JA, BETPAWA)
WITH_A_MISSING_PACK = (BET9JA, Platform("gone"))
NOW: Final = {"parser_version": "p2", "mapping_version": "m2"}
VERSIONS: Final = (CycleVersions(ALONE, "p1", "m2"), CycleVersions(BOTH, "p2", "m2"))
ASKED: Final = DueQuery(VERSIONS, PRODUCTS)

Mark = tuple[str, str, str]
"""Digest, parser version, mapping version."""

marks = st.one_of(
    st.none(), st.tuples(st.sampled_from("ab"), st.sampled_from(["p1", "p2"]), st.sampled_from(["m1", "m2"]))
)
cycles = st.lists(
    st.tuples(
        st.sampled_from([*Scope, None]),
        st.sampled_from(["whole", "damaged", "gone"]),
        st.sampled_from([ALONE, BOTH, WITH_A_MISSING_PACK]),
        st.sampled_from(["a", None]),
        st.tuples(*[marks] * len(MARKS)),
        st.tuples(*[marks] * len(MARKS)),
    ),
    max_size=5,
)


def landed_cycle(
    cycle_id: int,
    scope: Scope | None = Scope.FULL,
    state: str = "whole",
    platforms: tuple[Platform, ...] = BOTH,
    digest: str | None = "a",
) -> LandedCycleRecord:
    hour = HOUR + timedelta(hours=cycle_id)
    problem = "torn" if state == "damaged" else ""
    return LandedCycleRecord(
        cycle_id, hour, scope, platforms, digest, is_whole=state == "whole", is_gone=state == "gone", problem=problem
    )


def why_due(mark: Mark | None, digest: str | None, parser: str) -> DueReason | None:
    """The first reason that applies; None when the product stands."""
    if mark is None:
        return DueReason.MISSING
    if digest is not None and mark[0] != digest:
        return DueReason.CONTENT
    if mark[1] != parser:
        return DueReason.PARSER
    return DueReason.MAPPING if mark[2] != "m2" else None


@settings(deadline=None, max_examples=count_examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(world=cycles)
def test_a_product_is_due_for_the_first_reason_that_applies(
    conn: psycopg.Connection,
    world: list[
        tuple[Scope | None, str, tuple[Platform, ...], str | None, tuple[Mark | None, ...], tuple[Mark | None, ...]]
    ],
) -> None:
    expected = []
    with conn.transaction(force_rollback=True):
        for cycle_id, (scope, state, platforms, digest, of_products, failed) in enumerate(world):
            cycle = landed_cycle(cycle_id, scope, state, platforms, digest)
            parser = "p1" if platforms == ALONE else "p2"
            landed_cycles.write_landed_cycle(conn, cycle)
            for product, mark, failure in zip(MARKS, of_products, failed, strict=True):
                if mark is not None:
                    versions = {"landing_digest": mark[0], "parser_version": mark[1], "mapping_version": mark[2]}
                    derived_products.mark_derived(conn, product.schema, product.name, cycle_id, n_rows=1, **versions)
                if failure is not None:
                    versions = {
                        "landing_digest": failure[0],
                        "parser_version": failure[1],
                        "mapping_version": failure[2],
                    }
                    record_failure(conn, product.name, cycle_id, error="no", **versions)
                why = why_due(mark, digest, parser)
                is_covered = "/" not in product.name or product.name.partition("/")[2] in platforms
                if (
                    why is not None
                    and (product.scopes is None or scope in product.scopes)
                    and platforms != WITH_A_MISSING_PACK
                    and is_covered
                ):
                    flags = (state == "whole", state == "gone", failure == (digest, parser, "m2"))
                    expected.append(
                        DueProduct(cycle_id, cycle.partition_hour, product.schema, product.name, why, *flags)
                    )
        expected.sort(key=lambda due: (due.cycle_id, due.schema, due.product))
        assert read_due_products(conn, ASKED) == expected
        assert read_due_products(conn, ASKED, cycle_ids=[1, 3]) == [due for due in expected if due.cycle_id in (1, 3)]
        first, end = HOUR + timedelta(hours=1), HOUR + timedelta(hours=3)
        assert read_due_products(conn, ASKED, first=first, end=end) == [
            due for due in expected if due.cycle_id in (1, 2)
        ]


def test_a_failure_is_remembered_with_its_last_error_until_the_product_is_derived(conn: psycopg.Connection) -> None:
    for error in ("first", "with a \0 in it"):
        record_failure(conn, "tournaments", 1, landing_digest="a", error=error, **NOW)
    assert read_failures(conn, [1, 2]) == {(1, "tournaments"): "with a \N{REPLACEMENT CHARACTER} in it"}
    delete_failure(conn, "tournaments", 1)
    assert read_failures(conn, [1, 2]) == {}


def batch(conn: psycopg.Connection, cycle_id: int, status: str, n_bytes: int = 1) -> datetime:
    """A cycle that has ended, in the ledger; returns when."""
    ended_at = HOUR + timedelta(hours=cycle_id, minutes=5)
    insert(
        conn,
        "ops.scrape_batches",
        {
            "cycle_id": cycle_id,
            "scope": "full",
            "partition_hour": HOUR + timedelta(hours=cycle_id),
            "status": status,
            "finished_at": ended_at,
        },
    )
    insert(conn, "ops.scrape_runs", {"cycle_id": cycle_id, "platform": "bet9ja", "bytes": n_bytes})
    return ended_at


def test_a_scraped_cycle_is_underived_when_it_landed_more_but_not_for_a_newer_parser_nor_after_it_failed(
    conn: psycopg.Connection,
) -> None:
    asked = DueQuery(VERSIONS, (Product("core", "tournaments"), Product("core", "matched_events")))
    for cycle_id in range(1, 8):
        landed_cycles.write_landed_cycle(
            conn, landed_cycle(cycle_id, state={5: "damaged", 6: "gone"}.get(cycle_id, "whole"))
        )
        batch(conn, cycle_id, {4: "completed", 7: "running"}.get(cycle_id, "interrupted"))
        for name in ("tournaments", "matched_events") if cycle_id in (1, 2, 4) else ():
            derived_products.mark_derived(
                conn, "core", name, cycle_id, landing_digest="a", n_rows=1, parser_version="p1", mapping_version="m2"
            )
    record_failure(conn, "tournaments", 3, landing_digest="a", error="no", **NOW)
    assert read_due_cycles(conn, asked, HOUR) == []
    for cycle_id in (2, 4):
        landed_cycles.write_landed_cycle(conn, landed_cycle(cycle_id, digest="more was landed"))
    hours = {cycle_id: HOUR + timedelta(hours=cycle_id) for cycle_id in (2, 4)}
    ended_at = {cycle_id: hour + timedelta(minutes=5) for cycle_id, hour in hours.items()}
    second, fourth = (
        DueCycle(2, hours[2], ended_at[2], None, ended_early=True),
        DueCycle(4, hours[4], ended_at[4], None, ended_early=False),
    )
    assert read_due_cycles(conn, asked, HOUR) == [second, fourth]
    assert read_due_cycles(conn, asked, HOUR + timedelta(hours=3)) == [fourth]


def test_a_failure_counts_while_its_product_is_due(conn: psycopg.Connection) -> None:
    landed_cycles.write_landed_cycle(conn, landed_cycle(1))
    derived_products.mark_derived(conn, "core", "tournaments", 1, landing_digest="a", n_rows=1, **NOW)
    record_failure(
        conn, "tournaments", 1, landing_digest="a", error="no", parser_version="p2", mapping_version="edited"
    )
    assert read_due_failures(conn, DueQuery((CycleVersions(BOTH, "p2", "edited"),), PRODUCTS)) != []
    assert read_due_failures(conn, ASKED) == [], "the vocabulary is as it was: the product is up to date"
    assert read_failures(conn, [1]) != {}
    delete_failures(conn, [1])
    assert read_failures(conn, [1]) == {}


def test_hours_are_unfinished_while_a_cycle_that_got_answers_and_ended_long_enough_ago_has_something_due(
    conn: psycopg.Connection,
) -> None:
    for cycle_id, (status, n_bytes) in enumerate(
        [("completed", 1), ("completed", 0), ("running", 1), ("failed", 1), ("completed", 1)]
    ):
        landed_cycles.write_landed_cycle(conn, landed_cycle(cycle_id, state="gone" if cycle_id == 3 else "whole"))
        batch(conn, cycle_id, status, n_bytes)
    assert read_due_hours(conn, ASKED, HOUR + timedelta(days=1)) == [HOUR, HOUR + timedelta(hours=4)]
    assert read_due_hours(conn, ASKED, HOUR + timedelta(hours=2)) == [HOUR]


def test_a_rescan_corrects_only_rows_that_nobody_has_written_since_they_were_read(conn: psycopg.Connection) -> None:
    for cycle_id in (1, 2, 3):
        landed_cycles.write_landed_cycle(conn, landed_cycle(cycle_id))
    before = landed_cycles.read_cycles(conn, HOUR, HOUR + timedelta(days=1))
    landed_cycles.write_landed_cycle(conn, landed_cycle(1, digest="written meanwhile"))
    landed_cycles.write_landed_cycle(conn, landed_cycle(2, digest="written meanwhile"))
    landed_cycles.write_landed_cycle(conn, landed_cycle(4, digest="written meanwhile"))
    now = [
        landed_cycle(1, state="gone", digest=None),
        landed_cycle(3, digest="corrected"),
        landed_cycle(4, digest="old"),
    ]
    landed_cycles.replace_cycles(conn, before, now)
    found = {cycle.cycle_id: cycle.digest for cycle in landed_cycles.read_cycles(conn, HOUR, HOUR + timedelta(days=1))}
    assert found == {1: "written meanwhile", 2: "written meanwhile", 3: "corrected", 4: "written meanwhile"}
    landed_cycles.replace_cycles(
        conn, landed_cycles.read_cycles(conn, HOUR, HOUR + timedelta(days=1)), [landed_cycle(3)]
    )
    assert landed_cycles.read_cycles(conn, HOUR, HOUR + timedelta(days=1)) == [landed_cycle(3)]
