"""Worlds of any size for the coverage page: frames as `storage.report` reads them.

Classes are counted here once more, in plain Python.
"""

import json
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from palimpsest_pipeline.storage.marts.page_coverage import SKEWS_SCHEMA, Coverage, Trends
from palimpsest_pipeline.tables.frame_types import get_frame_schema

from .frame_schemas import (
    GAPS_NOW_SCHEMA,
    GAPS_SCHEMA,
    LEADS_SCHEMA,
    LISTINGS_SCHEMA,
    MARGINS_SCHEMA,
    PLATFORMS_SCHEMA,
    RATES_SCHEMA,
)

AS_OF = datetime(2026, 11, 22, 6, 0, 12, tzinfo=UTC)
CYCLE_ID = 20261122055003123
HOME = "betpawa"
COMPETITORS = ("sportybet", "bet9ja")
PLATFORM_NAMES = {"betpawa": "BetPawa", "sportybet": "SportyBet", "bet9ja": "Bet9ja"}
COUNTRIES = ("England", "Spain", "Nigeria", "Côte d'Ivoire", "Türkiye", "Brazil", "Norway", "Poland", None)
STEMS = (
    "Atlético",
    "Tromsø",
    "Łódź",
    "Beşiktaş",
    "Enyimba",
    "São Paulo",
    "Brøndby",
    "Málaga",
    "Kano Pillars",
    "Real",
    "Sporting",
    "Dynamo",
)
WORDS = ("City", "United", "Rovers", "FC", "SC", "Athletic", "Rangers", "Wanderers")
MARKETS = {"match_result": "1X2 - FT", "total_goals": "Total Goals Over/Under - FT"}
DAYS = 7


def platforms(failed: tuple[str, ...] = (), carried: tuple[str, ...] = ()) -> pl.DataFrame:
    rows = []
    for key, name in PLATFORM_NAMES.items():
        well = key not in failed and key not in carried
        looked_at = None if key in failed else AS_OF - timedelta(minutes=30) if key in carried else AS_OF
        rows.append(
            (
                key,
                name,
                "completed" if well else "failed",
                "" if well else "blocked: <b>403</b> & a block page",
                looked_at,
            )
        )
    return pl.DataFrame(rows, schema=PLATFORMS_SCHEMA, orient="row")


