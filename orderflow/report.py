"""The base of every served answer."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Report(BaseModel):
    """Base of every answer: immutable, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Answer(Report):
    """A whole answer, which may have been cut to a budget of tokens."""

    dropped: dict[str, int] | None = Field(
        default=None, description="entries left out for max_tokens, by list; absent: none"
    )
