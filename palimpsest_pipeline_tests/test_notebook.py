"""What a notebook opens in one line: tables and views under their names, the history of hot and cold days, and an
export without Postgres.
"""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from uuid import uuid4
from zipfile import ZipFile

import duckdb
import polars as pl
import psycopg
import pytest
from polars.testing import assert_frame_equal
from psycopg import sql
from sqlalchemy import make_url

import palimpsest_pipeline
from palimpsest_pipeline import notebook
from palimpsest_pipeline.notebook import Data, TooManyRows, UnknownName
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.settings import load_settings
from palimpsest_pipeline.storage.archive import Archive, ArchiveError
from palimpsest_pipeline.storage.archive.day_reader import NAMED_PRICES_SCHEMA
from palimpsest_pipeline.storage.db import migrate
from palimpsest_pipeline.storage.db.connection import Database, DatabaseUrlError
from palimpsest_pipeline.storage.db.revisions import sql_dir
from palimpsest_pipeline.storage.odds import partitions
from palimpsest_pipeline.storage.odds.history_reader import PRICE_CHANGES_SCHEMA, PRICES_SCHEMA
from palimpsest_pipeline.tables.frame_types import get_frame_schema
from palimpsest_pipeline_tests.fixtures.postgres import create_database, drop_database, upgrade_with_platforms
from palimpsest_pipeline_tests.storage.history_worlds import DAYS, INGESTED_AT
from palimpsest_pipeline_tests.storage.layer_worlds import LISTINGS, answers, ingest_world

WORLD = answers()
ANSWERED = max(said.observed_at for said in WORLD if said.listing_id == 1 and said.observed_at.date() == DAYS[1])
"""On a day that is exported."""
ALERTS = """
insert into mart.odds_alert (alert_id, alert_type, severity, platform, sr_id, kickoff_date, market_key, specifier, outcome_key, baseline_odds,
    change_rel, opened_at, status, minutes_to_kickoff, as_of, mapping_version, computed_at)
select n, 'price_move', 'low', (array['bet9ja', 'sportybet'])[1 + n % 2], 7 + n % 3, '2026-03-05', 'match_result', '', 'X', 3.4, 0.08,
    '2026-03-01 10:00:00.123456Z', 'open', 30, '2026-03-01 10:00Z', '1', '2026-03-01 10:00Z'
from generate_series(1, 6) n
"""


@dataclass(frozen=True)
class World:
    """Databases that hold the same: all days in Postgres, and the first two in the export only."""

    hot: str
    half: str
    export: Path
    analyst: str
    """The half one, for a role that sees marts and views only."""


@pytest.fixture(scope="module")
def world(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    hot, half = f"notebook_{uuid4().hex[:12]}", f"notebook_{uuid4().hex[:12]}"
    role, export = f"reader_{uuid4().hex[:12]}", tmp_path_factory.mktemp("export")
    create_database(postgres, hot)
    upgrade_with_platforms(postgres.build_url(hot))
    with Database(postgres.build_url(hot)).connect() as conn:
        partitions.ensure_partitions(conn, DAYS)
        ingest_world(conn, WORLD)
        seen = [min(said.observed_at for said in WORLD), max(said.observed_at for said in WORLD)]
        conn.execute("update core.event_listings set first_seen_at = %s, last_seen_at = %s", seen)
        conn.execute(ALERTS)
    with Database(postgres.build_url(hot)).connect(autocommit=True) as conn:
        for day in DAYS[:2]:
            Archive(export).export(conn, day, exported_at=INGESTED_AT)
    with Database(postgres.build_url("postgres")).connect(autocommit=True) as admin:
        admin.execute(sql.SQL("create database {} template {}").format(sql.Identifier(half), sql.Identifier(hot)))
        admin.execute(sql.SQL("create role {} login password 'reads'").format(sql.Identifier(role)))
    with Database(postgres.build_url(half)).connect() as conn:
        for day in DAYS[:2]:
            partitions.drop_day(conn, day)
        conn.execute(sql.SQL("grant usage on schema mart, palimpsest to {}").format(sql.Identifier(role)))
        conn.execute(sql.SQL("grant select on mart.odds_alert to {}").format(sql.Identifier(role)))
    analyst = (
        make_url(postgres.build_url(half)).set(username=role, password="reads").render_as_string(hide_password=False)
    )
    yield World(postgres.build_url(hot), postgres.build_url(half), export, analyst)
    with Database(postgres.build_url(half)).connect() as conn:
        conn.execute(sql.SQL("drop owned by {}").format(sql.Identifier(role)))
    with Database(postgres.build_url("postgres")).connect(autocommit=True) as admin:
        admin.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))
    for name in (hot, half):
        drop_database(postgres, name)


