"""The vocabulary that ships with the package: reading its files, checking them, content as frames.

`vocabulary/README.md` describes the format of the files and how to add a mapping.
"""

import csv
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import Platform, Sport
from palimpsest_pipeline.domain.errors import PalimpsestError

VOCABULARY_FOLDER: Final = Path(__file__).parent / "vocabulary"

FILE_COLUMNS: Final = {
    "markets.csv": ("market_id", "market_key", "sport", "period", "family", "name", "line_kind", "fair_sum"),
    "outcomes.csv": ("market_key", "ordinal", "outcome_key", "name"),
    "keys.csv": (
        "platform",
        "sport",
        "external_market_id",
        "requires",
        "reads",
        "adds",
        "ignores",
        "market_key",
        "open_outcomes",
    ),
    "outcome_keys.csv": ("platform", "sport", "external_market_id", "external_outcome_id", "market_key", "outcome_key"),
    "complete_sets.csv": ("market_key", "set", "outcome_keys"),
    "feeds.csv": ("platform", "sport", "market_key", "external_market_id"),
    "notes.csv": ("market_key", "note"),
    "triage.csv": ("platform", "sport", "external_market_id", "status", "reason"),
}

UNVERSIONED_FILES: Final = frozenset({"notes.csv", "triage.csv"})
"""Files without influence on prices: after a change in them no history has to be derived again."""

FAMILIES: Final = (
    "result",
    "total",
    "handicap",
    "both_score",
    "correct_score",
    "exact_goals",
    "combination",
    "half",
    "timing",
    "corners",
    "bookings",
    "statistics",
    "players",
    "special",
    "sets",
    "quarters",
)
"""Groups of markets that belong together for a user; described in `vocabulary/README.md`."""

SPECIFIER_PARTS: Final[dict[str, frozenset[str]]] = {
    "none": frozenset(),
    "total": frozenset({"total"}),
    "handicap": frozenset({"hcp"}),
    "minute": frozenset({"minute"}),
    "minute+total": frozenset({"minute", "total"}),
    "early_payout+total": frozenset({"minsnr", "total"}),
    "goal_number": frozenset({"goalnr"}),
    "goals": frozenset({"goals"}),
    "score": frozenset({"score"}),
    "top": frozenset({"top"}),
    "player": frozenset(),
    "player+goal_number": frozenset({"goalnr"}),
    "player+total": frozenset({"total"}),
    "player_pair": frozenset({"pair"}),
    "period_number": frozenset({"quarternr"}),
    "period_number+total": frozenset({"quarternr", "total"}),
    "period_number+handicap": frozenset({"hcp", "quarternr"}),
    "set_number": frozenset({"setnr"}),
    "set_number+total": frozenset({"setnr", "total"}),
}
"""Names of the specifier parts of each kind of line."""

CONVERSIONS: Final = frozenset({"number", "quarters", "score", "text", "top", "ladder"})
READ_PATTERN: Final = re.compile(r"(?P<canonical>\w+)=(?P<conversion>\w+)\((?P<raw>\w+)\)")
PLACEHOLDER_PATTERN: Final = re.compile(r"\{(\w+)\}")
PLACEHOLDER_REGEXES: Final = {
    "outcome": r"(?P<outcome>.+)",
    "player": r"(?P<player>[0-9]{1,18})",
    "at_least": r"(?P<at_least>\d+)",
    "_": r"[^:]*",
}
"""Placeholders in templates of outcome ids, each with its regex."""
TRIAGE_STATUSES: Final = frozenset({"acknowledged", "ignored"})
FAIR_SUM_PATTERN: Final = re.compile(r"|[12]|overlap\(\d+(\.\d+)?\)")
SMALLINT_MAX: Final = 32767


