"""Where outcomes lead: from a platform's outcome id, under the keys that its market satisfies, to a canonical outcome.

Works on the distinct outcomes of a batch, and reads each id once for each way of reading it. Lists of ids come first;
then the templates of ids that are not listed, such as players'.
"""

import re
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import Platform

from .numbered_texts import EncodedBatch, pack_numbers, unpack_numbers
from .specifiers import OUTCOME_VALUE_MARK, extract_line
from .vocabulary import Vocabulary

LADDER_OUTCOME_PATTERN: Final = r"^\d+:(\d{6})(\d{2})$"
"""Market, team, and n of "n or more"."""
PLAYER_PREFIX: Final = {Platform.SPORTYBET: "sr:player:"}
"""What makes a platform's number of a player the text under which all its markets name the player; BetPawa's number
is that text.
"""

TARGET_COLUMNS: Final = ("market_id", "specifier", "outcome", "ordinal")
_MEANING_SCHEMA: Final[dict[str, pl.DataType]] = {
    "ordinal": pl.Int16(),
    "outcome": pl.String(),
    "player": pl.String(),
    "total": pl.String(),
}
"""What an id says: the number of an outcome, or an open one's text (then of ordinal 1); that text again if it is a
player; the total of "n or more". Texts are '' where it says nothing."""
_RULE_MEANING_SCHEMA: Final[dict[str, pl.DataType]] = {"said": pl.UInt64(), **_MEANING_SCHEMA}
"""`said`: the rule by which an id is read and the id's code, in one number."""
_MIN_FORM_RULE: Final = 2**31
"""Rules below it are keys, whose ids are listed; from it on, forms of ids that are not listed."""


def resolve_outcomes(
    batch: EncodedBatch, candidates: pl.DataFrame, vocabulary: Vocabulary
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return where each of the distinct outcomes of the batch leads.

    choices: key_id, target and player (null: the outcome is no player), one row for each distinct outcome, at its
    place, null where it leads nowhere.
    targets: target, the columns of TARGET, in whose order they are numbered, and line.
    players: player, outcome (the text that names the player).
    """
    forms = (
        candidates.select("platform", "open_pattern")
        .drop_nulls()
        .unique()
        .with_row_index("rule", offset=_MIN_FORM_RULE)
    )
    bets = candidates.select("market_id", "text").unique().with_row_index("bet")
    ways = _list_rules(candidates, forms, bets, vocabulary)
    offered = batch.distinct_outcomes.join(ways.select("instance", "way", "rule", "told_later"), on="instance").select(
        "distinct", "way", "told_later", said=pack_numbers("rule", "code")
    )
    said = pl.concat(
        [
            _read_listed_ids(batch.outcome_ids, vocabulary),
            _read_ladder_ids(batch.outcome_ids, vocabulary),
            _read_open_ids(offered, forms, batch.outcome_ids),
        ]
    )
    meanings = said.group_by(*_MEANING_SCHEMA).agg("said").with_row_index("meaning")
    told = meanings.select("said", "meaning", tells=pl.col("total") != "").explode("said")
    found = offered.join(told, on="said").filter(pl.col("tells") | ~pl.col("told_later"))
    first = (
        found.select("meaning", choice=pack_numbers("distinct", "way"))
        .sort("choice")
        .select("meaning", *_split_number("choice", "distinct", "way"))
    )
    first = first.filter(pl.col("distinct") != pl.col("distinct").shift(1, fill_value=2**32 - 1))
    return _number_targets(batch, first, ways, bets, meanings)


def _list_rules(
    candidates: pl.DataFrame, forms: pl.DataFrame, bets: pl.DataFrame, vocabulary: Vocabulary
) -> pl.DataFrame:
    """way, instance, key_id, rule, bet, told_later: all rules by which outcomes of an instance are read, in order of
    preference.

    `bet` is the place of market_id and text in `bets`; told_later: the text waits for the total that an id tells.
    """
    listing = candidates.join(vocabulary.outcome_keys, on="key_id", how="semi").with_columns(rule="key_id")
    opening = candidates.join(forms, on=("platform", "open_pattern")).select(listing.columns)
    return (
        pl.concat([listing, opening])
        .join(bets, on=("market_id", "text"))
        .with_columns(told_later=pl.col("text").str.contains(OUTCOME_VALUE_MARK, literal=True))
        .sort(pl.col("rule") >= _MIN_FORM_RULE, "key_id")
        .with_row_index("way")
    )


def _read_listed_ids(ids: pl.DataFrame, vocabulary: Vocabulary) -> pl.DataFrame:
    """What ids say under the keys that list them; rows of `_RULE_MEANING_SCHEMA`."""
    listed = vocabulary.outcome_keys.join(ids, left_on="external_outcome_id", right_on="outcome_id")
    return listed.select(
        pack_numbers("key_id", "code").alias("said"), "ordinal", outcome=pl.lit(""), player=pl.lit(""), total=pl.lit("")
    )


def _read_ladder_ids(ids: pl.DataFrame, vocabulary: Vocabulary) -> pl.DataFrame:
    """What the ids of ladders say, where a team's "n or more" is listed once, for every n; rows of
    `_RULE_MEANING_SCHEMA`.
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
            pack_numbers("key_id", "code").alias("said"),
            "ordinal",
            outcome=pl.lit(""),
            player=pl.lit(""),
            total=_convert_total(pl.col("2")),
        )
        .filter(pl.col("total") != "")
    )


