"""The board's files: each has the rows of its SQL, one for one, with all their values."""

import csv
import io
import re
import threading
import time
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import psycopg
import pytest
from starlette.testclient import TestClient

from palimpsest_pipeline.board import app as board_app
from palimpsest_pipeline.board.app import BoardConfig, build_board_app
from palimpsest_pipeline.board.connections import MAX_CONNECTIONS

from .worlds import FIRST_SR_ID, PLATFORMS, World

LOCAL = "http://localhost"
WRITE_S = 30
"""Longest time in seconds that the writing of a file takes in a test."""
EXCEL_EPOCH = datetime(1899, 12, 30, tzinfo=UTC)
SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


@pytest.fixture(scope="module")
def client(config: BoardConfig) -> Iterator[TestClient]:
    with TestClient(build_board_app(config), base_url=LOCAL) as opened:
        yield opened


def read_sql(conn: psycopg.Connection, text: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """The columns and rows of a query, as a person who pastes it gets them."""
    cursor = conn.execute(text.encode())
    return [column.name for column in cursor.description or ()], cursor.fetchall()


def read_csv(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))


def read_xlsx(content: bytes) -> list[list[Any]]:
    """The cells of the first sheet, by row: text, numbers, booleans, and None for an empty one."""
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        texts = [
            "".join(part.text or "" for part in item.iter(f"{SHEET}t"))
            for item in ElementTree.fromstring(book.read("xl/sharedStrings.xml"))
        ]
        sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
    assert not list(sheet.iter(f"{SHEET}f"))
    rows: list[list[Any]] = []
    for row in sheet.iter(f"{SHEET}row"):
        cells: dict[int, Any] = {}
        for cell in row:
            value = cell.find(f"{SHEET}v")
            if value is None or value.text is None:
                continue
            place = 0
            for letter in re.match("[A-Z]+", cell.attrib["r"])[0]:  # type: ignore[index]
                place = 26 * place + ord(letter) - 64
            kind = cell.attrib.get("t", "n")
            cells[place - 1] = (
                texts[int(value.text)] if kind == "s" else value.text == "1" if kind == "b" else float(value.text)
            )
        rows.append([cells.get(place) for place in range(max(cells, default=-1) + 1)])
    return rows


def is_same_in_csv(found: str, value: Any) -> bool:
    if value is None:
        return found == ""
    if isinstance(value, bool):
        return found == str(value).lower()
    if isinstance(value, datetime):
        return datetime.strptime(found, "%Y-%m-%dT%H:%M:%S.%f%z") == value
    if isinstance(value, str):
        return found == (f"'{value}" if value.startswith("=") else value)
    return float(found) == pytest.approx(float(value), rel=1e-12)


