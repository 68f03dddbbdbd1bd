"""Laws on derived rows: rules that hold whatever the platforms answer.

Each function returns the violations of one rule, or an empty frame: `law`, `subject` (the key of the row that breaks
it) and `violation` (a sentence). The functions take rows as they were written, of one cycle or several, which they tell
apart by `cycle_id`, if it exists, and `as_of`. They do not call the code that computes the rows. In many tables a
"universe" is one of two sets of fixtures: all, or only those that have not started (`include_started`).
"""

from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import ALL_PLATFORMS

from .mapping_coverage import ERROR_BY_COUNT_COLUMN
from .universe import ANY_COMPETITOR, CoverageUniverse

_RATE_COLUMNS_BY_COUNT: Final = {
    # Column of coverage_tournament to the columns of match_rate_platform for one competitor and for all platforms.
    "n_home": ("n_home", "n_home"),
    "n_platform": ("n_fixtures", None),
    "n_matched": ("n_matched_fixtures", "n_matched_fixtures"),
    "n_home_only": ("n_home_only", "n_home_only"),
    "n_platform_only": ("n_competitor_only", "n_competitor_only"),
    "n_undetermined": ("n_undetermined", "n_undetermined"),
    "n_unidentified": ("n_without_sr", "n_without_sr"),
}
_CLOCK_TOLERANCE_S: Final = 300
"""Maximum median difference between a platform's kickoffs and home's, in seconds.

Platforms round and correct kickoffs by minutes. A wrong time zone shifts them by at least 15 minutes.
"""
CLOCK_MIN_FIXTURES: Final = 5
"""Minimum number of shared fixtures for judging a platform's clock.

With fewer, a single postponement could decide.
"""


def find_miscounted_classes(rates: pl.DataFrame) -> pl.DataFrame:
    """Return rows of match_rate_platform whose classes do not add up to their total.

    The classes are matched, home only, competitor only and undetermined.
    """
    classes = ("n_matched_fixtures", "n_home_only", "n_competitor_only", "n_undetermined")
    miscounted = rates.filter(pl.sum_horizontal(classes) != pl.col("n_union"))
    sentence = pl.format(
        "{} matched + {} home-only + {} competitor-only + {} undetermined fixtures are not the union of {}",
        *classes,
        "n_union",
    )
    return _build_violations("classes add up to the union", miscounted, _describe_platform_row(rates), sentence)


def find_miscounted_fixtures(coverage: pl.DataFrame, rates: pl.DataFrame) -> pl.DataFrame:
    """Return classes whose number in coverage_fixture differs from the row `all` of match_rate_platform.

    They are compared with and without started fixtures.
    """
    cycle_columns = _select_cycle_columns(coverage, rates)
    repeated = pl.concat(
        [
            coverage.with_columns(include_started=pl.lit(value=True)),
            coverage.filter(~pl.col("started")).with_columns(include_started=pl.lit(value=False)),
        ]
    )
    fixture_class = pl.col("fixture_class")
    counted = repeated.group_by(*cycle_columns, "include_started").agg(
        (fixture_class == "matched").sum().alias("matched"),
        (fixture_class == "home_only").sum().alias("home_only"),
        (fixture_class == "competitor_only").sum().alias("competitor_only"),
        (fixture_class == "undetermined").sum().alias("undetermined"),
    )
    both = rates.filter(pl.col("platform") == ALL_PLATFORMS).join(
        counted, on=[*cycle_columns, "include_started"], how="full", coalesce=True
    )
    pairs = {
        "matched": "n_matched_fixtures",
        "home_only": "n_home_only",
        "competitor_only": "n_competitor_only",
        "undetermined": "n_undetermined",
    }
    both = both.with_columns(pl.col(*pairs, *pairs.values()).fill_null(0), pl.col("platform").fill_null(ALL_PLATFORMS))
    return pl.concat(
        _build_violations(
            "fixtures add up to the rates",
            both.filter(pl.col(fixture_column) != pl.col(rate_column)),
            _describe_platform_row(both),
            pl.format(
                "{} " + fixture_column + " fixtures in coverage_fixture, {} in match_rate_platform",
                fixture_column,
                rate_column,
            ),
        )
        for fixture_column, rate_column in pairs.items()
    )


