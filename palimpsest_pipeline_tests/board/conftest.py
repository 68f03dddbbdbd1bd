"""A world of 48 fixtures on five platforms, for all tests of a module."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from palimpsest_pipeline.board.app import BoardConfig
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline_tests.fixtures.pipeline import pipelines

from .servers import make_config
from .worlds import PLATFORMS, World, write_world


@pytest.fixture(scope="module")
def world(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with pipelines(postgres, tmp_path_factory.mktemp("home")) as make:
        yield write_world(make(platforms=list(PLATFORMS)), 48)


@pytest.fixture(scope="module")
def config(world: World, postgres: EmbeddedPostgres) -> BoardConfig:
    return make_config(world.pipeline, postgres)


@pytest.fixture
def conn(config: BoardConfig) -> Iterator[psycopg.Connection]:
    """A session of the role that the board uses."""
    with psycopg.connect(config.database_url.replace("+psycopg", ""), autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def coverage_page(world: World) -> Path:
    page = world.pipeline.settings.report_path
    page.parent.mkdir(exist_ok=True)
    page.write_text("<!doctype html><title>Coverage of BetPawa</title><h1>Coverage of BetPawa</h1>")
    return page
