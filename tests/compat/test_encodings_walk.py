"""Encodings as packages for xarray-simlab write them."""

import numpy as np
import pytest

import simherd.compat.xsimlab as xs


@xs.process
class Level:
    height = xs.variable(intent="out", encoding={"order": "F", "filters": None, "colour": "red"})

    def initialize(self):
        self.height = 2


@pytest.fixture
def setup():
    model = xs.Model({"level": Level})
    return model, xs.create_setup(model, clocks={"t": [0, 1]}, output_vars={"level__height": None})


@pytest.mark.parametrize(
    "encoding",
    [
        {"level__height": {"dtype": "f4"}},
        {("level", "height"): {"dtype": "f4"}},
        {"level": {"height": {"dtype": "f4"}}},
        {"level__height": {"dtype": "f4", "order": None}, "nothing__here": {"dtype": "i1"}},
    ],
)
def test_an_encoding_is_found_in_all_forms_of_names(setup, encoding):
    model, dataset = setup

    result = dataset.xsimlab.run(model=model, encoding=encoding)

    assert result.level__height.dtype == np.float32


def test_what_zarr_3_has_not_is_ignored_with_a_warning(setup):
    model, dataset = setup

    with pytest.warns(UserWarning, match="order is ignored"):
        result = dataset.xsimlab.run(model=model, encoding={"level__height": {"order": "F"}})

    assert result.level__height.item() == 2


def test_a_model_takes_the_order_that_an_error_asks_for():
    assert list(xs.Model({"level": Level}, order=[])) == ["level"]
