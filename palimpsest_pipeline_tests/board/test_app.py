"""The board's server on a real database: what it shows is what SQL gives, and what it refuses."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from palimpsest_pipeline.board import live_tables
from palimpsest_pipeline.board.app import BoardConfig, build_board_app
from palimpsest_pipeline.board.connections import BoardCanWrite, ReadOnlyConnections
from palimpsest_pipeline.board.security import BoardNotProtected, check_binding
from palimpsest_pipeline.board.web_server import serve_board
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.storage.db import roles

from .servers import served
from .worlds import EVIL, FIRST_SR_ID, PLATFORMS, World

TOKEN = "a secret of sixteen or more"
LOCAL = "http://localhost"
"""The board answers to names of this machine alone."""


@pytest.fixture(scope="module")
def client(config: BoardConfig) -> Iterator[TestClient]:
    with TestClient(build_board_app(config), base_url=LOCAL) as opened:
        yield opened


def get(client: TestClient, path: str, **params: Any) -> Any:
    answer = client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def fate(number: int, size: int = 48) -> list[int]:
    """The fixtures with this fate (see `worlds.write_world`)."""
    return [FIRST_SR_ID + n for n in range(size) if n % 12 == number]


# --- what it shows -----------------------------------------------------------------------------------------------------------------------


def test_the_table_has_every_fixture_that_has_not_begun_with_home_or_without(client: TestClient, world: World):
    shown = get(client, "/api/table", limit=500)
    assert {row["id"] for row in shown["rows"]} == set(world.sr_ids)
    assert shown["total"] == shown["all"] == 48
    assert [row["kickoff"] for row in shown["rows"]] == sorted(row["kickoff"] for row in shown["rows"])
    assert shown["market"]["outcomes"] == ["1", "X", "2"]


def test_prices_states_and_margins_are_those_of_sql(client: TestClient, conn: psycopg.Connection):
    shown = get(client, "/api/table", limit=500)
    expected = {
        (sr_id, platform): (state, list(odds), off_mask, margin)
        for sr_id, platform, state, odds, off_mask, margin in conn.execute(
            "select sr_id, platform, state, odds_milli, off_mask, margin from palimpsest.offers_now('match_result', '')"
        )
    }
    found = {
        (row["id"], PLATFORMS[place]): (cell["state"], cell["odds"], cell["off"], cell["margin"])
        for row in shown["rows"]
        for place, cell in enumerate(row["cells"])
        if "odds" in cell
    }
    assert found == expected


def test_a_listing_that_discoveries_lack_has_no_price_anywhere(client: TestClient, conn: psycopg.Connection):
    """The table shows it as no longer listed, so downloads, the fixture's page and SQL must not offer it."""
    sr_id, platform = fate(6)[0], PLATFORMS[1]
    assert conn.execute(
        "select dropped_at is not null from palimpsest.listings_now where sr_id = %s and platform = %s",
        [sr_id, platform],
    ).fetchone() == (True,)
    for arguments in ("'match_result', '', array[%s]", "fixtures => array[%s]"):
        query = f"select distinct platform from palimpsest.prices_now({arguments})"
        platforms = {name for (name,) in conn.execute(query.encode(), [sr_id])}
        assert PLATFORMS[0] in platforms
        assert platform not in platforms
    markets = get(client, f"/api/fixture/{sr_id}")["markets"]
    assert {entry["states"][1] for entry in markets} == {None}


def test_margins_are_those_of_the_marts(conn: psycopg.Connection):
    n, largest = conn.execute(
        "select count(*), max(abs(m.margin - o.margin)) from palimpsest.margins_now m"
        " join palimpsest.offers_now('match_result', '') o using (sr_id, platform)"
        " where m.market_key = 'match_result' and m.margin is not null"
    ).fetchone() or (0, None)
    assert n > 50
    assert largest < 1e-12


