"""Expiry: whatever happens, and wherever it broke off, readers have every answer that is needed once."""

import hashlib
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from upath import UPath

from palimpsest_pipeline.domain.enums import RunStatus
from palimpsest_pipeline.landing import (
    CycleWriter,
    Landing,
    LandingError,
    LandingIncomplete,
    expire_hours,
    list_expired_hours,
)
from palimpsest_pipeline_tests.fixtures.object_store import s3_bucket
from palimpsest_pipeline_tests.fixtures.platforms import PLATFORMS

from .test_landing import HOUR, RECEIVED, answer, cycle, land

NEXT = HOUR + timedelta(hours=1)
IDS = (20260626102500000, 20260626105500000)


def land_many(landing: Landing, cycle_id: int, numbers: range, flush_answers: int = 10, stage: str = "capture") -> None:
    """Answers of all platforms in turn, many segments."""
    writer = CycleWriter(landing, cycle(cycle_id), flush_answers=flush_answers)
    for number in numbers:
        writer.append(
            answer(number, list(PLATFORMS)[number % 3], body=None if number % 7 == 6 else f'{{"n": {number}}}'.encode())
        )
    writer.close(RunStatus.COMPLETED, RECEIVED, (stage,))


def two_cycles(landing: Landing, flush_answers: int = 10) -> None:
    for at, cycle_id in enumerate(IDS):
        land_many(landing, cycle_id, range(1000 * at, 1000 * at + 400), flush_answers)


def read_all(landing: Landing) -> dict[int, pl.DataFrame]:
    return {manifest.cycle_id: landing.read_answers(manifest) for manifest in landing.list_cycles()}


def same(one: dict[int, pl.DataFrame], other: dict[int, pl.DataFrame]) -> bool:
    return one.keys() == other.keys() and all(frame.equals(other[cycle_id]) for cycle_id, frame in one.items())


class Killed(BaseException):
    """As the end of a process: nobody catches it."""


class Mortal(Landing):
    """Dies before or after the n-th change of a file."""

    def __init__(self, root: Any, left: int, before: bool) -> None:
        super().__init__(root)
        self._left, self._before = left, before

    def _dying(self, change: Callable[..., None], *given: Any, **named: Any) -> None:
        self._left -= 1
        if self._left >= 0 or not self._before:
            change(*given, **named)
        if self._left < 0:
            raise Killed

    def _replace_file(self, path: UPath, content: bytes) -> None:
        self._dying(super()._replace_file, path, content)

    def _remove(self, path: UPath, *, folder: bool = False) -> None:
        self._dying(super()._remove, path, folder=folder)


@pytest.mark.parametrize("before", [True, False])
def test_expiry_that_breaks_off_anywhere_leaves_the_hour_whole_or_gone(tmp_path: Path, before: bool) -> None:
    for left in range(20):
        root = tmp_path / str(left)
        land_many(Landing(root), IDS[0], range(30))
        land_many(Landing(root), IDS[1], range(30, 60))
        whole = read_all(Landing(root))
        try:
            expire_hours(Mortal(root, left, before), NEXT, lambda _: None)
        except Killed:
            assert same(read_all(Landing(root)), whole if left == 0 and before else {}), left
            assert Landing(root).list_unclosed_cycles() == []
            # Needed or not: what is half gone cannot be kept.
            expire_hours(Landing(root), NEXT, lambda _: "somebody needs it")
            if left == 0 and before:
                assert same(read_all(Landing(root)), whole)
                continue
            finished = False
        else:
            finished = True
        assert list(root.rglob("*")) == [], left
        if finished:
            break
    assert finished


