"""Laws that derived rows obey whatever the platforms say. Each returns its violations, one sentence a row, and an empty
frame when lawful.

They take the frames as written, of one cycle or several (told apart by `cycle_id` where it is there, and `as_of`), and
know nothing of how these were computed.
"""

from typing import Final

import polars as pl

from palimpsest_pipeline.domain.schemas import VIOLATIONS_SCHEMA

from .mapping_coverage import ERROR_BY_COUNT_COLUMN
from .match_rates import ALL_PLATFORMS
from .universe import ANY_COMPETITOR, CoverageUniverse

RATE_COLUMNS: Final = (
    "listing_match_rate",
    "fixture_match_rate",
    "home_covered_rate",
    "overall_match_rate",
    "link_accuracy",
    "change_ratio",
    "mapped_rate",
    "observed_share",
)
_RATE_COLUMNS_BY_COUNT: Final = {
    # coverage_tournament: (match_rate_platform of a competitor, of the union)
    "n_home": ("n_home", "n_home"),
    "n_platform": ("n_fixtures", None),
    "n_matched": ("n_matched_fixtures", "n_matched_fixtures"),
    "n_home_only": ("n_home_only", "n_home_only"),
    "n_platform_only": ("n_competitor_only", "n_competitor_only"),
    "n_undetermined": ("n_undetermined", "n_undetermined"),
    "n_unidentified": ("n_without_sr", "n_without_sr"),
}
CLOCK_TOLERANCE_S: Final = 300
"""Platforms round and correct kickoffs by minutes; a wrong time zone is off by at least a quarter of an hour."""
CLOCK_MIN_FIXTURES: Final = 5
"""Fewer shared fixtures say nothing about a clock: one postponement would decide."""


def classes_add_up(rates: pl.DataFrame) -> pl.DataFrame:
    """match_rate_platform: matched, home-only, competitor-only and undetermined fixtures are together the union, in
    every row.
    """
    parts = pl.sum_horizontal("n_matched_fixtures", "n_home_only", "n_competitor_only", "n_undetermined")
    sentence = pl.format(
        "{} matched + {} home-only + {} competitor-only + {} undetermined fixtures are not the union of {}",
        *("n_matched_fixtures", "n_home_only", "n_competitor_only", "n_undetermined", "n_union"),
    )
    return build_violations(
        "classes add up to the union", rates.filter(parts != pl.col("n_union")), _describe_platform_row(rates), sentence
    )


def fixtures_add_up(coverage: pl.DataFrame, rates: pl.DataFrame) -> pl.DataFrame:
    """coverage_fixture, counted by class, is the row `all` of match_rate_platform in both universes."""
    cycle = _select_cycle_columns(coverage, rates)
    started = pl.concat(
        [
            coverage.with_columns(include_started=pl.lit(value=True)),
            coverage.filter(~pl.col("started")).with_columns(include_started=pl.lit(value=False)),
        ]
    )
    of_class = pl.col("fixture_class")
    counted = started.group_by(*cycle, "include_started").agg(
        (of_class == "matched").sum().alias("matched"),
        (of_class == "home_only").sum().alias("home_only"),
        (of_class == "competitor_only").sum().alias("competitor_only"),
        (of_class == "undetermined").sum().alias("undetermined"),
    )
    both = rates.filter(pl.col("platform") == ALL_PLATFORMS).join(
        counted, on=[*cycle, "include_started"], how="full", coalesce=True
    )
    pairs = {
        "matched": "n_matched_fixtures",
        "home_only": "n_home_only",
        "competitor_only": "n_competitor_only",
        "undetermined": "n_undetermined",
    }
    both = both.with_columns(pl.col(*pairs, *pairs.values()).fill_null(0), pl.col("platform").fill_null(ALL_PLATFORMS))
    return pl.concat(
        build_violations(
            "fixtures add up to the rates",
            both.filter(pl.col(mine) != pl.col(theirs)),
            _describe_platform_row(both),
            pl.format("{} " + mine + " fixtures in coverage_fixture, {} in match_rate_platform", mine, theirs),
        )
        for mine, theirs in pairs.items()
    )