class VocabularyError(PalimpsestError):
    """A vocabulary file is invalid. The message begins with file:line."""


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """The vocabulary as frames.

    - `markets`: market_id Int16, market_key, sport, period, family, name, line_kind, fair_sum (number of winning
      outcomes as text; null: unknown), note (null: none), betpawa_market_id (null: betPawa does not have the market).
    - `outcomes`: market_id, ordinal Int16, outcome_key, name.
    - `keys`: key_id UInt32 (order of preference), platform, sport, external_market_id, market_id, open_outcomes,
      open_pattern, ladder Boolean. open_outcomes is the template of the outcome ids that are not listed, '' when all
      are listed; open_pattern is the template as an anchored regex with some of the groups outcome, player, at_least,
      or null.
    - `parts`: key_id, part, role (require, read, ignore), expected, canonical, conversion: how a key treats each part
      of a platform's specifier.
    - `added`: key_id, canonical, text: a part that a key adds to the specifier, such as `minute=10`.
    - `outcome_keys`: key_id, external_outcome_id, ordinal Int16.
    - `complete_sets`: market_id, set (its name), ordinal Int16: the complete sets of a market that platforms offer with
      different numbers of outcomes. For a market that is not in the frame, only all its outcomes together are complete.
    - `feeds`: key_id, place Int16 (from 0): position of a key among the feeds from which its platform has the market.
      Keys of markets with one feed are not in the frame.
    - `triage`: platform, sport, external_market_id, status (acknowledged, ignored), reason: platform markets that are
      knowingly not mapped.
    """

    markets: pl.DataFrame
    outcomes: pl.DataFrame
    keys: pl.DataFrame
    parts: pl.DataFrame
    added_parts: pl.DataFrame
    outcome_keys: pl.DataFrame
    complete_sets: pl.DataFrame
    feeds: pl.DataFrame
    triage: pl.DataFrame
    version: str


@cache
def load_vocabulary() -> Vocabulary:
    """Return the vocabulary of the package, cached. Raises VocabularyError for an invalid file."""
    return read_vocabulary(VOCABULARY_FOLDER)


def read_vocabulary(folder: Path) -> Vocabulary:
    """Return the vocabulary in `folder`. Raises VocabularyError with file and line."""
    markets = _read_markets(folder)
    outcomes = _read_outcomes(folder, markets)
    keys = _read_keys(folder, markets)
    outcome_keys = _read_outcome_keys(folder, keys, outcomes)
    _refuse_ambiguous(keys, outcome_keys)
    sets = _read_complete_sets(folder, outcomes)
    feeds = _read_feeds(folder, keys)
    notes = _read_notes(folder, markets)
    triage = _read_triage(folder, keys)
    content = b"".join((folder / name).read_bytes() for name in FILE_COLUMNS if name not in UNVERSIONED_FILES)
    version = f"{(folder / 'VERSION').read_text().strip()}+{hashlib.sha256(content).hexdigest()[:8]}"
    return _build_vocabulary(markets, outcomes, keys, outcome_keys, sets, feeds, notes, triage, version)


@dataclass(frozen=True, slots=True)
class _Market:
    market_id: int
    market_key: str
    sport: str
    period: str
    family: str
    name: str
    line_kind: str
    fair_sum: str


@dataclass(frozen=True, slots=True)
class _Key:
    line: int
    key_id: int
    platform: str
    sport: str
    external_market_id: str
    requires: dict[str, str]
    reads: dict[str, tuple[str, str]]
    """Name of a platform's specifier part to (canonical part, conversion)."""
    adds: dict[str, str]
    ignores: tuple[str, ...]
    market: _Market
    open_outcomes: str

    @property
    def has_ladder(self) -> bool:
        return any(conversion == "ladder" for _, conversion in self.reads.values())

    @property
    def canonical_parts(self) -> list[str]:
        at_least = ["total"] if "{at_least}" in self.open_outcomes else []
        return [*(canonical for canonical, _ in self.reads.values()), *self.adds, *at_least]

    @property
    def open_pattern(self) -> str | None:
        """The template of outcome ids as an anchored regex; None when all outcome ids are listed."""
        if not self.open_outcomes:
            return None
        texts = PLACEHOLDER_PATTERN.split(self.open_outcomes)
        return (
            "^" + "".join(PLACEHOLDER_REGEXES[text] if n % 2 else re.escape(text) for n, text in enumerate(texts)) + "$"
        )