def test_suspended_withdrawn_dropped_absent_and_not_looked_at_are_told_apart(client: TestClient):
    rows = {row["id"]: row["cells"] for row in get(client, "/api/table", limit=500)["rows"]}
    assert {rows[sr_id][0]["state"] for sr_id in fate(3)} == {"not_listed"}
    assert {rows[sr_id][0]["state"] for sr_id in fate(4)} == {"suspended"}
    assert {rows[sr_id][0]["state"] for sr_id in fate(5)} == {"withdrawn"}
    assert {rows[sr_id][1]["state"] for sr_id in fate(6)} == {"dropped"}
    assert {rows[sr_id][1]["unseen"] for sr_id in fate(7)} == {True}
    assert {rows[sr_id][0]["off"] for sr_id in fate(8)} == {1}
    others = set(rows) - set(fate(7))
    assert not any(cell.get("unseen") for sr_id in others for cell in rows[sr_id])


def test_home_s_ranks_are_those_of_the_price_comparison(client: TestClient, conn: psycopg.Connection):
    rows = get(client, "/api/table", limit=500)["rows"]
    best = {(row["id"], place) for row in rows for place, code in enumerate(row["ranks"]) if code == "b"}
    assert best == {
        (sr_id, order - 1)
        for sr_id, order in conn.execute(
            "select distinct sr_id, outcome_order from palimpsest.price_comparison"
            " where market_key = 'match_result' and home_is_best"
        )
    }
    for home, sql_filter in (("best", "home_is_best"), ("worst", "rank_home = n + 1 and n > 0")):
        chosen = {row["id"] for row in get(client, "/api/table", limit=500, home=home)["rows"]}
        assert chosen == {
            sr_id
            for (sr_id,) in conn.execute(
                f"""select distinct sr_id from (
                    select sr_id, home_is_best, rank_home, count(*) filter (where comparable) over (partition by sr_id, outcome_key) as n
                    from palimpsest.price_comparison where market_key = 'match_result') x where {sql_filter}"""
            )
        }
        assert chosen
    assert {row["id"] for row in get(client, "/api/table", limit=500, home="lacks")["rows"]} == set(fate(3))


def test_pages_of_the_table_join_to_the_whole(client: TestClient):
    whole = get(client, "/api/table", limit=500, sort="tournament")
    parts = [get(client, "/api/table", limit=20, offset=offset, sort="tournament") for offset in (0, 20, 40)]
    assert [row["id"] for part in parts for row in part["rows"]] == [row["id"] for row in whole["rows"]]
    some = whole["ids"][3:5]
    answer = get(client, "/api/table", limit=20, sort="tournament", fixtures=",".join(map(str, some)))
    assert [row["id"] for row in answer["rows"]] == some
    assert answer["ids"] == parts[0]["ids"]


def test_rows_are_returned_on_whatever_page_their_fixtures_are(client: TestClient):
    whole = get(client, "/api/table", limit=500, country="England")
    chosen = [whole["ids"][-1], whole["ids"][0]]
    others = sorted({row["id"] for row in get(client, "/api/table", limit=500)["rows"]} - set(whole["ids"]))
    ids = ",".join(map(str, [*chosen, others[0]]))
    answer = get(client, "/api/table", offset=1, limit=1, country="England", fixtures=ids)
    assert answer["ids"] == whole["ids"][1:2]
    assert [row["id"] for row in answer["rows"]] == chosen[::-1]  # in the table's order, and only those that it selects
    assert get(client, "/api/table", limit=10_000, fixtures="0")["ids"] == get(client, "/api/table", limit=500)["ids"]


def test_an_empty_line_is_the_market_without_a_line(client: TestClient):
    answer = get(client, "/api/table", market="total_goals", line="")
    assert answer["line"] == ""
    assert not any("odds" in cell for row in answer["rows"] for cell in row["cells"])


def test_a_market_with_lines_shows_a_common_line_first(client: TestClient):
    shown = get(client, "/api/table", market="total_goals")
    assert shown["lines"] == ["total=1.5", "total=2.5", "total=3.5"]
    assert shown["line"] == "total=2.5"
    assert get(client, "/api/table", market="total_goals", line="total=1.5")["line"] == "total=1.5"


