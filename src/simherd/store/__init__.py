"""Zarr on the way out: layout, block writes, status, journal, reading back."""
