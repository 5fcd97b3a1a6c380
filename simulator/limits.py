"""What the simulated venues enforce, as settings, and the REST budgets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The venues' published limits in wall-clock time; tests shorten them.

    `None` keeps each venue's own value. `life_s` is the "24 h" after which a connection is cut;
    `shutdown_notice_s` before it, Binance spot sends `serverShutdown` (0: no notice).
    `answer_delay_s` is how long a client's message travels.
    """

    ping_interval_s: float | None = None
    pong_timeout_s: float | None = None
    silence_cut_s: float = 600.0
    messages_per_s: int | None = None
    streams_per_connection: int = 1024
    life_s: float = 86_400.0
    shutdown_notice_s: float = 0.0
    connects_per_window: int | None = None
    connect_window_s: float = 300.0
    weight_per_minute: int | None = None
    refused_before_ban: int = 5
    ban_s: float = 120.0
    answer_delay_s: float = 0.0
    usdm_history_ms: int = 48 * 3_600_000


class Budget:
    """Request weight of one client in fixed windows, with Binance's two steps of refusal."""

    def __init__(self, limit: int, window_s: float, refused_before_ban: int, ban_s: float) -> None:
        self.limit = limit
        self.window_s = window_s
        self.refused_before_ban = refused_before_ban
        self.ban_s = ban_s
        self.used = 0
        self._window = -1
        self._refused = 0
        self._banned_until_s = 0.0

    def spend(self, weight: int, now_s: float) -> tuple[int, int]:
        """HTTP status (200, 429 or 418) and seconds to wait, for a request at a monotonic time."""
        if now_s < self._banned_until_s:
            return 418, int(self._banned_until_s - now_s) + 1
        window = int(now_s / self.window_s)
        if window != self._window:
            self._window, self.used, self._refused = window, 0, 0
        self.used += weight
        if self.used <= self.limit:
            return 200, 0
        self._refused += 1
        if self._refused > self.refused_before_ban:
            self._banned_until_s = now_s + self.ban_s
            return 418, int(self.ban_s)
        return 429, int((window + 1) * self.window_s - now_s) + 1
