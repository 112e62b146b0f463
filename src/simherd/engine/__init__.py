"""How simulations are executed: plan, steps, outputs, blocks.

Knows no Dask, Zarr or xarray: values come in as plain arrays and go out as plain arrays.
"""

from simherd.engine.block import Block, BlockResult, BlockRun, Status
from simherd.engine.columns import Column
from simherd.engine.failures import Failure
from simherd.engine.plan import Array, Plan, Tap
from simherd.engine.schema import OutputSchema, Schema, hold_to, output_schema, schema_of, scout
from simherd.engine.simulate import Simulator, check_static
from simherd.engine.values import fill_value_for

__all__ = [
    "Array",
    "Block",
    "BlockResult",
    "BlockRun",
    "Column",
    "Failure",
    "OutputSchema",
    "Plan",
    "Schema",
    "Simulator",
    "Status",
    "Tap",
    "check_static",
    "fill_value_for",
    "hold_to",
    "output_schema",
    "schema_of",
    "scout",
]
