"""The check of recorded answers: they are read completely and mapped, and no price is on a wrong line.

Recorded answers are in the pack's folder `recorded`, or in any other folder, with a `manifest.json` as `palimpsest
landing import` reads it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import Completeness, PayloadKind
from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.domain.observations import Detail, PayloadRejected
from palimpsest_pipeline.landing import RecordedBook, read_recorded_books
from palimpsest_pipeline.markets import NormalisedBatch, Vocabulary, normalise
from palimpsest_pipeline.pipeline.ingest.books import collect_raw_books
from palimpsest_pipeline.pipeline.installed_vocabulary import load_installed_vocabulary
from palimpsest_pipeline.platforms.base import PlatformAdapter
from palimpsest_pipeline.platforms.packs import Pack, load_packs
from palimpsest_pipeline.platforms.registry import build_adapters

MAX_NAMED: Final = 3
"""Maximum number of faults that an error names."""
RECORDED_FOLDER: Final = "recorded"
_MANIFEST_FILE: Final = "manifest.json"
MIN_BOOK_SUM, MAX_BOOK_SUM = 0.95, 2.2
"""Bounds of the sum of inverse prices of a complete line, as shares of its fair sum.

Real books have 1.02 to 1.3, and up to 2.1 where many outcomes are nearly certain or nearly impossible. If one
outcome's prices of two lines are exchanged, one of the lines is outside.
"""
MIN_LADDER_RATIO: Final = 0.98
"""Odds on `over` are at least this share of those on the next lower line.

A higher line is harder to reach, so its odds should be higher.
"""
MAX_STRANGE_SHARE: Final = 0.01
"""Maximum share of lines with impossible prices. Not 0, because sites make mistakes themselves."""


class UnsoundAnswers(PalimpsestError):
    """Recorded or simulated answers that a pack does not read correctly.

    The message names the first faults.
    """


def raise_faults(faults: Sequence[str]) -> None:
    """Raise UnsoundAnswers if there are faults. Its message names the first ones."""
    if faults:
        remainder = f"; and {len(faults) - MAX_NAMED} more" if len(faults) > MAX_NAMED else ""
        raise UnsoundAnswers(f"{'; '.join(sorted(faults)[:MAX_NAMED])}{remainder}")


def check_recorded_answers(pack: Pack, folder: Path | None, min_share: float) -> str:
    """Return a summary of the pack's recorded answers. Raises PalimpsestError for a fault in them."""
    pack_recordings = pack.folder / RECORDED_FOLDER
    place = pack_recordings if (pack_recordings / _MANIFEST_FILE).exists() or folder is None else folder
    if not (place / _MANIFEST_FILE).exists():
        return f"none in {place}"
    installed = load_packs().platforms
    books = [
        book
        for book in read_recorded_books(place, installed, datetime.now(UTC))
        if book.answers[0].request.platform in pack.countries
    ]
    if not books:
        return f"none in {place}"
    adapters = build_adapters(pack.countries)
    details: dict[str, Detail] = {}
    faults: list[str] = []
    for book in books:
        adapter, files = adapters[book.answers[0].request.platform], "+".join(book.files)
        try:
            if book.answers[0].request.kind is PayloadKind.DETAIL:
                details[files] = _read_book(adapter, book)
            else:
                _read_list(pack, adapter, book)
        except PayloadRejected as rejected:
            faults.append(f"{place / files}: {rejected.path}: {rejected.reason}")
    raise_faults(faults)
    n_lists = len(books) - len(details)
    texts = [f"{n_lists} lists"] if n_lists else []
    if details:
        texts.append(_check_books(details, min_share))
    return ", ".join(texts)


def _read_book(adapter: PlatformAdapter, book: RecordedBook) -> Detail:
    """Return the book. Raises PayloadRejected, also for an answer that is missing."""
    request = book.answers[0].request
    for answer in book.answers:
        if (verdict := adapter.judge(answer)) is not None:
            raise PayloadRejected(adapter.platform, "$", f"{verdict[0]}: {verdict[1]}")
    missing = adapter.list_detail_requests(request.external_id or "", request.sr_id, book.answers)
    if missing:
        raise PayloadRejected(adapter.platform, "$", f"the book lacks the answer to {missing[0].path}")
    detail = adapter.read_detail(book.answers)
    if detail.rejects:
        first = detail.rejects[0]
        raise PayloadRejected(adapter.platform, first.path, f"{first.reason} ({len(detail.rejects)} entries)")
    return detail