@pytest.fixture
def data(world: World) -> Iterator[Data]:
    with palimpsest_pipeline.connect(world.half, export=world.export) as opened:
        yield opened


def test_a_table_comes_with_the_types_it_has(data: Data) -> None:
    rows = data.odds_alert()
    assert rows.height == 6
    assert rows.schema == pl.Schema(get_frame_schema("mart.odds_alert"))
    assert rows["baseline_odds"].to_list() == [3.4] * 6
    assert {at.isoformat() for at in rows["opened_at"]} == {"2026-03-01T10:00:00.123456+00:00"}


def test_what_is_asked_for_is_narrowed_in_postgres(data: Data) -> None:
    assert data.odds_alert(columns=["alert_id"], platform="bet9ja").columns == ["alert_id"]
    assert sorted(data.odds_alert(platform="bet9ja")["alert_id"]) == [2, 4, 6]
    assert sorted(data.odds_alert("change_rel > 0.05 and market_key like 'match%'", sr_id=[7, 8])["alert_id"]) == [
        1,
        3,
        4,
        6,
    ]
    assert sorted(data.odds_alert(sr_id=pl.Series([9]))["alert_id"]) == [2, 5]
    assert data.odds_alert(sr_id=[]).is_empty()
    assert data.odds_alert(closed_at=None).height == 6
    assert data.odds_alert("true -- all of them", platform="bet9ja").height == 3
    assert data.odds_alert(limit=2).height == 2


def test_what_is_read_can_be_written_as_csv_and_for_excel(data: Data, tmp_path: Path) -> None:
    lists = data.sql(
        "select array['betpawa', 'bet9ja'] as platforms, array[1, 2]::bigint[] as ids, now() as at, 'match_result' as market_key"
    )
    for name, rows in {"alerts": data.odds_alert(), "lists": lists, "prices": data.prices(7, ANSWERED)}.items():
        rows.write_csv(tmp_path / f"{name}.csv")
        assert pl.read_csv(tmp_path / f"{name}.csv").height == rows.height > 0
        rows.write_excel(tmp_path / f"{name}.xlsx")
        with ZipFile(tmp_path / f"{name}.xlsx") as file:
            assert "match_result" in file.read("xl/sharedStrings.xml").decode()
    assert pl.read_csv(tmp_path / "lists.csv")["platforms"].to_list() == ["betpawa, bet9ja"]


def test_a_market_that_there_is_not_is_refused_and_its_key_named(data: Data) -> None:
    with pytest.raises(UnknownName, match=r"market_key='1x2': write 'match_result'"):
        data.odds_alert(market_key="1x2")
    with pytest.raises(UnknownName, match=r"'match_reslt'.*nearest: .*match_result"):
        data.odds_alert(market_key=["match_result", "match_reslt"])
    assert data.odds_alert(market_key="asian_handicap", sr_id=[1]).is_empty(), (
        "a market that nobody offers is no mistake"
    )
    assert data.odds_alert(market_key=["match_result"]).height > 0


