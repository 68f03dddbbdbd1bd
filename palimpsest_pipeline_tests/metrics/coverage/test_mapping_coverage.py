"""Mapping coverage and the ranking of what is unmapped, on small worlds counted by hand and on worlds drawn at
random.
"""

from collections import defaultdict
from datetime import UTC, datetime

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from palimpsest_pipeline.metrics import build_mapping_coverage, build_unmapped_market
from palimpsest_pipeline.metrics.coverage import coverage_laws
from palimpsest_pipeline.metrics.coverage.mapping_coverage import (
    MAPPING_COUNTS_SCHEMA,
    UNMAPPED_KEY,
    UNMAPPED_MARKET_SCHEMA,
)

AS_OF = datetime(2026, 6, 26, 10, tzinfo=UTC)
FIRST = datetime(2026, 6, 25, 9, tzinfo=UTC)
KNOWN = {"platform": pl.String, "sport": pl.String, "external_market_id": pl.String}
ADDED = {"impact_rank", "status", "reason", "proposed_market_key", "proposal_evidence"}
SEEN = {name: kind for name, kind in UNMAPPED_MARKET_SCHEMA.items() if name not in ADDED}
ERRORS = ("", "unknown_market", "unknown_param", "no_matching_outcomes")


def counts(*rows: tuple[str, str, str, int, list[int]]) -> pl.DataFrame:
    """(platform, family, error class, markets, listings)."""
    return pl.DataFrame(
        [(p, "football", f, e, n, ids) for p, f, e, n, ids in rows], schema=MAPPING_COUNTS_SCHEMA, orient="row"
    )


def matches(**of_listing: str) -> pl.DataFrame:
    """l1="a": listing 1 is match a."""
    return pl.DataFrame(
        [(int(k[1:]), v) for k, v in of_listing.items()],
        schema={"listing_id": pl.Int32, "match": pl.String},
        orient="row",
    )


def entry(
    market: str,
    n_fixtures: int = 1,
    occurrences: int = 1,
    errors: tuple[str, ...] = ("unknown_market",),
    **changes: object,
) -> dict[str, object]:
    return {
        "platform": "bet9ja",
        "sport": "football",
        "external_market_id": market,
        "specifier_schema": "",
        "error_classes": list(errors),
        "name": f"name of {market}",
        "sample_specifier": "",
        "sample_outcomes": '["1=Home"]',
        "n_fixtures": n_fixtures,
        "occurrences": occurrences,
        "n_cycles": 1,
        "first_seen": FIRST,
        "last_seen": AS_OF,
        **changes,
    }


def ranked(
    *entries: dict[str, object],
    known: tuple[str, ...] = (),
    triaged: tuple[tuple[str, str], ...] = (),
    proposed: tuple[tuple[str, str], ...] = (),
) -> pl.DataFrame:
    market = ("bet9ja", "football")
    return build_unmapped_market(
        pl.DataFrame(list(entries), schema=SEEN),
        pl.DataFrame([(*market, m) for m in known], schema=KNOWN, orient="row"),
        pl.DataFrame(
            [(*market, m, s, "why") for m, s in triaged],
            schema={**KNOWN, "status": pl.String, "reason": pl.String},
            orient="row",
        ),
        pl.DataFrame(
            [(*market, m, "", k, "evidence") for m, k in proposed],
            schema=dict.fromkeys([*UNMAPPED_KEY, "proposed_market_key", "proposal_evidence"], pl.String),
            orient="row",
        ),
    )


def test_rates_and_matches_are_counted_per_family_and_what_is_unknown_has_a_family_of_its_own():
    found = build_mapping_coverage(
        counts(
            ("bet9ja", "total", "", 6, []),
            ("bet9ja", "total", "unknown_param", 1, [1, 2]),
            ("bet9ja", "total", "no_matching_outcomes", 1, [2, 3]),
            ("bet9ja", "", "unknown_market", 4, [9]),
            ("betpawa", "result", "", 3, []),
        ),
        matches(l1="a", l2="a", l3="b"),
        AS_OF,
    )
    assert found.drop("as_of", "sport").rows() == [
        ("bet9ja", "total", 8, 6, 0.75, 0, 1, 1, 2),
        ("bet9ja", "unknown", 4, 0, 0.0, 4, 0, 0, 1),
        ("betpawa", "result", 3, 3, 1.0, 0, 0, 0, 0),
    ]
    assert found["as_of"].unique().to_list() == [AS_OF]


def test_a_cycle_without_markets_has_no_rows():
    assert build_mapping_coverage(counts(), matches(), AS_OF).is_empty()


COUNTED = st.dictionaries(
    st.tuples(st.sampled_from(["betpawa", "bet9ja"]), st.sampled_from(["result", "total"]), st.sampled_from(ERRORS)),
    st.tuples(st.integers(1, 99), st.lists(st.integers(1, 6), min_size=1, max_size=4, unique=True)),
)