def test_lines_are_those_of_any_platform_and_count_its_offers(
    config: BoardConfig, conn: psycopg.Connection, world: World
):
    """A trader looks for lines that home lacks, so a line needs no price of home."""
    listing = world.listing_ids[world.sr_ids[0], PLATFORMS[1]]
    with world.pipeline.connect() as writer:
        writer.execute(
            "insert into ops.market_lines (line_id, market_id, specifier, outcome)"
            " select 900, market_id, 'total=9.5', '' from core.markets where market_key = 'total_goals'"
        )
        writer.execute(
            "insert into core.current_markets (listing_id, line_id, changed_at, state, odds_milli, state_since)"
            " values (%s, 900, now(), 'offered', array[9000, 1050], now())",
            [listing],
        )
    try:
        counts = {
            line: (n_offers, n_compared)
            for line, n_offers, n_compared in conn.execute(
                "select specifier, n_offers, n_compared from palimpsest.lines_now('total_goals')"
            )
        }
        assert counts["total=9.5"] == (1, 0)
        assert {line: n_offers for line, (n_offers, _) in counts.items()} == dict(
            conn.execute(
                "select specifier, count(*) from palimpsest.offers_now('total_goals')"
                " where state <> 'withdrawn' group by 1"
            ).fetchall()
        )
        with TestClient(build_board_app(config), base_url=LOCAL) as opened:
            shown = get(opened, "/api/table", market="total_goals")
            assert shown["lines"] == ["total=1.5", "total=2.5", "total=3.5", "total=9.5"]
            assert shown["line"] == "total=2.5"
            chosen = get(opened, "/api/table", market="total_goals", line="total=9.5", home="unoffered")
            assert chosen["ids"] == world.sr_ids[:1]
    finally:
        with world.pipeline.connect() as writer:
            writer.execute("delete from core.current_markets where line_id = 900")
            writer.execute("delete from ops.market_lines where line_id = 900")


def test_moves_are_shown_since_the_last_answer_and_the_last_hour(client: TestClient):
    cells = [cell for row in get(client, "/api/table", limit=500)["rows"] for cell in row["cells"] if "moves" in cell]
    for cell in cells:
        assert all(base != cell["odds"] for base in cell["moves"].values())
        if "cycle" in cell["moves"]:
            assert cell["changed"] == pytest.approx(cell["answered"], abs=1e-3)
    assert {window for cell in cells for window in cell["moves"]} == {"cycle", "15", "60"}
    moved = get(client, "/api/table", limit=500, moved="15")
    assert 0 < moved["total"] < moved["all"]


def test_a_fixture_has_all_markets_side_by_side(client: TestClient, conn: psycopg.Connection, world: World):
    sr_id = world.sr_ids[0]
    shown = get(client, f"/api/fixture/{sr_id}")
    assert shown["home"] == EVIL[0]
    found = {
        (entry["market"], entry["line"], outcome["key"], PLATFORMS[place]): abs(odds)
        for entry in shown["markets"]
        for outcome in entry["outcomes"]
        for place, odds in enumerate(outcome["odds"])
        if odds is not None
    }
    assert found == {
        (market, line, outcome, platform): int(odds * 1000)
        for market, line, outcome, platform, odds in conn.execute(
            "select market, line, outcome_key, platform, odds from palimpsest.prices_now(fixtures => %s) where odds is not null",
            [[sr_id]],
        )
    }


def test_a_history_is_that_of_sql_and_its_last_value_holds_until_the_last_answer(
    client: TestClient, conn: psycopg.Connection, world: World
):
    sr_id = fate(4)[0]  # suspended at home with the last answer
    shown = get(client, f"/api/fixture/{sr_id}/history", market="match_result")
    assert [outcome["key"] for outcome in shown["outcomes"]] == ["away", "draw", "home"]
    lines = {line["place"]: line for line in shown["outcomes"][2]["lines"]}
    told = conn.execute(
        "select odds::float8, is_active from palimpsest.fixture_history(%s, 'match_result')"
        " where platform = %s and outcome_key = 'home' order by observed_at",
        [sr_id, PLATFORMS[0]],
    ).fetchall()
    assert lines[0]["values"][: len(told)] == [odds if is_active else -odds for odds, is_active in told]
    assert lines[0]["values"][-1] < 0
    assert lines[0]["at"] == sorted(lines[0]["at"])


