"""The route of the metrics: the page as it was written, and 503 when it is missing or old."""

import os
import time
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from palimpsest_pipeline.board.metrics_route import MAX_PAGE_AGE_S, METRICS_FILE, METRICS_PATH, make_metrics_route


def open_client(page: Path) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(Starlette(routes=[make_metrics_route(page)]), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / METRICS_FILE
    path.write_bytes(b"palimpsest_database_size_bytes 7.0\n")
    return path


async def test_the_page_is_served_as_it_was_written(page: Path):
    content = page.read_bytes()  # noqa: ASYNC240 - a small file, before anything is served
    async with open_client(page) as client:
        answer = await client.get(METRICS_PATH)
    assert (answer.status_code, answer.content) == (200, content)
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"


async def test_without_a_page_the_scrape_fails(tmp_path: Path):
    async with open_client(tmp_path / METRICS_FILE) as client:
        answer = await client.get(METRICS_PATH)
    assert answer.status_code == 503
    assert "palimpsest up" in answer.text


@pytest.mark.parametrize(("age_s", "status"), [(MAX_PAGE_AGE_S - 5, 200), (MAX_PAGE_AGE_S + 5, 503)])
async def test_an_old_page_is_not_served(page: Path, age_s: float, status: int):
    os.utime(page, (time.time() - age_s,) * 2)
    async with open_client(page) as client:
        answer = await client.get(METRICS_PATH)
    assert answer.status_code == status
    assert ("palimpsest_database_size_bytes" in answer.text) == (status == 200)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_it_can_only_be_read(page: Path, method: str):
    async with open_client(page) as client:
        assert (await client.request(method, METRICS_PATH)).status_code == 405
