"""The keys of a platform: they map its markets and outcomes to canonical ones.

Every pack has a folder of CSV files with its own rows. Rows that several packs use, such as those of SportRadar's
unified feed, are a shared set: they are written once, in a folder of the vocabulary. A pack names a shared set, or
another pack whose keys it uses, and its own rows add to them, replace or remove them.
"""

import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from palimpsest_pipeline.domain.enums import Sport

from .canonical_markets import SPECIFIER_PARTS, CanonicalMarket, Markets, Outcomes
from .vocabulary_files import Row, VocabularyError, read_vocabulary_rows, read_vocabulary_text

KEY_FILE_COLUMNS: Final = {
    "keys.csv": (
        "sport",
        "external_market_id",
        "requires",
        "reads",
        "adds",
        "ignores",
        "market_key",
        "open_outcomes",
    ),
    "outcome_keys.csv": ("sport", "external_market_id", "external_outcome_id", "market_key", "outcome_key"),
    "feeds.csv": ("sport", "market_key", "external_market_id"),
    "triage.csv": ("sport", "external_market_id", "status", "reason"),
}
"""The files of a set of keys, and the columns of each. A file without rows may be left out."""
SET_FILE: Final = "set.toml"
"""The file with the `TextRules` of a set of keys. A pack without it has the rules of its shared set.
"""
_PACK_FILE: Final = "pack.toml"

CONVERSIONS: Final = frozenset({"number", "quarters", "score", "text", "top", "ladder", "at_least"})
READ_PATTERN: Final = re.compile(r"(?P<canonical>\w+)=(?P<conversion>\w+)\((?P<raw>\w+)\)")
PLACEHOLDER_PATTERN: Final = re.compile(r"\{(\w+)\}")
PLACEHOLDER_REGEXES: Final = {
    "outcome": r"(?P<outcome>.+)",
    "player": r"(?P<player>[0-9]{1,18})",
    "at_least": r"(?P<at_least>\d+)",
    "_": r"[^:]*",
}
"""Placeholders of a template of outcome ids, and the regex of each."""
TRIAGE_STATUSES: Final = frozenset({"acknowledged", "ignored"})

MarketId = tuple[str, str]
"""A platform's market: sport and external id."""


@dataclass(frozen=True, slots=True)
class KeySource:
    """The place of a pack's keys.

    `folder` holds the files of `KEY_FILE_COLUMNS`. `shares` is the name of the shared set or of the other pack whose
    keys the pack uses, '' for none. `shared_pack` is the place of that other pack's keys.
    """

    name: str
    folder: Path
    shares: str = ""
    shared_pack: "KeySource | None" = None


@dataclass(frozen=True, slots=True)
class TextRules:
    """How the texts of a set of keys are read.

    `has_named_parts`: a specifier is written as `total=2.5|goalnr=1`; otherwise it is one value. `player_prefix` turns
    a player's number into the text by which all the platform's markets name the player.
    """

    has_named_parts: bool = False
    player_prefix: str = ""


@dataclass(frozen=True, slots=True)
class Key:
    """One row of keys.csv: a platform's market that stands for a canonical one."""

    row: Row
    key_id: int
    platform: str
    sport: str
    external_market_id: str
    requires: dict[str, str]
    reads: dict[str, tuple[str, str]]
    """Raw part to (canonical part, conversion)."""
    adds: dict[str, str]
    ignores: tuple[str, ...]
    market: CanonicalMarket
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
        """Return the template as an anchored regex; None when all outcomes are listed."""
        if not self.open_outcomes:
            return None
        texts = PLACEHOLDER_PATTERN.split(self.open_outcomes)
        return (
            "^" + "".join(PLACEHOLDER_REGEXES[text] if n % 2 else re.escape(text) for n, text in enumerate(texts)) + "$"
        )


