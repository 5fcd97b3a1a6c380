"""The error tree.

WadmError
  ConfigError            start-up: names the setting and its allowed values
  DomainError            a value that can't be represented
    OffGridError           a price or quantity that is no whole multiple of its step
    MergeError             bars that can't be merged
  ExchangeError          the venue's fault: count, drop the frame, keep the socket
    MalformedFrameError    a frame that does not follow the documented shape
    VenueRefusedError      a REST answer that says no; may carry `retry_after_s`
  StoreError, BusError   retry with backoff; readiness turns red
    FencedError            somebody else owns this part of the store now: stop, do not retry
  RequestError           the caller's fault: carries a code and an HTTP status
"""

from __future__ import annotations

from collections.abc import Sequence


class WadmError(Exception):
    """Root of every error this project raises on purpose."""


class ConfigError(WadmError):
    """A setting is missing or wrong; the message names it and the allowed values."""


class DomainError(WadmError):
    """A value the integer model can't represent."""


class OffGridError(DomainError):
    """A price or quantity that is no whole multiple of its step."""


class MergeError(DomainError):
    """Bars of different scale, or in the wrong order, were given to a merge operator."""


class ExchangeError(WadmError):
    """Something a venue did wrong."""


class MalformedFrameError(ExchangeError):
    """A frame or body that does not follow the documented shape."""


class VenueRefusedError(ExchangeError):
    """A venue answered no; `retry_after_s` is the pause it asked for, if it did."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class StoreError(WadmError):
    """The store failed or refused."""


class FencedError(StoreError):
    """A write of a former owner: its scope was taken by somebody else."""


class BusError(WadmError):
    """The bus failed or is closed."""


class RequestError(WadmError):
    """The caller's fault, with the same code over REST and MCP."""

    code = "INVALID_PARAMETER"
    status = 400

    def __init__(self, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class InvalidParameterError(RequestError):
    """A parameter whose text has the wrong form."""


class NotFoundError(RequestError):
    """Well-formed, but there is nothing: unknown symbol, not collected, expired."""

    code = "DATA_NOT_FOUND"
    status = 404


class UnknownSymbolError(NotFoundError):
    """No configured venue lists this symbol; `candidates` are the nearest known ones."""

    def __init__(self, message: str, candidates: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.candidates = tuple(candidates)


class ValidationError(RequestError):
    """Well-formed, but outside the allowed values; the message lists them."""

    code = "VALIDATION_ERROR"
    status = 422


class NotReadyError(RequestError):
    """The service is starting or has no live data yet."""

    code = "NOT_READY"
    status = 503


class UnauthorizedError(RequestError):
    """No key, or none that is known."""

    code = "UNAUTHORIZED"
    status = 401


class ForbiddenError(RequestError):
    """The key is good, but not for this."""

    code = "FORBIDDEN"
    status = 403


class RateLimitError(RequestError):
    """The budget is used up; `retry_after_s` says when there is more."""

    code = "RATE_LIMIT_EXCEEDED"
    status = 429
