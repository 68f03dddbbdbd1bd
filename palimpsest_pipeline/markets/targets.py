"""Where outcomes lead: from a platform's outcome id, under the keys that its market satisfies, to a canonical outcome.

Works on the distinct outcomes of a batch. Listed ids come first; then the templates of ids that are not listed, such as players'.
"""

import re
from typing import Final

import polars as pl

from ..domain.words import Platform
from .specifiers import OF_OUTCOME, line_of
from .vocabulary import Vocabulary

LADDER_OUTCOME: Final = r"^\d+:(\d{6})(\d{2})$"
"""Market, team, and n of "n or more"."""
PLAYER_PREFIX: Final = {Platform.SPORTYBET: "sr:player:"}
"""What makes a platform's number of a player the text under which all its markets name the player; BetPawa's number is that text."""

TARGET: Final = ("market_id", "specifier", "outcome", "ordinal")
_FOUND: Final[dict[str, pl.DataType]] = {
    "distinct": pl.UInt32(),
    "key_id": pl.UInt32(),
    "market_id": pl.Int16(),
    "specifier": pl.String(),
    "outcome": pl.String(),
    "ordinal": pl.Int16(),
    "player": pl.String(),
}


def lead(distinct: pl.DataFrame, candidates: pl.DataFrame, vocabulary: Vocabulary) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Where each of the distinct outcomes (distinct, instance, outcome_id) leads.

    Returns the choices: key_id, target and player (the outcome's text, if it is a player), one row for each distinct outcome, at its place, null
    where it leads nowhere; and the targets: target, the columns of TARGET, in whose order they are numbered, and line.
    """
    offered = distinct.join(candidates, on="instance")
    listed = _listed(offered, vocabulary)
    found = pl.concat([listed, _open(offered.join(listed, on="distinct", how="anti"))])
    # Few texts repeat often: as numbers they are cheap to tell apart.
    words = pl.Categorical(pl.Categories.random())
    first = found.sort("key_id").unique("distinct", keep="first", maintain_order=True).with_columns(pl.col("specifier", "outcome").cast(words))
    targets = first.select(TARGET).unique().sort(TARGET).with_row_index("target")
    chosen = distinct.select("distinct").join(first, on="distinct", how="left", maintain_order="left")
    choices = chosen.join(targets, on=TARGET, how="left", maintain_order="left").select("key_id", "target", "player")
    return choices, targets.with_columns(pl.col("specifier", "outcome").cast(pl.String)).with_columns(line=line_of(pl.col("specifier")))


def _listed(offered: pl.DataFrame, vocabulary: Vocabulary) -> pl.DataFrame:
    """Outcomes whose id the vocabulary lists. A ladder lists a team's "n or more" once, for every n."""
    rung = pl.col("outcome_id").str.extract_groups(LADDER_OUTCOME)
    plain = offered.filter(~pl.col("ladder")).with_columns(code="outcome_id")
    ladders = offered.filter("ladder").with_columns(code=rung.struct.field("1") + "+", text=_with_total(rung.struct.field("2")))
    return (
        pl.concat([plain, ladders])
        .filter(~pl.col("text").str.contains(OF_OUTCOME, literal=True))
        .join(vocabulary.outcome_keys, left_on=("key_id", "code"), right_on=("key_id", "external_outcome_id"))
        .select(
            "distinct",
            "key_id",
            "market_id",
            pl.col("text").alias("specifier"),
            pl.lit("").alias("outcome"),
            "ordinal",
            pl.lit(None, pl.String).alias("player"),
        )
    )


def _open(offered: pl.DataFrame) -> pl.DataFrame:
    """Outcomes whose id fits a key's template: one regex at a time, for there are few."""
    fits = [pl.DataFrame(schema=_FOUND)]
    for (pattern, platform), some in offered.filter(pl.col("open_pattern").is_not_null()).group_by("open_pattern", "platform"):
        groups = re.compile(str(pattern)).groupindex
        text = pl.lit(PLAYER_PREFIX.get(Platform(str(platform)), "")) + pl.col("player") if "player" in groups else pl.lit(None, pl.String)
        fits.append(
            some.select("distinct", "key_id", "market_id", "text", pl.col("outcome_id").str.extract_groups(str(pattern)).alias("groups"))
            .unnest("groups")
            .select(
                "distinct",
                "key_id",
                "market_id",
                specifier=_with_total(pl.col("at_least")) if "at_least" in groups else "text",
                outcome=text if "player" in groups else "outcome",
                ordinal=pl.lit(1, pl.Int16),
                player=text,
            )
        )
    return pl.concat(fits).filter(pl.col("specifier").is_not_null() & (pl.col("outcome") != ""))


def _with_total(at_least: pl.Expr) -> pl.Expr:
    """`text` with the total that "n or more" stands for; null when n is not one or more."""
    n = at_least.cast(pl.Int64, strict=False)
    total = (n - 1).cast(pl.String) + ".5"
    return pl.when(n > 0).then(pl.col("text").str.replace(OF_OUTCOME, total, literal=True))
