"""Where the archive's files lie: what is published outlives a power cut, also on file systems that cannot sync a
folder.
"""

import errno
import os
import stat
from pathlib import Path

import pytest

from palimpsest_pipeline.storage.archive.file_store import FileStore

NAME = "odds/date=2026-03-01/odds.parquet"


def publish(root: Path) -> None:
    store = FileStore(root)
    with store.open_workspace("day") as workspace:
        (workspace / "odds").write_bytes(b"odds")
        store.publish(workspace / "odds", NAME)


def test_names_of_published_files_and_of_their_folders_outlive_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    fsync = os.fsync

    def noted(opened: int) -> None:
        synced.append(Path(f"/proc/self/fd/{opened}").readlink())
        fsync(opened)

    monkeypatch.setattr(os, "fsync", noted)
    publish(tmp_path / "export")
    assert {
        path.parent
        for path in (tmp_path / "export" / NAME, *(tmp_path / "export" / NAME).parents)
        if tmp_path in path.parents
    } <= set(synced)


def test_a_file_system_that_cannot_sync_folders_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync = os.fsync

    def of_files_only(opened: int) -> None:
        if stat.S_ISDIR(os.fstat(opened).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(opened)

    monkeypatch.setattr(os, "fsync", of_files_only)
    publish(tmp_path)
    assert (tmp_path / NAME).read_bytes() == b"odds"
