"""Messages about fixtures that one side lacks: one per episode, in whatever order the cycles are derived."""

import json
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from palimpsest_pipeline.domain.enums import RunStatus, Scope
from palimpsest_pipeline.landing import Manifest
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.marts.derive_marts import derive_coverage
from palimpsest_pipeline.pipeline.push import rules as push_rules
from palimpsest_pipeline.pipeline.push.enqueue import enqueue_events
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline
from palimpsest_pipeline_tests.fixtures.platforms import PLATFORMS
from palimpsest_pipeline_tests.storage.listing_worlds import START, cycle, listing, write

RULE: Final = """
[rule.missing]
source = "coverage"
webhook = "TRADERS_URL"
max_age_minutes = 1440
"""
MANIFESTS: Final = [(platform, part, "complete") for platform in PLATFORMS for part in ("*", "t1")]
BOTH: Final = ("betpawa", "sportybet")
EPISODES: Final = {0: BOTH, 60: ("other",), 120: ("other",), 180: BOTH, 240: ("other",), 300: ("other",)}
"""The platforms that list the fixture, by minutes after START: one side drops it twice."""


@pytest.fixture
def pipeline(make_pipeline: MakePipeline) -> Pipeline:
    """A pipeline whose clock is six hours after START."""
    offset = START + timedelta(hours=6) - datetime.now(UTC)
    return make_pipeline(clock_offset_s=offset.total_seconds())


def put_rule(pipeline: Pipeline, **fields: Any) -> None:
    """Make the rule hold since before START."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in fields.items()]
    push_rules.locate_rules(pipeline.settings).write_text("\n".join([RULE, *lines]))
    with pipeline.connect() as conn:
        push_rules.apply_rules(pipeline, conn)
        conn.execute("update ops.push_rules set since = %s", [START - timedelta(days=1)])


def put_cycle(
    pipeline: Pipeline, minutes: int, platforms: Sequence[str], scope: Scope = Scope.FULL, **claims: object
) -> int:
    """Store a cycle in which these platforms list the fixture; return its id."""
    facts = cycle(minutes, scope)
    rows = [listing("x", platform, **{"sr_id": 7, **claims}) for platform in platforms]
    with pipeline.connect() as conn:
        write(conn, facts, rows, MANIFESTS if scope is Scope.FULL else [])
        conn.execute("update core.event_listings set fixture_sr_id = sr_id")
    return facts.cycle_id


def put_episodes(pipeline: Pipeline, absent: str) -> list[int]:
    """Store the cycles of EPISODES, in which the platform `absent` drops the fixture twice; return their ids."""
    other = next(platform for platform in BOTH if platform != absent)
    return [
        put_cycle(pipeline, minutes, [other] if platforms == ("other",) else platforms)
        for minutes, platforms in EPISODES.items()
    ]


def derive(pipeline: Pipeline, cycle_id: int) -> None:
    with pipeline.connect() as conn:
        facts = conn.execute("select * from core.cycles where cycle_id = %s", [cycle_id]).fetchone()
        assert facts is not None
        _, hour, trigger, scope, home, as_of = facts
        manifest = Manifest(
            cycle_id=cycle_id,
            trigger=trigger,
            scope=Scope(scope),
            home_platform=home,
            partition_hour=hour,
            started_at=as_of,
            finished_at=as_of,
            run_id=None,
            sr_ids=(),
            status=RunStatus.COMPLETED,
            stages=(),
            segments=(),
            platforms=PLATFORMS,
        )
        derive_coverage(pipeline, conn, manifest)


def read_messages(pipeline: Pipeline) -> list[tuple[str, str, datetime]]:
    """Return id, type and fires_at of the messages."""
    with pipeline.connect() as conn:
        return conn.execute(
            "select message_id, body::jsonb ->> 'type', fires_at from ops.push_outbox order by fires_at"
        ).fetchall()


@pytest.mark.parametrize(("absent", "kind"), [("betpawa", "competitor_only"), ("sportybet", "home_only")])
def test_each_time_that_a_side_drops_a_fixture_is_one_message(pipeline: Pipeline, absent: str, kind: str):
    put_rule(pipeline)
    other = next(platform for platform in BOTH if platform != absent)
    for minutes, platforms in EPISODES.items():
        derive(pipeline, put_cycle(pipeline, minutes, [other] if platforms == ("other",) else platforms))
    messages = read_messages(pipeline)
    seen_at = [START + timedelta(minutes=minutes, seconds=30) for minutes in (0, 180)]
    assert [(each[1], each[2]) for each in messages] == [(kind, at) for at in seen_at]


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4, 5), (5, 4, 3, 2, 1, 0), (2, 5, 1, 4, 0, 3)])
@pytest.mark.parametrize("absent", BOTH)
def test_messages_do_not_depend_on_the_order_of_derivations_and_a_second_one_adds_none(
    pipeline: Pipeline, absent: str, order: tuple[int, ...]
):
    put_rule(pipeline)
    cycle_ids = put_episodes(pipeline, absent)
    for number in order:
        derive(pipeline, cycle_ids[number])
    messages = read_messages(pipeline)
    assert len(messages) == 2
    for cycle_id in reversed(cycle_ids):
        derive(pipeline, cycle_id)
    assert read_messages(pipeline) == messages


def test_what_coverage_does_not_count_as_listed_begins_no_episode(pipeline: Pipeline):
    """An answer with odds between two full cycles; and a listing before it has the id of the fixture."""
    put_rule(pipeline)
    cycle_ids = [put_cycle(pipeline, 0, BOTH), put_cycle(pipeline, 60, ["sportybet"])]
    derive(pipeline, cycle_ids[1])
    put_cycle(pipeline, 90, ["betpawa"], Scope.EVENTS, seen_in="detail")
    cycle_ids.append(put_cycle(pipeline, 120, ["sportybet"]))
    derive(pipeline, cycle_ids[2])
    assert len(read_messages(pipeline)) == 1
    with pipeline.connect() as conn:
        write(conn, cycle(180), [listing("x", "sportybet", sr_id=7), listing("y", sr_id=None)], MANIFESTS)
        conn.execute("update core.event_listings set fixture_sr_id = 7")
    derive(pipeline, cycle(180).cycle_id)
    cycle_ids.append(put_cycle(pipeline, 240, ["sportybet"]))
    with pipeline.connect() as conn:
        conn.execute("update core.event_listings set fixture_sr_id = 7")
    derive(pipeline, cycle_ids[3])
    assert len(read_messages(pipeline)) == 1


def test_the_cooldown_holds_for_two_cycles_that_are_derived_at_once(pipeline: Pipeline):
    """The second transaction begins before the first one has ended, and waits for it."""
    cycle_ids = put_episodes(pipeline, "betpawa")
    for cycle_id in cycle_ids:
        derive(pipeline, cycle_id)
    put_rule(pipeline, cooldown_minutes=600)

    def enqueue(cycle_id: int) -> None:
        with pipeline.connect() as conn:
            enqueue_events(pipeline, conn, "coverage", [cycle_id])

    with pipeline.connect() as conn:
        assert enqueue_events(pipeline, conn, "coverage", [cycle_ids[1]]) == 1
        other = threading.Thread(target=enqueue, args=[cycle_ids[4]])
        other.start()
        with pipeline.database.connect(autocommit=True) as watching:
            waiting = (
                "select count(*) from pg_locks where locktype = 'advisory' and not granted"
                " and database = (select oid from pg_database where datname = current_database())"
            )
            while watching.execute(waiting.encode()).fetchone() != (1,):
                assert other.is_alive()
        conn.commit()
        other.join()
    assert len(read_messages(pipeline)) == 1
