"""The completeness and speed of each stage of a cycle, per platform.

This module only counts; checks and alerts decide whether a number is a problem.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import Completeness, FailureClass, PayloadKind, Platform, Scope
from palimpsest_pipeline.domain.exchange import INCOMPLETE_BOOK_PREFIX
from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline.tables.frame_types import get_frame_schema

DISCOVERY, CAPTURE, STORAGE = "discovery", "capture", "storage"
STAGES: Final = (DISCOVERY, CAPTURE, STORAGE)
RUN_QUALITY_SCHEMA: Final = get_frame_schema("mart.run_quality", "cycle_id", "mapping_version", "computed_at")
ANSWERS_SCHEMA: Final[dict[str, pl.DataType]] = {
    "platform": pl.String(),
    "kind": pl.String(),
    "path": pl.String(),
    "params": pl.String(),
    "external_id": pl.String(),
    "attempt": pl.Int16(),
    "status": pl.Int16(),
    "failure": pl.String(),
    "failure_detail": pl.String(),
    "requested_at": INSTANT,
    "received_at": INSTANT,
    "observed_at": INSTANT,
    "headers": pl.String(),
    "bytes": pl.Int64(),
}
_STAGE_KEY: Final = ["platform", "stage"]


def build_run_quality(
    answers: pl.DataFrame,
    *,
    manifests: pl.DataFrame,
    discovered_counts: pl.DataFrame,
    history: pl.DataFrame,
    rejects: pl.DataFrame,
    medians: pl.DataFrame,
    as_of: datetime,
    scope: Scope,
    platforms: Sequence[Platform],
) -> pl.DataFrame:
    """Return one row per platform and stage, columns `RUN_QUALITY_SCHEMA`, sorted by these.

    - `answers`: every attempt of the cycle (`ANSWERS_SCHEMA`).
    - `manifests`: the cycle's rows of core.discovery_manifest.
    - `discovered_counts`: per platform the listings of matches and all listings that discovery wrote, as n_matches
      and n_listings.
    - `history`: one row per capture: platform, keyframe, n_changed, n_markets_mapped.
    - `rejects`: per platform and kind of answer, n_answers refused as a whole, and n_entries refused inside readable
      answers.
    - `medians`: per platform and stage, fetched_median over earlier cycles of the same scope.

    The caller adds cycle, mapping version and the time of computation.

    The stages are discovery, capture and storage. A full cycle has all three for every platform; one without any result
    counts as failed. Other scopes have rows only for the requested platforms and stages.
    """
    names = sorted({str(p) for p in platforms})
    staged = _add_stage(answers)
    rows = (
        _build_grid(staged, manifests, names, scope)
        .join(_count_requests(staged), on=_STAGE_KEY, how="left")
        .join(_count_errors(staged), on=_STAGE_KEY, how="left")
        .join(_count_declared(manifests), on=_STAGE_KEY, how="left")
        .join(discovered_counts.select("platform", "n_matches", "n_listings"), on="platform", how="left")
        .join(_count_captures(history), on="platform", how="left")
        .join(_count_rejects(rejects), on=_STAGE_KEY, how="left")
        .join(medians.select(*_STAGE_KEY, "fetched_median"), on=_STAGE_KEY, how="left")
        .with_columns(
            pl.selectors.starts_with("n_", "detail_").fill_null(0),
            pl.col("bytes").fill_null(0),
            pl.col("wall_s").fill_null(0.0),
        )
        .with_columns(_build_stage_columns())
        .with_columns(completeness=_choose_completeness())
        .with_columns(
            pl.lit(as_of, INSTANT).alias("as_of"),
            pl.col("errors_by_class").fill_null("{}"),
            change_ratio=pl.when(pl.col("changed") + pl.col("confirmed") > 0).then(
                pl.col("changed") / (pl.col("changed") + pl.col("confirmed"))
            ),
            drop_vs_median=pl.when(pl.col("fetched_median") > 0).then(1 - pl.col("fetched") / pl.col("fetched_median")),
            blocked_downstream=pl.col("completeness") == Completeness.FAILED.value,
        )
    )
    return rows.sort("platform", "order").select(pl.col(name).cast(dtype) for name, dtype in RUN_QUALITY_SCHEMA.items())


def _add_stage(answers: pl.DataFrame) -> pl.DataFrame:
    """Return the attempts with their stage, result, duration, and whether their Age header was ignored.

    Attempt 0 is a request that was not sent, to spare the host: it is an error without a duration. An Age header was
    ignored when it did not move `observed_at`. A good answer of a book that failed is no error, and not usable.
    """
    is_usable = pl.col("failure").is_null()
    is_unsent = pl.col("attempt") == 0
    duration = (pl.col("received_at") - pl.col("requested_at")).dt.total_milliseconds(fractional=True)
    return answers.with_columns(
        stage=pl.when(pl.col("kind") == PayloadKind.DETAIL.value).then(pl.lit(CAPTURE)).otherwise(pl.lit(DISCOVERY)),
        usable=is_usable,
        is_error=~is_usable & ~pl.col("failure_detail").fill_null("").str.starts_with(INCOMPLETE_BOOK_PREFIX),
        settled=is_usable | (pl.col("failure") == FailureClass.NOT_FOUND.value),
        age_ignored=(pl.col("headers").str.json_path_match("$.age") != "0")
        & (pl.col("observed_at") == pl.col("received_at")),
        duration_ms=pl.when(~is_unsent.fill_null(value=False)).then(duration),
    )


def _build_grid(staged: pl.DataFrame, manifests: pl.DataFrame, names: list[str], scope: Scope) -> pl.DataFrame:
    grid = pl.DataFrame({"platform": names}, schema={"platform": pl.String}).join(
        pl.DataFrame({"stage": STAGES, "order": range(len(STAGES))}), how="cross"
    )
    grid = grid.with_columns(full=pl.lit(scope == Scope.FULL))
    if scope == Scope.FULL:
        return grid
    asked_stages = pl.concat(
        [staged.select(_STAGE_KEY), manifests.select("platform", stage=pl.lit(DISCOVERY))]
    ).unique()
    storage_stages = asked_stages.filter(pl.col("stage") == CAPTURE).with_columns(stage=pl.lit(STORAGE))
    return grid.join(pl.concat([asked_stages, storage_stages]), on=_STAGE_KEY, how="semi")


def _count_requests(staged: pl.DataFrame) -> pl.DataFrame:
    """Return the numbers of answers and listings, and the times, per platform and stage.

    Usable answers, requested listings and completed listings are counted; the answers of one book count as one. The
    storage stage has the numbers of the capture stage, without bytes, ignored Age headers and times.
    """
    counted = staged.group_by(_STAGE_KEY).agg(
        pl.col("usable").sum().alias("n_usable"),
        pl.col("external_id").n_unique().alias("n_asked"),
        pl.col("external_id").filter("settled").n_unique().alias("n_settled"),
        pl.col("age_ignored").sum().alias("n_ages_ignored"),
        pl.col("duration_ms").quantile(0.5, "linear").alias("p50_ms"),
        pl.col("duration_ms").quantile(0.95, "linear").alias("p95_ms"),
        pl.col("bytes").sum(),
        (pl.col("received_at").max() - pl.col("requested_at").min()).dt.total_seconds(fractional=True).alias("wall_s"),
    )
    counted = counted.join(_count_books(staged), on=_STAGE_KEY, how="left").select(
        pl.exclude("n_usable", "n_books"), n_usable=pl.coalesce("n_books", "n_usable")
    )
    nothing_sent = (
        pl.lit(None, pl.Float64).alias("p50_ms"),
        pl.lit(None, pl.Float64).alias("p95_ms"),
        pl.lit(0.0).alias("wall_s"),
    )
    zeros = {name: pl.lit(0, counted.schema[name]) for name in ("bytes", "n_ages_ignored")}
    storage = counted.filter(pl.col("stage") == CAPTURE).with_columns(*nothing_sent, stage=pl.lit(STORAGE), **zeros)
    return pl.concat([counted, storage])


def _count_books(staged: pl.DataFrame) -> pl.DataFrame:
    """Return the number of books in the usable answers, per platform and stage.

    A book may have several answers. Each book of a listing has an answer to its first request, and none twice.
    """
    book_key = [*_STAGE_KEY, "external_id"]
    return (
        staged.filter("usable", pl.col("stage") == CAPTURE)
        .group_by(*book_key, "path", "params")
        .agg(n_books=pl.len())
        .group_by(book_key)
        .agg(pl.col("n_books").max())
        .group_by(_STAGE_KEY)
        .agg(pl.col("n_books").sum())
    )


def _count_errors(staged: pl.DataFrame) -> pl.DataFrame:
    entry = pl.lit('"') + pl.col("failure") + pl.lit('":') + pl.col("n").cast(pl.String)
    return (
        staged.filter("is_error")
        .group_by(*_STAGE_KEY, "failure")
        .agg(pl.len().alias("n"))
        .sort(*_STAGE_KEY, "failure")
        .group_by(_STAGE_KEY, maintain_order=True)
        .agg(entry.alias("entries"))
        .select(*_STAGE_KEY, errors_by_class=pl.lit("{") + pl.col("entries").list.join(",") + pl.lit("}"))
    )


def _count_declared(manifests: pl.DataFrame) -> pl.DataFrame:
    """Return the number of matches that each platform declares in its discovery answers.

    It is the platform's own total if there is one, else the sum over tournaments, or null when nothing is declared.
    """
    is_total = pl.col("external_id") == "*"
    tournament_counts = pl.col("declared").filter(~is_total).drop_nulls()
    return manifests.group_by("platform").agg(
        pl.lit(DISCOVERY).alias("stage"),
        pl.coalesce(
            pl.col("declared").filter(is_total).first(),
            pl.when(tournament_counts.len() > 0).then(tournament_counts.sum()),
        ).alias("promised"),
        pl.col("completeness").filter(is_total).first().alias("discovery"),
    )


def _count_captures(history: pl.DataFrame) -> pl.DataFrame:
    """Return the numbers of captures, and of changed and confirmed markets since the previous captures.

    Withdrawn markets, and each outcome of markets of open outcomes, count as changes too. An answer can therefore have
    more changes than markets; then all its markets count as changed.
    """
    is_compared = ~pl.col("keyframe")
    n_changed = pl.min_horizontal("n_changed", "n_markets_mapped")
    return history.group_by("platform").agg(
        n_captures=pl.len(),
        n_changed=n_changed.filter(is_compared).sum(),
        n_confirmed=(pl.col("n_markets_mapped") - n_changed).filter(is_compared).sum(),
    )


def _count_rejects(rejects: pl.DataFrame) -> pl.DataFrame:
    stage = pl.when(pl.col("kind") == PayloadKind.DETAIL.value).then(pl.lit(CAPTURE)).otherwise(pl.lit(DISCOVERY))
    counted = (
        rejects.with_columns(stage=stage)
        .group_by(_STAGE_KEY)
        .agg(pl.col("n_answers").sum().alias("n_refused"), pl.col("n_entries").sum().alias("n_refused_entries"))
    )
    # Only readable answers are stored, so an answer that was refused before is no failure of storage.
    storage = counted.filter(pl.col("stage") == CAPTURE).with_columns(
        stage=pl.lit(STORAGE), n_refused_entries=0 * pl.col("n_refused_entries")
    )
    return pl.concat([counted, storage])


def _build_stage_columns() -> list[pl.Expr]:
    """Return the columns whose meaning depends on the stage."""
    at_discovery, at_storage = pl.col("stage") == DISCOVERY, pl.col("stage") == STORAGE
    n_read = pl.max_horizontal(pl.col("n_usable").cast(pl.Int64) - pl.col("n_refused"), pl.lit(0, pl.Int64))
    n_refused = pl.when(at_storage).then(0).otherwise(pl.col("n_refused") + pl.col("n_refused_entries"))
    return [
        pl.when(at_discovery)
        .then(pl.col("promised"))
        .when(at_storage)
        .then(n_read)
        .otherwise(pl.col("n_asked"))
        .alias("declared"),
        pl.col("n_matches").alias("discovered"),
        pl.col("n_usable").alias("fetched"),
        n_read.alias("parsed"),
        n_refused.alias("rejected"),
        pl.when(at_discovery).then(pl.col("n_listings")).otherwise(pl.col("n_captures")).alias("stored"),
        pl.col("n_ages_ignored").alias("ages_ignored"),
        pl.when(at_storage).then(pl.col("n_changed")).otherwise(0).alias("changed"),
        pl.when(at_storage).then(pl.col("n_confirmed")).otherwise(0).alias("confirmed"),
    ]


def _choose_completeness() -> pl.Expr:
    """Return the completeness of a stage.

    Discovery has the completeness in the platform's manifest row, and failed when a full cycle found no match. A
    capture is complete when every requested listing was answered or does not exist any more. Storage is complete when
    every answer that was read has a capture. Outside a full cycle, a stage with nothing to do is complete.
    """
    complete, partial, failed = (
        pl.lit(c.value) for c in (Completeness.COMPLETE, Completeness.PARTIAL, Completeness.FAILED)
    )
    idle = pl.when("full").then(failed).otherwise(complete)
    discovery = (
        pl.when(pl.col("full") & (pl.col("discovered") == 0))
        .then(failed)
        .otherwise(pl.coalesce("discovery", pl.when(pl.col("full")).then(failed).otherwise(partial)))
    )
    capture = (
        pl.when(pl.col("n_asked") == 0)
        .then(idle)
        .when(pl.col("n_settled") == pl.col("n_asked"))
        .then(complete)
        .when(pl.col("fetched") == 0)
        .then(failed)
        .otherwise(partial)
    )
    storage = (
        pl.when(pl.col("parsed") == 0)
        .then(idle)
        .when(pl.col("stored") == 0)
        .then(failed)
        .when(pl.col("stored") < pl.col("parsed"))
        .then(partial)
        .otherwise(complete)
    )
    return (
        pl.when(pl.col("stage") == DISCOVERY)
        .then(discovery)
        .when(pl.col("stage") == CAPTURE)
        .then(capture)
        .otherwise(storage)
    )
