"""Everything that can go wrong, each with the exit code of the command line."""

from __future__ import annotations

MOST_TEXT = 300


class ClientError(Exception):
    """Base of all errors of this package."""

    exit_code = 1


class ConfigError(ClientError):
    """A setting or an argument is wrong; the message says how to put it right."""

    exit_code = 2


class UnreachableError(ClientError):
    """No answer came: the network, the server, or the deadline."""

    exit_code = 3


class SlowError(UnreachableError):
    """The server was reached, but no whole answer came in time."""


class CertificateError(UnreachableError):
    """The server's certificate was refused. It is never ignored and never retried."""

    exit_code = 4


class BadAnswerError(ClientError):
    """An answer came, but it is cut, not JSON, or not what was asked for."""

    exit_code = 5


class TooLargeError(BadAnswerError):
    """The answer is larger than allowed; reading stopped there."""


class ApiError(ClientError):
    """The server refused, with its documented code."""

    exit_code = 6

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        retry_after_s: float | None = None,
        request_id: str = "",
    ) -> None:
        self.status = status
        self.code = clean(code)[:40]
        self.retry_after_s = retry_after_s
        self.request_id = clean(request_id)[:64]
        super().__init__(f"{self.code}: {clean(message)}")


class RateLimitedError(ApiError):
    """The key's budget is used up."""

    exit_code = 7


class NotReadyError(ApiError):
    """The server is starting, stopping or cannot read its store."""

    exit_code = 3


class CacheError(ClientError):
    """The cache folder cannot be used; answers go on without it."""

    exit_code = 8


def clean(text: str) -> str:
    """Text of a server, printable and short: it may end on a terminal."""
    return "".join(c if c.isprintable() else " " for c in text[:MOST_TEXT])
