"""The vocabulary of this installation: the canonical markets, and the keys of every installed pack.

Belongs here: which packs' keys are read. Does not belong here: reading them (`markets`).
"""

from functools import cache

from palimpsest_pipeline.markets import KeySource, Vocabulary, VocabularyError, load_vocabulary, read_pack_source
from palimpsest_pipeline.platforms.packs import load_packs


def load_installed_vocabulary() -> Vocabulary:
    """Return the vocabulary with the keys of all installed packs whose rows can be read."""
    return load_vocabulary(_list_sources(leaving_out=frozenset(find_vocabulary_problems())))


@cache
def find_vocabulary_problems() -> dict[str, str]:
    """Return the packs whose vocabulary rows cannot be read, with the reason.

    Raises VocabularyError when the canonical markets themselves cannot be read.
    """
    try:
        load_vocabulary(_list_sources())
    except VocabularyError:
        load_vocabulary(())
        problems = {}
        for source in _list_sources():
            try:
                load_vocabulary((source,))
            except VocabularyError as error:
                problems[source.name] = str(error)
        return problems
    return {}


def _list_sources(leaving_out: frozenset[str] = frozenset()) -> tuple[KeySource, ...]:
    packs = sorted(load_packs().packs.values(), key=lambda pack: (pack.content.trust, pack.name))
    return tuple(read_pack_source(pack.name, pack.folder) for pack in packs if pack.name not in leaving_out)
