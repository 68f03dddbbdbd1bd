"""Files of the home folder that several commands write while others read them."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from palimpsest_pipeline.defs.instance import COMMAND_FILE, STORAGE_URL_VARIABLE, prepare_instance
from palimpsest_pipeline.domain.durable_files import replace_text
from palimpsest_pipeline.operate.serve import service_record
from palimpsest_pipeline.pipeline.home_notes import DATA_SOURCE_FILE, DataSource, note_source
from palimpsest_pipeline.runtime.processes import KnownProcess
from palimpsest_pipeline.settings import load_settings

URL = "postgresql://127.0.0.1/"


def prepare(home: Path, n: int) -> None:
    prepare_instance(
        load_settings(
            home_dir=home, database_url=f"{URL}ours", dagster_database_url=f"{URL}dagster", max_concurrent_runs=4 + n
        )
    )


def note(home: Path, n: int) -> None:
    note_source(load_settings(home_dir=home), list(DataSource)[n])


def remember(home: Path, n: int) -> None:
    service_record.write_record(
        home, service_record.ServiceRecord(KnownProcess(1, 1.0), {}, f"http://127.0.0.1:{n}", "nowhere")
    )


WRITERS = [
    pytest.param(prepare, "dagster/dagster.yaml", id="dagster.yaml"),
    pytest.param(prepare, f"dagster/{COMMAND_FILE}", id=COMMAND_FILE),
    pytest.param(note, DATA_SOURCE_FILE, id=DATA_SOURCE_FILE),
    pytest.param(remember, service_record.RECORD_FILE, id=service_record.RECORD_FILE),
    pytest.param(service_record.request_stop, service_record.STOP_FILE, id=service_record.STOP_FILE),
]


@pytest.mark.parametrize(("write", "name"), WRITERS)
def test_who_reads_a_file_while_it_is_written_sees_all_of_it(
    write: Callable[[Path, int], None], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("DAGSTER_HOME", STORAGE_URL_VARIABLE):  # preparing sets them
        monkeypatch.setenv(variable, "")
    write(tmp_path, 0)
    path = tmp_path / name
    before = path.read_text()
    with path.open() as reader:
        write(tmp_path, 1)
        assert reader.read() == before
    after = path.stat()
    assert path.read_text() != before
    write(tmp_path, 1)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (after.st_ino, after.st_mtime_ns), (
        "what holds it already is left alone"
    )
    assert [left for left in path.parent.iterdir() if left.name.startswith(".") and left.is_file()] == []


def test_writers_of_one_file_at_once_do_not_meet(tmp_path: Path) -> None:
    path, texts = tmp_path / "note", [str(n) * 10_000 for n in range(4)]
    start = threading.Barrier(len(texts))
    failed: list[BaseException] = []

    def write(text: str) -> None:
        start.wait()
        try:
            for _ in range(10):
                replace_text(path, text)
                assert path.read_text() in texts
        except BaseException as error:  # noqa: BLE001 - told below
            failed.append(error)

    threads = [threading.Thread(target=write, args=[text]) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert [left.name for left in tmp_path.iterdir()] == ["note"]
