"""Every setting as a row, for people and for docs/operations.md."""

from __future__ import annotations

import dataclasses

from backbone.settings import Settings


def settings_table() -> list[dict[str, str]]:
    """Variable, default and help of every setting."""
    return [
        {
            "variable": f"WADM_{field.name.upper()}",
            "default": str(field.default),
            "help": str(field.metadata["help"]),
        }
        for field in dataclasses.fields(Settings)
    ]
