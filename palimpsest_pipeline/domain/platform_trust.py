"""The order in which platforms are trusted when they disagree."""

from collections.abc import Sequence

from .enums import Platform


def order_by_trust(home: Platform | str, platforms: Sequence[Platform | str] = tuple(Platform)) -> tuple[Platform, ...]:
    """Return `platforms` in order of trust: home first, then in the order of `Platform`.

    Raises ValueError when home is not in `platforms`.
    """
    compared = {Platform(p) for p in platforms}
    if Platform(home) not in compared:
        raise ValueError(f"home platform {home} is not among the platforms compared: {', '.join(sorted(compared))}")
    return (Platform(home), *(p for p in Platform if p in compared and p != home))
