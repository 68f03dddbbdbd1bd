"""The description of one market of the vocabulary: its platforms, their ids, how specifiers are read."""

from dataclasses import dataclass
from typing import Any, Final

import polars as pl
from rapidfuzz import fuzz, process

from palimpsest_pipeline.domain.enums import Platform, Sport
from palimpsest_pipeline.domain.errors import PalimpsestError

from .canonical_markets import SPECIFIER_PARTS
from .vocabulary import Vocabulary

MAX_SUGGESTIONS: Final = 5
MIN_LIKENESS_PERCENT: Final = 50
"""Minimum similarity in percent of a market key that an error message suggests."""
FULL_TIME_SUFFIX: Final = " - ft"
"""The suffix in names of markets on the whole match ("full time")."""

CONVERSION_EXAMPLES: Final = {
    "quarters": ("10", "2.5"),
    "score": ("0:1", "-1"),
    "text": ("2:1", "2:1"),
    "top": ("sr:exact_goals:6+", "6"),
    "at_least": ("2", "1.5"),
}
HALF_STEP_PARTS: Final = {"total", "hcp"}
"""Parts of specifiers whose numbers usually end with .5; the numbers of other parts are counts."""


class UnknownMarket(PalimpsestError):
    """No market's key or name and no platform's id is like the query. The message suggests the nearest."""


@dataclass(frozen=True, slots=True)
class PlatformKey:
    """One platform market that the vocabulary maps to the market.

    `specifier` describes in words, for each part of the specifier, its required value or how it is converted.
    `open_outcomes` is the template of outcome ids that are not listed one by one, '' when all are. If the platform has
    the market from several feeds, `feed` is the position of this one, counted from 1.
    """

    platform: str
    external_market_id: str
    specifier: list[str]
    open_outcomes: str
    feed: int | None


@dataclass(frozen=True, slots=True)
class OutcomeDescription:
    """One outcome of a market. `ids` maps a platform to its market ids, and these to its outcome ids."""

    ordinal: int
    outcome_key: str
    name: str
    ids: dict[str, dict[str, list[str]]]


@dataclass(frozen=True, slots=True)
class MarketDescription:
    """A market of the vocabulary.

    `fair_sum` (the number of outcomes that win) and `note` are those of the vocabulary; None means unknown, or no note.
    The field `margin` is a sentence that explains `fair_sum`. `specifier` has the canonical parts of the specifier.
    `complete_sets` maps the name of each complete set of outcomes, of which exactly `fair_sum` win, to its number of
    outcomes; it is empty when only all outcomes together are complete.
    """

    market_key: str
    name: str
    family: str
    sport: str
    period: str
    line_kind: str
    specifier: list[str]
    fair_sum: str | None
    margin: str
    note: str | None
    complete_sets: dict[str, int]
    keys: list[PlatformKey]
    outcomes: list[OutcomeDescription]


def find_markets(query: str, vocabulary: Vocabulary) -> list[MarketDescription]:
    """Return the markets that a query names.

    The query is a market key, or a platform's id, written `sportybet:18` or `18`, or a name such as `1x2`; they are
    tried in this order. Raises UnknownMarket.
    """
    exact = vocabulary.markets.filter(pl.col("market_key") == query)
    if exact.height:
        return [_describe_market(exact.row(0, named=True), vocabulary)]
    platform, colon, external_id = query.partition(":")
    has_id = pl.col("external_market_id") == (external_id if colon else query)
    ids = vocabulary.keys.filter(has_id & (pl.col("platform") == platform) if colon else has_id)["market_id"].unique(
        maintain_order=True
    )
    if ids.is_empty():
        ids = vocabulary.markets.filter(_simplify_name(pl.col("name")) == query.strip().lower())["market_id"]
    if ids.is_empty():
        nearest = _suggest_nearest(query, vocabulary)
        raise UnknownMarket(
            f"{query!r} is neither a market nor a name of one nor a platform's market id; "
            f"nearest: {', '.join(nearest) or 'none'}"
        )
    by_id = {row["market_id"]: row for row in vocabulary.markets.iter_rows(named=True)}
    return [_describe_market(by_id[i], vocabulary) for i in ids]


def suggest_markets(text: str, vocabulary: Vocabulary) -> str:
    """Return what to write instead of a market key that does not exist."""
    try:
        return f"write {', '.join(repr(market.market_key) for market in find_markets(text, vocabulary))}"
    except UnknownMarket as unknown:
        return str(unknown)


def _simplify_name(name: pl.Expr) -> pl.Expr:
    """Return the name in its usual short form: lower case, without `FULL_TIME_SUFFIX`."""
    return name.str.to_lowercase().str.strip_suffix(FULL_TIME_SUFFIX)


def select_markets(
    vocabulary: Vocabulary,
    sport: Sport | None = None,
    platform: Platform | None = None,
    family: str | None = None,
    search: str | None = None,
) -> pl.DataFrame:
    """Return the markets that match all filters; None matches every market.

    Columns: market_key, name, sport, family, line_kind, and per platform its market ids, joined by a space ('' when the
    platform does not have the market). `search` is a part of a key, name or id, in any case.
    """
    platforms = vocabulary.keys["platform"].unique(maintain_order=True).to_list()
    sold = vocabulary.keys.group_by("market_id").agg(
        pl.col("external_market_id").filter(pl.col("platform") == p).unique(maintain_order=True).str.join(" ").alias(p)
        for p in platforms
    )
    markets = vocabulary.markets.join(sold, on="market_id", how="left", maintain_order="left").with_columns(
        pl.col(p).fill_null("") for p in platforms
    )
    columns = ("market_key", "name", "sport", "family", "line_kind", *platforms)
    if sport is not None:
        markets = markets.filter(pl.col("sport") == sport)
    if platform is not None:
        markets = markets.filter(pl.col(platform) != "") if platform in platforms else markets.clear()
    if family is not None:
        markets = markets.filter(pl.col("family") == family)
    if search is not None:
        text = pl.concat_str(columns, separator=" ").str.to_lowercase()
        markets = markets.filter(text.str.contains(search.lower(), literal=True))
    return markets.select(columns)


