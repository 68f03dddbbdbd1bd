"""The vocabulary of this installation: the canonical markets, and the keys of every installed pack."""

from collections.abc import Mapping
from functools import cache

import polars as pl

from palimpsest_pipeline.markets import KeySource, Vocabulary, VocabularyError, load_vocabulary
from palimpsest_pipeline.metrics import build_outcome_sets
from palimpsest_pipeline.platforms.packs import Pack, load_packs


def load_installed_vocabulary() -> Vocabulary:
    """Return the vocabulary with the keys of all installed packs whose rows can be read."""
    problems = find_vocabulary_problems()
    return load_vocabulary(tuple(source for source in list_key_sources() if source.name not in problems))


@cache
def find_vocabulary_problems() -> dict[str, str]:
    """Return the packs whose vocabulary rows cannot be read, with the reason.

    Raises VocabularyError when the canonical markets themselves cannot be read.
    """
    try:
        load_vocabulary(list_key_sources())
    except VocabularyError:
        load_vocabulary(())
        problems = {}
        for source in list_key_sources():
            try:
                load_vocabulary((source,))
            except VocabularyError as error:
                problems[source.name] = str(error)
        return problems
    return {}


def list_key_sources() -> tuple[KeySource, ...]:
    """Return the places of the keys of all installed packs, in the order of trust."""
    packs = load_packs().packs
    by_trust = sorted(packs.values(), key=lambda pack: (pack.content.trust, pack.name))
    return tuple(find_key_source(pack, packs) for pack in by_trust)


def find_key_source(pack: Pack, packs: Mapping[str, Pack], dependents: frozenset[str] = frozenset()) -> KeySource:
    """Return the place of a pack's keys, with the place of the pack whose keys it uses.

    `dependents` are the packs that use this pack's keys. It cannot use theirs, which prevents an endless recursion.
    """
    shares, dependents = pack.content.market_keys or "", dependents | {pack.name}
    shared = packs[shares] if shares in packs and shares not in dependents else None
    shared_pack = find_key_source(shared, packs, dependents) if shared else None
    return KeySource(pack.name, pack.folder / "vocabulary", shares, shared_pack)


@cache
def build_vocabulary_frames(vocabulary: Vocabulary) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the names of outcomes and the complete sets of outcomes, by market key.

    Their schemas are `domain.schemas.OUTCOME_NAMES` and `metrics.lifecycle.open_close.KEYED_SETS_SCHEMA`.
    """
    keys = vocabulary.markets.select("market_id", "market_key")
    outcomes = vocabulary.outcomes.join(keys, on="market_id").select(
        "market_key", pl.col("ordinal").cast(pl.Int16), "outcome_key"
    )
    sets = build_outcome_sets(vocabulary.markets, vocabulary.outcomes, vocabulary.complete_sets).join(
        keys.cast({"market_id": pl.Int16}), on="market_id"
    )
    return outcomes, sets