def tournaments_add_up(by_tournament: pl.DataFrame, rates: pl.DataFrame) -> pl.DataFrame:
    """Each count of coverage_tournament, summed over tournaments, is that of match_rate_platform: competitors with
    theirs, `any` with `all`.
    """
    key = [*_select_cycle_columns(by_tournament, rates), "include_started", "platform"]
    mine = by_tournament.group_by(key).agg(
        pl.col(name).sum().alias(f"{name}_summed") for name in _RATE_COLUMNS_BY_COUNT
    )
    theirs = rates.filter(pl.col("platform") != pl.col("home_platform")).with_columns(
        n_without_sr=pl.col("n_listings") - pl.col("n_listings_with_sr"),
        platform=pl.col("platform").replace({ALL_PLATFORMS: ANY_COMPETITOR}),
    )
    both = theirs.join(mine, on=key, how="full", coalesce=True)
    found = []
    for name, (competitor, union) in _RATE_COLUMNS_BY_COUNT.items():
        of_union = pl.lit(None, pl.Int32) if union is None else pl.col(union).fill_null(0)
        rows = both.with_columns(
            summed=pl.col(f"{name}_summed").fill_null(0),
            expected=pl.when(pl.col("platform") == ANY_COMPETITOR)
            .then(of_union)
            .otherwise(pl.col(competitor).fill_null(0)),
        ).filter(pl.col("summed") != pl.col("expected"))
        sentence = pl.format(
            "{} summed over tournaments is {}, match_rate_platform says {}", pl.lit(name), "summed", "expected"
        )
        found.append(
            build_violations("tournaments add up to the platforms", rows, _describe_platform_row(both), sentence)
        )
    return pl.concat(found)


def rates_are_ratios(frame: pl.DataFrame) -> pl.DataFrame:
    """Any derived frame: every rate is null or in [0, 1]."""
    return pl.concat(
        [
            pl.DataFrame(schema=VIOLATIONS_SCHEMA),
            *(
                build_violations(
                    "rates are ratios",
                    frame.filter(~pl.col(rate).is_between(0, 1)),
                    pl.lit(rate),
                    pl.format("{} is {}: not between 0 and 1", pl.lit(rate), rate),
                )
                for rate in RATE_COLUMNS
                if rate in frame.columns
            ),
        ]
    )


def classes_follow_platforms(coverage: pl.DataFrame) -> pl.DataFrame:
    """coverage_fixture: listed somewhere; matched exactly when home and a competitor list it; home-only and
    competitor-only agree with the list.
    """
    at_home = pl.col("platforms").list.contains(pl.col("home_platform"))
    listed, competitors = pl.col("platforms").list.len(), pl.col("n_competitors")
    of_class = pl.col("fixture_class")
    lawful = (
        (listed > 0)
        & (competitors == listed.cast(pl.Int32) - at_home.cast(pl.Int32))
        & ((of_class == "matched") == (at_home & (competitors > 0)))
        & ((of_class != "home_only") | (at_home & (competitors == 0)))
        & ((of_class != "competitor_only") | (~at_home & (competitors > 0)))
    )
    sentence = pl.format(
        "is {} with {} competitors, listed on: {}",
        "fixture_class",
        "n_competitors",
        pl.col("platforms").list.join(", "),
    )
    return build_violations(
        "classes follow the platforms", coverage.filter(~lawful), pl.format("sr_id {}", "sr_id"), sentence
    )


def no_listing_is_lost(universe: CoverageUniverse, rates: pl.DataFrame) -> pl.DataFrame:
    """match_rate_platform counts every match listing of the universe, identified or not (`rates`: of that universe
    alone).
    """
    counted = universe.listings.group_by("platform").agg(pl.len().alias("n_given"))
    both = (
        rates.filter(pl.col("include_started"), pl.col("platform") != ALL_PLATFORMS)
        .join(counted, on="platform", how="full", coalesce=True)
        .with_columns(pl.col("n_given", "n_listings").fill_null(0), pl.col("include_started").fill_null(value=True))
    )
    wrong = both.filter(pl.col("n_given") != pl.col("n_listings"))
    return build_violations(
        "no listing is lost",
        wrong,
        _describe_platform_row(both),
        pl.format("{} listings given, {} counted", "n_given", "n_listings"),
    )


