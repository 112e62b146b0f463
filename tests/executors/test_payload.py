from __future__ import annotations

import threading

import pytest

from simherd.errors import PicklingError
from simherd.executors.payload import KEPT, pack, unpack


def test_an_object_comes_back_as_it_went():
    assert unpack(pack({"a": [1, 2]})) == {"a": [1, 2]}


def test_a_payload_is_unpacked_once():
    payload = pack({"a": 1})

    assert unpack(payload) is unpack(payload)


def test_only_the_latest_payloads_are_kept():
    first = pack(["first"])
    kept = unpack(first)
    for number in range(KEPT):
        unpack(pack([number]))

    assert unpack(first) is not kept


def test_the_culprit_is_named_with_its_attribute():
    class Part:
        def __init__(self):
            self.fine = 1
            self.lock = threading.Lock()

    part = Part()

    with pytest.raises(
        PicklingError, match="Cannot send the part, attribute 'lock' to worker processes"
    ) as info:
        pack([part], [("other", 1), ("the part", part)])
    assert isinstance(info.value.__cause__, TypeError)


def test_a_variable_that_a_function_closes_over_is_named():
    lock = threading.Lock()

    def function():
        return lock

    with pytest.raises(PicklingError, match="hook 'function', attribute 'lock'"):
        pack(function, [("hook 'function'", function)])
