"""From a platform's prices to canonical prices: joins on the vocabulary, by ids, never by label or position. Set-based; no loop over prices.

An occurrence is one (capture, raw market, raw specifier). It is mapped when every one of its outcomes leads to a canonical outcome; else it is
in `unmapped` with the reason and with the outcomes that did not, while the outcomes that did keep their prices.
"""

from dataclasses import dataclass
from typing import Final

import polars as pl

from ..domain.words import Platform
from .vocabulary import Vocabulary

UNKNOWN_MARKET: Final = "unknown_market"
UNKNOWN_PARAM: Final = "unknown_param"
NO_MATCHING_OUTCOMES: Final = "no_matching_outcomes"

EVENS_MILLI: Final = 1000
"""Decimal odds of 1.00: at or below them a platform says that there is no price."""
SAMPLE_OUTCOMES: Final = 5
LADDER_OUTCOME: Final = r"^\d+:(\d{6})(\d{2})$"
"""Market, team, and n of "n or more"."""

RAW: Final[dict[str, pl.DataType]] = {
    "capture": pl.UInt32(),
    "platform": pl.String(),
    "sport": pl.String(),
    "market_id": pl.String(),
    "market_name": pl.String(),
    "specifier": pl.String(),
    "outcome_id": pl.String(),
    "outcome_name": pl.String(),
    "odds_milli": pl.Int32(),
    "off": pl.Boolean(),
}
"""Input: outcomes as the platforms name them. `capture` is the index of the answer they are from."""

PRICES: Final[dict[str, pl.DataType]] = {
    "capture": pl.UInt32(),
    "market_id": pl.Int16(),
    "specifier": pl.String(),
    "outcome": pl.String(),
    "ordinal": pl.Int16(),
    "odds_milli": pl.Int32(),
    "off": pl.Boolean(),
}
UNMAPPED: Final[dict[str, pl.DataType]] = {
    "capture": pl.UInt32(),
    "platform": pl.String(),
    "sport": pl.String(),
    "external_market_id": pl.String(),
    "name": pl.String(),
    "specifier": pl.String(),
    "error_class": pl.String(),
    "sample_outcomes": pl.List(pl.String()),
}
COUNTS: Final[dict[str, pl.DataType]] = {"capture": pl.UInt32(), "n_markets_listed": pl.Int32(), "n_markets_mapped": pl.Int32()}

INSTANCE: Final = ("platform", "sport", "market_id", "specifier")
OUTCOME: Final = ("instance", "outcome_id", "outcome_name")
TARGET: Final = ("canonical_market_id", "text", "outcome", "ordinal")


@dataclass(frozen=True, slots=True)
class Normalised:
    """prices: one row per (capture, market_id, specifier, outcome, ordinal); specifier canonical, `outcome` '' or an open outcome's text (ordinal 1).
    unmapped: one row per occurrence that is not mapped. counts: occurrences per capture, listed and mapped. All in a fixed order.
    """

    prices: pl.DataFrame
    unmapped: pl.DataFrame
    counts: pl.DataFrame


def normalise(raw: pl.DataFrame, vocabulary: Vocabulary) -> Normalised:
    """Canonical prices of a frame with the columns of `RAW`. Never raises on a market, specifier or outcome that it does not know."""
    # A null text would fall out of every join: it is the same as an empty one.
    raw = raw.select(pl.col(name).cast(kind) for name, kind in RAW.items()).with_columns(
        pl.col(pl.String).fill_null(""),
        odds_milli=pl.when(pl.col("odds_milli") > EVENS_MILLI).then(pl.col("odds_milli")),
        off=pl.col("off").fill_null(value=False),
    )
    instances = raw.select(INSTANCE).unique().sort(INSTANCE).with_row_index("instance")
    candidates = _candidates(instances, vocabulary)
    numbered = raw.join(instances, on=INSTANCE)
    choices = _choices(numbered.select(OUTCOME).unique(), candidates, vocabulary)
    targets = choices.select(TARGET).unique().sort(TARGET).with_row_index("target")
    chosen = choices.join(targets, on=TARGET).select(*OUTCOME, "target", "preference")
    named = numbered.join(chosen, on=OUTCOME, how="left")
    failed = named.filter(pl.col("target").is_null())
    return Normalised(_prices(named, targets), _unmapped(failed, instances, candidates, vocabulary), _counts(numbered, failed))


