"""The base of every served answer."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Report(BaseModel):
    """Base of every answer: immutable, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")