@dataclass(frozen=True, slots=True)
class KeyRows:
    """The rows of a set of keys, by file name.

    `text_rules` is None when the set's own folder has no rules.
    """

    name: str
    text_rules: TextRules | None
    files: Mapping[str, Sequence[Row]]


@dataclass(slots=True)
class PackKeys:
    """The checked keys of all packs.

    Key ids are numbered across packs, in the order of the packs and of their rows.
    text_rules: by pack. outcome_keys: (key_id, external outcome id, ordinal). feeds: (key_id, place). triage:
    (platform, sport, external_market_id, status, reason). rows: each pack's rows, including those of its shared set.
    """

    keys: list[Key] = field(default_factory=list)
    text_rules: dict[str, TextRules] = field(default_factory=dict)
    outcome_keys: list[tuple[int, str, int]] = field(default_factory=list)
    feeds: list[tuple[int, int]] = field(default_factory=list)
    triage: list[tuple[str, ...]] = field(default_factory=list)
    rows: list[KeyRows] = field(default_factory=list)


def read_pack_keys(folder: Path, sources: Sequence[KeySource], markets: Markets, outcomes: Outcomes) -> PackKeys:
    """Return the keys of all packs. `folder` holds the shared sets, each in a folder of its own."""
    shared_sets = {
        path.parent.name: _read_key_rows(path.parent.name, path.parent) for path in sorted(folder.glob(f"*/{SET_FILE}"))
    }
    pack_keys = PackKeys()
    for source in sources:
        _add_pack(pack_keys, _read_pack_rows(source, shared_sets), markets, outcomes)
    return pack_keys


def _read_pack_rows(source: KeySource, shared_sets: Mapping[str, KeyRows]) -> KeyRows:
    """Return a pack's rows, merged with those of its shared set or of the pack whose keys it uses."""
    rows = _read_key_rows(source.name, source.folder)
    if not source.shares:
        return rows
    if source.shares in shared_sets:
        return _merge_rows(rows, shared_sets[source.shares])
    if source.shared_pack is None:
        raise VocabularyError(
            f"{source.name}/{_PACK_FILE}:1: market_keys {source.shares!r} is neither a shared set nor another "
            "installed pack whose keys can be shared"
        )
    return _merge_rows(rows, _read_pack_rows(source.shared_pack, shared_sets))


def _read_key_rows(name: str, folder: Path) -> KeyRows:
    return KeyRows(
        name,
        _read_text_rules(folder / SET_FILE, f"{name}/{SET_FILE}"),
        {
            file: read_vocabulary_rows(folder / file, columns, f"{name}/{file}") if (folder / file).exists() else []
            for file, columns in KEY_FILE_COLUMNS.items()
        },
    )


def _read_text_rules(path: Path, file: str) -> TextRules | None:
    if not path.exists():
        return None
    try:
        rules = TextRules(**tomllib.loads(read_vocabulary_text(path, file)))
    except (tomllib.TOMLDecodeError, TypeError) as error:
        raise VocabularyError(f"{file}:1: {error}") from error
    if not (isinstance(rules.has_named_parts, bool) and isinstance(rules.player_prefix, str)):
        raise VocabularyError(f"{file}:1: has_named_parts is true or false, and player_prefix a text")
    return rules


def _get_market_id(row: Row) -> MarketId:
    return row["sport"], row["external_market_id"]


def _is_reference(row: Row) -> bool:
    """Return whether a row of keys.csv has only sport and market id. Shared rows are moved to its place."""
    return not any(row[column] for column in KEY_FILE_COLUMNS["keys.csv"][2:])


