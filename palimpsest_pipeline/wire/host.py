"""What a client remembers about its host: when it may be asked next, and whether it may be asked at all. Pure; the client does the waiting."""


class Pacer:
    """Hands out start times that lie at least `min_gap_s` apart. Times in seconds of one monotonic clock."""

    def __init__(self, min_gap_s: float) -> None:
        self._min_gap_s = min_gap_s
        self._next_at = 0.0
        self.holds = 0
        """How often starts that were handed out have become too early."""

    def reserve(self, now: float) -> float:
        """Takes the next free start; returns the seconds until then."""
        start_at = max(now, self._next_at)
        self._next_at = start_at + self._min_gap_s
        return start_at - now

    def hold_until(self, instant: float) -> None:
        """No start before `instant`, whoever asks. Starts handed out before it are void: `holds` has moved on."""
        self._next_at = max(self._next_at, instant)
        self.holds += 1


class Breaker:
    """Closes the host for good after so many blocked answers in a row; a usable answer starts the count again."""

    def __init__(self, blocks_before_closing: int) -> None:
        self._limit = blocks_before_closing
        self._in_a_row = 0
        self.reason: str | None = None
        """Why the host is closed; None while it is open."""

    def blocked(self, detail: str) -> None:
        self._in_a_row += 1
        if self._in_a_row >= self._limit:
            self.close(f"blocked {self._in_a_row} times in a row, last by {detail}")

    def answered(self) -> None:
        self._in_a_row = 0

    def close(self, reason: str) -> None:
        self.reason = self.reason or reason
