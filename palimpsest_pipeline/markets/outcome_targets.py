"""The mapping of a platform's outcome ids to canonical outcomes, under keys that occurrences satisfy.

Each distinct outcome is read once. Ids that the vocabulary lists come first; then ids that match a template, such as
ids of players.
"""

import re
from typing import Final

import polars as pl

from .numbered_texts import EncodedBatch, pack_numbers, unpack_numbers
from .specifiers import OUTCOME_VALUE_MARK, convert_at_least, extract_line
from .vocabulary import Vocabulary

LADDER_OUTCOME_PATTERN: Final = r"^\d+:(\d{6})(\d{2})$"
"""An outcome id of ladder markets: market, team, and the n of "n or more"."""
TARGET_COLUMNS: Final = ("market_id", "specifier", "outcome", "ordinal")
_MEANING_SCHEMA: Final[dict[str, pl.DataType]] = {
    "ordinal": pl.Int16(),
    "outcome": pl.String(),
    "player": pl.String(),
    "total": pl.String(),
}
"""The meaning of an outcome id. Texts are '' where they do not apply.

`ordinal` is the number of the outcome in its market, 1 for an outcome that the vocabulary does not list. `outcome` is
the text of an outcome that the vocabulary does not list. `player` is the same text if the outcome is a player. `total`
is the line that "n or more" means.
"""
_RULE_MEANING_SCHEMA: Final[dict[str, pl.DataType]] = {"rule_and_code": pl.UInt64(), **_MEANING_SCHEMA}
"""The meaning of an outcome id under one rule.

`rule_and_code` is one number made of the rule by which the id is read and the id's code.
"""
_MIN_FORM_RULE: Final = 2**31
"""Rules with lower numbers are keys, which list their outcome ids; the others are templates of ids."""