def _candidates(instances: pl.DataFrame, vocabulary: Vocabulary) -> pl.DataFrame:
    """The keys that an instance (raw market and specifier) satisfies, with the canonical specifier: instance, key_id, market_id, text, ..."""
    keyed = instances.join(vocabulary.keys, left_on=("platform", "sport", "market_id"), right_on=("platform", "sport", "external_market_id")).select(
        "instance", "key_id", pl.col("market_id_right").alias("canonical_market_id"), "open_outcomes", "ladder"
    )
    given = _raw_parts(instances)
    used = (
        keyed.select("instance", "key_id")
        .join(given, on="instance")
        .join(vocabulary.parts, on=("key_id", "part"), how="left")
        .with_columns(converted=_converted())
        .with_columns(
            holds=(pl.col("role") == "ignore")
            | ((pl.col("role") == "require") & (pl.col("value") == pl.col("expected")))
            | ((pl.col("role") == "read") & pl.col("converted").is_not_null())
        )
    )
    verdict = used.group_by("instance", "key_id").agg(
        refused=(~pl.col("holds").fill_null(value=False)).any(), n_met=(pl.col("role").is_in(["require", "read"]) & pl.col("holds")).sum()
    )
    needed = (
        vocabulary.parts.filter((pl.col("role") != "ignore") & (pl.col("conversion").is_null() | (pl.col("conversion") != "ladder")))
        .group_by("key_id")
        .agg(n_needed=pl.len())
    )
    satisfied = (
        keyed.join(verdict, on=("instance", "key_id"), how="left")
        .join(needed, on="key_id", how="left")
        .filter(~pl.col("refused").fill_null(value=False) & (pl.col("n_met").fill_null(0) == pl.col("n_needed").fill_null(0)))
        .drop("refused", "n_met", "n_needed")
    )
    return satisfied.join(_specifiers(satisfied, used, vocabulary), on=("instance", "key_id"), how="left").with_columns(pl.col("text").fill_null(""))


def _raw_parts(instances: pl.DataFrame) -> pl.DataFrame:
    """instance, part, value: SportyBet's specifier has named parts, the others have one line."""
    named = pl.col("platform") == Platform.SPORTYBET
    lines = instances.filter(~named & (pl.col("specifier") != "")).select(
        "instance", pl.lit("line").alias("part"), pl.col("specifier").alias("value")
    )
    parts = (
        instances.filter(named & (pl.col("specifier") != ""))
        .select("instance", pl.col("specifier").str.split("|"))
        .explode("specifier")
        .select("instance", pl.col("specifier").str.splitn("=", 2).struct.rename_fields(["part", "value"]).alias("pair"))
        .unnest("pair")
    )
    return pl.concat([lines, parts])


def _converted() -> pl.Expr:
    """Canonical text of `value` by `conversion`; null when the value is not what the conversion expects."""
    value, conversion = pl.col("value"), pl.col("conversion")
    return (
        pl.when(conversion == "number")
        .then(_number(value))
        .when(conversion == "quarters")
        .then(_quarters(value))
        .when(conversion == "score")
        .then(_score(value))
        .when(conversion == "text")
        .then(value)
    )


def _number(value: pl.Expr) -> pl.Expr:
    """Decimal text without sign of plus, without zeros that say nothing. Text throughout: a line is never a float."""
    plain = value.str.extract(r"^\+?(-?\d+(?:\.\d+)?)$").str.replace(r"(\.\d*?)0+$", "$1").str.replace(r"\.$", "")
    trimmed = plain.str.replace(r"^(-?)0+(\d)", "$1$2")
    return pl.when(trimmed == "-0").then(pl.lit("0")).otherwise(trimmed)