def _read_open_ids(offered: pl.DataFrame, forms: pl.DataFrame, ids: pl.DataFrame) -> pl.DataFrame:
    """What ids say that are not listed, read by one regex at a time, for there are few; rows of
    `_RULE_MEANING_SCHEMA`.
    """
    rule, code = _split_number("said", "rule", "code")
    open_ids = offered.select("said").filter(pl.col("said") >= _MIN_FORM_RULE * 2**32).unique()
    asked = open_ids.with_columns(rule, code).join(ids, on="code")
    fits = [pl.DataFrame(schema=_RULE_MEANING_SCHEMA)]
    for number, platform, pattern in forms.select("rule", "platform", "open_pattern").iter_rows():
        groups = re.compile(pattern).groupindex
        player = (
            pl.lit(PLAYER_PREFIX.get(Platform(platform), "")) + pl.col("player") if "player" in groups else pl.lit("")
        )
        fits.append(
            asked.filter(pl.col("rule") == number)
            .select("said", pl.col("outcome_id").str.extract_groups(pattern).alias("groups"))
            .unnest("groups")
            .select(
                "said",
                ordinal=pl.lit(1, pl.Int16),
                outcome=player if "player" in groups else "outcome",
                player=player,
                total=_convert_total(pl.col("at_least")) if "at_least" in groups else pl.lit(""),
            )
        )
    return pl.concat(fits).filter(pl.col("outcome") != "")


def _convert_total(at_least: pl.Expr) -> pl.Expr:
    """The total that "n or more" stands for; '' when n is not one or more."""
    n = at_least.cast(pl.Int64, strict=False)
    return pl.when(n > 0).then((n - 1).cast(pl.String) + ".5").otherwise(pl.lit(""))


def _split_number(number: str, *names: str) -> list[pl.Expr]:
    return [part.alias(name) for part, name in zip(unpack_numbers(number), names, strict=True)]


def _number_targets(
    batch: EncodedBatch, first: pl.DataFrame, ways: pl.DataFrame, bets: pl.DataFrame, meanings: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """What `resolve_outcomes` returns, from the way and the meaning of each outcome that leads somewhere."""
    chosen = first.hstack(ways.select("key_id", "bet")[first["way"]]).with_columns(pair=pack_numbers("bet", "meaning"))
    bet, meaning = unpack_numbers("pair")
    pairs = chosen.select("pair").unique().select("pair", bet=bet, meaning=meaning)
    players = meanings.filter(pl.col("player") != "").select(outcome="player").unique().with_row_index("player")
    meanings = meanings.join(players, left_on="player", right_on="outcome", how="left", maintain_order="left").select(
        "ordinal", "outcome", "total", player="player_right"
    )
    named = (
        pairs.select("pair")
        .hstack(bets.select("market_id", "text")[pairs["bet"]])
        .hstack(meanings[pairs["meaning"]])
        .with_columns(specifier=pl.col("text").str.replace(OUTCOME_VALUE_MARK, pl.col("total"), literal=True))
    )
    # Two keys may write one bet in different ways, so texts are compared once more.
    targets = named.group_by(TARGET_COLUMNS).agg("pair", "player").sort(TARGET_COLUMNS).with_row_index("target")
    numbers = targets.select("target", "pair", "player").explode("pair", "player")
    led = chosen.select("distinct", "key_id", "pair").join(numbers, on="pair").drop("pair")
    choices = batch.distinct_outcomes.select("distinct").join(led, on="distinct", how="left", maintain_order="left")
    return (
        choices.drop("distinct"),
        targets.select("target", *TARGET_COLUMNS, line=extract_line(pl.col("specifier"))),
        players,
    )