def test_a_fixture_that_has_begun_shows_its_history_and_no_listing(
    client: TestClient, conn: psycopg.Connection, world: World
):
    sr_id = fate(2)[0]
    before = get(client, f"/api/fixture/{sr_id}")
    answers = dict(
        conn.execute(
            "select platform, extract(epoch from last_confirmed_at)::float8 from palimpsest.listings_now where sr_id = %s",
            [sr_id],
        ).fetchall()
    )
    assert not before["begun"]
    with world.begun(sr_id):
        shown = get(client, f"/api/fixture/{sr_id}")
        history = get(client, f"/api/fixture/{sr_id}/history", market="total_goals", line="total=2.5")
    assert shown["begun"]
    assert shown["cells"] == []
    lines = [(entry["market"], entry["line"]) for entry in shown["markets"]]
    assert lines == [(entry["market"], entry["line"]) for entry in before["markets"]]
    assert [outcome["name"] for outcome in shown["markets"][0]["outcomes"]] == ["1", "X", "2"]
    assert not any(price for entry in shown["markets"] for outcome in entry["outcomes"] for price in outcome["odds"])
    assert {line["place"]: line["at"][-1] for line in history["outcomes"][0]["lines"]} == {
        PLATFORMS.index(platform): answered_s for platform, answered_s in answers.items()
    }


def test_a_fixture_that_begins_between_two_derivations_is_not_counted(
    config: BoardConfig, world: World, monkeypatch: pytest.MonkeyPatch
):
    with TestClient(build_board_app(config), base_url=LOCAL) as opened:
        before = get(opened, "/api/table", limit=500)
        first = before["rows"][0]["kickoff"]
        monkeypatch.setattr(live_tables, "time", SimpleNamespace(time=lambda: first + 1, monotonic=time.monotonic))
        n_begun = sum(row["kickoff"] <= first for row in before["rows"])
        after = get(opened, "/api/table", limit=500)
        assert after["total"] == after["all"] == before["all"] - n_begun
        monkeypatch.setattr(live_tables, "time", SimpleNamespace(time=lambda: 4e9, monotonic=time.monotonic))
        choices = get(opened, "/api/choices")
        assert (choices["countries"], choices["tournaments"]) == ([], [])
        assert get(opened, "/api/table")["asOf"] is None


def test_a_fixture_that_is_not_known_is_not_found(client: TestClient):
    for path in ("/api/fixture/1", "/api/fixture/1/history"):
        assert client.get(path).status_code == 404


# --- news --------------------------------------------------------------------------------------------------------------------------------


def test_a_derivation_is_told_by_its_fixtures_and_shown_at_once(config: BoardConfig, world: World):
    changed = world.sr_ids[:3]
    with served(config) as url, httpx.Client(base_url=url, timeout=30) as browser:
        before = browser.get("/api/table", params={"fixtures": str(changed[0]), "limit": 500}).json()
        process_id, _, _ = before["token"].partition(".")
        with browser.stream("GET", "/api/news", params={"since": f"{process_id}.0"}) as stream:
            lines = stream.iter_lines()
            assert next(lines) == "retry: 2000"
            news = (json.loads(line.removeprefix("data: ")) for line in islice(lines, 20) if line.startswith("data: "))
            assert next(news)["fixtures"] is None, "the first news comes when the board has begun to listen"
            world.change(changed)
            told: set[int] = set()
            while told != set(changed):
                told |= set(next(news)["fixtures"])
        after = browser.get("/api/table", params={"fixtures": str(changed[0]), "limit": 500}).json()
    assert [row["id"] for row in before["rows"]] == [row["id"] for row in after["rows"]] == changed[:1]
    assert after["rows"][0]["cells"][0]["odds"] == [
        round(1.05 * odds) for odds in before["rows"][0]["cells"][0]["odds"]
    ]
    assert "cycle" in after["rows"][0]["cells"][0]["moves"]


# --- what it refuses ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/api/table", "/table.csv", "/table.xlsx", "/table.sql"])
@pytest.mark.parametrize(
    ("name", "value"), [("within", "soon"), ("off", "-1"), ("market", "no_such_market"), ("what", "1"), ("sort", "x")]
)
def test_a_bad_value_is_answered_with_the_name_of_its_field(client: TestClient, path: str, name: str, value: str):
    answer = client.get(path, params={name: value})
    assert answer.status_code == 400
    assert answer.json()["field"] == name