@given(COUNTED, st.lists(st.sampled_from("abc"), min_size=6, max_size=6))
def test_coverage_adds_up_whatever_was_seen_and_in_whatever_order(
    world: dict[tuple[str, str, str], tuple[int, list[int]]], same: list[str]
):
    rows = [(p, "" if e == "unknown_market" else f, e, n, ids if e else []) for (p, f, e), (n, ids) in world.items()]
    frame = counts(*rows)
    found = build_mapping_coverage(frame, matches(**{f"l{n}": m for n, m in enumerate(same, 1)}), AS_OF)
    assert found.equals(
        build_mapping_coverage(frame.reverse(), matches(**{f"l{n}": m for n, m in enumerate(same, 1)}), AS_OF)
    )
    assert found["n_markets_seen"].sum() == sum(n for n, _ in world.values())
    affected = defaultdict(set)
    for platform, family, error, _, ids in rows:
        affected[platform, family or "unknown"] |= {same[i - 1] for i in ids} if error else set()
    assert {(p, f): n for p, f, n in found.select("platform", "family", "n_fixtures_affected").iter_rows()} == {
        k: len(v) for k, v in affected.items()
    }
    ledger = frame.filter(pl.col("error_class") != "").with_columns(
        cycle_id=pl.lit(1, pl.Int64), occurrences="n_markets"
    )
    assert coverage_laws.find_miscounted_mapping(found.with_columns(cycle_id=pl.lit(1, pl.Int64)), ledger).is_empty()


def test_an_occurrence_that_is_lost_on_the_way_breaks_the_law():
    seen = counts(("bet9ja", "total", "", 6, []), ("bet9ja", "total", "unknown_param", 2, [1]))
    coverage = build_mapping_coverage(seen, matches(l1="a"), AS_OF).with_columns(cycle_id=pl.lit(1, pl.Int64))
    ledger = seen.filter(pl.col("error_class") != "").with_columns(
        cycle_id=pl.lit(1, pl.Int64), occurrences=pl.lit(1, pl.Int32)
    )
    (told,) = coverage_laws.find_miscounted_mapping(coverage, ledger)["violation"]
    assert told == "cycle 1, bet9ja football unknown_param: 2 occurrences counted, 1 in core.unmapped_markets"
    (told, _) = coverage_laws.find_miscounted_mapping(coverage.with_columns(n_mapped=pl.col("n_mapped") - 1), ledger)[
        "violation"
    ]
    assert told == "cycle 1, bet9ja football total: 5 mapped and the unmapped are not the 8 seen"


def test_a_low_rate_and_a_fall_are_told_apart_and_the_first_cycle_cannot_fall():
    def rates(*rows: tuple[int, str, float]) -> pl.DataFrame:
        return pl.DataFrame(
            rows, schema={"cycle_id": pl.Int64, "platform": pl.String, "mapped_rate": pl.Float64}, orient="row"
        )

    assert coverage_laws.find_low_mapped_rates(rates((1, "bet9ja", 0.96), (2, "bet9ja", 0.955)), 0.95).is_empty()
    assert coverage_laws.find_low_mapped_rates(rates((1, "bet9ja", 0.99)), 0.95).is_empty()
    low = coverage_laws.find_low_mapped_rates(rates((1, "bet9ja", 0.5), (2, "bet9ja", 0.9)), 0.95)
    assert low["violation"].to_list() == ["bet9ja: 0.9 of its markets are mapped, less than 0.95"]
    fallen = coverage_laws.find_low_mapped_rates(
        rates((1, "bet9ja", 0.99), (2, "bet9ja", 0.97), (2, "betpawa", 1.0)), 0.95
    )
    assert fallen["violation"].to_list() == ["bet9ja: mapped fell from 0.99 to 0.97"]


def test_the_ranking_is_per_platform_by_matches_and_then_by_occurrences():
    found = ranked(
        entry("A", 5, 10),
        entry("B", 8, 1),
        entry("C", 5, 11),
        entry("D", 5, 10),
        entry("E", 1, 1, platform="sportybet"),
        entry("A", 1, specifier_schema="line"),
    )
    assert found.select("platform", "impact_rank", "external_market_id", "specifier_schema").rows() == [
        ("bet9ja", 1, "B", ""),
        ("bet9ja", 2, "C", ""),
        ("bet9ja", 3, "A", ""),
        ("bet9ja", 4, "D", ""),
        ("bet9ja", 5, "A", "line"),
        ("sportybet", 1, "E", ""),
    ]


def test_a_market_is_new_until_triage_or_the_vocabulary_says_otherwise():
    found = ranked(
        entry("new"),
        entry("left", 2),
        entry("seen", 3),
        entry("known", 4),
        entry("form", 5, errors=("unknown_param",)),
        entry("both", 6, errors=("unknown_market", "unknown_param")),
        known=("known", "form", "both"),
        triaged=(("left", "ignored"), ("seen", "acknowledged")),
        proposed=(("new", "match_result"),),
    )
    assert {
        m: (s, r, k)
        for m, s, r, k in found.select("external_market_id", "status", "reason", "proposed_market_key").iter_rows()
    } == {
        "new": ("new", None, "match_result"),
        "left": ("ignored", "why", None),
        "seen": ("acknowledged", "why", None),
        "known": ("mapped", None, None),
        "form": ("new", None, None),
        "both": ("new", None, None),
    }


def test_an_empty_ledger_has_an_empty_ranking():
    assert ranked(known=("known",)).is_empty()
