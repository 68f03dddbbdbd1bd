"""Commands at the same time on one embedded server: nobody loses it, and the last one out stops it."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from palimpsest_pipeline.operate.databases import open_databases
from palimpsest_pipeline.pipeline.context import make_embedded_server
from palimpsest_pipeline.runtime.server_sharing import is_in_use, mark_in_use
from palimpsest_pipeline.settings import Settings, load_settings


@pytest.fixture
def own() -> Iterator[Settings]:
    """Settings with an embedded server of their own."""
    with tempfile.TemporaryDirectory(prefix="palimpsest-sharing-") as folder:
        Path(folder).chmod(0o711)
        settings = load_settings(
            home_dir=Path(folder), database_url=None, dagster_database_url=None, embedded_durable=False
        )
        yield settings
        make_embedded_server(settings).remove()


def runs(settings: Settings) -> bool:
    return make_embedded_server(settings).status().running


def test_the_last_command_out_stops_the_server(own: Settings):
    first, second = open_databases(own), open_databases(own)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert runs(own)
    second.__exit__(None, None, None)
    assert not runs(own)


def test_a_server_that_was_to_stay_stays_whoever_comes_and_goes(own: Settings):
    with open_databases(own, keep_running=True):
        pass
    assert runs(own)
    with open_databases(own):
        pass
    assert runs(own)


def test_a_home_is_in_use_while_a_command_works_in_it(tmp_path: Path):
    assert not is_in_use(tmp_path)
    with mark_in_use(tmp_path):
        assert is_in_use(tmp_path)
    assert not is_in_use(tmp_path)
