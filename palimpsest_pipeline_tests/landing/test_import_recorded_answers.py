"""Import of recorded payloads: what is in the folder lands once, and every bad input is one clear line."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from palimpsest_pipeline.domain.enums import PayloadKind, RunStatus, Scope, Trigger
from palimpsest_pipeline.domain.instants import Clock
from palimpsest_pipeline.landing import Landing, Manifest, RecordedPayloadError, import_payloads
from palimpsest_pipeline_tests.fixtures.platforms import PLATFORMS

DETAIL: dict[str, Any] = {
    "file": "a.json",
    "platform": "betpawa",
    "kind": "detail",
    "external_id": "35429065",
    "received_at": "2026-06-26T10:25:00Z",
}


def folder(path: Path, *entries: dict[str, Any], body: str = '{"id": 1}') -> Path:
    path.mkdir(exist_ok=True)
    (path / "manifest.json").write_text(json.dumps(entries))
    for entry in entries:
        (path / entry["file"]).write_text(body)
    return path


def imported(landing: Landing, directory: Path) -> list[Manifest]:
    return import_payloads(landing, directory, PLATFORMS, PLATFORMS, Clock())


def test_recorded_payloads_become_one_cycle_per_hour(tmp_path: Path) -> None:
    directory = folder(
        tmp_path / "in",
        DETAIL,
        {**DETAIL, "file": "b.json", "received_at": "2026-06-26T12:59:00+02:00", "external_id": "2", "sr_id": 66457014},
        {
            "file": "c.json",
            "platform": "sportybet",
            "kind": "listing",
            "received_at": "2026-06-26T11:00:00Z",
            "path": "/l",
            "params": {"p": "1"},
        },
    )
    landing = Landing(tmp_path / "landing")
    manifests = imported(landing, directory)
    assert [manifest.partition_hour.hour for manifest in manifests] == [10, 11]
    assert {(m.trigger, m.scope, m.status) for m in manifests} == {
        (Trigger.IMPORT, Scope.RECORDED, RunStatus.COMPLETED)
    }
    assert manifests == landing.list_cycles()
    first, second = landing.iterate_answers(landing.read_answers(manifests[0]))
    assert (first.request.external_id, first.received_at, first.body) == (
        "35429065",
        datetime(2026, 6, 26, 10, 25, tzinfo=UTC),
        b'{"id": 1}',
    )
    assert (second.request.sr_id, second.observed_at.hour) == (66457014, 10)
    [listing] = landing.iterate_answers(landing.read_answers(manifests[1]))
    assert (listing.request.kind, listing.request.path, dict(listing.request.params)) == (
        PayloadKind.LISTING,
        "/l",
        {"p": "1"},
    )


def test_what_is_imported_twice_is_there_once(tmp_path: Path) -> None:
    landing = Landing(tmp_path / "landing")
    directory = folder(tmp_path / "in", DETAIL, {**DETAIL, "file": "same.json"})
    assert [manifest.rows for manifest in imported(landing, directory)] == [1]
    assert imported(landing, directory) == []
    assert imported(landing, folder(tmp_path / "again", {**DETAIL, "file": "other-name.json"})) == []
    more = imported(
        landing, folder(tmp_path / "more", DETAIL, {**DETAIL, "file": "b.json", "received_at": "2026-06-26T10:25:01Z"})
    )
    assert [manifest.rows for manifest in more] == [1]
    changed = imported(landing, folder(tmp_path / "changed", DETAIL, body='{"id": 2}'))
    assert [manifest.rows for manifest in changed] == [1]
    assert sum(manifest.rows for manifest in landing.list_cycles()) == 3
    assert len({manifest.cycle_id for manifest in landing.list_cycles()}) == 3


def test_an_import_that_died_before_its_manifest_is_finished_not_doubled(tmp_path: Path) -> None:
    landing = Landing(tmp_path / "landing")
    directory = folder(tmp_path / "in", DETAIL)
    imported(landing, directory)
    next((tmp_path / "landing").rglob("manifest.json")).unlink()
    both = folder(tmp_path / "in", DETAIL, {**DETAIL, "file": "b.json", "external_id": "2"})
    assert [manifest.rows for manifest in imported(landing, both)] == [1]
    assert sum(manifest.rows for manifest in landing.list_cycles()) == 2
    assert landing.list_unclosed_cycles() == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"platform": "bet365"}, "entry 1 (a.json): no installed pack has the platform 'bet365'"),
        ({"kind": "odds"}, "entry 1 (a.json): Invalid enum value 'odds'"),
        ({"received_at": "2026-06-26T10:25:00"}, "entry 1 (a.json): received_at 2026-06-26T10:25:00 has no time zone"),
        ({"received_at": "yesterday"}, "entry 1 (a.json): Invalid RFC3339 encoded datetime"),
        (
            {"received_at": "2999-01-01T00:00:00Z"},
            "entry 1 (a.json): received_at 2999-01-01T00:00:00+00:00 lies in the future",
        ),
        (
            {"observed_at": "1994-10-18T00:00:00Z"},
            "entry 1 (a.json): observed_at 1994-10-18T00:00:00+00:00 lies more than an hour from received_at",
        ),
        (
            {"observed_at": "2026-06-26T11:25:01Z"},
            "entry 1 (a.json): observed_at 2026-06-26T11:25:01+00:00 lies more than an hour from received_at",
        ),
        ({"external_id": None}, "entry 1 (a.json): a detail needs external_id"),
        ({"status": 403}, "entry 1 (a.json): status 403"),
        ({"recieved": 1}, "entry 1 (a.json): Object contains unknown field `recieved`"),
    ],
)
def test_a_faulty_entry_is_one_line_that_names_the_file_and_nothing_lands(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    directory = folder(tmp_path / "in", {**DETAIL, **change}, {**DETAIL, "file": "good.json"})
    landing = Landing(tmp_path / "landing")
    with pytest.raises(RecordedPayloadError, match=re.escape(message)) as refused:
        imported(landing, directory)
    assert "\n" not in str(refused.value)
    assert landing.list_cycles() == []


def test_answers_of_one_book_to_the_same_request_are_refused(tmp_path: Path) -> None:
    landing = Landing(tmp_path / "landing")
    first, second = {**DETAIL, "book": "first"}, {**DETAIL, "file": "b.json", "book": "first"}
    message = "entry 2 (b.json): the same request as a.json in the book 'first'. Add the path and params of each"
    with pytest.raises(RecordedPayloadError, match=re.escape(message)):
        imported(landing, folder(tmp_path / "in", first, second))
    assert landing.list_cycles() == []
    other_book = {**second, "book": "second", "received_at": "2026-06-26T10:26:00Z"}
    other_page = {**second, "file": "c.json", "params": {"page": "2"}}
    (manifest,) = imported(landing, folder(tmp_path / "in", first, other_book, other_page))
    assert manifest.rows == 3


def test_files_that_are_missing_or_no_json_are_named(tmp_path: Path) -> None:
    landing = Landing(tmp_path / "landing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecordedPayloadError, match=r"empty/manifest\.json: cannot be read \(No such file"):
        imported(landing, tmp_path / "empty")
    directory = folder(tmp_path / "in", DETAIL)
    (directory / "a.json").write_text("<html>blocked</html>")
    with pytest.raises(RecordedPayloadError, match=r"in/a\.json is not JSON"):
        imported(landing, directory)
    (directory / "a.json").unlink()
    with pytest.raises(RecordedPayloadError, match=r"entry 1 \(a\.json\): .*in/a\.json cannot be read \(No such file"):
        imported(landing, directory)
    (directory / "manifest.json").write_text("{not json")
    with pytest.raises(RecordedPayloadError, match=r"in/manifest\.json: not a JSON list"):
        imported(landing, directory)


def test_captured_answers_import_byte_for_byte(tmp_path: Path, samples: Path) -> None:
    capture = samples / "betpawa" / "detail_football_113_markets_v3_2026-06-26.json"
    directory = folder(tmp_path / "in", DETAIL, body=capture.read_text())
    landing = Landing(tmp_path / "landing")
    [manifest] = imported(landing, directory)
    [answer] = landing.iterate_answers(landing.read_answers(manifest))
    assert answer.body == capture.read_bytes()
    assert manifest.bytes < len(answer.body) / 4


DEEP = "[" * 100_000


@pytest.mark.parametrize("place", ["manifest", "entry", "body"])
def test_json_that_is_nested_too_deeply_is_one_line_that_names_the_file(tmp_path: Path, place: str) -> None:
    directory = folder(tmp_path / "in", DETAIL)
    manifest, body = directory / "manifest.json", directory / "a.json"
    entry = f'[{json.dumps(DETAIL)[:-1]}, "headers": {DEEP}{"]" * len(DEEP)}}}]'
    deep = {"manifest": (manifest, DEEP), "entry": (manifest, entry), "body": (body, DEEP)}
    file, content = deep[place]
    file.write_text(content)
    with pytest.raises(RecordedPayloadError, match=re.escape(file.name)) as raised:
        imported(Landing(tmp_path / "landing"), directory)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "landing").exists()


def test_the_answers_of_one_book_are_landed_side_by_side_in_the_hour_of_the_first(tmp_path: Path) -> None:
    def part(name: str, minute: str, external_id: str = "1", **entry: Any) -> dict[str, Any]:
        received_at = f"2026-06-26T{minute}Z"
        return {**DETAIL, "file": name, "external_id": external_id, "received_at": received_at, "path": name, **entry}

    directory = folder(
        tmp_path / "in",
        part("page-2", "11:00:00", book="first"),
        part("other", "10:59:30", "2"),
        part("page-1", "10:59:00", book="first"),
        part("again", "10:59:45", book="second"),
    )
    landing = Landing(tmp_path / "landing")
    (manifest,) = imported(landing, directory)
    assert manifest.partition_hour.hour == 10
    assert landing.read_answers(manifest)["path"].to_list() == ["page-2", "page-1", "other", "again"]
    assert imported(landing, directory) == []
