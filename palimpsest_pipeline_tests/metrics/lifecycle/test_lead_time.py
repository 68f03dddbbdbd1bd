"""Lead times worked out by hand, and against a walk through the looks."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from palimpsest_pipeline.metrics.lifecycle.lead_time import DEPTH_HOURS, LEAD_TIME_SCHEMA, compute_lead_times
from palimpsest_pipeline.metrics.lifecycle_frames import LISTED_KICKOFFS_SCHEMA
from palimpsest_pipeline.tables.lifecycle import ListingLeadTime
from palimpsest_pipeline_tests.fixtures.examples import count_examples

from ..life_worlds import (
    RESULT,
    SCORER_ANN,
    TOTAL,
    Book,
    Life,
    absent,
    at,
    disordered,
    listed,
    make_answer,
    markets_priced,
    no_price,
    priced,
    random_lives,
)

KICKOFF: Final = at(9, 18)
LATER: Final = at(10, 0)
ONE: Final[Book] = {RESULT: priced(2000, 3400, 3600)}
TWO: Final[Book] = ONE | {TOTAL: priced(1900, 1900)}
Claims = Mapping[int, Sequence[tuple[datetime, datetime]]]


def lead(life: Life, claims: Claims, as_of: datetime = LATER) -> pl.DataFrame:
    return compute_lead_times(**lead_frames(life, claims), as_of=as_of)


def lead_frames(life: Life, claims: Claims) -> dict[str, pl.DataFrame]:
    frames = life.frames()
    del frames["changes"]
    rows = [(listing_id, *claim) for listing_id, versions in claims.items() for claim in versions]
    return frames | {"listed_kickoffs": pl.DataFrame(rows, schema=LISTED_KICKOFFS_SCHEMA, orient="row")}


def test_the_columns_are_those_of_the_table() -> None:
    assert set(LEAD_TIME_SCHEMA) == {column.name for column in ListingLeadTime.__table__.columns} - {
        "kickoff_date",
        "as_of",
        "mapping_version",
        "computed_at",
    }
    assert {column.name for column in ListingLeadTime.__table__.primary_key} == {"sr_id", "platform"}


def test_who_listed_and_priced_a_fixture_first() -> None:
    holders = {11: (1, "betpawa"), 12: (1, "sportybet"), 22: (2, "sportybet")}
    looks = [
        absent(1, at(4, 18), listing_id=11),
        listed(2, at(5, 18), 11),
        make_answer(3, at(6, 12), {RESULT: no_price(3)}, 11),
        make_answer(4, at(6, 18), ONE, 11),
        make_answer(5, at(8, 18), TWO, 11),
        make_answer(6, at(9, 17, 30), TWO | {SCORER_ANN: priced(2500)}, 11),
        make_answer(2, at(5, 6), TWO, 12),
        absent(3, at(6, 0), listing_id=12),
        listed(2, at(7, 6), 22),
    ]
    claims = {
        11: [(at(5, 18), at(9, 15)), (at(6, 12), KICKOFF)],
        12: [(at(5, 6), at(9, 19))],
        22: [(at(7, 7), at(11, 6))],
    }
    life = Life(looks, {1: [(at(5, 6), at(9, 19)), (at(6, 12), KICKOFF)], 2: [(at(7, 7), at(11, 6))]}, holders)
    home, *others = lead(life, claims).to_dicts()
    assert home == {
        "sr_id": 1,
        "platform": "betpawa",
        "first_listed_at": at(5, 18),
        "first_priced_at": at(6, 18),
        "first_market_depth": 1,
        "listed_censored": False,
        "kickoff_at_first_listing": at(9, 15),
        "effective_kickoff": KICKOFF,
        "lead_days_listed": 4.0,
        "lead_days_priced": 3.0,
        "home_lead_diff_days": 0.0,
        "n_markets_at_72h": 1,
        "n_markets_at_24h": 2,
        "n_markets_at_1h": 2,
        "last_seen_at": at(9, 17, 30),
        "ended_by": "kickoff",
    }
    assert [(row["platform"], row["lead_days_listed"], row["ended_by"]) for row in others] == [
        ("sportybet", 4.5, "dropped"),
        ("sportybet", 4.0, None),
    ]


def test_a_listing_whose_kickoffs_were_all_refused_has_its_leads_and_no_first_kickoff() -> None:
    life = Life([make_answer(1, at(6, 18), ONE)], {1: [(at(6, 18), KICKOFF)]})
    columns = ("lead_days_listed", "lead_days_priced", "effective_kickoff")
    assert lead(life, {})["kickoff_at_first_listing"].to_list() == [None]
    assert lead(life, {}).select(columns).row(0) == lead(life, {11: [(at(6, 18), KICKOFF)]}).select(columns).row(0)


def test_what_cannot_be_told_is_refused() -> None:
    life = Life([listed(1, at(6, 18))], {1: [(at(6, 18), KICKOFF)]})
    with pytest.raises(ValueError, match="1 fixtures have no kickoff, first sr_id 1"):
        lead(Life(life.looks, {}), {11: [(at(6, 18), KICKOFF)]})
    with pytest.raises(ValueError, match="naive datetime"):
        lead(life, {11: [(at(6, 18), KICKOFF)]}, datetime(2026, 5, 9))  # noqa: DTZ001


def test_no_listings_give_no_rows() -> None:
    rows = lead(Life([], {}), {})
    assert (rows.height, rows.schema) == (0, pl.Schema(LEAD_TIME_SCHEMA))


def walked(life: Life, claims: Claims, as_of: datetime) -> list[dict[str, Any]]:
    """The same table, look after look."""
    rows = []
    for listing_id, (sr_id, platform) in life.holders.items():
        kickoff = life.kickoffs[sr_id][-1][1]
        looks = sorted((look for look in life.looks if look.listing_id == listing_id), key=lambda look: look.at)
        shown = [look.at for look in looks if look.look in ("answered", "listed")]
        if not shown:
            continue
        answers = [(look.at, markets_priced(look.book)) for look in looks if look.book is not None]
        first_price = next(((when, n) for when, n in answers if n > 0), None)
        before = [look.look for look in looks if look.at < kickoff]
        words = [look for look in before if look not in ("failed", "unknown")]
        ended_by = "kickoff" if before and before[-1] in ("answered", "listed") else "unknown"
        if kickoff > as_of:
            ended_by = None
        row = {
            "sr_id": sr_id,
            "platform": platform,
            "first_listed_at": shown[0],
            "first_priced_at": first_price and first_price[0],
            "first_market_depth": first_price and first_price[1],
            "listed_censored": all(look.look != "absent" for look in looks if look.at < shown[0]),
            "kickoff_at_first_listing": (
                [claim for since, claim in claims[listing_id] if since <= shown[0]] or [claims[listing_id][0][1]]
            )[-1],
            "effective_kickoff": kickoff,
            "lead_days_listed": (kickoff - shown[0]) / timedelta(days=1),
            "lead_days_priced": (kickoff - first_price[0]) / timedelta(days=1) if first_price else None,
            "last_seen_at": shown[-1],
            "ended_by": "dropped" if words and words[-1] == "absent" else ended_by,
        }
        for hours in DEPTH_HOURS:
            until = kickoff - timedelta(hours=hours)
            depths = [n for when, n in answers if when <= until <= as_of]
            row[f"n_markets_at_{hours}h"] = depths[-1] if depths else None
        rows.append(row)
    home = {row["sr_id"]: row["lead_days_listed"] for row in rows if row["platform"] == "betpawa"}
    for row in rows:
        row["home_lead_diff_days"] = row["lead_days_listed"] - home[row["sr_id"]] if row["sr_id"] in home else None
    return sorted(rows, key=lambda row: (row["sr_id"], row["platform"]))


@st.composite
def lives_with_claims(draw: st.DrawFn) -> tuple[Life, Claims, datetime]:
    life = draw(random_lives())
    instants = st.sampled_from([look.at + timedelta(minutes=shift) for look in life.looks for shift in (-1, 0, 1500)])
    claims = {
        listing_id: sorted(
            draw(st.lists(st.tuples(instants, instants), min_size=1, max_size=3, unique_by=lambda claim: claim[0]))
        )
        for listing_id in life.holders
    }
    return life, claims, draw(instants)


@settings(max_examples=count_examples(60))
@given(lives_with_claims(), st.randoms(use_true_random=False))
def test_the_table_is_that_of_a_walk_through_the_looks_whatever_the_order_and_repetition_of_rows(
    drawn: tuple[Life, Claims, datetime], random: Random
) -> None:
    life, claims, as_of = drawn
    expected = pl.DataFrame(walked(life, claims, as_of), schema=LEAD_TIME_SCHEMA)
    given_ = disordered(lead_frames(life, claims), random)
    assert_frame_equal(compute_lead_times(**given_, as_of=as_of), expected, check_exact=False, rel_tol=1e-12)
