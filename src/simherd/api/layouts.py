"""How outputs are stored whose values differ in size between simulations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from simherd.api.prepare import Prepared
from simherd.engine.schema import OutputSchema, Schema, may_change
from simherd.ensemble.discovery import discover_more
from simherd.ensemble.run import Batch
from simherd.errors import SetupError

__all__ = ["choose_layouts"]

MAX_WASTE = 3.0
COMPARED = 7
BATCH_PER_COMPARED = 100


def choose_layouts(prepared: Prepared, batch: Batch, schema: Schema, is_stored: bool) -> Schema:
    """Return a schema that says of which outputs values are stored one after another.

    That is what the user says. Of the others those in a store of which filling values up to the largest
    would take more than three times their place, as far as up to seven more simulations tell: one per cent
    of the batch.

    Raises
    ------
    SetupError
        If the user wants it of an output that has no dimension, or whose values are texts.
    """
    wanted = {name: one.get("layout") for name, one in prepared.encoding.items()}
    unsure = [one for one in schema.outputs if wanted[one.tap.name] is None and _may(batch, schema, one)]
    count = min(COMPARED, batch.plan.batch_size // BATCH_PER_COMPARED)
    others = discover_more(batch, count) if is_stored and unsure and count else []
    chosen = {one.tap.name for one in unsure if _waste(one, [schema, *others]) > MAX_WASTE}
    chosen |= {name for name, layout in wanted.items() if layout == "concatenated"}
    for one in schema.outputs:
        if one.tap.name in chosen:
            _check(one)
    return replace(
        schema, outputs=tuple(replace(o, is_concatenated=o.tap.name in chosen) for o in schema.outputs)
    )


def _may(batch: Batch, schema: Schema, output: OutputSchema) -> bool:
    return output.dtype.kind not in "OUST" and may_change(batch.plan, schema, output)


def _waste(output: OutputSchema, schemas: Sequence[Schema]) -> float:
    """Return the place that values take when they are filled up, over what they need."""
    shapes = [one.shape for schema in schemas for one in schema.outputs if one.tap.name == output.tap.name]
    if len({len(shape) for shape in shapes}) > 1:
        return 1.0
    largest = math.prod(max(sizes) for sizes in zip(*shapes, strict=True))
    mean = sum(map(math.prod, shapes)) / len(shapes)
    return largest / mean if mean else 1.0


def _check(output: OutputSchema) -> None:
    if not output.dims or output.dtype.kind in "OUST":
        found = "has no dimension of its own" if not output.dims else "has texts as values"
        raise SetupError(
            f"encoding of {output.tap.name!r}: layout 'concatenated' is not for an output that {found}.",
            fix="leave it out, or say 'padded'.",
        )
