"""Which member owns which key: rendezvous hashing with bounded loads. Pure.

Every member is given a score for every key; the best one that has room gets it. All who see the
same members come to the same answer without talking, a member that comes or goes moves few keys,
and nobody owns more than one key above the mean (Thaler and Ravishankar 1998; Mirrokni, Thorup and
Zadimoghaddam 2018).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence


def assigned(keys: Sequence[str], members: Iterable[str]) -> dict[str, str]:
    """The owner of each key; empty without members."""
    names = sorted(members)
    if not names:
        return {}
    room = dict.fromkeys(names, -(-len(keys) // len(names)))
    owners: dict[str, str] = {}
    for key in keys:
        best = max((name for name in names if room[name]), key=lambda name: _score(key, name))
        owners[key] = best
        room[best] -= 1
    return owners


def own(keys: Sequence[str], members: Iterable[str], member: str) -> frozenset[str]:
    """The keys of one member."""
    return frozenset(key for key, owner in assigned(keys, members).items() if owner == member)


def _score(key: str, member: str) -> bytes:
    return hashlib.blake2b(f"{key}|{member}".encode(), digest_size=8).digest()
