"""Encodings for Zarr 2, as packages for xarray-simlab have them, in terms of Zarr 3."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from simherd.store.layout import ENCODING_KEYS

__all__ = ["usable_encoding"]

_ZARR_2_KEYS = ("filters", "object_codec", "order")
_SHUFFLES = {-1: "bitshuffle", 0: "noshuffle", 1: "shuffle", 2: "bitshuffle"}


def usable_encoding(name: str, encoding: Mapping[str, Any]) -> dict[str, Any]:
    """Return an encoding with a codec of Zarr 3 and without a synchronizer.

    Parameters
    ----------
    name : str
        The output, for warnings.
    encoding : mapping
        How it is to be stored.

    Warns
    -----
    UserWarning
        If something of it is left out.
    """
    usable = dict(encoding)
    if usable.pop("synchronizer", None) is not None:
        _warn(name, "the synchronizer is ignored: simulations never write the same chunk")
    for key in [key for key in usable if key not in ENCODING_KEYS]:
        if usable.pop(key) is not None and key in _ZARR_2_KEYS:
            _warn(name, f"{key} is ignored, since Zarr 3 arrays have none")
    compressor: Any = usable.get("compressor")
    if hasattr(compressor, "codec_id"):
        usable["compressor"] = _codec_of_zarr_3(compressor.get_config())
        if usable["compressor"] is None:
            _warn(name, f"the compressor {compressor!r} is ignored, since Zarr 3 does not have it")
            del usable["compressor"]
    return usable


def _warn(name: str, what: str) -> None:
    warnings.warn(f"encoding of {name!r}: {what}.", UserWarning, stacklevel=5)


def _codec_of_zarr_3(config: Mapping[str, Any]) -> Any:
    """Return the codec for the configuration of one of numcodecs, if there is one."""
    from zarr import codecs

    kind = config["id"]
    if kind == "blosc":
        shuffle = codecs.BloscShuffle(_SHUFFLES[config["shuffle"]])
        return codecs.BloscCodec(cname=config["cname"], clevel=config["clevel"], shuffle=shuffle)
    if kind in ("gzip", "zstd"):
        codec = codecs.GzipCodec if kind == "gzip" else codecs.ZstdCodec
        return codec(level=config["level"])
    return None