@pytest.mark.parametrize("path", ["/", "/api/table", "/table.csv", "/table.xlsx", "/table.sql"])
def test_a_market_without_fixed_outcomes_is_refused_with_the_reason(
    client: TestClient, conn: psycopg.Connection, path: str
):
    (market,) = (
        conn.execute("select min(market_key) from palimpsest.markets where outcome_keys = '{}'").fetchone() or ()
    )
    answer = client.get(path, params={"market": market})
    assert answer.status_code == 400
    assert answer.json()["field"] == "market"
    assert "no fixed outcomes" in answer.json()["error"]
    assert market not in {each["key"] for each in get(client, "/api/choices")["markets"]}
    assert get(client, f"/api/fixture/{fate(0)[0]}/history", market=market) == {"outcomes": []}


@pytest.mark.parametrize(
    "path", ["/fixture/x", "/api/fixture/1.5", "/api/fixture/1/history?market=x", "/fixture/7?y=1"]
)
def test_a_bad_fixture_or_market_in_a_path_is_refused(client: TestClient, path: str):
    assert client.get(path).status_code == 400


def test_every_answer_has_the_headers_that_protect(client: TestClient, coverage_page: Path):
    for path in ("/", "/coverage", "/assets/board.js", "/api/table", "/api/table?x=1", "/nothing", "/table.csv"):
        headers = client.get(path).headers
        assert "script-src 'self'" in headers["content-security-policy"], path
        assert "unsafe" not in headers["content-security-policy"]
        assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
    page = client.get("/coverage/page")
    assert "Coverage of BetPawa" in page.text
    assert page.headers["content-security-policy"] == "frame-ancestors 'self'"


def test_pages_have_no_inline_script_and_no_style(client: TestClient, world: World):
    for path in ("/", f"/fixture/{world.sr_ids[0]}", "/coverage"):
        text = client.get(path).text
        assert "<script src=" in text
        assert "<script>" not in text
        assert "style=" not in text
        assert EVIL[0] not in text


def test_requests_to_other_names_are_refused(config: BoardConfig):
    with TestClient(build_board_app(config), base_url="http://palimpsest.example") as foreign:
        assert foreign.get("/api/table").status_code == 421
    for name in ("127.0.0.1:3001", "[::1]:3001", "LOCALHOST"):
        with TestClient(build_board_app(config), base_url=LOCAL) as opened:
            assert opened.get("/api/choices", headers={"host": name}).status_code == 200


def test_only_get_is_served(client: TestClient):
    for path in ("/", "/api/table", "/table.csv", "/api/news"):
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            assert client.request(method, path).status_code == 405


def test_with_a_token_nothing_is_shown_without_it(config: BoardConfig):
    with TestClient(build_board_app(replace(config, token=TOKEN)), base_url=LOCAL, follow_redirects=False) as opened:
        assert opened.get("/api/table").status_code == 401
        assert opened.get("/", headers={"accept": "text/html"}).headers["location"] == "/login"
        for wrong in ("Bearer x", "Bearer", f"Basic {TOKEN}", "Bearer \xff"):
            assert opened.get("/api/table", headers={"authorization": wrong.encode("latin-1")}).status_code == 401
        assert opened.get("/api/table", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
        assert opened.get("/api/table", headers={"cookie": f"palimpsest_board={TOKEN}"}).status_code == 401
        assert opened.post("/login", data={"token": "wrong"}).status_code == 403
        answer = opened.post("/login", data={"token": TOKEN})
        assert answer.status_code == 303
        assert TOKEN not in answer.headers["set-cookie"]
        assert "HttpOnly" in answer.headers["set-cookie"]
        assert opened.get("/api/table").status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "board.example"])