def clocks_agree(shifts: pl.DataFrame) -> pl.DataFrame:
    """Kickoffs of a platform's listings and home's on shared fixtures: the median difference is nought, else somebody's
    time zone is misread.

    `shifts`: home_platform, platform, kickoff_at, home_kickoff; one row per platform and shared fixture.
    """
    far = (
        shifts.group_by("platform", "home_platform")
        .agg(
            (pl.col("kickoff_at") - pl.col("home_kickoff")).dt.total_seconds().median().alias("shift_s"),
            pl.len().alias("n"),
        )
        .filter(pl.col("n") >= CLOCK_MIN_FIXTURES, pl.col("shift_s").abs() > CLOCK_TOLERANCE_S)
        .sort("platform")
    )
    sentence = pl.format(
        "kickoffs differ from {}'s by {} s in the median of {} shared fixtures", "home_platform", "shift_s", "n"
    )
    return build_violations("clocks agree", far, pl.col("platform"), sentence)


def match_rates_are_usual(
    rates: pl.DataFrame, earlier: pl.DataFrame, tolerance: float, min_earlier: int = 3
) -> pl.DataFrame:
    """Match rates of one cycle are no further from the median of earlier cycles than `tolerance`, up or down (platform,
    completeness, match_rate).

    Only complete discoveries are compared: what an incomplete one does to a rate is said elsewhere. Fewer than
    `min_earlier` say nothing.
    """
    known = pl.col("completeness") == "complete", pl.col("match_rate").is_not_null()
    medians = (
        earlier.filter(*known)
        .group_by("platform")
        .agg(pl.col("match_rate").median().alias("usual"), pl.len().alias("n"))
    )
    far = (
        rates.filter(*known)
        .join(medians.filter(pl.col("n") >= min_earlier), on="platform")
        .filter((pl.col("match_rate") - pl.col("usual")).abs() > tolerance)
        .sort("platform")
    )
    sentence = pl.format(
        "match rate {}, usually {} (median of {} cycles)", pl.col("match_rate").round(3), pl.col("usual").round(3), "n"
    )
    return build_violations("match rates are usual", far, pl.col("platform"), sentence)


UNANSWERED_LAW: Final = "captures are answered"
"""Law of a capture of given fixtures, most of which it did not get: it may have had no time left."""


def no_stage_is_empty(quality: pl.DataFrame, max_drop: float = 0.5) -> pl.DataFrame:
    """run_quality: no stage failed, none fetched less than `1 - max_drop` of the trailing median, nor a capture of what
    it asked for.

    A capture that is complete has every listing answered, or said to be gone: then nothing is missing however few there
    are.
    """
    failed = quality.filter(pl.col("completeness") == "failed")
    dropped = quality.filter(pl.col("completeness") != "failed", pl.col("drop_vs_median") > max_drop)
    unanswered = quality.filter(
        pl.col("completeness") == "partial", pl.col("stage") == "capture", pl.col("drop_vs_median").is_null()
    ).filter(pl.col("fetched") < (1 - max_drop) * pl.col("declared"))
    subject = pl.format("{} {}", "platform", "stage")
    return pl.concat(
        [
            build_violations(
                "no stage is empty",
                failed,
                subject,
                pl.format("failed: {} fetched, {} parsed, {} stored", "fetched", "parsed", "stored"),
            ),
            build_violations(
                "no stage is empty",
                dropped,
                subject,
                pl.format(
                    "{} fetched, {} of the trailing median missing", "fetched", pl.col("drop_vs_median").round(3)
                ),
            ),
            build_violations(
                UNANSWERED_LAW, unanswered, subject, pl.format("{} fetched of {} asked for", "fetched", "declared")
            ),
        ]
    )


