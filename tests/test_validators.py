import pickle
import sys

import numpy as np
import pytest

import simherd as sh
from simherd.errors import ModelError


@sh.process
class Bounded:
    share = sh.variable(default=0.5, validator=sh.validators.in_bounds((0, 1)))
    above = sh.variable(default=1.0, validator=sh.validators.in_bounds((0, None), closed=(False, True)))
    grid = sh.variable(
        dims="x", default=None, validator=[sh.validators.is_subdtype(np.floating)], converter=np.asarray
    )


def made(**values):
    return Bounded(**{"grid": [1.0], **values})


@pytest.mark.parametrize("share", [0, 1, 0.3, np.array([0.0, 1.0])])
def test_values_of_a_closed_interval_pass(share):
    made(share=share)


@pytest.mark.parametrize("share", [-0.1, 1.1, np.array([0.5, 1.1]), np.nextafter(1.0, 2.0)])
def test_values_outside_an_interval_are_an_error(share):
    with pytest.raises(ValueError, match=r"'share' has .* out of bounds \[0, 1\]"):
        made(share=share)


def test_an_open_end_does_not_belong_to_the_interval():
    with pytest.raises(ValueError, match=r"the value 0 out of bounds \(0, None\]"):
        made(above=0)


def test_no_bound_is_no_limit():
    made(above=1e300)


def test_an_interval_that_ends_before_it_starts_is_an_error():
    with pytest.raises(ModelError, match="ends before it starts"):
        sh.validators.in_bounds((1, 0))


def test_types_below_the_given_one_pass():
    made(grid=np.zeros(2, np.float32))


def test_other_types_are_an_error():
    with pytest.raises(TypeError, match="int64"):
        made(grid=np.zeros(2, np.int64))


def test_validators_pickle():
    validator = sh.validators.in_bounds((0, 1))

    assert pickle.loads(pickle.dumps(validator)) == validator


def test_validators_are_a_module_to_import_from():
    from simherd.validators import in_bounds

    assert in_bounds is sh.validators.in_bounds
    assert sys.modules["simherd.validators"] is sh.validators