def find_miscounted_tournaments(by_tournament: pl.DataFrame, rates: pl.DataFrame) -> pl.DataFrame:
    """Return counts of coverage_tournament whose sum over tournaments differs from match_rate_platform.

    Rows of a competitor are compared with its own row there, rows of `any` with the row `all`.
    """
    key = [*_select_cycle_columns(by_tournament, rates), "include_started", "platform"]
    sums = by_tournament.group_by(key).agg(
        pl.col(name).sum().alias(f"{name}_summed") for name in _RATE_COLUMNS_BY_COUNT
    )
    platform_rates = rates.filter(pl.col("platform") != pl.col("home_platform")).with_columns(
        n_without_sr=pl.col("n_listings") - pl.col("n_listings_with_sr"),
        platform=pl.col("platform").replace({ALL_PLATFORMS: ANY_COMPETITOR}),
    )
    both = platform_rates.join(sums, on=key, how="full", coalesce=True)
    violations = []
    for name, (competitor, union) in _RATE_COLUMNS_BY_COUNT.items():
        union_count = pl.lit(None, pl.Int32) if union is None else pl.col(union).fill_null(0)
        rows = both.with_columns(
            summed=pl.col(f"{name}_summed").fill_null(0),
            expected=pl.when(pl.col("platform") == ANY_COMPETITOR)
            .then(union_count)
            .otherwise(pl.col(competitor).fill_null(0)),
        ).filter(pl.col("summed") != pl.col("expected"))
        sentence = pl.format(
            "{} summed over tournaments is {}, match_rate_platform says {}", pl.lit(name), "summed", "expected"
        )
        violations.append(
            _build_violations("tournaments add up to the platforms", rows, _describe_platform_row(both), sentence)
        )
    return pl.concat(violations)


def find_wrong_classes(coverage: pl.DataFrame) -> pl.DataFrame:
    """Return rows of coverage_fixture whose class contradicts their list of platforms.

    A fixture must be listed on at least one platform. It is matched exactly when home and a competitor list it.
    Home-only and competitor-only fixtures are listed on that side only.
    """
    is_at_home = pl.col("platforms").list.contains(pl.col("home_platform"))
    listed, competitors = pl.col("platforms").list.len(), pl.col("n_competitors")
    fixture_class = pl.col("fixture_class")
    lawful = (
        (listed > 0)
        & (competitors == listed.cast(pl.Int32) - is_at_home.cast(pl.Int32))
        & ((fixture_class == "matched") == (is_at_home & (competitors > 0)))
        & ((fixture_class != "home_only") | (is_at_home & (competitors == 0)))
        & ((fixture_class != "competitor_only") | (~is_at_home & (competitors > 0)))
    )
    sentence = pl.format(
        "is {} with {} competitors, listed on: {}",
        "fixture_class",
        "n_competitors",
        pl.col("platforms").list.join(", "),
    )
    return _build_violations(
        "classes follow the platforms", coverage.filter(~lawful), pl.format("sr_id {}", "sr_id"), sentence
    )


def find_lost_listings(universe: CoverageUniverse, rates: pl.DataFrame) -> pl.DataFrame:
    """Return platforms for which match_rate_platform does not count every listing of a match.

    Listings without a fixture must be counted too. `rates` contains the rows of this universe only.
    """
    counted = universe.listings.group_by("platform").agg(pl.len().alias("n_given"))
    both = (
        rates.filter(pl.col("include_started"), pl.col("platform") != ALL_PLATFORMS)
        .join(counted, on="platform", how="full", coalesce=True)
        .with_columns(pl.col("n_given", "n_listings").fill_null(0), pl.col("include_started").fill_null(value=True))
    )
    mismatches = both.filter(pl.col("n_given") != pl.col("n_listings"))
    return _build_violations(
        "no listing is lost",
        mismatches,
        _describe_platform_row(both),
        pl.format("{} listings given, {} counted", "n_given", "n_listings"),
    )