def _read_rows(folder: Path, name: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line number, row) of a file, after checking the header and the lengths of rows."""
    with (folder / name).open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        header = next(reader, [])
        if tuple(header) != FILE_COLUMNS[name]:
            raise VocabularyError(f"{name}:1: columns must be {','.join(FILE_COLUMNS[name])}")
        for values in reader:
            if len(values) != len(header):
                raise VocabularyError(f"{name}:{reader.line_num}: {len(values)} values for {len(header)} columns")
            yield reader.line_num, dict(zip(header, values, strict=True))


def _require(is_valid: bool, name: str, line: int, message: str) -> None:
    if not is_valid:
        raise VocabularyError(f"{name}:{line}: {message}")


def _parse_number(name: str, line: int, text: str) -> int:
    _require(
        text.isdecimal() and 0 < int(text) <= SMALLINT_MAX,
        name,
        line,
        f"{text!r} is not a number from 1 to {SMALLINT_MAX}",
    )
    return int(text)


def _read_markets(folder: Path) -> dict[str, _Market]:
    name = "markets.csv"
    markets: dict[str, _Market] = {}
    ids: set[int] = set()
    for line, row in _read_rows(folder, name):
        market = _Market(**{**row, "market_id": _parse_number(name, line, row["market_id"])})  # type: ignore[arg-type]
        _require(market.market_id not in ids, name, line, f"market_id {market.market_id} is there twice")
        _require(market.market_key not in markets, name, line, f"market_key {market.market_key} is there twice")
        _require(market.sport in set(Sport), name, line, f"unknown sport {market.sport!r}")
        _require(market.line_kind in SPECIFIER_PARTS, name, line, f"unknown line_kind {market.line_kind!r}")
        _require(market.family in FAMILIES, name, line, f"unknown family {market.family!r}")
        _require(
            FAIR_SUM_PATTERN.fullmatch(market.fair_sum) is not None,
            name,
            line,
            f"fair_sum {market.fair_sum!r} is not 1, 2, overlap(x) or empty",
        )
        _require(
            bool(market.market_key and market.name and market.period),
            name,
            line,
            "market_key, name and period must not be empty",
        )
        ids.add(market.market_id)
        markets[market.market_key] = market
    return markets


def _read_outcomes(folder: Path, markets: dict[str, _Market]) -> dict[tuple[str, str], tuple[int, str]]:
    """Return (ordinal, name) by (market key, outcome key)."""
    name = "outcomes.csv"
    outcomes: dict[tuple[str, str], tuple[int, str]] = {}
    count: dict[str, int] = defaultdict(int)
    for line, row in _read_rows(folder, name):
        market_key, outcome_key = row["market_key"], row["outcome_key"]
        _require(market_key in markets, name, line, f"market_key {market_key!r} is not in markets.csv")
        _require(
            (market_key, outcome_key) not in outcomes,
            name,
            line,
            f"outcome {outcome_key} of {market_key} is there twice",
        )
        _require(bool(outcome_key and row["name"]), name, line, "outcome_key and name must not be empty")
        count[market_key] += 1
        ordinal = _parse_number(name, line, row["ordinal"])
        _require(
            ordinal == count[market_key],
            name,
            line,
            f"ordinal {ordinal} of {market_key}: {count[market_key]} comes next",
        )
        outcomes[market_key, outcome_key] = (ordinal, row["name"])
    return outcomes


def _parse_pairs(name: str, line: int, text: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for item in filter(None, text.split("|")):
        part, equals, value = item.partition("=")
        _require(
            bool(part and equals and value) and part not in pairs,
            name,
            line,
            f"{item!r} in {text!r} is not part=value, each part once",
        )
        pairs[part] = value
    return pairs


def _parse_reads(name: str, line: int, text: str) -> dict[str, tuple[str, str]]:
    reads: dict[str, tuple[str, str]] = {}
    for item in filter(None, text.split("|")):
        match = READ_PATTERN.fullmatch(item)
        _require(match is not None, name, line, f"{item!r} is not canonical=conversion(raw)")
        assert match is not None
        _require(match["conversion"] in CONVERSIONS, name, line, f"unknown conversion {match['conversion']!r}")
        _require(match["raw"] not in reads, name, line, f"raw part {match['raw']} is read twice")
        reads[match["raw"]] = (match["canonical"], match["conversion"])
    return reads


def _check_template(name: str, line: int, text: str) -> None:
    groups = PLACEHOLDER_PATTERN.findall(text)
    _require(
        set(groups) <= PLACEHOLDER_REGEXES.keys() and not set("{}") & set(PLACEHOLDER_PATTERN.sub("", text)),
        name,
        line,
        f"{text!r} has an unknown placeholder",
    )
    group_names = [group for group in groups if group != "_"]
    _require(
        not text or sorted(group_names) in (["outcome"], ["player"], ["at_least", "player"]),
        name,
        line,
        f"{text!r} needs {{outcome}} or {{player}}, and {{at_least}} only with {{player}}",
    )


def _read_keys(folder: Path, markets: dict[str, _Market]) -> list[_Key]:
    name = "keys.csv"
    keys: list[_Key] = []
    identities: set[tuple[str, ...]] = set()
    for line, row in _read_rows(folder, name):
        _require(row["platform"] in set(Platform), name, line, f"unknown platform {row['platform']!r}")
        _require(row["market_key"] in markets, name, line, f"market_key {row['market_key']!r} is not in markets.csv")
        market = markets[row["market_key"]]
        _require(
            row["sport"] == market.sport,
            name,
            line,
            f"{market.market_key} is a market of {market.sport}, not of {row['sport']}",
        )
        _check_template(name, line, row["open_outcomes"])
        message = f"the outcomes of {market.market_key} are not all listed, so no fair_sum is known"
        _require(not (row["open_outcomes"] and market.fair_sum), name, line, message)
        identity = (row["platform"], row["sport"], row["external_market_id"], row["requires"], market.market_key)
        _require(identity not in identities, name, line, f"{' '.join(filter(None, identity))} is there twice")
        identities.add(identity)
        key = _Key(
            line=line,
            key_id=len(keys),
            platform=row["platform"],
            sport=row["sport"],
            external_market_id=row["external_market_id"],
            requires=_parse_pairs(name, line, row["requires"]),
            reads=_parse_reads(name, line, row["reads"]),
            adds=_parse_pairs(name, line, row["adds"]),
            ignores=tuple(filter(None, row["ignores"].split("|"))),
            market=market,
            open_outcomes=row["open_outcomes"],
        )
        needed_parts = sorted(SPECIFIER_PARTS[market.line_kind])
        _require(
            sorted(key.canonical_parts) == needed_parts,
            name,
            line,
            f"{market.market_key} needs the parts {needed_parts}, the key gives {sorted(key.canonical_parts)}",
        )
        raw_parts = [*key.requires, *key.reads, *key.ignores]
        _require(
            len(raw_parts) == len(set(raw_parts)), name, line, "a raw part has one role: required, read or ignored"
        )
        _require(not key.has_ladder or needed_parts == ["total"], name, line, "a ladder gives a total and nothing else")
        keys.append(key)
    return keys


def _read_outcome_keys(
    folder: Path, keys: list[_Key], outcomes: dict[tuple[str, str], tuple[int, str]]
) -> list[tuple[int, int, str, int]]:
    """Return (line, key_id, external outcome id, ordinal).

    An outcome is repeated for every row of keys.csv that uses it.
    """
    name = "outcome_keys.csv"
    by_identity: dict[tuple[str, str, str, str], list[_Key]] = defaultdict(list)
    for key in keys:
        by_identity[key.platform, key.sport, key.external_market_id, key.market.market_key].append(key)
    outcome_keys: list[tuple[int, int, str, int]] = []
    identities: set[tuple[tuple[str, str, str, str], str]] = set()
    for line, row in _read_rows(folder, name):
        identity = (row["platform"], row["sport"], row["external_market_id"], row["market_key"])
        code = row["external_outcome_id"]
        _require(identity in by_identity, name, line, f"{' '.join(identity)} is not in keys.csv")
        outcome = outcomes.get((row["market_key"], row["outcome_key"]))
        _require(
            outcome is not None,
            name,
            line,
            f"outcome {row['outcome_key']!r} of {row['market_key']} is not in outcomes.csv",
        )
        assert outcome is not None
        _require(
            bool(code) and (identity, code) not in identities,
            name,
            line,
            f"outcome id {code!r} of {' '.join(identity)} is empty or there twice",
        )
        identities.add((identity, code))
        outcome_keys.extend((line, key.key_id, code, outcome[0]) for key in by_identity[identity])
    return outcome_keys


def _refuse_ambiguous(keys: list[_Key], outcome_keys: list[tuple[int, int, str, int]]) -> None:
    """Raise VocabularyError for ambiguous outcomes.

    An outcome of a platform market must be mapped to one canonical outcome only, and only one market may use the
    template for its other outcomes.
    """
    market_by_outcome: dict[tuple[object, ...], str] = {}
    for line, key_id, code, _ in outcome_keys:
        key = keys[key_id]
        identity = (key.platform, key.sport, key.external_market_id, tuple(sorted(key.requires.items())), code)
        first_market = market_by_outcome.setdefault(identity, key.market.market_key)
        message = (
            f"outcome id {code!r} of {key.platform} {key.external_market_id} "
            f"leads to {first_market} and to {key.market.market_key}"
        )
        _require(first_market == key.market.market_key, "outcome_keys.csv", line, message)
    open_identities: set[tuple[object, ...]] = set()
    for key in keys:
        if key.open_outcomes:
            place = (key.platform, key.sport, key.external_market_id, tuple(sorted(key.requires.items())))
            message = f"two markets take the unlisted outcomes of {key.platform} {key.external_market_id}"
            _require(place not in open_identities, "keys.csv", key.line, message)
            open_identities.add(place)


def _read_complete_sets(folder: Path, outcomes: dict[tuple[str, str], tuple[int, str]]) -> list[tuple[str, str, int]]:
    """Return (market key, name of the set, ordinal)."""
    name = "complete_sets.csv"
    members: list[tuple[str, str, int]] = []
    set_identities: set[tuple[str, str]] = set()
    for line, row in _read_rows(folder, name):
        market_key, outcome_keys = row["market_key"], row["outcome_keys"].split("|")
        _require(
            bool(row["set"]) and (market_key, row["set"]) not in set_identities,
            name,
            line,
            f"set {row['set']!r} of {market_key} is empty or there twice",
        )
        set_identities.add((market_key, row["set"]))
        for key in outcome_keys:
            _require(
                (market_key, key) in outcomes, name, line, f"outcome {key!r} of {market_key} is not in outcomes.csv"
            )
            _require(outcome_keys.count(key) == 1, name, line, f"outcome {key!r} of {market_key} is there twice")
            members.append((market_key, row["set"], outcomes[market_key, key][0]))
    return members


def _read_feeds(folder: Path, keys: list[_Key]) -> list[tuple[int, int]]:
    """Return (key_id, place): the feeds of a platform's market in the order of the file's rows.

    All keys of such a platform market must be feeds of the market.
    """
    name = "feeds.csv"
    key_ids: dict[tuple[str, str, str], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for key in keys:
        key_ids[key.platform, key.sport, key.market.market_key][key.external_market_id].append(key.key_id)
    lines: dict[tuple[str, str, str], dict[str, int]] = defaultdict(dict)
    for line, row in _read_rows(folder, name):
        market, feed = (row["platform"], row["sport"], row["market_key"]), row["external_market_id"]
        _require(
            feed in key_ids.get(market, {}),
            name,
            line,
            f"{market[0]} {market[1]} {feed} {market[2]} is not in keys.csv",
        )
        _require(feed not in lines[market], name, line, f"feed {feed} of {' '.join(market)} is there twice")
        lines[market][feed] = line
    for market, feeds in lines.items():
        missing = sorted(key_ids[market].keys() - feeds.keys())
        _require(
            not missing,
            name,
            max(feeds.values()),
            f"{' '.join(market)} has the feed {', '.join(missing)} in keys.csv too: give its place",
        )
        _require(len(feeds) > 1, name, max(feeds.values()), f"{' '.join(market)} has one feed only: it needs no order")
    return [
        (key_id, place)
        for market, feeds in lines.items()
        for place, feed in enumerate(feeds)
        for key_id in key_ids[market][feed]
    ]


def _read_notes(folder: Path, markets: dict[str, _Market]) -> dict[str, str]:
    """Return note by market key."""
    name = "notes.csv"
    notes: dict[str, str] = {}
    for line, row in _read_rows(folder, name):
        market_key = row["market_key"]
        _require(market_key in markets, name, line, f"market_key {market_key!r} is not in markets.csv")
        _require(
            bool(row["note"]) and market_key not in notes,
            name,
            line,
            f"the note of {market_key} is empty or there twice",
        )
        notes[market_key] = row["note"]
    return notes


def _read_triage(folder: Path, keys: list[_Key]) -> list[tuple[str, ...]]:
    name = "triage.csv"
    mapped = {(key.platform, key.sport, key.external_market_id) for key in keys}
    triage: dict[tuple[str, str, str], tuple[str, ...]] = {}
    for line, row in _read_rows(folder, name):
        identity = (row["platform"], row["sport"], row["external_market_id"])
        _require(row["platform"] in set(Platform), name, line, f"unknown platform {row['platform']!r}")
        _require(row["sport"] in set(Sport), name, line, f"unknown sport {row['sport']!r}")
        _require(
            row["status"] in TRIAGE_STATUSES,
            name,
            line,
            f"status {row['status']!r} is not one of {', '.join(sorted(TRIAGE_STATUSES))}",
        )
        _require(
            bool(row["external_market_id"] and row["reason"]),
            name,
            line,
            "external_market_id and reason must not be empty",
        )
        _require(identity not in triage, name, line, f"{' '.join(identity)} is there twice")
        _require(identity not in mapped, name, line, f"{' '.join(identity)} is mapped in keys.csv")
        triage[identity] = tuple(row.values())
    return list(triage.values())


def _build_vocabulary(
    markets: dict[str, _Market],
    outcomes: dict[tuple[str, str], tuple[int, str]],
    keys: list[_Key],
    outcome_keys: list[tuple[int, int, str, int]],
    sets: list[tuple[str, str, int]],
    feeds: list[tuple[int, int]],
    notes: dict[str, str],
    triage: list[tuple[str, ...]],
    version: str,
) -> Vocabulary:
    betpawa: dict[str, str] = {}
    parts: list[tuple[int, str, str, str | None, str | None, str | None]] = []
    for key in keys:
        if key.platform == Platform.BETPAWA:
            betpawa.setdefault(key.market.market_key, key.external_market_id)
        parts += [(key.key_id, part, "require", value, None, None) for part, value in key.requires.items()]
        parts += [
            (key.key_id, part, "read", None, canonical, conversion)
            for part, (canonical, conversion) in key.reads.items()
        ]
        parts += [(key.key_id, part, "ignore", None, None, None) for part in key.ignores]
    text = pl.String
    return Vocabulary(
        markets=pl.DataFrame(
            [
                (
                    *(m.market_id, m.market_key, m.sport, m.period, m.family, m.name, m.line_kind),
                    *(m.fair_sum or None, notes.get(m.market_key), betpawa.get(m.market_key)),
                )
                for m in markets.values()
            ],
            schema={
                "market_id": pl.Int16,
                **dict.fromkeys(
                    (
                        "market_key",
                        "sport",
                        "period",
                        "family",
                        "name",
                        "line_kind",
                        "fair_sum",
                        "note",
                        "betpawa_market_id",
                    ),
                    text,
                ),
            },
            orient="row",
        ),
        outcomes=pl.DataFrame(
            [
                (markets[market_key].market_id, ordinal, outcome_key, name)
                for (market_key, outcome_key), (ordinal, name) in outcomes.items()
            ],
            schema={"market_id": pl.Int16, "ordinal": pl.Int16, "outcome_key": text, "name": text},
            orient="row",
        ),
        keys=pl.DataFrame(
            [
                (
                    k.key_id,
                    k.platform,
                    k.sport,
                    k.external_market_id,
                    k.market.market_id,
                    k.open_outcomes,
                    k.open_pattern,
                    k.has_ladder,
                )
                for k in keys
            ],
            schema={
                "key_id": pl.UInt32,
                **dict.fromkeys(("platform", "sport", "external_market_id"), text),
                "market_id": pl.Int16,
                "open_outcomes": text,
                "open_pattern": text,
                "ladder": pl.Boolean,
            },
            orient="row",
        ),
        parts=pl.DataFrame(
            parts,
            schema={
                "key_id": pl.UInt32,
                **dict.fromkeys(("part", "role", "expected", "canonical", "conversion"), text),
            },
            orient="row",
        ),
        added_parts=pl.DataFrame(
            [(key.key_id, canonical, f"{canonical}={value}") for key in keys for canonical, value in key.adds.items()],
            schema={"key_id": pl.UInt32, "canonical": text, "text": text},
            orient="row",
        ),
        outcome_keys=pl.DataFrame(
            [(key_id, code, ordinal) for _, key_id, code, ordinal in outcome_keys],
            schema={"key_id": pl.UInt32, "external_outcome_id": text, "ordinal": pl.Int16},
            orient="row",
        ),
        complete_sets=pl.DataFrame(
            [(markets[market_key].market_id, name, ordinal) for market_key, name, ordinal in sets],
            schema={"market_id": pl.Int16, "set": text, "ordinal": pl.Int16},
            orient="row",
        ),
        feeds=pl.DataFrame(feeds, schema={"key_id": pl.UInt32, "place": pl.Int16}, orient="row"),
        triage=pl.DataFrame(triage, schema=dict.fromkeys(FILE_COLUMNS["triage.csv"], text), orient="row"),
        version=version,
    )
