"""Cryptomatte's ids, header and channel names: version 1.2 of the public specification."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

import mmh3

from ...errors import InputError

LAYER = "CryptoObject"
"""Name of the Cryptomatte that exports write."""

RANKS_A_LAYER = 2
"""Pairs of id and coverage that the four channels of a layer hold."""

HASH, CONVERSION = "MurmurHash3_32", "uint32_to_float32"

_EXPONENT = 0xFF << 23


def hash_of(name: str) -> int:
    """MurmurHash3 (x86, 32 bits) of a name's UTF-8 bytes, such that it is a normal float32.

    Where the bits read as a float would be zero, denormal, infinite or not a number, the lowest bit
    of the exponent is the other one.
    """
    bits = mmh3.hash(name.encode(), 0, signed=False)
    return bits ^ (1 << 23) if bits & _EXPONENT in (0, _EXPONENT) else bits


def manifest_of(names: Iterable[str]) -> dict[str, int]:
    """Id by name.

    Raises:
        InputError: a name cannot be written, or two have the same id.
    """
    manifest: dict[str, int] = {}
    name_of: dict[int, str] = {}
    for name in names:
        try:
            bits = hash_of(name)
        except UnicodeError as error:
            raise InputError(
                f"the name {name!r} is not valid Unicode; rename the object"
            ) from error
        if bits in name_of:
            raise InputError(
                f"objects {name_of[bits]!r} and {name!r} have the same Cryptomatte id; "
                "rename one of them"
            )
        manifest[name], name_of[bits] = bits, name
    return manifest


def header_of(manifest: Mapping[str, int]) -> dict[str, str]:
    """The OpenEXR attributes that say what the ids mean."""
    key = f"cryptomatte/{hash_of(LAYER):08x}"[:-1]
    names = {name: f"{bits:08x}" for name, bits in manifest.items()}
    return {
        f"{key}/name": LAYER,
        f"{key}/hash": HASH,
        f"{key}/conversion": CONVERSION,
        f"{key}/manifest": json.dumps(names, ensure_ascii=False, separators=(",", ":")),
    }


def rank_channels(layer: str, rank: int) -> tuple[str, str]:
    """The channels of a rank's ids and coverages: R and G of a layer, then B and A."""
    of_ids, of_coverages = ("R", "G") if rank % RANKS_A_LAYER == 0 else ("B", "A")
    start = f"{layer}{rank // RANKS_A_LAYER:02d}"
    return f"{start}.{of_ids}", f"{start}.{of_coverages}"
