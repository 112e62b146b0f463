from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simherd.ensemble.blocks import count_blocks, cut_blocks


@given(simulations=st.integers(1, 300), size=st.integers(1, 400))
def test_blocks_cover_the_batch_without_overlap(simulations, size):
    values = np.arange(simulations)

    blocks = list(cut_blocks(simulations, size, {("p", "v"): values}))

    assert [b.start for b in blocks] == list(range(0, simulations, size))
    assert sum(b.size for b in blocks) == simulations
    assert len(blocks) == count_blocks(simulations, size)
    np.testing.assert_array_equal(np.concatenate([b.inputs["p", "v"] for b in blocks]), values)