def test_a_large_table_is_not_read_whole_unasked(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook, "MAX_ROWS", 5)
    with pytest.raises(
        TooManyRows, match=r"mart.odds_alert has more than 5 rows here: narrow them .* or read them all with whole=True"
    ):
        data.odds_alert()
    assert data.odds_alert(whole=True).height == 6
    assert data.odds_alert(limit=6).height == 6
    assert data.odds_alert(platform="bet9ja").height == 3


def test_views_functions_and_tables_of_the_same_name(data: Data) -> None:
    told = {(row["name"], row["schema"]): row for row in data.tables.iter_rows(named=True)}
    assert {(name.partition(".")[2] or name, schema) for name, schema in told} >= {
        ("open_close", "mart"),
        ("open_close", "palimpsest"),
    }
    assert told["prices_as_of", "palimpsest"]["kind"] == "function"
    assert "decimal" in told["prices_as_of", "palimpsest"]["about"]
    assert "tournament" in data.open_close().columns or "home_team" in data.open_close().columns
    assert data["mart.open_close"]().schema == pl.Schema(get_frame_schema("mart.open_close"))
    assert {"odds_alert", "open_close", "prices_as_of", "prices", "export"} <= set(dir(data))
    assert "opened_at: timestamp with time zone" in repr(data.odds_alert)
    assert data.odds_alert.columns.row(0) == (
        "alert_id",
        "bigint",
        "Hash of the alert's subject and of opened_at: an episode has the same id in every derivation.",
    )


def test_a_function_takes_its_arguments_by_name_and_columns_beside_them(data: Data) -> None:
    at = max(said.observed_at for said in WORLD if said.observed_at.date() == DAYS[2])
    rows = data.prices_as_of(at=at, fixture=7, platform="betpawa")
    theirs = data.prices(7, at).filter(platform="betpawa")
    assert rows.height == theirs.height > 0
    assert set(rows["odds"]) == set(theirs["odds"])


def test_prices_get_their_fair_probabilities(data: Data) -> None:
    prices = data.prices(7, ANSWERED, all_listings=True)
    rows = data.fair_probabilities(prices, ["listing_id"])
    assert rows.drop("fair_multiplicative", "fair_power", "fair_shin").equals(prices)
    sums = (
        rows.drop_nulls("fair_power")
        .group_by("listing_id", "market_key", "specifier")
        .agg(pl.col("fair_multiplicative", "fair_power", "fair_shin").sum())
    )
    assert sums.height > 0
    assert all(total == pytest.approx(1, abs=1e-9) for row in sums.rows() for total in row[3:])


def test_prices_of_ones_own_are_judged(data: Data, tmp_path: Path) -> None:
    bets = pl.DataFrame({"sr_id": [7, 99], "market_key": "match_result", "outcome_key": "home", "odds": 2.1})
    bets.write_csv(tmp_path / "bets.csv")
    for prices in (bets, tmp_path / "bets.csv", str(tmp_path / "bets.csv")):
        assert data.judge_prices(prices)["status"].to_list() == ["no_exact_close", "unknown_fixture"]


@pytest.mark.parametrize("minutes", [0, 24 * 60 - 1], ids=["archived day", "after midnight"])
def test_prices_of_an_instant_are_judged_from_archived_days_and_over_midnight(data: Data, minutes: int) -> None:
    """The SQL function sees neither: the day has left Postgres, or its answers are of the day before."""
    instant = ANSWERED + timedelta(minutes=minutes)
    prices = data.prices(7, instant).filter("is_active", pl.col("odds").is_not_null(), platform="betpawa")
    judged = data.judge_prices_at(instant, 7, "betpawa")
    assert judged.height == prices.height > 0
    assert judged["odds"].to_list() == prices["odds"].to_list()
    assert set(judged["status"]) == {"no_exact_close"}
    assert data.judge_prices_at(instant, 7).height in {0, judged.height}


def test_every_readable_thing_can_be_read(data: Data) -> None:
    for name, kind in data.tables.select("name", "kind").iter_rows():
        if kind != "function":
            rows = data[name](limit=3)
            assert rows.columns == data[name].columns["column"].to_list(), name


