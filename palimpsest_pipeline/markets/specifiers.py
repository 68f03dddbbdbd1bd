"""The specifiers of markets: their parts, their canonical text, and the vocabulary keys they satisfy.

An instance is one distinct (platform, sport, market id, specifier). Uses no outcomes and no prices.
"""

from functools import lru_cache
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import MappingError

from .vocabulary import Vocabulary, extract_pack

ERROR_CLASS_TYPE: Final = pl.Enum(["", *MappingError])
"""The reason why an occurrence is unmapped; '' when it is mapped."""
OUTCOME_VALUE_MARK: Final = "\0"
"""A placeholder in a specifier for the number n of "n or more", which only the outcome's id contains.

No text that is read or converted contains this character.
"""

_NUMBER_PATTERN: Final = r"-?[0-9]{1,7}(?:\.[0-9]{1,2})?"
"""Numbers that a specifier can contain.

Only ASCII digits: the regex class for digits matches digits of all scripts, which other parsers refuse.
"""
TEXT_PATTERN: Final = r"^[^\x00|]{1,64}$"
"""Text that is copied unchanged, such as a score."""
TOP_LIST_PATTERN: Final = r"^sr:[a-z_]+:([0-9]{1,3})\+$"
"""The unified feed's name of a list of outcomes that ends with "n or more": `sr:exact_goals:6+`."""
REFUSED_COUNT: Final = -1000
_INSTANCE_KEY_COLUMNS: Final = ("instance", "key_id")


def split_parts(instances: pl.DataFrame, vocabulary: Vocabulary) -> pl.DataFrame:
    """Return the parts of the specifiers: instance, part and value (null when the part has none).

    The specifiers of some packs have named parts. Those of the others have one part, `line`.
    """
    named_packs = [pack for pack, rules in vocabulary.text_rules.items() if rules.has_named_parts]
    has_named_parts = extract_pack(pl.col("platform")).is_in(named_packs)
    with_specifier = instances.filter(pl.col("specifier") != "")
    lines = with_specifier.filter(~has_named_parts).select(
        "instance", pl.lit("line").alias("part"), pl.col("specifier").alias("value")
    )
    pieces = (
        with_specifier.filter(has_named_parts)
        .select("instance", pl.col("specifier").str.split("|"))
        .explode("specifier")
        .select(
            "instance", pl.col("specifier").str.splitn("=", 2).struct.rename_fields(["part", "value"]).alias("piece")
        )
        .unnest("piece")
    )
    return pl.concat([lines, pieces])


def build_schemas(given_parts: pl.DataFrame) -> pl.DataFrame:
    """Return instance and specifier_schema: the sorted names of the specifier's parts, joined by `|`.

    Instances without parts are left out.
    """
    return given_parts.group_by("instance").agg(specifier_schema=pl.col("part").unique().sort().str.join("|"))


def find_candidate_keys(instances: pl.DataFrame, given_parts: pl.DataFrame, vocabulary: Vocabulary) -> pl.DataFrame:
    """Return the keys of the vocabulary that each instance satisfies.

    `given_parts` is the result of `split_parts`. Columns: instance, key_id, platform (the pack's name), market_id,
    ladder, open_pattern, family and `text`, the canonical specifier.
    """
    keyed = instances.select(
        "instance", "sport", platform=extract_pack(pl.col("platform")), external_market_id="market_id"
    ).join(_load_keys(vocabulary), on=("platform", "sport", "external_market_id"))
    # A repeated part has no clear value: it must not count in place of a missing part.
    is_unique = pl.struct("instance", "part").is_unique()
    used_parts = _apply_keys(keyed, given_parts.with_columns(value=pl.when(is_unique).then("value")), vocabulary)
    n_met = used_parts.group_by(_INSTANCE_KEY_COLUMNS).agg(n_met=pl.col("counts").sum())
    satisfied = keyed.join(n_met, on=_INSTANCE_KEY_COLUMNS, how="left").filter(
        pl.col("n_met").fill_null(0) == pl.col("n_needed")
    )
    return satisfied.join(_build_texts(satisfied, used_parts, vocabulary), on=_INSTANCE_KEY_COLUMNS, how="left").select(
        *_INSTANCE_KEY_COLUMNS,
        "platform",
        "market_id",
        "ladder",
        "open_pattern",
        "family",
        pl.col("text").fill_null(""),
    )


