"""Compaction and expiry: whatever happens, and wherever it broke off, readers have every answer that is needed once."""

import hashlib
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from upath import UPath

from palimpsest_pipeline.domain.enums import PayloadKind, RunStatus
from palimpsest_pipeline.landing import (
    CycleWriter,
    Landing,
    LandingError,
    LandingIncomplete,
    compact_hour,
    expire_hours,
    list_compactable_hours,
    list_expired_hours,
)
from palimpsest_pipeline.landing.files import GROUP_ROWS, INDEX_FILE
from palimpsest_pipeline_tests.fixtures.object_store import s3_bucket
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, PLATFORMS

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


def files_of(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and path.name != "manifest.json"}


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

    def _publish(self, source: Path, path: UPath) -> None:
        self._dying(super()._publish, source, path)

    def _remove(self, path: UPath, *, folder: bool = False) -> None:
        self._dying(super()._remove, path, folder=folder)


def test_a_compacted_hour_has_one_file_per_platform_and_reads_as_before(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    two_cycles(landing)
    assert list_compactable_hours(landing, NEXT) == [HOUR]
    assert list_compactable_hours(landing, HOUR) == []
    manifests, before = landing.list_cycles(), read_all(landing)
    listed = {cycle_id: landing.read_landed_listings(cycle_id) for cycle_id in IDS}
    taken = landing.measure_usage()
    done = compact_hour(landing, HOUR)
    parquet = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.parquet"))
    assert [path.parent.as_posix() for path in parquet] == [
        f"date=2026-06-26/hour=10/platform={p}" for p in sorted(PLATFORMS)
    ]
    assert (done.left_alone, done.bytes_before) == (None, sum(m.bytes for m in manifests))
    assert done.bytes_after == sum((tmp_path / path).stat().st_size for path in parquet) < done.bytes_before
    assert landing.list_cycles() == manifests
    assert [m.digest for m in landing.list_cycles()] == [m.digest for m in manifests]
    assert same(read_all(Landing(tmp_path)), before)
    assert all(landing.read_landed_listings(cycle_id).equals(frame) for cycle_id, frame in listed.items())
    assert (
        landing.list_unclosed_cycles() == [name for m in manifests for name in landing.find_missing_segments(m)] == []
    )
    now = landing.measure_usage()
    assert now.drop("bytes").equals(taken.drop("bytes"))
    assert now["bytes"].sum() == done.bytes_after
    assert list_compactable_hours(landing, NEXT) == []


def test_parts_of_a_compacted_cycle_are_read_without_the_rest(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    two_cycles(landing)
    land(landing, answer(5000, kind=PayloadKind.TREE), of=cycle(IDS[0]), stages=("discovery",))
    [first, second] = landing.list_cycles()
    wanted = landing.read_answers(second, platforms=[BET9JA], columns=["external_id", "body"])
    compact_hour(landing, HOUR)
    assert landing.read_answers(second, platforms=[BET9JA], columns=["external_id", "body"]).equals(wanted)
    assert landing.read_answers(first, kinds=[PayloadKind.TREE])["external_id"].to_list() == ["5000"]
    pieces = list(landing.read_segments(second))
    assert max(piece.height for piece in pieces) <= GROUP_ROWS
    assert sum(piece.height for piece in pieces) == second.rows


@pytest.mark.parametrize("before", [True, False])
def test_compaction_that_breaks_off_anywhere_loses_nothing_and_is_finished_by_the_next(
    tmp_path: Path, before: bool
) -> None:
    expected: dict[int, pl.DataFrame] = {}
    for left in range(100):
        root = tmp_path / str(left)
        land_many(Landing(root), IDS[0], range(60), flush_answers=10)
        compact_hour(Landing(root), HOUR)
        land_many(Landing(root), IDS[1], range(100, 160), flush_answers=10)
        expected = expected or read_all(Landing(root))
        try:
            compact_hour(Mortal(root, left, before), HOUR)
        except Killed:
            assert same(read_all(Landing(root)), expected), left
            assert list_compactable_hours(Landing(root), NEXT) == [HOUR] or len(files_of(root)) == len(PLATFORMS) + 1, (
                left
            )
            compact_hour(Landing(root), HOUR)
            finished = False
        else:
            finished = True
        assert same(read_all(Landing(root)), expected), left
        assert len(files_of(root)) == len(PLATFORMS) + 1, left  # theirs, and the index
        assert list_compactable_hours(Landing(root), NEXT) == [], left
        if finished:
            break
    assert finished
    assert left > 10


@pytest.mark.parametrize("before", [True, False])
def test_expiry_that_breaks_off_anywhere_leaves_the_hour_whole_or_gone(tmp_path: Path, before: bool) -> None:
    for left in range(20):
        root = tmp_path / str(left)
        land_many(Landing(root), IDS[0], range(30))
        compact_hour(Landing(root), HOUR)
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


def test_a_cycle_that_goes_on_after_its_hour_was_compacted_keeps_both_parts(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    land_many(landing, IDS[0], range(60))
    compact_hour(landing, HOUR)
    land_many(landing, IDS[0], range(60, 90), stage="later")
    [manifest] = landing.list_cycles()
    mixed = landing.read_answers(manifest)
    assert sorted(map(int, mixed["external_id"])) == list(range(90))
    assert manifest.stages == ("capture", "later")
    assert sorted(map(int, landing.read_landed_listings(IDS[0])["external_id"])) == list(range(90))
    assert list_compactable_hours(landing, NEXT) == [HOUR]
    held = files_of(tmp_path)
    compact_hour(landing, HOUR)
    assert landing.read_answers(manifest).equals(mixed)
    assert len(files_of(tmp_path)) == len(PLATFORMS) + 1
    assert files_of(tmp_path) - held  # other content, another name


def test_a_reader_goes_on_while_the_hour_is_compacted_under_it(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    land_many(landing, IDS[0], range(120), flush_answers=5)
    [manifest] = landing.list_cycles()
    expected = landing.read_answers(manifest)
    pieces = landing.read_segments(manifest)
    begun = [next(pieces)]
    compact_hour(landing, HOUR)
    begun.append(next(pieces))
    land_many(landing, IDS[0], range(200, 230), stage="later")
    compact_hour(landing, HOUR)
    assert pl.concat([*begun, *pieces]).equals(expected)


def test_readers_in_a_loop_see_every_answer_once_while_the_hour_is_compacted_again_and_again(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    land_many(landing, IDS[0], range(60))
    [manifest] = landing.list_cycles()
    expected = landing.read_answers(manifest)
    over_, wrong, rounds = threading.Event(), [], [0]

    def look() -> None:
        while not over_.is_set():
            try:
                if not Landing(tmp_path).read_answers(manifest).equals(expected):
                    wrong.append("other answers")
            except LandingError as error:
                wrong.append(str(error))
            rounds[0] += 1

    reader = threading.Thread(target=look)
    reader.start()
    for more in range(5):
        compact_hour(landing, HOUR)
        land_many(landing, IDS[1], range(100 * more, 100 * more + 9), stage=f"stage {more}")
    over_.set()
    reader.join()
    assert rounds[0] > 0
    assert wrong == []


def test_an_hour_with_a_cycle_that_is_not_closed_or_not_whole_is_left_alone_with_the_reason(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    two_cycles(landing)
    untouched = files_of(tmp_path)
    writer = landing.open_writer(cycle(IDS[1] + 1))
    writer.append(answer(1))
    writer.flush()
    assert f"cycle {IDS[1] + 1} is not closed" in (compact_hour(landing, HOUR).left_alone or "")
    writer.close(RunStatus.COMPLETED, RECEIVED)
    again = landing.open_writer(cycle(IDS[0]))
    again.append(answer(2000))
    again.flush()
    assert f"cycle {IDS[0]} is being written to" in (compact_hour(landing, HOUR).left_alone or "")
    again.close(RunStatus.COMPLETED, RECEIVED)
    path = next(tmp_path.rglob(f"cycle={IDS[1]}/platform=bet9ja/seg-0001-*.parquet"))
    path.unlink()
    assert f"cycle {IDS[1]} is not whole: platform=bet9ja/{path.name} is missing" in (
        compact_hour(landing, HOUR).left_alone or ""
    )
    assert untouched - files_of(tmp_path) == {f"date=2026-06-26/hour=10/cycle={IDS[1]}/platform=bet9ja/{path.name}"}


def test_a_segment_with_other_content_is_not_sealed_into_the_hour(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    two_cycles(landing)
    path = next(tmp_path.rglob("seg-0003-*.parquet"))
    path.write_bytes(path.read_bytes()[:-20])
    there = files_of(tmp_path)
    with pytest.raises(LandingIncomplete, match=rf"{path.name} .* not as it was written"):
        compact_hour(landing, HOUR)
    assert {name for name in files_of(tmp_path) if "cycle=" in name} == {name for name in there if "cycle=" in name}
    assert not any(INDEX_FILE in name for name in files_of(tmp_path))


def test_a_file_of_an_hour_that_was_tampered_with_or_is_gone_is_named(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    two_cycles(landing)
    compact_hour(landing, HOUR)
    manifest = landing.list_cycles()[1]
    landing.read_answers(manifest)
    path = next(tmp_path.rglob("platform=sportybet/hour-*.parquet"))
    content = path.read_bytes()
    path.write_bytes(content[:100] + b"x" + content[101:])
    with pytest.raises(LandingIncomplete, match=rf"{path.name} .* not as it was written"):
        landing.read_answers(manifest)
    assert landing.read_answers(manifest, platforms=[BETPAWA]).height > 0
    path.unlink()
    assert all(name.startswith("platform=sportybet/") for name in landing.find_missing_segments(manifest))
    with pytest.raises(LandingIncomplete, match=r"missing .*platform=sportybet/seg-0000"):
        landing.read_answers(manifest)


def test_a_file_is_hashed_once_and_not_once_per_cycle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    landing = Landing(tmp_path)
    for number in range(12):
        land_many(landing, IDS[0] + number, range(9))
    compact_hour(landing, HOUR)
    hashed, digest = [], hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda file, name: hashed.append(file.name) or digest(file, name))
    fresh = Landing(tmp_path)
    assert sum(frame.height for frame in read_all(fresh).values()) == 12 * 9
    assert len(hashed) == len(PLATFORMS)


def test_a_broken_index_is_named(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    two_cycles(landing)
    compact_hour(landing, HOUR)
    next(tmp_path.rglob(INDEX_FILE)).write_text("{")
    with pytest.raises(LandingError, match=rf"{INDEX_FILE} is not an index of the files beside it"):
        landing.read_answers(landing.list_cycles()[0])


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with s3_bucket("raw-answers") as url:
        yield url


@pytest.mark.parametrize("store", ["s3", "memory"])
def test_an_object_store_is_as_good_as_a_folder(store: str, request: pytest.FixtureRequest) -> None:
    url = (
        f"memory://{uuid.uuid4().hex}/landing" if store == "memory" else f"{request.getfixturevalue('bucket')}/landing"
    )
    landing = Landing(url)
    two_cycles(landing, flush_answers=60)
    expected = read_all(landing)
    done = compact_hour(landing, HOUR)
    assert 0 < done.bytes_after < done.bytes_before
    assert same(read_all(Landing(url)), expected)
    land_many(landing, IDS[0], range(400, 430))
    compact_hour(landing, HOUR)
    assert read_all(Landing(url))[IDS[0]].height == 430
    assert len([name for name in landing.root.fs.find(landing.root.path) if name.endswith(".parquet")]) == len(
        PLATFORMS
    )
    assert expire_hours(landing, NEXT, lambda _: None).removed == [HOUR]
    assert (landing.list_cycles(), list_expired_hours(landing, NEXT)) == ([], [])


class Sequences(RuleBasedStateMachine):
    """Any order of appending, closing, dying, compacting and expiring: every needed answer of a closed cycle can be
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

    @rule(at=st.integers(0, 1), left=st.none() | st.integers(0, 12), before=st.booleans())
    def compact(self, at: int, left: int | None, before: bool) -> None:
        try:
            compact_hour(self.landing if left is None else Mortal(self.root, left, before), self.hour(at))
        except Killed:
            return

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