def test_what_is_not_there_is_named_with_what_is_near(data: Data) -> None:
    with pytest.raises(AttributeError, match=r"no table or view 'odds_alrt'; nearest: .*odds_alert"):
        data.odds_alrt()
    with pytest.raises(KeyError, match="no table or view"):
        data["core.fixtures"]
    with pytest.raises(UnknownName, match=r"mart\.odds_alert has no platfrom; its columns: alert_id, alert_type"):
        data.odds_alert(platfrom="bet9ja")
    with pytest.raises(UnknownName, match="its arguments: at, fixture, tournament"):
        data.prices_as_of(when="2026-03-01T00:00Z")


def test_it_cannot_write(data: Data) -> None:
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        data.sql("select nextval(pg_get_serial_sequence('ops.listing_ids', 'listing_id'))")
    assert data.sql(
        "select 1::int2 as one, null::numeric as nothing, array['a', null] as texts, '{\"k\": 1}'::jsonb as json"
    ).rows() == [(1, None, ["a", None], '{"k": 1}')]


def test_prices_of_an_instant_wherever_its_day_lies(world: World, data: Data) -> None:
    with (
        palimpsest_pipeline.connect(world.hot, export=world.export) as hot,
        palimpsest_pipeline.connect(world.export) as alone,
    ):
        whole = hot.prices(7, ANSWERED, all_listings=True)
        assert whole.schema == pl.Schema(PRICES_SCHEMA)
        assert whole["platform"].n_unique() == 3
        for other in (data, alone):
            assert_frame_equal(other.prices(7, ANSWERED, all_listings=True), whole)
        assert data.prices([7], ANSWERED.isoformat())["is_primary"].all()
        assert alone.prices(7, max_age=timedelta(days=3))["last_confirmed_at"].max() == max(
            said.observed_at
            for said in WORLD
            if said.observed_at.date() in DAYS[:2] and LISTINGS[said.listing_id][2] == 7
        )
    with pytest.raises(ValueError, match="has no time zone"):
        data.prices(7, datetime(2026, 3, 1))  # noqa: DTZ001


def test_changes_are_those_of_the_view_wherever_their_days_lie(world: World, data: Data) -> None:
    with palimpsest_pipeline.connect(world.hot) as hot:
        ours = hot.changes(7, all_listings=True)
        assert ours.schema == pl.Schema(PRICE_CHANGES_SCHEMA)
        names = [name for name in PRICE_CHANGES_SCHEMA if name not in {"external_id", "ordinal"}]
        theirs = hot.price_changes(sr_id=7, columns=names)
        assert_frame_equal(ours.select(names), theirs, check_row_order=False)
        assert_frame_equal(data.changes([7], all_listings=True), ours)
        assert hot.changes(7).height == ours.filter("is_primary").height < ours.height
        with palimpsest_pipeline.connect(world.export) as alone:
            assert_frame_equal(alone.changes(7), hot.changes(7, DAYS[0], DAYS[1]))
    with pytest.raises(LookupError, match="no fixture with SportRadar id 404 is known"):
        data.changes(404)


def test_the_export_is_a_lazy_frame_that_says_what_duckdb_says(world: World) -> None:
    with palimpsest_pipeline.connect(world.export) as alone:
        rows = alone.export().collect()
        assert rows.schema == pl.Schema(NAMED_PRICES_SCHEMA)
        asked = duckdb.connect()
        asked.execute((world.export / "open.sql").read_text())
        asked.execute("set timezone = 'UTC'")
        theirs = asked.sql(f"select {', '.join(NAMED_PRICES_SCHEMA)} from prices").pl()
        assert_frame_equal(
            theirs.select(pl.col(name).cast(kind) for name, kind in NAMED_PRICES_SCHEMA.items()),
            rows,
            check_row_order=False,
        )
        one = alone.export(8, DAYS[1], DAYS[1]).filter(pl.col("market_key") == "match_result").collect()
        assert_frame_equal(one, rows.filter(sr_id=8, date=DAYS[1], market_key="match_result"), check_row_order=False)
        assert one.height
        assert alone.export(404).collect().is_empty()


