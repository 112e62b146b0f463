"""How simulations are executed: plan, steps, outputs, blocks.

Knows no Dask, Zarr or xarray: values come in as plain arrays and go out as plain arrays.
"""