def resolve_outcomes(
    batch: EncodedBatch, candidates: pl.DataFrame, vocabulary: Vocabulary
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return the canonical target of each distinct outcome of the books, as three frames.

    `candidates` is the result of `specifiers.find_candidate_keys`.

    - choices: key_id, target and player (null: the outcome is no player); one row for each distinct outcome, in its
      position, with null target when the outcome is unmapped.
    - targets: target (a number in the order of `TARGET_COLUMNS`), the `TARGET_COLUMNS`, and line.
    - players: player (a number) and outcome (the text that names the player).
    """
    forms = (
        candidates.select("platform", "open_pattern")
        .drop_nulls()
        .unique()
        .with_row_index("rule", offset=_MIN_FORM_RULE)
    )
    bets = candidates.select("market_id", "text").unique().with_row_index("bet")
    rules = _list_rules(candidates, forms, bets, vocabulary)
    outcome_readings = batch.distinct_outcomes.join(
        rules.select("instance", "way", "rule", "needs_total"), on="instance"
    ).select("distinct", "way", "needs_total", rule_and_code=pack_numbers("rule", "code"))
    readings = pl.concat(
        [
            _read_listed_ids(batch.outcome_ids, vocabulary),
            _read_ladder_ids(batch.outcome_ids, vocabulary),
            _read_open_ids(outcome_readings, forms, batch.outcome_ids, vocabulary),
        ]
    )
    meanings = readings.group_by(*_MEANING_SCHEMA).agg("rule_and_code").with_row_index("meaning")
    known_meanings = meanings.select("rule_and_code", "meaning", has_total=pl.col("total") != "").explode(
        "rule_and_code"
    )
    matches = outcome_readings.join(known_meanings, on="rule_and_code").filter(
        pl.col("has_total") | ~pl.col("needs_total")
    )
    first_choices = (
        matches.select("meaning", choice=pack_numbers("distinct", "way"))
        .sort("choice")
        .select("meaning", *_split_number("choice", "distinct", "way"))
    )
    first_choices = first_choices.filter(pl.col("distinct") != pl.col("distinct").shift(1, fill_value=2**32 - 1))
    return _number_targets(batch, first_choices, rules, bets, meanings)


def _list_rules(
    candidates: pl.DataFrame, forms: pl.DataFrame, bets: pl.DataFrame, vocabulary: Vocabulary
) -> pl.DataFrame:
    """Return all rules by which outcomes of an instance may be read, in order of preference.

    Columns: way, instance, key_id, rule, bet, needs_total. `bet` is the position of market_id and text in `bets`.
    `needs_total` is true when the outcome's id contains the total that the specifier lacks.
    """
    listing = candidates.join(vocabulary.outcome_keys, on="key_id", how="semi").with_columns(rule="key_id")
    opening = candidates.join(forms, on=("platform", "open_pattern")).select(listing.columns)
    return (
        pl.concat([listing, opening])
        .join(bets, on=("market_id", "text"))
        .with_columns(needs_total=pl.col("text").str.contains(OUTCOME_VALUE_MARK, literal=True))
        .sort(pl.col("rule") >= _MIN_FORM_RULE, "key_id")
        .with_row_index("way")
    )


def _read_listed_ids(ids: pl.DataFrame, vocabulary: Vocabulary) -> pl.DataFrame:
    """Return the meaning of outcome ids that keys list, as rows of `_RULE_MEANING_SCHEMA`."""
    listed = vocabulary.outcome_keys.join(ids, left_on="external_outcome_id", right_on="outcome_id")
    return listed.select(
        pack_numbers("key_id", "code").alias("rule_and_code"),
        "ordinal",
        outcome=pl.lit(""),
        player=pl.lit(""),
        total=pl.lit(""),
    )


def _read_ladder_ids(ids: pl.DataFrame, vocabulary: Vocabulary) -> pl.DataFrame:
    """Return the meaning of outcome ids of ladder markets, as rows of `_RULE_MEANING_SCHEMA`.

    A ladder is a platform market with all outcomes "n or more" of a team, one for every n.
    """
    rungs = (
        ids.select("code", pl.col("outcome_id").str.extract_groups(LADDER_OUTCOME_PATTERN).alias("rung"))
        .unnest("rung")
        .drop_nulls("1")
    )
    return (
        vocabulary.outcome_keys.join(vocabulary.keys.filter("ladder"), on="key_id", how="semi")
        .join(rungs.with_columns(team=pl.col("1") + "+"), left_on="external_outcome_id", right_on="team")
        .select(
            pack_numbers("key_id", "code").alias("rule_and_code"),
            "ordinal",
            outcome=pl.lit(""),
            player=pl.lit(""),
            total=convert_at_least(pl.col("2")).fill_null(""),
        )
        .filter(pl.col("total") != "")
    )


def _read_open_ids(
    offered: pl.DataFrame, forms: pl.DataFrame, ids: pl.DataFrame, vocabulary: Vocabulary
) -> pl.DataFrame:
    """Return the meaning of outcome ids that match a template, as rows of `_RULE_MEANING_SCHEMA`.

    One regex is applied at a time, because there are few.
    """
    rule, code = _split_number("rule_and_code", "rule", "code")
    open_ids = offered.select("rule_and_code").filter(pl.col("rule_and_code") >= _MIN_FORM_RULE * 2**32).unique()
    open_outcomes = open_ids.with_columns(rule, code).join(ids, on="code")
    readings = [pl.DataFrame(schema=_RULE_MEANING_SCHEMA)]
    for number, platform, pattern in forms.select("rule", "platform", "open_pattern").iter_rows():
        groups = re.compile(pattern).groupindex
        prefix = pl.lit(vocabulary.text_rules[platform].player_prefix)
        player = prefix + pl.col("player") if "player" in groups else pl.lit("")
        readings.append(
            open_outcomes.filter(pl.col("rule") == number)
            .select("rule_and_code", pl.col("outcome_id").str.extract_groups(pattern).alias("groups"))
            .unnest("groups")
            .select(
                "rule_and_code",
                ordinal=pl.lit(1, pl.Int16),
                outcome=player if "player" in groups else "outcome",
                player=player,
                total=convert_at_least(pl.col("at_least")).fill_null("") if "at_least" in groups else pl.lit(""),
            )
        )
    return pl.concat(readings).filter(pl.col("outcome") != "")


def _split_number(number: str, *names: str) -> list[pl.Expr]:
    return [part.alias(name) for part, name in zip(unpack_numbers(number), names, strict=True)]


def _number_targets(
    batch: EncodedBatch, first: pl.DataFrame, ways: pl.DataFrame, bets: pl.DataFrame, meanings: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return the frames of `resolve_outcomes`, from the rule and meaning of each outcome with a target."""
    outcome_targets = first.hstack(ways.select("key_id", "bet")[first["way"]]).with_columns(
        pair=pack_numbers("bet", "meaning")
    )
    bet, meaning = unpack_numbers("pair")
    pairs = outcome_targets.select("pair").unique().select("pair", bet=bet, meaning=meaning)
    players = meanings.filter(pl.col("player") != "").select(outcome="player").unique().with_row_index("player")
    meanings = meanings.join(players, left_on="player", right_on="outcome", how="left", maintain_order="left").select(
        "ordinal", "outcome", "total", player="player_right"
    )
    named_pairs = (
        pairs.select("pair")
        .hstack(bets.select("market_id", "text")[pairs["bet"]])
        .hstack(meanings[pairs["meaning"]])
        .with_columns(specifier=pl.col("text").str.replace(OUTCOME_VALUE_MARK, pl.col("total"), literal=True))
    )
    # Two keys may write the same bet in different ways, so texts are compared again.
    targets = named_pairs.group_by(TARGET_COLUMNS).agg("pair", "player").sort(TARGET_COLUMNS).with_row_index("target")
    numbers = targets.select("target", "pair", "player").explode("pair", "player")
    key_targets = outcome_targets.select("distinct", "key_id", "pair").join(numbers, on="pair").drop("pair")
    choices = batch.distinct_outcomes.select("distinct").join(
        key_targets, on="distinct", how="left", maintain_order="left"
    )
    return (
        choices.drop("distinct"),
        targets.select("target", *TARGET_COLUMNS, line=extract_line(pl.col("specifier"))),
        players,
    )