def test_an_export_alone_says_what_it_lacks(world: World, tmp_path: Path) -> None:
    with palimpsest_pipeline.connect(world.export) as alone:
        assert alone.tables.is_empty()
        with pytest.raises(
            AttributeError, match=r"is read without Postgres: it has prices\(\), changes\(\) and export\(\), no tables"
        ):
            alone.price_comparison()
        with pytest.raises(
            ArchiveError, match=f"does not have 2026-05-01: it holds 2 days from {DAYS[0]} to {DAYS[1]}"
        ):
            alone.prices(7, "2026-05-01T12:00Z", max_age=timedelta(0))
    with pytest.raises(ArchiveError, match="nothing was exported to"):
        palimpsest_pipeline.connect(tmp_path / "nothing")


def test_an_export_that_lacks_a_day_of_those_asked_for_does_not_answer_as_if_it_had_it(
    world: World, tmp_path: Path
) -> None:
    noon = [datetime.combine(day, time(12), UTC) for day in DAYS]
    with palimpsest_pipeline.connect(
        world.export
    ) as alone:  # the first two of three days; the day after them nothing was observed
        with pytest.raises(
            ArchiveError, match=r"does not have 2026-03-03: it holds 2 days .* \(first_day, last_day; at, max_age\)"
        ):
            alone.prices(7, noon[1] + timedelta(days=1), max_age=timedelta(days=2))
        with pytest.raises(ArchiveError, match="does not have 2026-03-03, 2026-03-04"):
            alone.changes(7, DAYS[0], DAYS[2])
        with pytest.raises(ArchiveError, match="does not have 2026-02-28"):
            alone.changes(7, DAYS[0] - timedelta(days=1), DAYS[1])
        with palimpsest_pipeline.connect(world.hot) as hot:
            assert alone.prices(7, noon[0]).height, (
                "what an export has of its first day it says, though the age reaches further back"
            )
            assert_frame_equal(alone.prices(7, noon[0]), hot.prices(7, noon[0]))
    with Database(world.hot).connect(autocommit=True) as conn:
        for day in (DAYS[0], DAYS[2]):
            Archive(tmp_path).export(conn, day, exported_at=INGESTED_AT)
    with palimpsest_pipeline.connect(tmp_path) as holed:
        with pytest.raises(
            ArchiveError, match="does not have 2026-03-02, 2026-03-03: it holds 2 days from 2026-03-01 to 2026-03-04"
        ):
            holed.changes(7)
        with pytest.raises(ArchiveError, match="does not have 2026-03-03"):
            holed.prices(7, noon[2])
        assert holed.prices(7, noon[2], max_age=timedelta(hours=12)).height
        assert holed.changes(7, DAYS[2], DAYS[2]).height


def test_who_has_an_export_alone_is_told_what_he_can_do_when_a_name_is_missing(world: World, tmp_path: Path) -> None:
    shutil.copytree(world.export, tmp_path / "old")
    file = tmp_path / "old" / "outcomes.parquet"
    pl.read_parquet(file).clear().write_parquet(file)
    with (
        palimpsest_pipeline.connect(tmp_path / "old") as alone,
        pytest.raises(LookupError, match=r"^outcomes\.parquet has no name .* copy it again"),
    ):
        alone.changes(7)


def test_a_day_that_the_catalogue_knows_as_empty_is_no_hole(world: World, tmp_path: Path) -> None:
    empty = DAYS[1] + timedelta(days=1)
    with Database(world.hot).connect(autocommit=True) as conn:
        partitions.ensure_partitions(conn, [empty])
        for day in (*DAYS, empty):
            Archive(tmp_path).export(conn, day, exported_at=INGESTED_AT)
    with palimpsest_pipeline.connect(tmp_path) as alone, palimpsest_pipeline.connect(world.hot) as hot:
        assert_frame_equal(alone.changes(7), hot.changes(7))