@lru_cache(maxsize=8)
def _load_keys(vocabulary: Vocabulary) -> pl.DataFrame:
    """Return the keys, each with its market's family.

    `n_needed` is the number of specifier parts that a key needs. `needs_total` is true when the outcome's id contains
    the total.
    """
    needed = (
        vocabulary.parts.filter(
            (pl.col("role") != "ignore") & (pl.col("conversion").is_null() | (pl.col("conversion") != "ladder"))
        )
        .group_by("key_id")
        .agg(n_needed=pl.len().cast(pl.Int64))
    )
    return (
        vocabulary.keys.join(needed, on="key_id", how="left")
        .join(vocabulary.markets.select("market_id", "family"), on="market_id")
        .with_columns(
            pl.col("n_needed").fill_null(0),
            needs_total=pl.col("ladder")
            | pl.col("open_pattern").str.contains("(?P<at_least>", literal=True).fill_null(value=False),
        )
        .sort("key_id")
    )


@lru_cache(maxsize=8)
def _select_first_keys(vocabulary: Vocabulary) -> pl.DataFrame:
    """Return the family of each platform market: that of its first key."""
    first = _load_keys(vocabulary).unique(
        ("platform", "sport", "external_market_id"), keep="first", maintain_order=True
    )
    return first.select("platform", "sport", market_id="external_market_id", market_family="family")


def _apply_keys(keyed: pl.DataFrame, given_parts: pl.DataFrame, vocabulary: Vocabulary) -> pl.DataFrame:
    """Return each specifier part of an instance for each key of its market, with `counts`.

    Columns also: role, canonical, converted. `counts` is 1 for a part that the key requires or reads and whose value
    fits, 0 for a part that the key ignores, and otherwise so far below 0 that the key is rejected.
    """
    role = pl.col("role")
    is_met = ((role == "require") & (pl.col("value") == pl.col("expected"))) | (
        (role == "read") & pl.col("converted").is_not_null()
    )
    pieces = (
        keyed.select(_INSTANCE_KEY_COLUMNS)
        .join(given_parts, on="instance")
        .join(vocabulary.parts, on=("key_id", "part"), how="left")
    )
    # Converting text is slow, and values repeat, so each distinct value is converted once.
    conversion = ("value", "conversion")
    texts = pieces.filter(role == "read").select(conversion).unique().with_columns(converted=_convert_value())
    return pieces.join(texts, on=conversion, how="left", maintain_order="left").with_columns(
        counts=pl.when(is_met).then(1).when(role == "ignore").then(0).otherwise(REFUSED_COUNT).cast(pl.Int64)
    )


def _convert_value() -> pl.Expr:
    """Return the canonical text of `value`, converted by the rule in `conversion`.

    Null when the value does not fit the rule, or is no number that a specifier can contain.
    """
    value, conversion = pl.col("value"), pl.col("conversion")
    number = (
        pl.when(conversion == "number")
        .then(_convert_number(value))
        .when(conversion == "at_least")
        .then(convert_at_least(value.str.extract("^([0-9]{1,7})$")))
        .when(conversion == "quarters")
        .then(_convert_quarters(value))
        .otherwise(_convert_score(value))
    )
    return (
        pl.when(conversion == "text")
        .then(value.str.extract(TEXT_PATTERN, 0))
        .when(conversion == "top")
        .then(_convert_number(value.str.extract(TOP_LIST_PATTERN)))
        .when(conversion != "ladder")
        .then(number.str.extract(f"^{_NUMBER_PATTERN}$", 0))
    )


def _convert_number(value: pl.Expr) -> pl.Expr:
    """Return a decimal number as text, without plus sign and redundant zeros; it never becomes a float."""
    unsigned = value.str.replace(r"^\+([0-9])", "$1")
    plain = (
        unsigned.str.extract(r"^(-?[0-9]+(?:\.[0-9]+)?)$").str.replace(r"(\.[0-9]*?)0+$", "$1").str.replace(r"\.$", "")
    )
    trimmed = plain.str.replace(r"^(-?)0+([0-9])", "$1$2")
    return pl.when(trimmed == "-0").then(pl.lit("0")).otherwise(trimmed)


