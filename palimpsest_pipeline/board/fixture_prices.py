"""The page of one fixture: all markets of all platforms side by side, and the history of one line.

Pure: rows of `storage.marts.board_reader` in, values for JSON out.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .price_grid import HomeRank, ListingRow, Offer, PlatformColumn, VocabularyMarket, build_cell


def build_markets(
    markets: Mapping[str, VocabularyMarket],
    offers: Iterable[Sequence[Any]],
    ranks: Iterable[Sequence[Any]],
    columns: Sequence[PlatformColumn],
) -> list[dict[str, Any]]:
    """Return one entry per market and line, in the order of `markets`.

    `offers` and `ranks` have the columns of OFFERS_SQL and FIXTURE_RANKS_SQL. An entry has, for each outcome, a name, a
    rank code (see HomeRank.code) and one price per column: decimal odds x 1000, negative while it cannot be backed.
    """
    known_ranks = {
        (market, line, outcome): HomeRank(bool(is_best), rank, n_comparable, best_platform)
        for market, line, outcome, is_best, rank, n_comparable, best_platform in ranks
    }
    entries: dict[tuple[str, str], dict[str, Any]] = {}
    places = {column.key: place for place, column in enumerate(columns)}
    for _, platform, market_key, line, outcome, state, prices, off_mask, margin, changed_s, since_s in offers:
        market = markets.get(market_key)
        if market is None or platform not in places:
            continue
        entry = entries.setdefault((market_key, line), _start_entry(market, line, len(columns)))
        offer, place = Offer(state, tuple(prices), off_mask, margin, changed_s, since_s), places[platform]
        entry["margins"][place] = margin
        entry["states"][place] = state
        names = [outcome] if outcome is not None else market.outcome_keys
        for k, key in enumerate(names):
            row = entry["outcomes"].setdefault(key, [None] * len(columns))
            price = offer.prices[k] if k < len(offer.prices) else None
            row[place] = price if price is None or offer.is_active(k) else -price
    order = {key: place for place, key in enumerate(markets)}
    return [
        {
            **entry,
            "outcomes": [
                {
                    "key": key,
                    "name": entry["names"].get(key, key),
                    "rank": rank.code if (rank := known_ranks.get((market_key, line, key))) else "",
                    "best": rank.best_platform if rank else None,
                    "odds": odds,
                }
                for key, odds in sorted(entry["outcomes"].items(), key=lambda item: _rank_outcome(entry, item[0]))
                if any(price is not None for price in odds)
            ],
        }
        for (market_key, line), entry in sorted(
            entries.items(), key=lambda item: (order[item[0][0]], _sort_line(item[0][1]))
        )
    ]


def build_past_markets(
    markets: Mapping[str, VocabularyMarket], lines: Iterable[tuple[str, str]], columns: Sequence[PlatformColumn]
) -> list[dict[str, Any]]:
    """Return the entries of `build_markets` without prices, for a fixture that has begun.

    `lines` are the pairs of market and line in its history. The outcomes are those of the vocabulary, in its order.
    """
    order = {key: place for place, key in enumerate(markets)}
    pairs = sorted((each for each in lines if each[0] in order), key=lambda each: (order[each[0]], _sort_line(each[1])))
    empty = {"rank": "", "best": None, "odds": [None] * len(columns)}
    return [
        entry | {"outcomes": [{"key": key, "name": name} | empty for key, name in entry["names"].items()]}
        for entry in (_start_entry(markets[key], line, len(columns)) for key, line in pairs)
    ]


def _start_entry(market: VocabularyMarket, line: str, n_columns: int) -> dict[str, Any]:
    names = dict(zip(market.outcome_keys, market.outcomes, strict=True))
    return {
        "market": market.key,
        "name": market.name,
        "line": line,
        "names": names,
        "outcomes": {},
        "margins": [None] * n_columns,
        "states": [None] * n_columns,
    }


def _rank_outcome(entry: Mapping[str, Any], key: str) -> tuple[int, str]:
    keys = list(entry["names"])
    return (keys.index(key) if key in keys else len(keys), key)


def _sort_line(line: str) -> tuple[float, str]:
    try:
        return (float(line.rpartition("=")[2]), line)
    except ValueError:
        return (0.0, line)


def build_listing_cells(
    columns: Sequence[PlatformColumn],
    listings: Mapping[str, ListingRow],
    unseen_platforms: set[str],
    max_skew_s: float,
    now_s: float,
) -> list[dict[str, Any]]:
    """Return one cell per platform that shows its listing: the result of `build_cell` without an offer."""
    return [
        build_cell(
            column,
            listings.get(column.key),
            None,
            is_unknown=column.key in unseen_platforms,
            max_skew_s=max_skew_s,
            now_s=now_s,
        )
        for column in columns
    ]


def build_history(
    changes: Iterable[Sequence[Any]],
    unseen: Iterable[Sequence[Any]],
    answers: Mapping[str, float | None],
    columns: Sequence[PlatformColumn],
) -> dict[str, Any]:
    """Return the price lines of each outcome: `outcomes` of {key, name, lines}.

    `changes` and `unseen` have the columns of HISTORY_SQL and UNSEEN_SQL. `answers` has the time of each platform's
    last answer. A line has the position of the platform's column (`place`), instants (`at`) and the values from these
    instants on (`values`). A value is the decimal odds. It is negative while the outcome could not be backed, and 0
    while there was no price or the platform was not observed. A line ends at the platform's last answer.
    """
    places = {column.key: place for place, column in enumerate(columns)}
    gaps: dict[str, list[tuple[float, float]]] = {}
    for platform, begin_s, end_s in unseen:
        gaps.setdefault(platform, []).append((begin_s, math.inf if end_s is None else end_s))
    outcomes: dict[str, dict[str, Any]] = {}
    steps: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for platform, key, name, observed_s, odds, is_active, _ in changes:
        if platform not in places:
            continue
        outcomes.setdefault(key, {"key": key, "name": name, "lines": []})
        steps.setdefault((key, platform), []).append(
            (observed_s, 0.0 if odds is None else odds if is_active else -odds)
        )
    for (key, platform), line in sorted(steps.items(), key=lambda item: places[item[0][1]]):
        instants = _add_gaps(line, gaps.get(platform, []))
        end_s = answers.get(platform) or instants[-1][0]
        if end_s > instants[-1][0]:
            instants.append((end_s, instants[-1][1]))
        outcomes[key]["lines"].append(
            {"place": places[platform], "at": [at for at, _ in instants], "values": [value for _, value in instants]}
        )
    return {"outcomes": list(outcomes.values())}


def _add_gaps(steps: Sequence[tuple[float, float]], gaps: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the steps with the value 0 in each gap, and at its end the value that then holds.

    A gap that has not ended ends at infinity, and nothing holds after it.
    """
    merged: list[tuple[float, float]] = []
    for begin_s, end_s in sorted(gaps):
        if merged and begin_s <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end_s))
        else:
            merged.append((begin_s, end_s))
    result = [(at, value) for at, value in steps if not any(begin <= at < end for begin, end in merged)]
    for begin_s, end_s in merged:
        values = [value for at, value in steps if at <= end_s]
        if values:
            result.append((begin_s, 0.0))
            if end_s != math.inf and not any(at == end_s for at, _ in steps):
                result.append((end_s, values[-1]))
    return sorted(result)