def find_shifted_clocks(shifts: pl.DataFrame) -> pl.DataFrame:
    """Return platforms whose kickoffs have a median difference from home's: a time zone is misread.

    `shifts` has home_platform, platform, kickoff_at and home_kickoff, one row per platform and shared fixture.
    """
    shifted = (
        shifts.group_by("platform", "home_platform")
        .agg(
            (pl.col("kickoff_at") - pl.col("home_kickoff")).dt.total_seconds().median().alias("shift_s"),
            pl.len().alias("n"),
        )
        .filter(pl.col("n") >= CLOCK_MIN_FIXTURES, pl.col("shift_s").abs() > _CLOCK_TOLERANCE_S)
        .sort("platform")
    )
    sentence = pl.format(
        "kickoffs differ from {}'s by {} s in the median of {} shared fixtures", "home_platform", "shift_s", "n"
    )
    return _build_violations("clocks agree", shifted, pl.col("platform"), sentence)


def find_unusual_match_rates(
    rates: pl.DataFrame, earlier: pl.DataFrame, tolerance: float, min_earlier: int = 3
) -> pl.DataFrame:
    """Return platforms whose match rate is further than `tolerance` from the median of earlier cycles.

    `rates` and `earlier` have platform, completeness and match_rate. Only complete discoveries are compared, because an
    incomplete one changes the rate, and another rule reports it. A platform with fewer than `min_earlier` earlier rates
    is not judged.
    """
    is_comparable = pl.col("completeness") == "complete", pl.col("match_rate").is_not_null()
    medians = (
        earlier.filter(*is_comparable)
        .group_by("platform")
        .agg(pl.col("match_rate").median().alias("usual"), pl.len().alias("n"))
    )
    unusual = (
        rates.filter(*is_comparable)
        .join(medians.filter(pl.col("n") >= min_earlier), on="platform")
        .filter((pl.col("match_rate") - pl.col("usual")).abs() > tolerance)
        .sort("platform")
    )
    sentence = pl.format(
        "match rate {}, usually {} (median of {} cycles)", pl.col("match_rate").round(3), pl.col("usual").round(3), "n"
    )
    return _build_violations("match rates are usual", unusual, pl.col("platform"), sentence)


UNANSWERED_LAW: Final = "captures are answered"
"""Name of the rule on captures of given fixtures that got few answers, perhaps for lack of time."""


def find_empty_stages(quality: pl.DataFrame, max_drop: float = 0.5) -> pl.DataFrame:
    """Return stages of run_quality that failed or fetched too little.

    Too little means less than `1 - max_drop` of the median of earlier cycles; for a capture without such a median, less
    than that share of the requested listings. A capture with status complete is never too small: each of its listings
    was answered or does not exist any more.
    """
    failed = quality.filter(pl.col("completeness") == "failed")
    dropped = quality.filter(pl.col("completeness") != "failed", pl.col("drop_vs_median") > max_drop)
    unanswered = quality.filter(
        pl.col("completeness") == "partial", pl.col("stage") == "capture", pl.col("drop_vs_median").is_null()
    ).filter(pl.col("fetched") < (1 - max_drop) * pl.col("declared"))
    subject = pl.format("{} {}", "platform", "stage")
    return pl.concat(
        [
            _build_violations(
                "no stage is empty",
                failed,
                subject,
                pl.format("failed: {} fetched, {} parsed, {} stored", "fetched", "parsed", "stored"),
            ),
            _build_violations(
                "no stage is empty",
                dropped,
                subject,
                pl.format(
                    "{} fetched, {} of the trailing median missing", "fetched", pl.col("drop_vs_median").round(3)
                ),
            ),
            _build_violations(
                UNANSWERED_LAW, unanswered, subject, pl.format("{} fetched of {} asked for", "fetched", "declared")
            ),
        ]
    )


