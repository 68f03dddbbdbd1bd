"""What each step writes is what its assets declare: tables, and columns of tables whose rows another asset writes."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from palimpsest_pipeline.definitions import defs
from palimpsest_pipeline.defs.asset_metadata import list_written_tables
from palimpsest_pipeline.operate.run_job import run_job
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline_tests.fixtures.pipeline import pipelines
from palimpsest_pipeline_tests.fixtures.platforms import PLATFORMS

pytestmark = pytest.mark.slow

RECORD_SQL = """
create table public.writes (at timestamptz not null, name text not null, columns text not null);
create function public.record_rows() returns trigger language plpgsql as $$
begin
    insert into public.writes select clock_timestamp(), tg_table_schema || '.' || tg_table_name, '*' where exists (select from changed);
    return null;
end $$;
create function public.record_columns() returns trigger language plpgsql as $$
begin
    insert into public.writes
    select clock_timestamp(), tg_table_schema || '.' || tg_table_name, n.key
    from jsonb_each(to_jsonb(new)) n join jsonb_each(to_jsonb(old)) o using (key) where n.value is distinct from o.value;
    return null;
end $$;
"""
TABLES_SQL = """
select c.oid::regclass::text from pg_class c join pg_namespace s on s.oid = c.relnamespace
where s.nspname in ('core', 'mart', 'ops') and c.relkind in ('r', 'p') and not c.relispartition
"""
STATEMENTS_SQL = """
create trigger inserts_are_recorded after insert on {table} referencing new table as changed
for each statement execute function public.record_rows();
create trigger deletes_are_recorded after delete on {table} referencing old table as changed
for each statement execute function public.record_rows();
create trigger columns_are_recorded after update on {table} for each row execute function public.record_columns();
"""
MACHINERY = {
    "ops.run_heartbeats",
    "ops.cycle_failures",
    "ops.cycle_checks",
    "core.cycle_products",
    "mart.cycle_products",
    "mart.dirty_fixtures",
}
"""What every step may write: signs of life, marks of what stands and what is due, failures and verdicts."""


BETWEEN_CYCLES_S = 50 * 60
IN_TROUBLE = {"core.rejects", "ops.host_state"}
"""Written when an answer is refused, or a host is in trouble: not in this world."""


@pytest.fixture(scope="module")
def written(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, dict[str, set[str]]]]:
    """By step of two full cycles: the tables that it wrote, each with the columns that it changed, or `*` for whole rows.
    Between the cycles all platforms suspend a fixture that they share.
    """
    with (
        SimulatorProcess(30, 5, clock_offset_s=-BETWEEN_CYCLES_S) as simulator,
        pipelines(postgres, tmp_path_factory.mktemp("written")) as make,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        pipeline: Pipeline = make(simulator, clock_offset_s=-BETWEEN_CYCLES_S)
        with pipeline.connect() as conn:
            conn.execute(RECORD_SQL)
            for (table,) in conn.execute(TABLES_SQL).fetchall():
                conn.execute(STATEMENTS_SQL.format(table=table).encode())
        found: defaultdict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for offset_s in (-BETWEEN_CYCLES_S, 0):
            simulator.set_clock(offset_s)
            if offset_s == 0:
                _suspend_shared_fixture(simulator)
            now = make(simulator, clock_offset_s=offset_s)
            outcome = run_job(instance, now, "full_cycle", now.clock.now().date())
            assert outcome.success, outcome.error
            with pipeline.connect() as conn:
                for step, begin, end in _spans(instance, outcome.run_id):
                    query = "select distinct name, columns from public.writes where at between to_timestamp(%s) and to_timestamp(%s)"
                    for name, column in conn.execute(query, [begin, end]).fetchall():
                        found[step][name].add(column)
        yield found


def _suspend_shared_fixture(simulator: SimulatorProcess) -> None:
    """Choose one that kicks off in hours, so that who suspended it first is derived."""
    soon, late = (datetime.now(UTC) + timedelta(hours=hours) for hours in (2, 48))
    for fixture in simulator.fetch_truth()["fixtures"]:
        if len(fixture["platforms"]) == len(PLATFORMS) and soon < datetime.fromisoformat(fixture["kickoff_at"]) < late:
            simulator.run_script("suspend", fixture["sr_id"], platforms=PLATFORMS, lag_s=0, minutes=30)
            return
    raise AssertionError("no fixture is shared and kicks off in hours")


def _spans(instance: dg.DagsterInstance, run_id: str) -> list[tuple[str, float, float]]:
    return [(s.step_key, s.start_time or 0.0, s.end_time or 0.0) for s in instance.get_run_step_stats(run_id)]


def test_each_step_writes_the_tables_that_its_assets_declare(written: dict[str, dict[str, set[str]]]) -> None:
    declared: defaultdict[str, dict[str, set[str]]] = defaultdict(dict)
    for asset in defs.resolve_asset_graph().assets_defs:
        for spec in asset.specs:
            for table, columns in list_written_tables(spec).items():
                declared[asset.node_def.name].setdefault(table, set()).update(columns)
    undeclared = [
        f"{step} writes {table}: {', '.join(sorted(columns))}"
        for step, tables in written.items()
        for table, columns in tables.items()
        if table not in MACHINERY
        and "*" not in declared[step].get(table, set())
        and not columns <= declared[step].get(table, set())
    ]
    assert not undeclared, "\n".join(undeclared)


def test_every_declared_table_is_written_by_some_step(written: dict[str, dict[str, set[str]]]) -> None:
    tables = {table for each in written.values() for table in each}
    idle = [
        f"{spec.key.to_user_string()} declares {table}"
        for asset in defs.resolve_asset_graph().assets_defs
        if asset.node_def.name in written
        for spec in asset.specs
        for table in list_written_tables(spec)
        if table not in tables | IN_TROUBLE
    ]
    assert not idle, "\n".join(idle)
