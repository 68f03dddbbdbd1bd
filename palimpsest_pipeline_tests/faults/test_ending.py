"""`palimpsest scrape` that is asked to end: Ctrl-C and SIGTERM, in the middle of a capture."""

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from palimpsest_pipeline.domain.words import PayloadKind, RunStatus
from palimpsest_pipeline.landing import Landing
from palimpsest_pipeline.simulator.launch import SimulatorProcess
from palimpsest_pipeline.storage.embedded import EmbeddedPostgres
from palimpsest_pipeline_tests.fixtures.commands import PALIMPSEST, environment

CANCELLED = 130


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_scrape_that_is_asked_to_end_keeps_what_has_come_and_says_cancelled(
    number: signal.Signals, start_simulator: Callable[..., SimulatorProcess], postgres: EmbeddedPostgres, folder: Path
) -> None:
    simulator = start_simulator(40, latency={"*": (50, 60), "*.detail": (400, 500)})
    ours, dagsters = (f"test_{uuid4().hex[:12]}" for _ in range(2))
    postgres.create_database(ours)
    postgres.create_database(dagsters)
    settings = {f"PALIMPSEST_{platform.value.upper()}__BASE_URL": url for platform, url in simulator.base_urls.items()}
    settings |= {"PALIMPSEST_DATABASE_URL": postgres.url(ours), "PALIMPSEST_DAGSTER_DATABASE_URL": postgres.url(dagsters)}
    scraping = subprocess.Popen(
        [*PALIMPSEST, "scrape"], cwd=folder, env=environment(folder, **settings), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        until_captured(simulator, scraping, 40)
        sent = [line for line in simulator.requests() if line.sent_at is not None]
        scraping.send_signal(number)
        said, _ = scraping.communicate(timeout=60)
    finally:
        scraping.kill()
    assert scraping.returncode == CANCELLED, said
    with psycopg.connect(postgres.libpq_url(ours)) as conn:
        assert conn.execute("select distinct status from ops.scrape_batches").fetchall() == [(RunStatus.CANCELLED,)]
        assert conn.execute("select distinct status from ops.scrape_runs").fetchall() == [(RunStatus.CANCELLED,)]
        counts = dict(conn.execute("select status, count(*) from ops.event_scrape_status group by status").fetchall())
    assert counts.keys() == {RunStatus.COMPLETED, RunStatus.CANCELLED}
    landing = Landing(folder / "home" / "landing")
    (manifest,) = landing.cycles()
    landed = landing.read(manifest, kinds=[PayloadKind.DETAIL], columns=["platform", "external_id"])
    assert {(line.platform, line.external_id) for line in sent if line.external_id} <= set(landed.iter_rows())
    assert counts[RunStatus.COMPLETED] == landed.height
    for name in (ours, dagsters):
        postgres.drop_database(name)


def until_captured(simulator: SimulatorProcess, scraping: subprocess.Popen[str], n: int) -> None:
    """Returns when so many details have been asked for."""
    deadline = time.monotonic() + 120
    while sum(count for name, count in simulator.log()["requests"].items() if name.endswith(".detail")) < n:
        assert scraping.poll() is None, scraping.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)
