"""Validators; see `simherd.validators`."""

from simherd.model.validators import in_bounds, is_subdtype

__all__ = ["in_bounds", "is_subdtype"]