def test_a_folder_whose_name_begins_like_a_url_is_a_folder(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(world.export, tmp_path / "postgres_export")
    monkeypatch.chdir(tmp_path)
    with palimpsest_pipeline.connect("postgres_export") as alone:
        assert alone.prices(7).height
    with pytest.raises(DatabaseUrlError, match=r"postgresql\+psycopg2:// is not supported"):
        palimpsest_pipeline.connect("postgresql+psycopg2://reader@nowhere/odds")


@pytest.mark.parametrize("file", sorted((sql_dir() / "queries").glob("*.sql")), ids=lambda file: file.stem)
def test_every_example_query_is_read_as_it_is_written(world: World, file: Path) -> None:
    """What they answer is tested on a world that has it; here some find no fixture to ask about, and say so when
    they have been understood.
    """
    with palimpsest_pipeline.connect(world.hot) as hot, suppress(psycopg.errors.NoDataFound):
        assert hot.sql(file.read_text()).width


def test_names_need_no_schema_as_for_the_analysts_role(data: Data) -> None:
    assert (
        data.sql("select * from odds_alert").height
        == data.odds_alert(where="sr_id in (select sr_id from odds_alert)").height
        == 6
    )


def test_a_query_may_end_as_statements_end_or_with_a_comment(data: Data) -> None:
    for end in ("", ";", " ;\n", "\n-- that was all", "; ;\n\n"):
        assert data.sql(f"select ';' as a, 1::int2 as b{end}").rows() == [(";", 1)], end


def test_the_export_of_another_database_is_refused(world: World, database_url: str) -> None:
    migrate.upgrade(database_url)
    with (
        palimpsest_pipeline.connect(database_url, export=world.export) as other,
        pytest.raises(ArchiveError, match="from another database"),
    ):
        other.prices(7, ANSWERED)


def test_a_role_for_marts_and_views_sees_these_and_is_told_where_the_history_is(world: World) -> None:
    with palimpsest_pipeline.connect(world.analyst, export=world.export) as analyst:
        assert "odds_alert" in dir(analyst)
        assert "availability_gap" not in dir(analyst)
        assert analyst.odds_alert().height == 6
        for ask in (
            lambda: analyst.prices(7, ANSWERED),
            lambda: analyst.changes(7),
            lambda: analyst.changes(7, DAYS[0], DAYS[1]),
        ):
            with pytest.raises(
                PermissionError,
                match=r"this role may not read the history itself .* read the views \(prices_as_of, price_changes\)",
            ):
                ask()


def test_without_a_place_it_is_the_database_of_the_settings(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALIMPSEST_DATABASE_URL", world.half)
    monkeypatch.setenv("PALIMPSEST_DAGSTER_DATABASE_URL", "postgresql://unused/dagster")
    monkeypatch.setenv("PALIMPSEST_EXPORT_URL", str(world.export))
    with palimpsest_pipeline.connect() as data:
        assert data.odds_alert().height == 6
        assert data.prices(7, ANSWERED).height
        assert "Data(Database(" in repr(data)


@pytest.mark.slow
def test_the_embedded_server_is_started_for_it_and_stopped_after_it(tmp_path: Path) -> None:
    from palimpsest_pipeline.operate.databases import open_databases, prepare_schema
    from palimpsest_pipeline.pipeline.context import make_embedded_server

    settings = load_settings(
        home_dir=tmp_path / "home", embedded_durable=False, database_url=None, dagster_database_url=None
    )
    with open_databases(settings) as pipeline:
        prepare_schema(pipeline)
    with palimpsest_pipeline.connect(settings=settings) as data:
        assert make_embedded_server(settings).status().running
        assert data.tables.height > 20
    assert not make_embedded_server(settings).status().running
    make_embedded_server(settings).remove()