def coverage(
    size: int = 60,
    seed: int = 1,
    *,
    names: tuple[str, ...] = (),
    failed: tuple[str, ...] = (),
    carried: tuple[str, ...] = (),
) -> Coverage:
    """Some tens of fixtures a tournament; a tenth has begun.

    `names` are the home teams of the first fixtures to come.
    """
    draw = random.Random(seed)
    tournaments = [
        (f"sr:{100 + t}", draw.choice(COUNTRIES), f"{draw.choice(('Premier', 'First', 'Cup', 'Second'))} League {t}")
        for t in range(max(2, size // 9))
    ]
    seen = [p for p in PLATFORM_NAMES if p not in failed]
    fixtures: list[dict[str, Any]] = []
    listings: list[tuple[Any, ...]] = []
    leads: list[tuple[Any, ...]] = []
    gaps: list[tuple[Any, ...]] = []
    for n in range(size):
        key, country, name = draw.choice(tournaments)
        kickoff = AS_OF + timedelta(minutes=5 * draw.randrange(-200 if n % 10 == 9 else 1, 0 if n % 10 == 9 else 2000))
        on = [p for p in seen if draw.random() < 0.75] or [seen[n % len(seen)]]
        at_home, there = HOME in on, [p for p in COMPETITORS if p in on]
        unknown = [p for p in failed if p not in on]
        if at_home:
            fixture_class = "matched" if there else "undetermined" if set(unknown) & set(COMPETITORS) else "home_only"
        else:
            fixture_class = "undetermined" if HOME in unknown else "competitor_only"
        moved = 1800 if n % 17 == 0 and len(on) > 1 else 0
        sr_id = 60_000_000 + n
        fixtures.append(
            {
                "cycle_id": CYCLE_ID, "sr_id": sr_id, "as_of": AS_OF, "home_platform": HOME, "sport": "football", "tournament_key": key,
                "country": country, "tournament_name": name,
                "home_team": names[n] if n < len(names) else f"{draw.choice(STEMS)} {draw.choice(WORDS)} {n}",
                "away_team": f"{draw.choice(STEMS)} {draw.choice(WORDS)}", "effective_kickoff": kickoff, "kickoff_source": on[0],
                "started": kickoff <= AS_OF, "platforms": on, "n_listings_by_platform": json.dumps(dict.fromkeys(on, 2 if n % 23 == 0 else 1)),
                "fixture_class": fixture_class, "n_competitors": len(there), "kickoff_max_delta_s": moved, "rotated": n % 41 == 0,
                "suspect_code": "home_away_swapped" if n % 41 == 0 else None,
                "evidence": "partial" if unknown else "carried" if carried else "complete",
                "stale_since": AS_OF - timedelta(minutes=30) if carried else None, "mapping_version": "1", "computed_at": AS_OF,
            }
        )  # fmt: skip
        listings += [
            (sr_id, p, kickoff + timedelta(seconds=moved if k == len(on) - 1 else 0), draw.randrange(3, 180))
            for k, p in enumerate(on)
        ]
        apart = n % 13 == 5  # home and competitors were not looked at together
        gaps += [
            (sr_id, p, 0, 0, 17) if apart or p in carried else (sr_id, p, 7, 0 if n % 3 else 11, 0)
            for p in there
            if at_home
        ]
        if fixture_class == "competitor_only":
            leads += [
                (sr_id, p, AS_OF - timedelta(hours=30), p == "bet9ja", (kickoff - AS_OF) / timedelta(days=1) + 1.25)
                for p in there
            ]
    frame = pl.DataFrame(fixtures, schema=get_frame_schema("mart.coverage_fixture"))
    return Coverage(
        CYCLE_ID,
        AS_OF,
        "full",
        "scheduled",
        HOME,
        platforms=platforms(failed, carried),
        rates=_rates(frame, failed, carried),
        tournaments=_tournaments(frame, tournaments, failed),
        fixtures=frame,
        listings=pl.DataFrame(listings, schema=LISTINGS_SCHEMA, orient="row"),
        leads=pl.DataFrame(leads, schema=LEADS_SCHEMA, orient="row"),
        gaps=pl.DataFrame(gaps, schema=GAPS_NOW_SCHEMA, orient="row"),
    )


def _rates(fixtures: pl.DataFrame, failed: tuple[str, ...], carried: tuple[str, ...]) -> pl.DataFrame:
    rows = []
    for started in (False, True):
        rows_here = [row for row in fixtures.iter_rows(named=True) if started or not row["started"]]
        classes = Counter(row["fixture_class"] for row in rows_here)
        n_home = sum(HOME in row["platforms"] for row in rows_here)
        for platform in ("all", *PLATFORM_NAMES):
            mine = [row for row in rows_here if platform == "all" or platform in row["platforms"]]
            matched = (
                sum(HOME in row["platforms"] for row in mine)
                if platform in COMPETITORS
                else sum(row["fixture_class"] == "matched" for row in mine)
            )
            completeness = "failed" if platform in (*failed, *carried) else "complete"
            rests_on = set(PLATFORM_NAMES) if platform == "all" else {HOME, platform}
            evidence = "partial" if rests_on & set(failed) else "carried" if rests_on & set(carried) else "complete"
            rows.append(
                {
                    "platform": platform, "include_started": started, "n_listings": len(mine) + (3 if mine else 0), "n_listings_with_sr": len(mine),
                    "n_fixtures": len(mine), "n_matched_fixtures": matched, "n_matched_listings": matched,
                    "listing_match_rate": matched / (len(mine) + 3) if mine else None, "fixture_match_rate": matched / len(mine) if mine else None,
                    "home_covered_rate": matched / n_home if n_home else None,
                    "overall_match_rate": matched / len(mine) if platform == "all" and mine else None, "link_accuracy": 1.0, "n_home": n_home,
                    "n_home_only": classes["home_only"], "n_competitor_only": classes["competitor_only"], "n_undetermined": classes["undetermined"],
                    "n_union": len(rows_here), "dup_ratio": 1.0, "completeness": completeness, "evidence": evidence,
                }
            )  # fmt: skip
    constant = {
        "cycle_id": CYCLE_ID,
        "as_of": AS_OF,
        "home_platform": HOME,
        "delta_vs_prev": None,
        "mapping_version": "1",
        "computed_at": AS_OF,
    }
    return pl.DataFrame([row | constant for row in rows], schema=get_frame_schema("mart.match_rate_platform"))


def _tournaments(fixtures: pl.DataFrame, tournaments: list[tuple[Any, ...]], failed: tuple[str, ...]) -> pl.DataFrame:
    rows = []
    by_key: dict[str, list[dict[str, Any]]] = {}
    for row in fixtures.iter_rows(named=True):
        by_key.setdefault(row["tournament_key"], []).append(row)
    for key, country, name in tournaments:
        for started in (False, True):
            mine = [row for row in by_key.get(key, []) if started or not row["started"]]
            for platform in (*COMPETITORS, "any"):
                there = [
                    bool(set(COMPETITORS if platform == "any" else [platform]) & set(row["platforms"])) for row in mine
                ]
                home = [HOME in row["platforms"] for row in mine]
                unseen = bool(set(failed) & set(COMPETITORS)) if platform == "any" else platform in failed
                outcome = Counter(
                    "matched"
                    if h and t
                    else ("undetermined" if unseen else "home_only")
                    if h
                    else "undetermined"
                    if HOME in failed
                    else "platform_only"
                    for h, t in zip(home, there, strict=True)
                    if h or t
                )
                rows.append(
                    {
                        "tournament_key": key, "platform": platform, "include_started": started, "sport": "football", "country": country,
                        "display_name": name, "n_home": sum(home), "n_platform": sum(there), "n_matched": outcome["matched"],
                        "n_home_only": outcome["home_only"], "n_platform_only": outcome["platform_only"], "n_undetermined": outcome["undetermined"],
                        "n_unidentified": 1 if key.endswith("5") else 0, "platform_gap": sum(there) > 0 and not sum(home),
                        "home_gap": sum(home) > 0 and not sum(there), "missing_sr_ids": [],
                    }
                )  # fmt: skip
    constant = {
        "cycle_id": CYCLE_ID, "as_of": AS_OF, "home_platform": HOME, "home_covered_rate": None, "fixture_match_rate": None,
        "earliest_missing_kickoff": None, "mapping_version": "1", "computed_at": AS_OF,
    }  # fmt: skip
    return pl.DataFrame([row | constant for row in rows], schema=get_frame_schema("mart.coverage_tournament"))


def trends(n_cycles: int = 40, seed: int = 1) -> Trends:
    """A cycle each half hour, with a failed and a carried one; margins and gaps of two weeks of kickoffs."""
    draw = random.Random(seed)
    rates, skews = [], []
    for n in range(n_cycles):
        at = AS_OF - timedelta(minutes=30) * (n_cycles - 1 - n)
        evidence = "partial" if n == n_cycles // 2 else "carried" if n == n_cycles // 3 else "complete"
        union, matched = 2000 + 3 * n + draw.randrange(20), 1650 + 2 * n + draw.randrange(30)
        for platform in ("all", *PLATFORM_NAMES):
            rate = (matched + {"all": 0, "betpawa": 90, "sportybet": 200}.get(platform, 120)) / union
            rates.append(
                (
                    n,
                    at,
                    platform,
                    matched,
                    120,
                    union - matched - 130,
                    10,
                    union,
                    rate if platform == "all" else None,
                    rate,
                    rate,
                    evidence,
                )
            )
        skews.append((at, draw.uniform(250, 420), draw.uniform(900, 1500)))
    margins, gaps = [], []
    for k in range(12):
        day = (AS_OF + timedelta(days=k - 6)).date()
        for p, platform in enumerate(PLATFORM_NAMES):
            for market, low in (("match_result", 0.05), ("total_goals", 0.07)):
                margins += [
                    (day, platform, market, bucket, low + 0.01 * p + 0.004 * b + draw.uniform(-0.002, 0.002))
                    for b, bucket in enumerate(("<24h", "24-72h", "3-7d"))
                ]
        if k < 7:
            for platform in COMPETITORS:
                gaps += [
                    (day, platform, hours, 90, 90 * draw.randrange(8, 20), 90 * draw.randrange(20, 40), 90, 180, 45)
                    for hours in (0, 1, 24)
                ]
    return Trends(
        AS_OF - timedelta(days=DAYS),
        rates=pl.DataFrame(rates, schema=RATES_SCHEMA, orient="row"),
        skews=pl.DataFrame(skews, schema=SKEWS_SCHEMA, orient="row"),
        skew_every=1,
        margins=pl.DataFrame(margins, schema=MARGINS_SCHEMA, orient="row"),
        gaps=pl.DataFrame(gaps, schema=GAPS_SCHEMA, orient="row"),
    )
