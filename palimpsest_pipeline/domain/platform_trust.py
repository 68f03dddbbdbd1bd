"""The order in which platforms are trusted when they disagree."""

from collections.abc import Sequence

from .enums import Platform


def put_home_first(home: Platform, platforms: Sequence[Platform]) -> tuple[Platform, ...]:
    """Return `platforms`, which are in order of trust, with home moved to the front.

    Raises ValueError when home is not in `platforms`.
    """
    if home not in platforms:
        raise ValueError(f"home platform {home} is not among the platforms compared: {', '.join(sorted(platforms))}")
    return (home, *(platform for platform in platforms if platform != home))
