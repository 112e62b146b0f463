"""Progress; see `simherd.monitoring`."""

from simherd.monitoring import ProgressBar

__all__ = ["ProgressBar"]