def _merge_rows(pack_rows: KeyRows, shared: KeyRows) -> KeyRows:
    """Return a pack's rows: the shared ones first, then its own.

    The pack's keys of a market replace the shared keys and their outcomes. A triage row removes the shared keys. A row
    with only sport and market id moves the shared keys of that market to its place.
    """
    references = {_get_market_id(row) for row in pack_rows.files["keys.csv"] if _is_reference(row)}
    replaced = {_get_market_id(row) for row in pack_rows.files["keys.csv"] if not _is_reference(row)}
    hidden = replaced | {_get_market_id(row) for row in pack_rows.files["triage.csv"]}
    shared_keys: dict[MarketId, list[Row]] = defaultdict(list)
    for row in shared.files["keys.csv"]:
        if _get_market_id(row) not in hidden:
            shared_keys[_get_market_id(row)].append(row)
    keys = [row for row in shared.files["keys.csv"] if _get_market_id(row) not in hidden | references]
    for row in pack_rows.files["keys.csv"]:
        if _is_reference(row):
            row.require(_get_market_id(row) in shared_keys, f"{row['external_market_id']} is not in the shared set")
            keys += shared_keys[_get_market_id(row)]
        else:
            keys.append(row)
    shared_outcomes = [row for row in shared.files["outcome_keys.csv"] if _get_market_id(row) not in hidden]
    shared_triage = [
        row for row in shared.files["triage.csv"] if _get_market_id(row) not in hidden | {*map(_get_market_id, keys)}
    ]
    return KeyRows(
        pack_rows.name,
        pack_rows.text_rules or shared.text_rules,
        {
            "keys.csv": keys,
            "outcome_keys.csv": [*shared_outcomes, *pack_rows.files["outcome_keys.csv"]],
            "feeds.csv": [
                *_keep_feeds(shared.files["feeds.csv"], pack_rows.files["feeds.csv"], keys),
                *pack_rows.files["feeds.csv"],
            ],
            "triage.csv": [*shared_triage, *pack_rows.files["triage.csv"]],
        },
    )


def _keep_feeds(shared: Sequence[Row], pack_rows: Sequence[Row], keys: Sequence[Row]) -> list[Row]:
    """Return the shared rows of feeds.csv of markets that still have several feeds and no row in the pack."""

    def find_market(row: Row) -> MarketId:
        return row["sport"], row["market_key"]

    ordered = set(map(find_market, pack_rows))
    pack_markets = {(*find_market(row), row["external_market_id"]) for row in keys}
    remaining = [row for row in shared if (*find_market(row), row["external_market_id"]) in pack_markets]
    n_feeds = Counter(map(find_market, remaining))
    return [row for row in remaining if find_market(row) not in ordered and n_feeds[find_market(row)] > 1]


def _add_pack(pack_keys: PackKeys, rows: KeyRows, markets: Markets, outcomes: Outcomes) -> None:
    """Add one pack's keys after checks of its rows."""
    platform = rows.name
    keys = _read_keys(rows.files["keys.csv"], platform, len(pack_keys.keys), markets)
    outcome_rows = _read_outcome_keys(rows.files["outcome_keys.csv"], keys, outcomes)
    _refuse_ambiguous(keys, outcome_rows)
    pack_keys.keys += keys
    pack_keys.outcome_keys += [(key.key_id, row["external_outcome_id"], ordinal) for row, key, ordinal in outcome_rows]
    pack_keys.feeds += _read_feeds(rows.files["feeds.csv"], keys)
    pack_keys.triage += _read_triage(rows.files["triage.csv"], platform, keys)
    pack_keys.text_rules[platform] = rows.text_rules or TextRules()
    pack_keys.rows.append(rows)