def _quarters(value: pl.Expr) -> pl.Expr:
    units = value.str.extract(r"^(-?\d+)$").cast(pl.Int64, strict=False)
    size = units.abs()
    fraction = (size % 4).replace_strict([0, 1, 2, 3], ["", ".25", ".5", ".75"], return_dtype=pl.String)
    return pl.when(units < 0).then(pl.lit("-")).otherwise(pl.lit("")) + (size // 4).cast(pl.String) + fraction


def _score(value: pl.Expr) -> pl.Expr:
    home = value.str.extract(r"^(\d+):\d+$").cast(pl.Int64, strict=False)
    away = value.str.extract(r"^\d+:(\d+)$").cast(pl.Int64, strict=False)
    return (home - away).cast(pl.String)


def _specifiers(satisfied: pl.DataFrame, used: pl.DataFrame, vocabulary: Vocabulary) -> pl.DataFrame:
    """instance, key_id, text: the canonical parts in order of name, joined by `|`."""
    pairs = satisfied.select("instance", "key_id")
    read = used.filter(pl.col("role") == "read").select(
        "instance", "key_id", "canonical", (pl.col("canonical") + "=" + pl.col("converted")).alias("text")
    )
    added = pairs.join(vocabulary.added, on="key_id").select("instance", "key_id", "canonical", "text")
    return (
        pl.concat([read, added])
        .join(pairs, on=("instance", "key_id"), how="semi")
        .sort("canonical")
        .group_by("instance", "key_id", maintain_order=True)
        .agg(pl.col("text").str.join("|"))
    )


def _choices(outcomes: pl.DataFrame, candidates: pl.DataFrame, vocabulary: Vocabulary) -> pl.DataFrame:
    """Where each distinct raw outcome leads: a listed outcome, else the open market of the same key. Outcomes that lead nowhere are not in it.

    Columns: those of OUTCOME and TARGET, and `preference`, a rank by the order of keys.csv and then by the raw ids.
    """
    offered = outcomes.join(candidates, on="instance")
    at_least = pl.col("outcome_id").str.extract(LADDER_OUTCOME, 2).cast(pl.Int64, strict=False)
    listed = (
        offered.with_columns(
            code=pl.when("ladder").then(pl.col("outcome_id").str.extract(LADDER_OUTCOME, 1) + "+").otherwise(pl.col("outcome_id")),
            text=pl.when("ladder").then(pl.lit("total=") + (at_least - 1).cast(pl.String) + ".5").otherwise(pl.col("text")),
            outcome=pl.lit(""),
        )
        .join(vocabulary.outcome_keys, left_on=("key_id", "code"), right_on=("key_id", "external_outcome_id"))
        .select(*OUTCOME, *TARGET, "key_id")
    )
    by_name = (pl.col("open_outcomes") == "name") & (pl.col("outcome_name") != "")
    rest = (
        offered.filter(pl.col("open_outcomes") != "")
        .join(listed, on=OUTCOME, how="anti")
        .with_columns(ordinal=pl.lit(1, dtype=pl.Int16), outcome=pl.when(by_name).then(pl.col("outcome_name")).otherwise(pl.col("outcome_id")))
        .select(listed.columns)
    )
    return (
        pl.concat([listed, rest])
        .sort("key_id", *OUTCOME)
        .unique(subset=OUTCOME, keep="first", maintain_order=True)
        .with_row_index("preference")
        .drop("key_id")
    )


def _prices(named: pl.DataFrame, targets: pl.DataFrame) -> pl.DataFrame:
    """One row per outcome. When an answer names one twice: a price before none, what can be backed before what cannot, then by preference."""
    return (
        named.filter(pl.col("target").is_not_null())
        .select("capture", "target", "preference", "odds_milli", "off", unpriced=pl.col("odds_milli").is_null())
        .sort("capture", "target", "unpriced", "off", "preference", "odds_milli")
        .unique(subset=("capture", "target"), keep="first", maintain_order=True)
        .join(targets, on="target", how="left", maintain_order="left")
        .select(
            "capture", pl.col("canonical_market_id").alias("market_id"), pl.col("text").alias("specifier"), "outcome", "ordinal", "odds_milli", "off"
        )
    )


def _unmapped(failed: pl.DataFrame, instances: pl.DataFrame, candidates: pl.DataFrame, vocabulary: Vocabulary) -> pl.DataFrame:
    keys = vocabulary.keys.select("platform", "sport", pl.col("external_market_id").alias("market_id")).unique()
    reasons = (
        instances.join(keys.with_columns(known=pl.lit(value=True)), on=("platform", "sport", "market_id"), how="left")
        .join(candidates.select("instance").unique().with_columns(satisfied=pl.lit(value=True)), on="instance", how="left")
        .select(
            "instance",
            error_class=pl.when(pl.col("known").is_null())
            .then(pl.lit(UNKNOWN_MARKET))
            .when(pl.col("satisfied").is_null())
            .then(pl.lit(UNKNOWN_PARAM))
            .otherwise(pl.lit(NO_MATCHING_OUTCOMES)),
        )
    )
    named = (pl.col("outcome_name") != "") & (pl.col("outcome_name") != pl.col("outcome_id"))
    sample = pl.when(named).then(pl.col("outcome_id") + "=" + pl.col("outcome_name")).otherwise(pl.col("outcome_id"))
    return (
        failed.with_columns(sample=sample)
        .group_by("capture", "instance")
        .agg(
            pl.col("platform").first(),
            pl.col("sport").first(),
            pl.col("market_id").first().alias("external_market_id"),
            pl.col("market_name").min().alias("name"),
            pl.col("specifier").first(),
            pl.col("sample").unique().sort().head(SAMPLE_OUTCOMES).alias("sample_outcomes"),
        )
        .join(reasons, on="instance")
        .select(*UNMAPPED)
        .sort("capture", "platform", "sport", "external_market_id", "specifier")
    )


def _counts(numbered: pl.DataFrame, failed: pl.DataFrame) -> pl.DataFrame:
    listed = numbered.group_by("capture").agg(n_markets_listed=pl.col("instance").n_unique().cast(pl.Int32))
    missed = failed.group_by("capture").agg(n_missed=pl.col("instance").n_unique().cast(pl.Int32))
    return (
        listed.join(missed, on="capture", how="left")
        .select("capture", "n_markets_listed", n_markets_mapped=pl.col("n_markets_listed") - pl.col("n_missed").fill_null(0))
        .sort("capture")
    )
