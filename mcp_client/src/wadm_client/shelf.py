"""Cache files of questions: a failing disk is told once and never stops an answer."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from wadm_client.cache import FileCache, file_name
from wadm_client.clock import Clock
from wadm_client.config import Config
from wadm_client.entry import Entry
from wadm_client.errors import CacheError
from wadm_client.question import Question


class CacheWarning(UserWarning):
    """The cache folder cannot be used; answers go on from memory."""


class Shelf:
    """The file of each question, if there is a folder. `problem` is the last failure, or ''."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self.problem = ""
        self.cache = (
            None
            if config.cache_dir is None
            else FileCache(config.cache_dir, config.cache_bytes, config.cache_days, clock)
        )

    def load(self, question: Question[Any]) -> Entry | None:
        """The entry of a question, or None."""
        if self.cache is None:
            return None
        try:
            return self.cache.read(_name(question), question.key)
        except CacheError as error:
            self._failed(error)
            return None

    def save(self, question: Question[Any], entry: Entry) -> None:
        """Write the entry; a failure is a warning."""
        if self.cache is None:
            return
        try:
            self.cache.write(_name(question), entry)
            self.problem = ""
        except CacheError as error:
            self._failed(error)

    def _failed(self, error: CacheError) -> None:
        if self.problem != str(error):
            self.problem = str(error)
            warnings.warn(f"{error}; answers go on from memory", CacheWarning, stacklevel=4)


def _name(question: Question[Any]) -> Path:
    return file_name(question.kind, question.symbol, question.step, question.key)
