"""Compressors and other encodings, in the forms of Zarr 2 and 3, as what Zarr 3 takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from simherd.errors import SetupError
from simherd.user_warnings import warn_user

__all__ = ["ZARR_2_KEYS", "in_zarr_3"]

ZARR_2_KEYS: Mapping[str, str] = {
    "filters": "Zarr 3 arrays have none",
    "object_codec": "Zarr 3 arrays have none",
    "order": "Zarr 3 arrays have none",
    "synchronizer": "simulations never write the same chunk",
}
"""What only encodings for Zarr 2 have, and why nobody misses it."""

_SHUFFLES: Mapping[int, Literal["noshuffle", "shuffle", "bitshuffle"]] = {
    -1: "bitshuffle",
    0: "noshuffle",
    1: "shuffle",
    2: "bitshuffle",
}


def in_zarr_3(name: str, encoding: Mapping[str, Any]) -> dict[str, Any]:
    """Return an encoding in terms of Zarr 3.

    Parameters
    ----------
    name : str
        The output, for messages.
    encoding : mapping
        How it is to be stored; compressors are codecs of Zarr 3 or numcodecs, one or several, or
        ``{"name": ..., "configuration": {...}}``, or "default", or None for none.

    Raises
    ------
    SetupError
        If a compressor is none.

    Warns
    -----
    UserWarning
        If something of it is left out.
    """
    usable = dict(encoding)
    for key, reason in ZARR_2_KEYS.items():
        if usable.pop(key, None) is not None:
            _warn(name, f"{key} is ignored: {reason}")
    for key in ("compressor", "compressors"):
        if usable.get(key) not in (None, "default"):
            usable[key] = _codecs(name, key, usable[key])
    return usable


def _codecs(name: str, key: str, given: Any) -> Any:
    found = []
    for one in given if isinstance(given, list | tuple) else [given]:
        codec = _codec(one)
        if codec is None and hasattr(one, "codec_id"):
            _warn(name, f"the compressor {one!r} is ignored: Zarr 3 does not have it")
        elif codec is None:
            raise SetupError(
                f"encoding of {name!r}: {key} {one!r} is not known.",
                fix="give 'default', null for none, or codecs of zarr.codecs.",
            )
        else:
            found.append(codec)
    return found or "default"


def _codec(given: Any) -> Any:
    """Return the codec of Zarr 3 that is meant, or None."""
    from zarr.abc.codec import Codec
    from zarr.registry import get_codec_class

    if isinstance(given, Codec):
        return given
    if hasattr(given, "codec_id"):
        return _codec_of_numcodecs(given.get_config())
    try:
        return get_codec_class(given["name"]).from_dict(dict(given))
    except (KeyError, TypeError, ValueError):
        return None


def _codec_of_numcodecs(config: Mapping[str, Any]) -> Any:
    from zarr import codecs

    kind = config["id"]
    if kind == "blosc":
        shuffle = _SHUFFLES[config["shuffle"]]
        return codecs.BloscCodec(cname=config["cname"], clevel=config["clevel"], shuffle=shuffle)
    if kind in ("gzip", "zstd"):
        codec = codecs.GzipCodec if kind == "gzip" else codecs.ZstdCodec
        return codec(level=config["level"])
    return None


def _warn(name: str, what: str) -> None:
    warn_user(f"encoding of {name!r}: {what}.", UserWarning)