def test_it_does_not_bind_beyond_loopback_without_a_token(config: BoardConfig, host: str):
    with pytest.raises(BoardNotProtected, match="PALIMPSEST_BOARD_TOKEN"):
        serve_board(replace(config, host=host), 1)
    check_binding(host, TOKEN)
    with pytest.raises(BoardNotProtected, match="too short"):
        check_binding(host, "short")
    for loopback in ("127.0.0.1", "::1", "localhost", "127.8.8.8"):
        check_binding(loopback, None)


def test_it_does_not_start_as_a_user_who_may_write(config: BoardConfig, world: World, postgres: EmbeddedPostgres):
    with world.pipeline.connect() as conn:
        url = postgres.build_url(conn.info.dbname)
    with pytest.raises(BoardCanWrite, match="may write"):
        serve_board(replace(config, database_url=url), 1)
    ReadOnlyConnections(config.database_url).check_role()


@pytest.mark.parametrize(
    "right",
    [
        "alter role writing createdb",
        "alter role writing createrole",
        "grant create on schema palimpsest to writing",
        "grant update (home_team) on core.fixtures to writing",
        "grant update on all sequences in schema ops to writing",
        "grant delete on mart.price_comparison to writing",
        "grant pg_write_all_data to writing",
    ],
)
def test_it_refuses_each_right_to_write(config: BoardConfig, world: World, right: str):
    other = replace(config, database_url=config.database_url.replace(roles.ANALYST, "writing"))
    with world.pipeline.connect() as owner:
        owner.execute(f"create role writing login in role {roles.ANALYST}".encode())
        owner.commit()
        try:
            ReadOnlyConnections(other.database_url).check_role()
            owner.execute(right.encode())
            owner.commit()
            with pytest.raises(BoardCanWrite, match=r"writing may write \(it (may|has)"):
                ReadOnlyConnections(other.database_url).check_role()
        finally:
            owner.rollback()
            owner.execute("drop owned by writing")
            owner.execute("drop role writing")
            owner.commit()


def test_a_restart_of_the_database_fails_no_request(config: BoardConfig, world: World):
    """The idle sessions are dead then, and a new one is opened instead."""
    connections = ReadOnlyConnections(config.database_url)
    with connections.snapshot() as conn:
        pid = conn.info.backend_pid
    with world.pipeline.connect() as owner:
        owner.execute("select pg_terminate_backend(%s, 5000)", [pid])
    with connections.snapshot() as conn:
        assert conn.info.backend_pid != pid
        assert conn.execute("select 1").fetchone() == (1,)
    with pytest.raises(psycopg.Error), connections.snapshot() as conn:
        conn.execute("select 1/0")
    with connections.snapshot() as conn:  # the failed transaction has ended
        assert conn.execute("show transaction_read_only").fetchone() == ("on",)
    connections.close()


def test_its_sessions_cannot_write(config: BoardConfig):
    statements = (
        "delete from mart.price_comparison",
        "create table palimpsest.x (y int)",
        "create temporary table x (y int)",
        "insert into core.fixtures (sr_id) values (1)",
        "select * from core.fixtures",
        "select palimpsest.offers_now('x')",
    )
    connections = ReadOnlyConnections(config.database_url)
    for statement in statements:
        with pytest.raises(psycopg.Error), connections.snapshot() as conn:
            conn.execute(statement.encode())
    session = connections.open_session()
    with session, pytest.raises(psycopg.Error, match=r"permission denied|read-only"):
        session.execute("set default_transaction_read_only = off")
        session.execute("delete from mart.price_comparison")
    connections.close()


def test_a_thousand_malformed_requests_leave_it_up(config: BoardConfig):
    draw = Random(7)
    statuses: list[bytes] = []
    with served(config) as url:
        address = urlsplit(url)
        for n in range(1000):
            noise = bytes(draw.randrange(256) for _ in range(draw.randrange(1, 80)))
            request = draw.choice(
                (
                    noise,
                    b"GET /api/table?" + noise.hex().encode() + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
                    b"GET /%00%ff/../" + noise.hex().encode() + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
                    b"GET /api/table?within=%ff%fe&search=%00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
                    b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\nx",
                    b"GET / HTTP/1.1\r\nHost: localhost\r\nCookie: " + noise.hex().encode() * 50 + b"\r\n\r\n",
                    b"GET /fixture/" + b"9" * draw.randrange(1, 3000) + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
                )
            )
            with socket.create_connection((address.hostname or "", address.port or 0), timeout=10) as connection:
                connection.sendall(request)
                if n % 20 == 0:
                    connection.shutdown(socket.SHUT_WR)
                    statuses += re.findall(rb"^HTTP/1.1 (\d{3}) ", connection.recv(100))
            if n % 100 == 0:
                good = httpx.get(f"{url}/api/table?limit=1", timeout=30)
                assert (good.status_code, len(good.json()["rows"])) == (200, 1)
        assert len(statuses) > 20
        assert all(status < b"500" for status in statuses), statuses
        assert httpx.get(f"{url}/api/table", timeout=30).status_code == 200


