"""Validators; see `simherd.validators`."""

from simherd.validators import in_bounds, is_subdtype

__all__ = ["in_bounds", "is_subdtype"]
