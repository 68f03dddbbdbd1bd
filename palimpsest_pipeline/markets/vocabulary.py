"""The vocabulary that ships with the package: reading its files, checking them, content as frames.

`vocabulary/README.md` describes the format of the files and how to add a mapping.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import polars as pl

from .canonical_markets import (
    MARKET_FILE_COLUMNS,
    Markets,
    Outcomes,
    read_canonical_markets,
    read_complete_sets,
    read_notes,
    read_outcomes,
)
from .key_sets import KEY_FILE_COLUMNS, KeyRows, KeySource, PackKeys, TextRules, read_pack_keys
from .vocabulary_files import read_vocabulary_rows

VOCABULARY_FOLDER: Final = Path(__file__).parent / "vocabulary"

UNVERSIONED_FILES: Final = frozenset({"notes.csv", "triage.csv"})
"""Files that change no price: a change in them does not require history to be derived again.

A triage row that removes a shared key changes the pack's keys, and with them the version.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """The vocabulary as frames.

    markets: market_id Int16, market_key, sport, period, family, name, line_kind, fair_sum (null: unknown), note (null:
        none), betpawa_market_id (null: not sold there).
    outcomes: market_id, ordinal Int16, outcome_key, name.
    keys: key_id UInt32 (order of preference), platform (the pack's name), sport, external_market_id, market_id,
        open_outcomes, open_pattern, ladder Boolean. open_outcomes: template of the outcome ids that are not listed, ''
        when there are none; open_pattern: the same as an anchored regex with some of the groups outcome, player,
        at_least, or null.
    parts: key_id, part, role (require, read, ignore), expected, canonical, conversion: what a key does with each raw
    specifier part.
    added: key_id, canonical, text (`minute=10`).
    outcome_keys: key_id, external_outcome_id, ordinal Int16.
    complete_sets: market_id, set (its name), ordinal Int16: sets of outcomes that are complete though the market has
        more, for one bet may be sold in several grids. Of a market that is not in it the only complete set is all its
        outcomes.
    feeds: key_id, place Int16 (from 0) of a key among the feeds from which its platform has the market; keys of markets
    with one feed are not in it.
    triage: platform, sport, external_market_id, status (acknowledged, ignored), reason: platform markets that are
    knowingly not mapped.
    text_rules: by pack, how its specifiers and players are read.
    version: of the whole vocabulary; pack_versions: by pack, of the rows that map its prices.
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
    text_rules: Mapping[str, TextRules]
    version: str
    pack_versions: Mapping[str, str]


@cache
def load_vocabulary(sources: tuple[KeySource, ...]) -> Vocabulary:
    """Return the canonical markets with the keys of these packs, loaded once.

    Raises VocabularyError for an invalid file.
    """
    return read_vocabulary(VOCABULARY_FOLDER, sources)


def read_vocabulary(folder: Path, sources: Sequence[KeySource]) -> Vocabulary:
    """Return the vocabulary in `folder` with the keys of these packs.

    Raises VocabularyError naming file and line.
    """
    rows = {name: read_vocabulary_rows(folder / name, columns, name) for name, columns in MARKET_FILE_COLUMNS.items()}
    markets = read_canonical_markets(rows["markets.csv"])
    outcomes = read_outcomes(rows["outcomes.csv"], markets)
    sets = read_complete_sets(rows["complete_sets.csv"], outcomes)
    notes = read_notes(rows["notes.csv"], markets)
    pack_keys = read_pack_keys(folder, sources, markets, outcomes)
    edition = (folder / "VERSION").read_text().strip()
    shared_content = b"".join(
        (folder / name).read_bytes() for name in MARKET_FILE_COLUMNS if name not in UNVERSIONED_FILES
    )
    digests = {rows.name: hashlib.sha256(shared_content + _encode_keys(rows)).hexdigest() for rows in pack_keys.rows}
    content = shared_content + json.dumps(digests, sort_keys=True).encode()
    return _build_vocabulary(
        markets,
        outcomes,
        pack_keys,
        sets,
        notes,
        version=f"{edition}+{hashlib.sha256(content).hexdigest()[:8]}",
        pack_versions={name: f"{edition}+{digest[:8]}" for name, digest in digests.items()},
    )


def _encode_keys(rows: KeyRows) -> bytes:
    """Return the rows and rules of a pack that decide how its prices are mapped, for its version."""
    files = [
        [list(row.values.values()) for row in rows.files[name]]
        for name in KEY_FILE_COLUMNS
        if name not in UNVERSIONED_FILES
    ]
    return json.dumps([repr(rows.text_rules), files]).encode()


def extract_pack(platform: pl.Expr) -> pl.Expr:
    """Return the name of a platform's pack: `sportybet` of `sportybet-gh`.

    A pack's keys serve all its countries.
    """
    return platform.cast(pl.String).str.extract("^([^-]*)")


def assign_to_platforms(rows: pl.DataFrame, platforms: pl.Series) -> pl.DataFrame:
    """Return each row of a pack, such as a key, once for every one of `platforms` that has this pack.

    The column `platform` names the pack in `rows`, and the platform in the result.
    """
    names = platforms.cast(pl.String).unique().sort().alias("name").to_frame()
    return (
        rows.join(names.with_columns(pack=extract_pack(pl.col("name"))), left_on="platform", right_on="pack")
        .with_columns(platform="name")
        .drop("name")
    )


def _build_vocabulary(
    markets: Markets,
    outcomes: Outcomes,
    pack_keys: PackKeys,
    sets: list[tuple[str, str, int]],
    notes: dict[str, str],
    *,
    version: str,
    pack_versions: Mapping[str, str],
) -> Vocabulary:
    keys = pack_keys.keys
    betpawa: dict[str, str] = {}
    parts: list[tuple[int, str, str, str | None, str | None, str | None]] = []
    for key in keys:
        if key.platform == "betpawa":
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
                    m.market_id,
                    m.market_key,
                    m.sport,
                    m.period,
                    m.family,
                    m.name,
                    m.line_kind,
                    m.fair_sum or None,
                    notes.get(m.market_key),
                    betpawa.get(m.market_key),
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
            pack_keys.outcome_keys,
            schema={"key_id": pl.UInt32, "external_outcome_id": text, "ordinal": pl.Int16},
            orient="row",
        ),
        complete_sets=pl.DataFrame(
            [(markets[market_key].market_id, name, ordinal) for market_key, name, ordinal in sets],
            schema={"market_id": pl.Int16, "set": text, "ordinal": pl.Int16},
            orient="row",
        ),
        feeds=pl.DataFrame(pack_keys.feeds, schema={"key_id": pl.UInt32, "place": pl.Int16}, orient="row"),
        triage=pl.DataFrame(
            pack_keys.triage, schema=dict.fromkeys(("platform", *KEY_FILE_COLUMNS["triage.csv"]), text), orient="row"
        ),
        text_rules=pack_keys.text_rules,
        version=version,
        pack_versions=pack_versions,
    )