def changes_are_plausible(quality: pl.DataFrame, min_markets: int = 5_000) -> pl.DataFrame:
    """run_quality: of many markets, some change and some do not.

    None or all means the comparison is broken, not the market calm or wild.
    """
    compared = pl.col("changed") + pl.col("confirmed")
    wrong = quality.filter(compared >= min_markets, (pl.col("changed") == 0) | (pl.col("confirmed") == 0))
    sentence = pl.format("{} markets changed and {} did not", "changed", "confirmed")
    return build_violations("changes are plausible", wrong, pl.format("{} {}", "platform", "stage"), sentence)


def mapping_adds_up(coverage: pl.DataFrame, unmapped: pl.DataFrame) -> pl.DataFrame:
    """mapping_coverage: mapped and unmapped are together what was seen, and every unmapped occurrence is in the
    ledger (core.unmapped_markets).
    """
    row = pl.format("cycle {}, {} {} {}", "cycle_id", "platform", "sport", "family")
    wrong = coverage.filter(pl.sum_horizontal("n_mapped", *ERROR_BY_COUNT_COLUMN) != pl.col("n_markets_seen"))
    lost = build_violations(
        "mapping adds up",
        wrong,
        row,
        pl.format("{} mapped and the unmapped are not the {} seen", "n_mapped", "n_markets_seen"),
    )
    key = ["cycle_id", "platform", "sport", "error_class"]
    counted = coverage.rename(ERROR_BY_COUNT_COLUMN).unpivot(
        list(ERROR_BY_COUNT_COLUMN.values()), index=key[:3], variable_name="error_class", value_name="counted"
    )
    both = (
        counted.group_by(key)
        .agg(pl.col("counted").sum())
        .join(unmapped.group_by(key).agg(kept=pl.col("occurrences").sum()), on=key, how="full", coalesce=True)
        .with_columns(pl.col("counted", "kept").fill_null(0))
    )
    subject = pl.format("cycle {}, {} {} {}", "cycle_id", "platform", "sport", "error_class")
    sentence = pl.format("{} occurrences counted, {} in core.unmapped_markets", "counted", "kept")
    return pl.concat(
        [lost, build_violations("mapping adds up", both.filter(pl.col("counted") != pl.col("kept")), subject, sentence)]
    )


def markets_are_mapped(rates: pl.DataFrame, min_rate: float, max_drop: float = 0.01) -> pl.DataFrame:
    """Mapped rates of two full cycles (cycle_id, platform, mapped_rate): in the last one none is below `least`, none
    fell by more than `max_drop`.
    """
    last = rates.filter(pl.col("cycle_id") == pl.col("cycle_id").max())
    before = rates.filter(pl.col("cycle_id") != pl.col("cycle_id").max()).select("platform", was="mapped_rate")
    low = last.filter(pl.col("mapped_rate") < min_rate)
    fallen = last.join(before, on="platform").filter(pl.col("was") - pl.col("mapped_rate") > max_drop)
    rate = pl.col("mapped_rate").round(4)
    return pl.concat(
        [
            build_violations(
                "markets are mapped",
                low,
                pl.col("platform"),
                pl.format("{} of its markets are mapped, less than {}", rate, pl.lit(min_rate)),
            ),
            build_violations(
                "markets are mapped",
                fallen,
                pl.col("platform"),
                pl.format("mapped fell from {} to {}", pl.col("was").round(4), rate),
            ),
        ]
    )


