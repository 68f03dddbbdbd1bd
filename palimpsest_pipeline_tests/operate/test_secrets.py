"""A marker in every secret setting, every component made to fail: it is in no landed answer, table, log, page, alert
or line of a command.
"""

import base64
import json
import logging
import re
import subprocess
import sys
import traceback
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar, Final

import dagster as dg
import polars as pl
import pytest
from dagster._serdes import serialize_value
from psycopg import sql
from pydantic import BaseModel, SecretStr
from sqlalchemy.engine import make_url
from typer.testing import CliRunner

from palimpsest_pipeline.cli.__main__ import app
from palimpsest_pipeline.defs.instance import build_storage_url
from palimpsest_pipeline.defs.monitoring import alert_sensor as monitoring
from palimpsest_pipeline.operate.run_job import run_job
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.coverage_page import write_page
from palimpsest_pipeline.pipeline.monitoring.alert_channels import make_channels
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.settings import PlatformSettings, Settings, SettingsError, load_settings
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline_tests.fixtures.pipeline import pipelines
from palimpsest_pipeline_tests.fixtures.platforms import PLATFORMS

MARK: Final = "m4rker"
USER, PASSWORD = f"{MARK}-user", f"{MARK} p@ss/word"
CREDENTIALS: Final = f"{USER}:{MARK}%20p%40ss%2Fword"
BASIC: Final = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
NOWHERE: Final = "127.0.0.1:1"
SECRETS: Final = {
    "DATABASE_URL": f"postgresql://me:{MARK}%2Fpw@{NOWHERE}/palimpsest?sslpassword={MARK}",
    "DAGSTER_DATABASE_URL": f"postgresql://me:{MARK}%2Fpw@{NOWHERE}/dagster?sslpassword={MARK}",
    "BOARD_DATABASE_URL": f"postgresql://me:{MARK}%2Fpw@{NOWHERE}/palimpsest?sslpassword={MARK}",
    "SENDER_DATABASE_URL": f"postgresql://me:{MARK}%2Fpw@{NOWHERE}/palimpsest?sslpassword={MARK}",
    "BOARD_TOKEN": f"{MARK}-token-of-the-board",
    "CELERY_BROKER_URL": f"redis://:{MARK}%2Fpw@{NOWHERE}/0",
    "ALERT_WEBHOOK_URL": f"http://{NOWHERE}/services/{MARK}-path?token={MARK}-token",
    **{f"PLATFORM__{platform.upper()}__PROXY": f"http://{CREDENTIALS}@{NOWHERE}" for platform in PLATFORMS},
    **{
        f"PLATFORM__{platform.upper()}__HEADERS": json.dumps({"cookie": f"session={MARK}-cookie"})
        for platform in PLATFORMS
    },
}
"""A value for every secret setting, and nobody at any of the addresses."""
MALFORMED: Final = (
    *(
        (name, f"{scheme}://u:{MARK}@h:{MARK}/x")
        for name in ("DATABASE_URL", "DAGSTER_DATABASE_URL")
        for scheme in ("postgresql", "mysql")
    ),
    *((name, f"postgresql://u:{MARK}@{MARK}@h/x") for name in ("DATABASE_URL", "DAGSTER_DATABASE_URL")),
    ("CELERY_BROKER_URL", f"redis://:{MARK}@h:{MARK}/0"),
    ("CELERY_BROKER_URL", f"http://{MARK}"),
    ("ALERT_WEBHOOK_URL", f"ftp://h/{MARK}"),
    ("ALERT_WEBHOOK_URL", f"http://h:{MARK}/"),
    ("PLATFORM__BETPAWA__PROXY", f"http://u:{MARK}@h:{MARK}"),
    ("PLATFORM__BETPAWA__PROXY", MARK),
    ("BETPAWA__BASE_URL", f"ftp://u:{MARK}@h"),
    ("PLATFORM__BETPAWA__BASE_URL", f"https://u:{MARK}@h"),
    ("LANDING_URL", f"s3://key:{MARK}@bucket/landing"),
    ("EXPORT_URL", f"s3://key:{MARK}@bucket/export"),
)