def test_only_hours_that_are_over_and_not_needed_are_removed(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    for offset in range(4):
        hour = HOUR + timedelta(hours=offset)
        land(landing, answer(1), of=cycle(IDS[0] + offset, hour))
    asked = []

    def needed(hour: datetime) -> str | None:
        asked.append(hour)
        return "its day is not exported" if hour == NEXT else None

    for dry_run in (True, False):
        done = expire_hours(landing, HOUR + timedelta(hours=3, minutes=30), needed, dry_run=dry_run)
        assert done.removed == [HOUR, HOUR + timedelta(hours=2)]
        assert done.kept_hours == {NEXT: "its day is not exported"}
        assert done.bytes_removed > 0
        assert len(landing.list_cycles()) == (4 if dry_run else 2)
    assert max(asked) == HOUR + timedelta(hours=2)
    with pytest.raises(LandingError, match="no closed cycle"):
        landing.read_manifest(IDS[0])


def test_nothing_is_written_into_an_hour_that_is_half_removed(tmp_path: Path) -> None:
    land(Landing(tmp_path), answer(1))
    with pytest.raises(Killed):
        expire_hours(Mortal(tmp_path, 1, before=True), NEXT, lambda _: None)
    with pytest.raises(LandingError, match="run `palimpsest landing expire` to the end"):
        Landing(tmp_path).open_writer(cycle())
    with pytest.raises(LandingIncomplete, match="no longer in the landing"):
        Landing(tmp_path).reread_manifest(landed_elsewhere(tmp_path))


def landed_elsewhere(tmp_path: Path) -> Any:
    other = Landing(tmp_path / "other")
    land(other, answer(1))
    return other.list_cycles()[0]


def test_a_file_is_hashed_once_however_often_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    landing = Landing(tmp_path)
    two_cycles(landing)
    hashed, digest = [], hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda file, name: hashed.append(file.name) or digest(file, name))
    fresh = Landing(tmp_path)
    assert sum(frame.height for _ in range(2) for frame in read_all(fresh).values()) == 2 * 800
    assert len(hashed) == len(set(hashed)) == sum(len(manifest.segments) for manifest in landing.list_cycles())


def test_an_object_store_is_as_good_as_a_folder() -> None:
    with s3_bucket("raw-answers") as bucket:
        url = f"{bucket}/landing"
        landing = Landing(url)
        two_cycles(landing, flush_answers=60)
        expected = read_all(landing)
        assert same(read_all(Landing(url)), expected)
        land_many(landing, IDS[0], range(400, 430))
        assert read_all(Landing(url))[IDS[0]].height == 430
        assert expire_hours(landing, NEXT, lambda _: None).removed == [HOUR]
        assert (landing.list_cycles(), list_expired_hours(landing, NEXT)) == ([], [])


class Sequences(RuleBasedStateMachine):
    """Any order of appending, closing, dying and expiring: every needed answer of a closed cycle can be
    read once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.root = f"memory://{uuid.uuid4().hex}/landing"
        self.landing = Landing(self.root)
        self.closed: dict[tuple[int, int], list[str]] = {}
        self.open: dict[tuple[int, int], CycleWriter] = {}
        self.appended: dict[tuple[int, int], list[str]] = {}
        self.number = 0

    def hour(self, at: int) -> datetime:
        return HOUR + timedelta(hours=at)

    @rule(at=st.integers(0, 1), which=st.integers(0, 1), answers=st.integers(1, 5), close=st.booleans())
    def append(self, at: int, which: int, answers: int, close: bool) -> None:
        key = (at, which)
        if key not in self.open:
            self.open[key] = CycleWriter(self.landing, cycle(IDS[which] + at, self.hour(at)), flush_answers=2)
        names = []
        for _ in range(answers):
            self.number += 1
            self.open[key].append(answer(self.number, list(PLATFORMS)[self.number % 2]))
            names.append(str(self.number))
        self.open[key].flush()
        self.appended.setdefault(key, []).extend(names)
        if close:
            self.close(key)

    def close(self, key: tuple[int, int]) -> None:
        self.open.pop(key).close(RunStatus.COMPLETED, RECEIVED)
        self.closed[key] = self.closed.get(key, []) + self.appended.pop(key)

    @precondition(lambda self: self.open)
    @rule()
    def close_one(self) -> None:
        self.close(min(self.open))

    @precondition(lambda self: not self.open)
    @rule(left=st.none() | st.integers(0, 6), before=st.booleans())
    def expire_the_first(self, left: int | None, before: bool) -> None:
        landing = self.landing if left is None else Mortal(self.root, left, before)
        try:
            expire_hours(landing, self.hour(2), lambda hour: "needed" if hour != HOUR else None)
        except Killed:
            if left == 0 and before:
                return
            assert self.landing.list_cycles(hour=HOUR) == []
            expire_hours(self.landing, self.hour(1), lambda _: "needed")
        self.closed = {key: names for key, names in self.closed.items() if key[0] != 0}

    @invariant()
    def everything_closed_is_there_once(self) -> None:
        landing = Landing(self.root)
        found = {
            manifest.cycle_id: sorted(landing.read_answers(manifest)["external_id"], key=int)
            for manifest in landing.list_cycles()
        }
        assert found == {IDS[which] + at: sorted(names, key=int) for (at, which), names in self.closed.items()}


TestSequences = Sequences.TestCase
TestSequences.settings = settings(max_examples=15, stateful_step_count=10, deadline=None)
