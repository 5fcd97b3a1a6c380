"""POC, VAH and VAL in wAIckoff's key_levels.json, beside the levels it found itself."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from wadm_client.cache import replace_file, slug
from wadm_client.errors import CacheError
from wadm_client.filelock import locked
from wadm_client.types import VolumeProfileReport

FOLDER = Path("waickoff_reports") / "context"
ORIGIN = "wadm"
TWO = Decimal("0.01")


def levels(profile: VolumeProfileReport) -> dict[str, dict[str, Any]]:
    """Levels by price. `strength_score` is the row's share of the volume in percent."""
    named = {"poc": profile.poc, "vah": profile.vah, "val": profile.val}
    shares = {level.price: level.percentage for level in profile.levels or ()}
    found: dict[str, dict[str, Any]] = {}
    for name, price in named.items():
        if price is None or profile.close is None:
            continue
        kind = "dual" if name == "poc" else "resistance" if price > profile.close else "support"
        share = shares.get(price)
        state = profile.quality.completeness.state
        found[format(price, "f")] = {
            "type": kind,
            "category": f"volume_profile_{name}",
            "origin": ORIGIN,
            "first_identified": profile.period_end,
            "touches": [],
            "strength_score": None if share is None else share.quantize(TWO),
            "notes": f"{name.upper()} of {profile.timeframe} {profile.window}, {state}",
        }
    return found


def write_key_levels(root: Path, profile: VolumeProfileReport) -> Path:
    """Replace our levels of the symbol, keep all others; CacheError when that cannot be done."""
    folder = root / FOLDER / (slug(profile.symbol) or "UNKNOWN")
    path = folder / "key_levels.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / ".lock"):
            known = _read(path)
            kept = {k: v for k, v in known["levels"].items() if v.get("origin") != ORIGIN}
            own = {k: v for k, v in levels(profile).items() if k not in kept}
            data = known | {
                "symbol": profile.symbol,
                "last_updated": profile.timestamp,
                "levels": kept | own,
            }
            encoder = msgspec.json.Encoder(decimal_format="number")
            replace_file(path, msgspec.json.format(encoder.encode(data), indent=2))
    except OSError as error:
        raise CacheError(f"key_levels.json cannot be written: {error.strerror}") from None
    return path


def _read(path: Path) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(path.read_bytes())
    except FileNotFoundError:
        return {"symbol": "", "last_updated": "", "levels": {}, "invalidated_levels": []}
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("levels"), dict):
        raise CacheError("key_levels.json is damaged: repair or remove it, it is not overwritten")
    return found
