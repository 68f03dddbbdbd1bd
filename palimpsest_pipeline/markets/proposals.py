"""Proposals for unmapped markets: a likely canonical market and the evidence. They are never applied.

A person who adds mappings decides on them. Names are compared after different words for the same thing ("first half",
"over/under", "home team") are replaced by one word. Words that change the bet (which half, which side, corners or
cards) must be equal, however similar the rest is.
"""

import re
from functools import cache
from typing import Final

import polars as pl
from rapidfuzz import fuzz, process

from .canonical_markets import SPECIFIER_PARTS
from .vocabulary import Vocabulary, assign_to_platforms

PROPOSAL_KEY: Final = ["platform", "sport", "external_market_id", "specifier_schema"]
PROPOSALS_SCHEMA: Final[dict[str, pl.DataType]] = {
    **dict.fromkeys([*PROPOSAL_KEY, "proposed_market_key", "proposal_evidence"], pl.String())
}

MIN_LIKENESS: Final = 88.0
"""Minimum similarity of two names, 0 to 100.

Chosen with the names that three platforms give to bets known to be the same.
"""
MIN_LIKENESS_LEAD: Final = 4.0
"""Minimum lead in similarity of the best market over the next one, below which nothing is proposed."""

SPELLINGS: Final = (
    (r"half[- ]?time\s*/\s*full[- ]?time|ht\s*/\s*ft", "htft"),
    (r"(1st|first) half|half[- ]?time|\b1ht\b|\bht\b|\b1st h\b", "1h"),
    (r"(2nd|second) half|\b2ht\b|\b2nd h\b", "2h"),
    (r"full[- ]?time|\bft\b|\bmatch\b|\bteam\b|\bscore\b(?= over)|yes\s*/\s*no", ""),
    (r"both teams to score|gg\s*/\s*ng|goal\s*/\s*no goal|\bgg\b", "btts"),
    (r"over\s*/\s*under|\bo\s*/\s*u\b|\bou\b|\btotals\b|\btotal over\b", "total"),
    (r"(\btotal\b\s*)+", "total "),
    (r"\bdc\b", "double chance"),
    (r"\bdnb\b", "draw no bet"),
    (r"odd\s*(/|or)\s*even", "oddeven"),
    (r"multi ?goals?", "multigoals"),
    (r"\bcards?\b|\bbookings\b", "booking"),
    (r"\bcorner\b", "corners"),
    (r"\bgoals?\b(?=.*total)|(?<=total )goals?\b", ""),
    (r"\bresult\b|\b1x2\b", "1x2"),
)
PARTS_WITHOUT_LINE: Final = frozenset({"", "variant"})
"""Parts of a raw specifier that are not a line."""
DECISIVE_WORDS_PATTERN: Final = re.compile(
    r"1h|2h|htft|home|away|draw|asian|early|corners|booking|btts|total|oddeven|1x2|double|handicap|multigoals|exact|correct|player|scorer"
    r"|first|last|next|none|either|both|minutes|or|and|to|\d.*"
)
"""Words that change the bet, and numbers. They must be equal in two names."""


def propose_mappings(unmapped: pl.DataFrame, vocabulary: Vocabulary) -> pl.DataFrame:
    """Return one row of `PROPOSALS_SCHEMA` per unmapped market with a proposal, sorted by `PROPOSAL_KEY`.

    `unmapped` has one row per `PROPOSAL_KEY`, and `name`. If the vocabulary has the market's id with other specifiers,
    the proposal is the canonical market of that id. Otherwise it is the market with the most similar name among those
    of the same sport that also have a line, or also have none. The result depends only on names, specifiers and
    vocabulary.
    """
    markets_to_propose = unmapped.select(*PROPOSAL_KEY, "name").sort(PROPOSAL_KEY)
    markets = vocabulary.markets.select("market_id", "market_key")
    first_keys = (
        assign_to_platforms(vocabulary.keys, markets_to_propose["platform"])
        .sort("key_id")
        .unique(PROPOSAL_KEY[:3], keep="first", maintain_order=True)
        .join(markets, on="market_id")
    )
    by_id = markets_to_propose.join(first_keys, on=PROPOSAL_KEY[:3]).select(
        *PROPOSAL_KEY,
        pl.col("market_key").alias("proposed_market_key"),
        proposal_evidence=pl.lit("the vocabulary has this id"),
    )
    rest = markets_to_propose.join(by_id, on=PROPOSAL_KEY, how="anti")
    rows = [
        (*row[:-1], *proposal)
        for row in rest.iter_rows()
        if (proposal := _propose_by_name(row[1], row[3], row[4], vocabulary))
    ]
    return pl.concat([by_id, pl.DataFrame(rows, schema=PROPOSALS_SCHEMA, orient="row")]).sort(PROPOSAL_KEY)


def _propose_by_name(sport: str, schema: str, name: str, vocabulary: Vocabulary) -> tuple[str, str] | None:
    """Return market key and evidence for one unmapped market, or None without a proposal."""
    has_line = bool(set(schema.split("|")) - PARTS_WITHOUT_LINE)
    query = _normalise_name(name)
    names = {
        key: market_name
        for key, market_name, market_sport, line_kind in vocabulary.markets.select(
            "market_key", "name", "sport", "line_kind"
        ).iter_rows()
        if market_sport == sport
        and bool(SPECIFIER_PARTS[line_kind]) == has_line
        and _find_decisive_words(_normalise_name(market_name)) == _find_decisive_words(query)
    }
    choices = {key: _normalise_name(market_name) for key, market_name in names.items()}
    matches = process.extract(
        query, choices, scorer=fuzz.token_sort_ratio, score_cutoff=MIN_LIKENESS - MIN_LIKENESS_LEAD, limit=2
    )
    if (
        not matches
        or matches[0][1] < MIN_LIKENESS
        or (len(matches) > 1 and matches[0][1] - matches[1][1] < MIN_LIKENESS_LEAD)
    ):
        return None
    _, score, key = matches[0]
    return key, f"its name is {score:.0f} % alike to {names[key]!r}"


@cache
def _normalise_name(name: str) -> str:
    """Return the name in lower case, with one word for all words of the same meaning."""
    text = name.lower()
    for pattern, word in SPELLINGS:
        text = re.sub(pattern, f" {word} ", text)
    return " ".join(re.findall(r"[a-z0-9.+]+", text))


@cache
def _find_decisive_words(name: str) -> frozenset[str]:
    return frozenset(w for w in name.split() if DECISIVE_WORDS_PATTERN.fullmatch(w))
