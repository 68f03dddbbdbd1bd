"""`palimpsest platforms check`: whether packs can be used, and the place of each fault."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.domain.exchange import Request
from palimpsest_pipeline.pipeline.installed_vocabulary import find_vocabulary_problems, load_installed_vocabulary
from palimpsest_pipeline.platforms.base import PlatformAdapter
from palimpsest_pipeline.platforms.packs import InstalledPacks, Pack, PackError, load_packs
from palimpsest_pipeline.platforms.registry import build_adapter

from .recorded_answers import check_recorded_answers
from .simulated_answers import check_simulated_answers

NOTES_FILE: Final = "GOTCHAS.md"
EXAMPLE_LISTING: Final = "1"


@dataclass(frozen=True, slots=True)
class PackFinding:
    """The result of one check of one pack. `detail` names the place of the fault when `ok` is False."""

    pack: str
    check: str
    ok: bool
    detail: str


class UnknownPack(PalimpsestError):
    """A name that no installed pack has."""


_Check = Callable[[Pack], str]
"""A check of a pack. It returns a summary, and raises PalimpsestError for a fault."""


def check_packs(names: Sequence[str], *, recorded: Path | None, min_share: float) -> list[PackFinding]:
    """Return the findings of these packs, or of all installed ones.

    `recorded` is a folder of recorded answers, with a manifest as `landing import` reads it, for packs without recorded
    answers of their own. `min_share` is the minimum share of lines that must be mapped. Raises UnknownPack.
    """
    packs = load_packs()
    names_in_use = packs.packs.keys() | packs.problems.keys()
    if unknown := [name for name in names if name not in names_in_use]:
        raise UnknownPack(
            f"no installed package has a pack {', '.join(unknown)}; there are {', '.join(sorted(names_in_use))}"
        )
    return [
        finding for name in names or sorted(names_in_use) for finding in _check_pack(name, packs, recorded, min_share)
    ]


def _check_pack(name: str, packs: InstalledPacks, recorded: Path | None, min_share: float) -> Iterator[PackFinding]:
    if name in packs.problems:
        yield PackFinding(name, "pack.toml", False, packs.problems[name])
        return
    pack = packs.packs[name]
    countries = ", ".join(pack.content.countries)
    yield PackFinding(name, "pack.toml", True, f"{pack.folder}: {countries}; trust {pack.content.trust}")
    checks: dict[str, _Check] = {"dialect": _check_dialect, "vocabulary": _check_vocabulary, "notes": _check_notes}
    is_usable = True
    for check_name, check in checks.items():
        finding = _run(pack, check_name, check)
        is_usable &= finding.ok or check_name == "notes"
        yield finding
    if is_usable:
        yield _run(pack, "recorded answers", lambda pack: check_recorded_answers(pack, recorded, min_share))
        yield _run(pack, "simulator", check_simulated_answers)


def _run(pack: Pack, name: str, check: _Check) -> PackFinding:
    try:
        return PackFinding(pack.name, name, True, check(pack))
    except PalimpsestError as error:
        return PackFinding(pack.name, name, False, str(error))


def _check_dialect(pack: Pack) -> str:
    """Build the adapter of every country, and check its first requests."""
    for platform in pack.countries:
        adapter = build_adapter(platform)
        dialect = pack.content.dialect
        try:
            requests = _list_first_requests(pack, adapter)
        except Exception as error:
            raise PackError(f"{dialect} in {platform}: {type(error).__name__}: {error}") from error
        if strange := [request.path for request in requests if request.platform != platform or request.path[:1] != "/"]:
            raise PackError(f"{dialect}: {strange[0]!r} is not a request to {platform} with a path on its host")
    return f"{dialect}, parser version {adapter.parser_version}"


def _list_first_requests(pack: Pack, adapter: PlatformAdapter) -> list[Request]:
    adapter.build_headers()
    requests = list(adapter.list_detail_requests(EXAMPLE_LISTING, None, ()))
    for sport in pack.content.sports:
        requests += next(adapter.discover(sport), [])
        adapter.read_discovery((), sport)
    return requests


def _check_vocabulary(pack: Pack) -> str:
    if (problem := find_vocabulary_problems().get(pack.name)) is not None:
        raise PackError(problem)
    keys = load_installed_vocabulary().keys.filter(platform=pack.name)
    if keys.is_empty():
        raise PackError(f"{pack.folder / 'vocabulary'}: no market is mapped, and market_keys names no shared keys")
    shared = f", shared with {pack.content.market_keys}" if pack.content.market_keys else ""
    return f"{keys.height} market keys{shared}"


def _check_notes(pack: Pack) -> str:
    if not (pack.folder / NOTES_FILE).exists():
        raise PackError(f"{pack.folder / NOTES_FILE} is missing: describe in it the known traps of the site")
    return NOTES_FILE
