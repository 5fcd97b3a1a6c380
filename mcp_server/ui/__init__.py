"""The MCP App: one self-contained page that draws an answer inside the chat."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

PAGE_URI = "ui://wadm/answer.html"


@cache
def page() -> str:
    """The page; it loads nothing from anywhere."""
    return files(__name__).joinpath("answer.html").read_text(encoding="utf-8")
