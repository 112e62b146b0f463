"""Asserts in the shipped contracts tell what they found, as those of tests do."""

import pytest

pytest.register_assert_rewrite(
    "simherd.testing.clusters", "simherd.testing.schedulers", "simherd.testing.scripts"
)