def assert_silent(text: str, where: str) -> None:
    for secret in (MARK, BASIC):
        at = text.find(secret)
        assert at == -1, f"{where}: {text[max(0, at - 200) : at + 60]}"


class Echo(BaseHTTPRequestHandler):
    """A proxy, or a webhook, that refuses and repeats all that it was sent."""

    came: ClassVar[list[bytes]] = []

    def _refuse(self) -> None:
        self.came.append(self.rfile.read(int(self.headers.get("content-length", 0))))
        body = f"{self.path} {self.headers}".encode()
        self.send_response(
            (407, 502)[len(self.came) % 2], f"refused {CREDENTIALS}" if self.command == "CONNECT" else None
        )
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_CONNECT(self) -> None:
        self._refuse()

    def do_POST(self) -> None:
        self._refuse()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def refusing() -> Iterator[str]:
    """Host and port of a server that refuses everything."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Every secret setting in the environment, as users set them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PALIMPSEST_HOME_DIR", str(tmp_path / "home"))
    for name, value in SECRETS.items():
        monkeypatch.setenv(f"PALIMPSEST_{name}", value)
    return monkeypatch


def secret_settings(model: type[BaseModel]) -> set[str]:
    """Names of the settings that are kept as secrets."""
    found: set[str] = set()
    for name, field in model.model_fields.items():
        if SecretStr.__name__ in str(field):
            found.add(name.upper())
    return found


def test_every_secret_setting_is_kept_as_one_and_has_a_marker_here() -> None:
    of_platforms = {f"PLATFORM__{p.upper()}__{name}" for p in PLATFORMS for name in secret_settings(PlatformSettings)}
    assert secret_settings(Settings) | of_platforms == set(SECRETS)


def test_a_cycle_whose_proxy_refuses_keeps_and_shows_no_secret(
    postgres: EmbeddedPostgres,
    tmp_path: Path,
    refusing: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    hook = f"http://{refusing}/services/{MARK}-path?token={MARK}-token"
    refused = {
        "proxy": f"http://{CREDENTIALS}@{refusing}",
        "base_url": "https://localhost:1",
        "headers": {"cookie": f"session={MARK}-cookie"},
        "give_up_s": 0.1,
    }
    with SimulatorProcess(10, 5) as simulator, pipelines(postgres, tmp_path) as make, caplog.at_level(logging.DEBUG):
        pipeline: Pipeline = make(
            simulator, bet9ja=refused, betpawa={"headers": {"x-token": f"{MARK}-header"}}, alert_webhook_url=hook
        )
        with dg.DagsterInstance.ephemeral() as instance:
            outcome = run_job(instance, pipeline, "full_cycle", pipeline.clock.now().date())
            assert outcome.success, outcome.error
            subjects = monitoring.AlertSubjects(frozenset(["full_cycle"]), ())
            away = Pipeline(pipeline.settings.model_copy(update={"database_url": SecretStr(SECRETS["DATABASE_URL"])}))
            log = logging.getLogger("palimpsest.tests.tick")
            for one in (pipeline, away):
                said = monitoring.process_alerts(one, instance, subjects, make_channels(one.settings, log), None, log)
                assert_silent(str(said), "the sensor")
            for record in instance.all_logs(outcome.run_id):
                assert_silent(serialize_value(record), "Dagster's log of the run")
        with pipeline.connect() as conn:
            (message,) = conn.execute("select message from ops.scrape_runs where platform = 'bet9ja'").fetchone() or (
                "",
            )
            assert re.search(r"407|502", message), "the proxy was asked, and is named as the cause"
            tables = conn.execute(
                "select table_schema, table_name from information_schema.tables where table_schema in ('core', 'ops', 'mart', 'public')"
            ).fetchall()
            for schema, table in tables:
                leaks = sql.SQL("select t::text from {} t where t::text like any (%s)").format(
                    sql.Identifier(schema, table)
                )
                assert conn.execute(leaks, [[f"%{MARK}%", f"%{BASIC}%"]]).fetchall() == [], f"{schema}.{table}"
        landed = [*Path(pipeline.settings.landing_root).rglob("*.parquet")]
        assert any(file.parent.name == "platform=bet9ja" for file in landed)
        for file in landed:
            assert_silent(str(pl.read_parquet(file, hive_partitioning=False).rows()), str(file))
        write_page(pipeline, out := tmp_path / "page.html")
        page = out.read_text()
        assert_silent(page, "the page")
        for blob in re.findall(r'<script type="application/octet-stream"[^>]*>([^<]*)<', page):
            assert_silent(zlib.decompress(base64.b64decode(blob)).decode(), "the page's data")
    assert any(b"DatabaseUnreachable" in body for body in Echo.came), "the webhook was told"
    assert_silent(" ".join(body.decode() for body in Echo.came), "the webhook")
    assert_silent(caplog.text, "the log")
    assert_silent("".join(capfd.readouterr()), "standard output and error")


COMMANDS: Final = (
    "settings",
    "settings --json",
    "doctor --platforms",
    "doctor --json",
    "scrape",
    "coverage",
    "worker",
    "alerts",
)


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_that_reaches_nothing_shows_no_secret(
    words: str, environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    result = CliRunner().invoke(app, words.split())
    assert result.output or result.exception
    assert_silent(result.output, words)
    assert_silent(caplog.text, "the log")
    if result.exception is not None:
        assert_silent("".join(traceback.format_exception(result.exception)), "the traceback")


COMMAND_THAT_FAILS: Final = """
import sys
from palimpsest_pipeline.cli import __main__ as cli
from palimpsest_pipeline.landing import LandingError