def _suggest_nearest(query: str, vocabulary: Vocabulary) -> list[str]:
    keys = vocabulary.keys
    ids = (
        keys.select(pl.col("platform") + ":" + pl.col("external_market_id")).to_series()
        if ":" in query
        else keys["external_market_id"]
    )
    choices = [*vocabulary.markets["market_key"], *ids.unique(maintain_order=True)]
    matches = process.extract(
        query,
        choices,
        scorer=fuzz.token_sort_ratio,
        processor=_split_words,
        limit=MAX_SUGGESTIONS,
        score_cutoff=MIN_LIKENESS_PERCENT,
    )
    return [choice for choice, _, _ in matches]


def _split_words(key: str) -> str:
    return key.replace("_", " ").lower()


def _describe_market(row: dict[str, Any], vocabulary: Vocabulary) -> MarketDescription:
    market_keys = vocabulary.keys.filter(pl.col("market_id") == row["market_id"])
    feeds = {key_id: place + 1 for key_id, place in vocabulary.feeds.iter_rows()}
    keys = [
        PlatformKey(
            k["platform"],
            k["external_market_id"],
            _describe_specifier(k["key_id"], k["open_outcomes"], vocabulary),
            k["open_outcomes"],
            feeds.get(k["key_id"]),
        )
        for k in market_keys.iter_rows(named=True)
    ]
    sets = vocabulary.complete_sets.filter(pl.col("market_id") == row["market_id"])
    return MarketDescription(
        **{
            name: row[name]
            for name in ("market_key", "name", "family", "sport", "period", "line_kind", "fair_sum", "note")
        },
        specifier=sorted(SPECIFIER_PARTS[row["line_kind"]]),
        margin=_describe_margin(row["fair_sum"]),
        complete_sets=dict(sets.group_by("set", maintain_order=True).len().iter_rows()),
        keys=keys,
        outcomes=_describe_outcomes(row["market_id"], market_keys, vocabulary),
    )


def _describe_margin(fair_sum: str | None) -> str:
    if fair_sum is None:
        return "unknown, so no margin is computed"
    if fair_sum == "1":
        return "exactly one outcome of a complete set wins: margin = sum(1/odds) - 1"
    if fair_sum == "2":
        return "every result is in two outcomes of a complete set: margin = sum(1/odds)/2 - 1"
    return "outcomes overlap and nothing can be inverted: no margin is computed"


def _describe_specifier(key_id: int, open_outcomes: str, vocabulary: Vocabulary) -> list[str]:
    parts = vocabulary.parts.filter(pl.col("key_id") == key_id).iter_rows(named=True)
    descriptions = [
        _describe_part(**{name: part[name] for name in ("part", "role", "expected", "canonical", "conversion")})
        for part in parts
    ]
    descriptions += [f"always {text}" for text in vocabulary.added_parts.filter(pl.col("key_id") == key_id)["text"]]
    return [*descriptions, "total=0.5 from {at_least}=1"] if "{at_least}" in open_outcomes else descriptions


def _describe_part(part: str, role: str, expected: str | None, canonical: str | None, conversion: str | None) -> str:
    """Return a sentence on how a key treats one part of a raw specifier, with an example for conversions."""
    if role == "require":
        return f"only {part}={expected}"
    if role == "ignore":
        return f"whatever {part} says"
    if conversion == "ladder":
        return f"{canonical}=8.5 from 9+ in the outcome id (ladder)"
    number = "2.5" if canonical in HALF_STEP_PARTS else "1"
    raw, value = CONVERSION_EXAMPLES.get(conversion or "", (number, number))
    return f"{canonical}={value} from {part}={raw} ({conversion})"


def _describe_outcomes(market_id: int, keys: pl.DataFrame, vocabulary: Vocabulary) -> list[OutcomeDescription]:
    ids = (
        keys.join(vocabulary.outcome_keys, on="key_id")
        .sort("key_id")
        .select("ordinal", "platform", "external_market_id", "external_outcome_id")
        .unique(maintain_order=True)
    )
    outcomes = vocabulary.outcomes.filter(pl.col("market_id") == market_id).sort("ordinal")
    return [
        OutcomeDescription(
            row["ordinal"],
            row["outcome_key"],
            row["name"],
            _group_by_platform(ids.filter(pl.col("ordinal") == row["ordinal"])),
        )
        for row in outcomes.iter_rows(named=True)
    ]


def _group_by_platform(ids: pl.DataFrame) -> dict[str, dict[str, list[str]]]:
    ids_by_platform: dict[str, dict[str, list[str]]] = {}
    for row in ids.iter_rows(named=True):
        ids_by_platform.setdefault(row["platform"], {}).setdefault(row["external_market_id"], []).append(
            row["external_outcome_id"]
        )
    return ids_by_platform