def _convert_quarters(value: pl.Expr) -> pl.Expr:
    units = value.str.extract(r"^(-?[0-9]+)$").cast(pl.Int64, strict=False)
    size = units.abs()
    fraction = (size % 4).replace_strict([0, 1, 2, 3], ["", ".25", ".5", ".75"], return_dtype=pl.String)
    return pl.when(units < 0).then(pl.lit("-")).otherwise(pl.lit("")) + (size // 4).cast(pl.String) + fraction


def convert_at_least(n: pl.Expr) -> pl.Expr:
    """Return the total that "n or more" stands for, n - 0.5; null when n is no number above zero."""
    number = n.cast(pl.Int64, strict=False)
    return pl.when(number > 0).then((number - 1).cast(pl.String) + ".5")


def _convert_score(value: pl.Expr) -> pl.Expr:
    home = value.str.extract(r"^([0-9]+):[0-9]+$").cast(pl.Int64, strict=False)
    away = value.str.extract(r"^[0-9]+:([0-9]+)$").cast(pl.Int64, strict=False)
    return (home - away).cast(pl.String)


def _build_texts(satisfied: pl.DataFrame, used_parts: pl.DataFrame, vocabulary: Vocabulary) -> pl.DataFrame:
    """Return instance, key_id, text: the canonical specifier, its parts sorted by name and joined by `|`."""
    part = (*_INSTANCE_KEY_COLUMNS, "canonical", "text")
    read_parts = used_parts.filter(pl.col("role") == "read").select(
        *_INSTANCE_KEY_COLUMNS, "canonical", text=pl.col("canonical") + "=" + pl.col("converted")
    )
    added_texts = satisfied.select(_INSTANCE_KEY_COLUMNS).join(vocabulary.added_parts, on="key_id").select(part)
    total_texts = satisfied.filter("needs_total").select(
        *_INSTANCE_KEY_COLUMNS, canonical=pl.lit("total"), text=pl.lit(f"total={OUTCOME_VALUE_MARK}")
    )
    return (
        pl.concat([read_parts, added_texts, total_texts])
        .sort("canonical")
        .group_by(_INSTANCE_KEY_COLUMNS, maintain_order=True)
        .agg(pl.col("text").str.join("|"))
    )


def judge_instances(instances: pl.DataFrame, satisfied: pl.DataFrame, vocabulary: Vocabulary) -> pl.DataFrame:
    """Return the family and the error class of each instance.

    `satisfied` is the result of `find_candidate_keys`. Columns: instance, family ('' when no key has the market's id),
    error_class ('' when a key is satisfied).
    """
    market = ("platform", "sport", "market_id")
    satisfied_families = (
        satisfied.sort("key_id").unique("instance", keep="first", maintain_order=True).select("instance", "family")
    )
    return (
        instances.with_columns(extract_pack(pl.col("platform")))
        .join(_select_first_keys(vocabulary), on=market, how="left")
        .join(satisfied_families, on="instance", how="left")
        .select(
            "instance",
            family=pl.coalesce("family", "market_family", pl.lit("")).cast(pl.Categorical(pl.Categories.random())),
            error_class=pl.when(pl.col("family").is_not_null())
            .then(pl.lit(""))
            .when(pl.col("market_family").is_not_null())
            .then(pl.lit(MappingError.UNKNOWN_PARAM.value))
            .otherwise(pl.lit(MappingError.UNKNOWN_MARKET.value))
            .cast(ERROR_CLASS_TYPE),
        )
    )


def extract_line(text: pl.Expr) -> pl.Expr:
    """Return the number in a canonical specifier that distinguishes the lines of a market.

    It is the total, else the handicap, else the only part; null when there is none.
    """
    number = f"=({_NUMBER_PATTERN})"
    line_text = pl.coalesce(
        text.str.extract(rf"(?:^|\|)total{number}(?:\||$)"),
        text.str.extract(rf"(?:^|\|)hcp{number}(?:\||$)"),
        text.str.extract(rf"^\w+{number}$"),
    )
    return line_text.cast(pl.Decimal(9, 2))