def is_same_in_xlsx(found: Any, value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return found is value
    if isinstance(value, datetime):
        instant = EXCEL_EPOCH + timedelta(days=found)
        return abs(instant - value) < timedelta(milliseconds=1)
    if isinstance(value, str):
        return found == (value or None)
    return found == pytest.approx(float(value), rel=1e-12)


def require_same_rows(client: TestClient, conn: psycopg.Connection, path: str, params: dict[str, str]) -> list[Any]:
    """Check that the CSV and the Excel file have the rows of the SQL, and return the SQL's rows."""
    names, rows = read_sql(conn, client.get(f"{path}.sql", params=params).text)
    table = read_csv(client.get(f"{path}.csv", params=params).content)
    assert table[0] == names
    sheet = read_xlsx(client.get(f"{path}.xlsx", params=params).content)
    assert [str(name).removesuffix(" (UTC)") for name in sheet[0]] == names
    assert len(rows) == len(table) - 1 == len(sheet) - 1 > 0
    for line, cells, row in zip(table[1:], sheet[1:], rows, strict=True):
        padded = [*cells, *[None] * (len(row) - len(cells))]
        for name, in_csv, in_xlsx, value in zip(names, line, padded, row, strict=True):
            assert is_same_in_csv(in_csv, value), (name, in_csv, value)
            assert is_same_in_xlsx(in_xlsx, value), (name, in_xlsx, value)
    return [dict(zip(names, row, strict=True)) for row in rows]


@pytest.mark.parametrize("params", [{}, {"home": "worst", "sort": "off"}, {"market": "total_goals", "within": "120"}])
def test_the_table_s_files_equal_the_sql_row_for_row(
    client: TestClient, conn: psycopg.Connection, params: dict[str, str]
):
    rows = require_same_rows(client, conn, "/table", params)
    shown = client.get("/api/table", params={"limit": 500, **params}).json()
    assert list(dict.fromkeys(row["sr_id"] for row in rows)) == shown["ids"]
    assert len(rows) == len(shown["ids"]) * len(shown["market"]["outcomes"])


def test_the_table_s_files_have_the_states_that_the_page_shows(client: TestClient, conn: psycopg.Connection):
    """A fixture that home lacks, and one that nobody prices on this line, must not vanish from the file."""
    for params in ({"market": "match_result"}, {"market": "total_goals", "line": "total=77.5"}):
        rows = require_same_rows(client, conn, "/table", params)
        shown = client.get("/api/table", params={"limit": 500, **params}).json()
        expected = {
            (row["id"], platform): (cell["state"], cell.get("unseen", False))
            for row in shown["rows"]
            for platform, cell in zip(PLATFORMS, row["cells"], strict=True)
        }
        found = {
            (row["sr_id"], platform): (row[f"{platform}_state"], row[f"{platform}_unseen"])
            for row in rows
            for platform in PLATFORMS
            if row["outcome"] != "1"  # at fate 8 this outcome alone is suspended at home
        }
        assert found == expected
    assert {state for state, _ in expected.values()} == {"no_market", "not_listed", "dropped"}
    assert any(unseen for _, unseen in expected.values())


def test_the_files_of_a_fixture_s_markets_equal_the_sql_and_the_page(client: TestClient, conn: psycopg.Connection):
    sr_id = FIRST_SR_ID + 4
    rows = require_same_rows(client, conn, f"/fixture/{sr_id}/markets", {})
    shown = client.get(f"/api/fixture/{sr_id}").json()
    assert [(row["market"], row["line"], row["outcome"]) for row in rows] == [
        (entry["market"], entry["line"], outcome["name"]) for entry in shown["markets"] for outcome in entry["outcomes"]
    ]
    odds = [[outcome["odds"] for outcome in entry["outcomes"]] for entry in shown["markets"]]
    assert [[int(1000 * (row[f"{platform}_odds"] or 0)) for platform in PLATFORMS] for row in rows] == [
        [abs(price or 0) for price in prices] for entry in odds for prices in entry
    ]


def test_the_files_of_a_history_equal_the_sql(client: TestClient, conn: psycopg.Connection, world: World):
    path, params = f"/fixture/{FIRST_SR_ID + 4}/history", {"market": "total_goals", "line": "total=2.5"}
    rows = require_same_rows(client, conn, path, params)
    assert {(row["market_key"], row["specifier"]) for row in rows} == {("total_goals", "total=2.5")}
    with world.begun(FIRST_SR_ID + 4):
        begun_rows = require_same_rows(client, conn, path, params)
    assert [row["odds"] for row in begun_rows] == [row["odds"] for row in rows]


@pytest.mark.parametrize("path", ["/fixture/1/history.csv", "/fixture/1/history.xlsx"])
def test_the_history_of_an_unknown_fixture_is_not_found(client: TestClient, path: str):
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/fixture/x/markets.csv", "/fixture/7/history.csv?market=x"])
def test_a_bad_parameter_of_a_file_is_named(client: TestClient, path: str):
    answer = client.get(path)
    assert answer.status_code == 400
    assert answer.json()["field"] in ("fixture", "market")


def test_files_have_plain_names(client: TestClient):
    answer = client.get("/table.csv", params={"market": "total_goals", "line": 'total=2.5"\r\nx: y'})
    assert answer.headers["content-disposition"] == 'attachment; filename="prices-total_goals-total2.5___x__y.csv"'


def test_a_file_that_is_being_written_keeps_no_database_session(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, world: World
):
    """Large Excel files take seconds, and there are few sessions."""
    is_released, writers = threading.Event(), threading.Semaphore(0)

    def wait(*_: Any) -> bytes:
        writers.release()
        assert is_released.wait(WRITE_S)
        return b""

    monkeypatch.setattr(board_app, "write_file", wait)
    threads = [threading.Thread(target=client.get, args=("/table.xlsx",)) for _ in range(MAX_CONNECTIONS)]
    for thread in threads:
        thread.start()
    try:
        assert all(writers.acquire(timeout=20) for _ in threads)
        began = time.monotonic()
        assert client.get("/api/fixture/1").status_code == 404  # it needs a session
        assert time.monotonic() - began < WRITE_S / 2
    finally:
        is_released.set()
        for thread in threads:
            thread.join(30)