def _read_list(pack: Pack, adapter: PlatformAdapter, book: RecordedBook) -> None:
    """Read a tree or a list. Raises PayloadRejected when it has no match of any sport of the pack."""
    [answer] = book.answers
    if (verdict := adapter.judge(answer)) is not None:
        raise PayloadRejected(adapter.platform, "$", f"{verdict[0]}: {verdict[1]}")
    discoveries = [adapter.read_discovery(book.answers, sport) for sport in pack.content.sports]
    if answer.request.kind is PayloadKind.TREE:
        if all(each.completeness is Completeness.FAILED for each in discoveries):
            raise PayloadRejected(adapter.platform, "$", discoveries[0].reason)
    elif not any(each.listings for each in discoveries):
        raise PayloadRejected(adapter.platform, "$", "it has no match of a sport of the pack")


def _check_books(details: dict[str, Detail], min_share: float) -> str:
    vocabulary = load_installed_vocabulary()
    batch = normalise(collect_raw_books(details.values()), vocabulary)
    files = list(details)
    n_lines, n_mapped = count_lines(batch)
    strange = find_strange_lines(batch.prices, vocabulary)
    examples = [
        f"{files[capture]}: {key} {specifier}: {problem}"
        for capture, key, specifier, problem in strange.head(MAX_NAMED).iter_rows()
    ]
    n_priced = batch.prices.select("capture", "market_id", "specifier").n_unique()
    if strange.height > MAX_STRANGE_SHARE * n_priced:
        raise UnsoundAnswers(
            f"{strange.height} of {n_priced} lines have prices that cannot belong to them: {'; '.join(examples)}"
        )
    if n_mapped < min_share * n_lines:
        raise UnsoundAnswers(
            f"{n_mapped} of {n_lines} lines are mapped ({n_mapped / n_lines:.1%}, at least {min_share:.0%} must be): "
            f"{_name_unmapped(batch, files)}"
        )
    texts = [f"{len(details)} books, {n_mapped} of {n_lines} lines mapped ({n_mapped / max(n_lines, 1):.1%})"]
    texts.append(f"{batch.prices['odds_milli'].count()} prices, {strange.height} strange lines")
    return ", ".join(texts)


def count_lines(batch: NormalisedBatch) -> tuple[int, int]:
    """Return the number of lines in a batch, and the number of those that are mapped completely."""
    coverage = batch.coverage
    return int(coverage["n_markets"].sum()), int(coverage.filter(error_class="")["n_markets"].sum())


def _name_unmapped(batch: NormalisedBatch, files: Sequence[str]) -> str:
    rows = batch.unmapped.head(MAX_NAMED).select("capture", "external_market_id", "name", "error_class").iter_rows()
    return "; ".join(f"{files[capture]}: market {market_id} {name}: {why}" for capture, market_id, name, why in rows)


def find_strange_lines(prices: pl.DataFrame, vocabulary: Vocabulary) -> pl.DataFrame:
    """Return capture, market_key, specifier and problem of lines whose prices cannot belong together.

    Two rules apply. The inverse prices of a complete line add up to its fair sum plus a margin. The odds on `over` rise
    from line to line.
    """
    offered = prices.filter(pl.col("state") == "offered", pl.col("outcome") == "", pl.col("odds_milli").is_not_null())
    sizes = vocabulary.outcomes.group_by("market_id").agg(n_outcomes=pl.len())
    fair = vocabulary.markets.select("market_id", "market_key", fair=pl.col("fair_sum").cast(pl.Int32, strict=False))
    line = ["capture", "market_id", "specifier"]
    sums = (
        offered.group_by(line)
        .agg(total=(1000 / pl.col("odds_milli")).sum(), n=pl.len())
        .join(sizes, on="market_id")
        .join(fair, on="market_id")
        .filter(pl.col("n") == pl.col("n_outcomes"), pl.col("fair").is_not_null())
        .with_columns(share=pl.col("total") / pl.col("fair"))
        .filter(~pl.col("share").is_between(MIN_BOOK_SUM, MAX_BOOK_SUM))
        .with_columns(problem=pl.format("inverse prices add up to {}", pl.col("total").round(3)))
    )
    over_outcomes = vocabulary.outcomes.filter(outcome_key="over").select("market_id", "ordinal")
    ladders = (
        offered.join(over_outcomes, on=["market_id", "ordinal"], how="semi")
        .filter(pl.col("specifier").str.contains(r"^total=[\d.]+$"))
        .sort("capture", "market_id", "line")
        .with_columns(before=pl.col("odds_milli").shift().over("capture", "market_id"))
        .filter(pl.col("odds_milli") < MIN_LADDER_RATIO * pl.col("before"))
        .with_columns(problem=pl.format("odds x 1000 on over are {}, and {} on the lower line", "odds_milli", "before"))
        .join(fair, on="market_id")
    )
    columns = ["capture", "market_key", "specifier", "problem"]
    return pl.concat([sums.select(columns), ladders.select(columns)]).sort(columns)