def test_an_unexpected_error_is_answered_with_the_headers_that_protect(config: BoardConfig):
    async def fail(_: Any) -> PlainTextResponse:
        raise ZeroDivisionError

    app = build_board_app(config, [Route("/fails", fail)])
    with TestClient(app, base_url=LOCAL, raise_server_exceptions=False) as opened:
        answer = opened.get("/fails")
        assert answer.status_code == 500
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
    with TestClient(app, base_url="http://palimpsest.example", raise_server_exceptions=False) as foreign:
        assert foreign.get("/fails").status_code == 421


def test_after_the_login_the_requested_page_opens(config: BoardConfig):
    asked = "/fixture/61000000?market=total_goals&line=total%3D2.5"
    with TestClient(build_board_app(replace(config, token=TOKEN)), base_url=LOCAL, follow_redirects=False) as opened:
        login = opened.get(asked, headers={"accept": "text/html"}).headers["location"]
        assert login.startswith("/login?next=")
        assert 'action="' not in opened.get(login).text  # so the form is sent to the address of the page
        assert opened.post(login, data={"token": "wrong"}).status_code == 403
        assert opened.post(login, data={"token": TOKEN}).headers["location"] == asked


@pytest.mark.parametrize(
    "target",
    ["//evil", "/\\evil", "/\t/evil", "/\n/evil", "https://evil", "evil", "", "javascript:1", "/login?next=/x"],
)
def test_a_login_never_leads_to_another_host(config: BoardConfig, target: str):
    with TestClient(build_board_app(replace(config, token=TOKEN)), base_url=LOCAL, follow_redirects=False) as opened:
        answer = opened.post("/login", params={"next": target}, data={"token": TOKEN})
        assert answer.headers["location"] == "/"
    with TestClient(build_board_app(config), base_url=LOCAL, follow_redirects=False) as opened:
        assert opened.get("/login", params={"next": target}).headers["location"] == "/"


@pytest.mark.parametrize(("scheme", "is_secure"), [("https", True), ("http", False), (None, False)])
def test_the_cookie_is_secure_behind_a_proxy_that_ends_tls(config: BoardConfig, scheme: str | None, is_secure: bool):
    headers = {} if scheme is None else {"x-forwarded-proto": scheme}
    with TestClient(build_board_app(replace(config, token=TOKEN)), base_url=LOCAL, follow_redirects=False) as opened:
        cookie = opened.post("/login", data={"token": TOKEN}, headers=headers).headers["set-cookie"]
    assert ("Secure" in cookie) is is_secure


def test_routes_of_others_are_served_with_the_same_protection(config: BoardConfig):
    async def show(_: Any) -> PlainTextResponse:
        return PlainTextResponse("1")

    app = build_board_app(replace(config, token=TOKEN), [Route("/metrics", show)])
    with TestClient(app, base_url=LOCAL) as opened:
        assert opened.get("/metrics").status_code == 401
        assert opened.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"}).text == "1"


def test_a_message_about_the_configuration_has_no_secret(config: BoardConfig):
    text = repr(replace(config, token=TOKEN))
    assert TOKEN not in text
    assert config.database_url not in text


def test_nothing_of_the_pipeline_that_takes_seconds_is_loaded():
    code = "import palimpsest_pipeline.board.web_server, sys; print([m for m in ('dagster', 'sqlalchemy.orm', 'jinja2') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert "dagster" not in done.stdout