def fail():
    raise LandingError(sys.argv[1])

cli.app = fail
cli.main()
"""


def test_the_error_line_of_a_command_shows_no_secret_that_the_error_repeats(environment: pytest.MonkeyPatch) -> None:
    message = f"{MARK}-token and session={MARK}-cookie were refused"
    done = subprocess.run(
        [sys.executable, "-c", COMMAND_THAT_FAILS, message], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (1, "error: *** and *** were refused\n")


@pytest.mark.parametrize(("name", "value"), MALFORMED)
def test_a_secret_that_cannot_be_used_is_refused_without_being_shown(
    name: str, value: str, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv(f"PALIMPSEST_{name}", value)
    assert_silent(told := _everything_said_of_it(), name)
    assert "PALIMPSEST_" in told or "database address" in told or "more than one @" in told


def _everything_said_of_it() -> str:
    """What is said when these settings are loaded, and their databases opened: messages and tracebacks."""
    told: list[str] = []
    for attempt in (
        load_settings,
        lambda: Pipeline(load_settings()).connect(),
        lambda: make_url(build_storage_url(load_settings())),
    ):
        try:
            attempt()
        except Exception as error:  # noqa: BLE001 - whatever is raised may be shown
            told += traceback.format_exception(error)
    assert told
    return "".join(told)


def test_settings_show_no_secret_however_they_are_printed(environment: pytest.MonkeyPatch) -> None:
    settings = load_settings()
    assert_silent(
        f"{settings!r} {settings} {settings.to_masked_dict()} {Pipeline(settings)!r} {Pipeline(settings).database!r}",
        "the settings",
    )
    assert all(MARK in settings.to_environment()[f"PALIMPSEST_{name}"] for name in SECRETS)
    with pytest.raises(SettingsError) as caught:
        environment.setenv("PALIMPSEST_UI_PORT", "none")
        load_settings()
    assert_silent("".join(traceback.format_exception(caught.value)), "the traceback")