def find_implausible_changes(quality: pl.DataFrame, min_markets: int = 5_000) -> pl.DataFrame:
    """Return stages of run_quality in which no market changed, or every market did.

    Only stages with at least `min_markets` compared markets are judged. Either result means that the comparison is
    broken.
    """
    compared = pl.col("changed") + pl.col("confirmed")
    implausible = quality.filter(compared >= min_markets, (pl.col("changed") == 0) | (pl.col("confirmed") == 0))
    sentence = pl.format("{} markets changed and {} did not", "changed", "confirmed")
    return _build_violations("changes are plausible", implausible, pl.format("{} {}", "platform", "stage"), sentence)


def find_miscounted_mapping(coverage: pl.DataFrame, unmapped: pl.DataFrame) -> pl.DataFrame:
    """Return counts of mapping_coverage that do not add up or that differ from core.unmapped_markets.

    Mapped and unmapped markets must add up to all markets. Every unmapped occurrence must be in core.unmapped_markets.
    """
    row = pl.format("cycle {}, {} {} {}", "cycle_id", "platform", "sport", "family")
    mismatches = coverage.filter(pl.sum_horizontal("n_mapped", *ERROR_BY_COUNT_COLUMN) != pl.col("n_markets_seen"))
    violations = _build_violations(
        "mapping adds up",
        mismatches,
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
        [
            violations,
            _build_violations("mapping adds up", both.filter(pl.col("counted") != pl.col("kept")), subject, sentence),
        ]
    )


def find_low_mapped_rates(rates: pl.DataFrame, min_rate: float, max_drop: float = 0.01) -> pl.DataFrame:
    """Return platforms whose last mapped rate is below `min_rate` or fell by more than `max_drop`.

    `rates` has cycle_id, platform and mapped_rate of two full cycles.
    """
    last = rates.filter(pl.col("cycle_id") == pl.col("cycle_id").max())
    previous = rates.filter(pl.col("cycle_id") != pl.col("cycle_id").max()).select("platform", was="mapped_rate")
    low_rates = last.filter(pl.col("mapped_rate") < min_rate)
    falling_rates = last.join(previous, on="platform").filter(pl.col("was") - pl.col("mapped_rate") > max_drop)
    rate = pl.col("mapped_rate").round(4)
    return pl.concat(
        [
            _build_violations(
                "markets are mapped",
                low_rates,
                pl.col("platform"),
                pl.format("{} of its markets are mapped, less than {}", rate, pl.lit(min_rate)),
            ),
            _build_violations(
                "markets are mapped",
                falling_rates,
                pl.col("platform"),
                pl.format("mapped fell from {} to {}", pl.col("was").round(4), rate),
            ),
        ]
    )


def _build_violations(law: str, violating_rows: pl.DataFrame, subject: pl.Expr, sentence: pl.Expr) -> pl.DataFrame:
    """Return rows as violations of `law`, each with its subject and a sentence that says what is wrong."""
    rows = violating_rows.select(law=pl.lit(law), subject=subject.cast(pl.String), said=sentence.cast(pl.String))
    return rows.select("law", "subject", violation=pl.col("subject") + pl.lit(": ") + pl.col("said"))


def _select_cycle_columns(*frames: pl.DataFrame) -> list[str]:
    return [name for name in ("cycle_id", "as_of") if all(name in f.columns for f in frames)]


def _describe_platform_row(frame: pl.DataFrame) -> pl.Expr:
    """Return the name of a row: its platform, whether started fixtures count, and its cycle if it has one."""
    universe = (
        pl.when("include_started").then(pl.lit("with started fixtures")).otherwise(pl.lit("without started fixtures"))
    )
    if "cycle_id" in frame.columns:
        return pl.format("cycle {}, {}, {}", "cycle_id", "platform", universe)
    return pl.format("{}, {}", "platform", universe)