def _parse_pairs(row: Row, text: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for item in filter(None, text.split("|")):
        part, equals, value = item.partition("=")
        row.require(
            bool(part and equals and value) and part not in pairs,
            f"{item!r} in {text!r} is not part=value, each part once",
        )
        pairs[part] = value
    return pairs


def _parse_reads(row: Row, text: str) -> dict[str, tuple[str, str]]:
    reads: dict[str, tuple[str, str]] = {}
    for item in filter(None, text.split("|")):
        match = READ_PATTERN.fullmatch(item)
        row.require(match is not None, f"{item!r} is not canonical=conversion(raw)")
        assert match is not None
        row.require(match["conversion"] in CONVERSIONS, f"unknown conversion {match['conversion']!r}")
        row.require(match["raw"] not in reads, f"raw part {match['raw']} is read twice")
        reads[match["raw"]] = (match["canonical"], match["conversion"])
    return reads


def _check_template(row: Row, text: str) -> None:
    groups = PLACEHOLDER_PATTERN.findall(text)
    row.require(
        set(groups) <= PLACEHOLDER_REGEXES.keys() and not set("{}") & set(PLACEHOLDER_PATTERN.sub("", text)),
        f"{text!r} has an unknown placeholder",
    )
    group_names = [group for group in groups if group != "_"]
    row.require(
        not text or sorted(group_names) in (["outcome"], ["player"], ["at_least", "player"]),
        f"{text!r} needs {{outcome}} or {{player}}, and {{at_least}} only with {{player}}",
    )


def _read_keys(rows: Sequence[Row], platform: str, first_id: int, markets: Markets) -> list[Key]:
    keys: list[Key] = []
    identities: set[tuple[str, ...]] = set()
    for row in rows:
        row.require(row["market_key"] in markets, f"market_key {row['market_key']!r} is not in markets.csv")
        market = markets[row["market_key"]]
        row.require(
            row["sport"] == market.sport,
            f"{market.market_key} is a market of {market.sport}, not of {row['sport']}",
        )
        _check_template(row, row["open_outcomes"])
        message = f"the outcomes of {market.market_key} are not all listed, so no fair_sum is known"
        row.require(not (row["open_outcomes"] and market.fair_sum), message)
        identity = (platform, row["sport"], row["external_market_id"], row["requires"], market.market_key)
        row.require(identity not in identities, f"{' '.join(filter(None, identity))} is there twice")
        identities.add(identity)
        key = Key(
            row=row,
            key_id=first_id + len(keys),
            platform=platform,
            sport=row["sport"],
            external_market_id=row["external_market_id"],
            requires=_parse_pairs(row, row["requires"]),
            reads=_parse_reads(row, row["reads"]),
            adds=_parse_pairs(row, row["adds"]),
            ignores=tuple(filter(None, row["ignores"].split("|"))),
            market=market,
            open_outcomes=row["open_outcomes"],
        )
        needed_parts = sorted(SPECIFIER_PARTS[market.line_kind])
        row.require(
            sorted(key.canonical_parts) == needed_parts,
            f"{market.market_key} needs the parts {needed_parts}, the key gives {sorted(key.canonical_parts)}",
        )
        raw_parts = [*key.requires, *key.reads, *key.ignores]
        row.require(len(raw_parts) == len(set(raw_parts)), "a raw part has one role: required, read or ignored")
        row.require(not key.has_ladder or needed_parts == ["total"], "a ladder gives a total and nothing else")
        keys.append(key)
    return keys


def _read_outcome_keys(rows: Sequence[Row], keys: Sequence[Key], outcomes: Outcomes) -> list[tuple[Row, Key, int]]:
    """Return (row, key, ordinal). Each outcome appears once for every row of keys.csv that it serves."""
    by_identity: dict[tuple[str, str, str], list[Key]] = defaultdict(list)
    for key in keys:
        by_identity[key.sport, key.external_market_id, key.market.market_key].append(key)
    outcome_keys: list[tuple[Row, Key, int]] = []
    identities: set[tuple[tuple[str, str, str], str]] = set()
    for row in rows:
        identity = (row["sport"], row["external_market_id"], row["market_key"])
        code = row["external_outcome_id"]
        row.require(identity in by_identity, f"{' '.join(identity)} is not in keys.csv")
        outcome = outcomes.get((row["market_key"], row["outcome_key"]))
        row.require(
            outcome is not None, f"outcome {row['outcome_key']!r} of {row['market_key']} is not in outcomes.csv"
        )
        assert outcome is not None
        row.require(
            bool(code) and (identity, code) not in identities,
            f"outcome id {code!r} of {' '.join(identity)} is empty or there twice",
        )
        identities.add((identity, code))
        outcome_keys.extend((row, key, outcome[0]) for key in by_identity[identity])
    return outcome_keys


def _refuse_ambiguous(keys: Sequence[Key], outcome_keys: Sequence[tuple[Row, Key, int]]) -> None:
    """Raise VocabularyError for ambiguous outcomes.

    An outcome of a platform market must lead to one canonical outcome, and only one market may take its unlisted
    outcomes.
    """
    market_by_outcome: dict[tuple[object, ...], str] = {}
    for row, key, _ in outcome_keys:
        code = row["external_outcome_id"]
        identity = (key.sport, key.external_market_id, tuple(sorted(key.requires.items())), code)
        first_market = market_by_outcome.setdefault(identity, key.market.market_key)
        message = (
            f"outcome id {code!r} of {key.platform} {key.external_market_id} "
            f"leads to {first_market} and to {key.market.market_key}"
        )
        row.require(first_market == key.market.market_key, message)
    open_identities: set[tuple[object, ...]] = set()
    for key in keys:
        if key.open_outcomes:
            place = (key.sport, key.external_market_id, tuple(sorted(key.requires.items())))
            message = f"two markets take the unlisted outcomes of {key.platform} {key.external_market_id}"
            key.row.require(place not in open_identities, message)
            open_identities.add(place)


def _read_feeds(rows: Sequence[Row], keys: Sequence[Key]) -> list[tuple[int, int]]:
    """Return (key_id, place): the feeds of a platform's market in the order of the rows.

    All keys of such a market are feeds of it.
    """
    key_ids: dict[tuple[str, str], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for key in keys:
        key_ids[key.sport, key.market.market_key][key.external_market_id].append(key.key_id)
    feed_rows: dict[tuple[str, str], dict[str, Row]] = defaultdict(dict)
    for row in rows:
        market, feed = (row["sport"], row["market_key"]), row["external_market_id"]
        row.require(feed in key_ids.get(market, {}), f"{market[0]} {feed} {market[1]} is not in keys.csv")
        row.require(feed not in feed_rows[market], f"feed {feed} of {' '.join(market)} is there twice")
        feed_rows[market][feed] = row
    for market, feeds in feed_rows.items():
        last = list(feeds.values())[-1]
        missing = sorted(key_ids[market].keys() - feeds.keys())
        last.require(
            not missing, f"{' '.join(market)} has the feed {', '.join(missing)} in keys.csv too: give its place"
        )
        last.require(len(feeds) > 1, f"{' '.join(market)} has one feed only: it needs no order")
    return [
        (key_id, place)
        for market, feeds in feed_rows.items()
        for place, feed in enumerate(feeds)
        for key_id in key_ids[market][feed]
    ]


def _read_triage(rows: Sequence[Row], platform: str, keys: Sequence[Key]) -> list[tuple[str, ...]]:
    mapped = {(key.sport, key.external_market_id) for key in keys}
    triage: dict[MarketId, tuple[str, ...]] = {}
    for row in rows:
        market = _get_market_id(row)
        row.require(row["sport"] in set(Sport), f"unknown sport {row['sport']!r}")
        row.require(
            row["status"] in TRIAGE_STATUSES,
            f"status {row['status']!r} is not one of {', '.join(sorted(TRIAGE_STATUSES))}",
        )
        row.require(
            bool(row["external_market_id"] and row["reason"]), "external_market_id and reason must not be empty"
        )
        row.require(market not in triage, f"{' '.join(market)} is there twice")
        row.require(market not in mapped, f"{' '.join(market)} is mapped in keys.csv")
        triage[market] = (platform, *row.values.values())
    return list(triage.values())