def prices_are_from_before_kickoff(prices: pl.DataFrame) -> pl.DataFrame:
    """open_close: nothing that was seen at kickoff or later is an opening or closing price, and while kickoff is to
    come nothing is a closing one.
    """
    seen = pl.max_horizontal("open_observed_at", "close_observed_at", "close_last_confirmed_at")
    to_come = pl.col("effective_kickoff") > pl.col("as_of")
    closed = pl.col("close_quality").is_not_null() | pl.col("close_odds").is_not_null()
    late, early = seen >= pl.col("effective_kickoff"), to_come & closed
    row = pl.format("sr_id {}, {} {} {} {}", "sr_id", "platform", "market_key", "specifier", "outcome_key")
    sentence = (
        pl.when(late)
        .then(pl.format("a price of {} is not from before the kickoff at {}", seen, "effective_kickoff"))
        .otherwise(pl.format("has a closing price as of {}, before the kickoff at {}", "as_of", "effective_kickoff"))
    )
    return build_violations("prices are from before kickoff", prices.filter(late | early), row, sentence)


def intervals_do_not_overlap(intervals: pl.DataFrame) -> pl.DataFrame:
    """availability_interval: of one market on one platform, each interval lasts and ends before the next one begins;
    only the last is open.
    """
    begin, end, following = pl.col("valid_from"), pl.col("valid_to"), pl.col("next_from")
    rows = _add_next_start(intervals)
    backwards = rows.filter(end <= begin)
    overlapping = rows.filter((end > following) | (end.is_null() & following.is_not_null()) | (begin == following))
    open_end = end.dt.to_string().fill_null("no end")
    return pl.concat(
        [
            build_violations(
                "intervals do not overlap",
                backwards,
                _describe_market(),
                pl.format("from {} it lasts until {}", begin, end),
            ),
            build_violations(
                "intervals do not overlap",
                overlapping,
                _describe_market(),
                pl.format("from {} to {}, the next from {}", begin, open_end, following),
            ),
        ]
    )


def intervals_have_no_holes(intervals: pl.DataFrame) -> pl.DataFrame:
    """availability_interval: of one market on one platform, the next interval begins where one ends, and the last
    one has no end.
    """
    rows = _add_next_start(intervals)
    end, following = pl.col("valid_to"), pl.col("next_from")
    holes = rows.filter(end < following)
    ended = rows.filter(end.is_not_null() & following.is_null())
    return pl.concat(
        [
            build_violations(
                "intervals have no holes",
                holes,
                _describe_market(),
                pl.format("nothing is said from {} to {}", end, following),
            ),
            build_violations(
                "intervals have no holes", ended, _describe_market(), pl.format("nothing is said from {} on", end)
            ),
        ]
    )


def _add_next_start(intervals: pl.DataFrame) -> pl.DataFrame:
    """Each interval with `next_from`, the begin of the next one of its market; null for the last."""
    key = ["sr_id", "platform", "market_key", "specifier"]
    rows = intervals.select(*key, "valid_from", "valid_to").sort(*key, "valid_from", "valid_to", nulls_last=True)
    return rows.with_columns(
        next_from=pl.when(pl.struct(key) == pl.struct(key).shift(-1)).then(pl.col("valid_from").shift(-1))
    )


def _describe_market() -> pl.Expr:
    return pl.format("sr_id {} on {}, {} {}", "sr_id", "platform", "market_key", "specifier").str.strip_chars_end()


def build_violations(law: str, violating_rows: pl.DataFrame, subject: pl.Expr, sentence: pl.Expr) -> pl.DataFrame:
    """Rows as violations of a law: about what, and what is wrong with it."""
    found = violating_rows.select(law=pl.lit(law), subject=subject.cast(pl.String), said=sentence.cast(pl.String))
    return found.select("law", "subject", violation=pl.col("subject") + pl.lit(": ") + pl.col("said"))


def _select_cycle_columns(*frames: pl.DataFrame) -> list[str]:
    return [name for name in ("cycle_id", "as_of") if all(name in f.columns for f in frames)]


def _describe_platform_row(frame: pl.DataFrame) -> pl.Expr:
    """Which row: platform, universe, and the cycle where the frame holds one."""
    universe = (
        pl.when("include_started").then(pl.lit("with started fixtures")).otherwise(pl.lit("without started fixtures"))
    )
    if "cycle_id" in frame.columns:
        return pl.format("cycle {}, {}, {}", "cycle_id", "platform", universe)
    return pl.format("{}, {}", "platform", universe)
