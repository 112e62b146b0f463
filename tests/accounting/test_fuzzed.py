"""Any text gives records, or one clear error."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simherd.accounting import add_up, cpu_efficiency, diagnose, memory_efficiency, time_efficiency
from simherd.accounting.qacct import parse_qacct
from simherd.accounting.quantities import read_count, read_duration, read_moment, read_number, read_size
from simherd.accounting.query import parse_any
from simherd.accounting.sacct import parse_sacct
from simherd.errors import AccountingError

DATA = sorted((Path(__file__).parent / "data").glob("*"))
REAL = [path.read_text() for path in DATA]
NOISE = st.sampled_from(
    [
        "",
        "0",
        "-1",
        "9" * 30,
        "1.2.3",
        "None",
        "Unknown",
        "|",
        "\n",
        "NONE",
        "undefined",
        "²",
        "\x00",
        "1-",
        ":",
    ]
)
SIZES = st.sampled_from(["16?", "1.5G", "12Kn", "4000Mc", "0n", "nan", "inf", "1e9", "18446744073709551614"])


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """Return a real text with pieces replaced or left out."""
    text = draw(st.sampled_from(REAL))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(text)))
        length = draw(st.integers(0, 40))
        text = text[:start] + draw(st.one_of(NOISE, SIZES, st.text(max_size=4))) + text[start + length :]
    return text


@pytest.mark.parametrize("parse", [parse_qacct, parse_sacct, parse_any])
@given(text=st.one_of(st.text(), damaged()))
@settings(max_examples=60)
def test_any_text_gives_records_or_one_error(parse, text):
    usages = []
    with suppress(AccountingError):
        usages = parse(text)
        assert usages

    for usage in usages:
        for share in (cpu_efficiency(usage), memory_efficiency(usage), time_efficiency(usage)):
            assert share is None or (math.isfinite(share) and share >= 0)
        assert all(finding.sentence for finding in diagnose(usage))
    assert add_up(usages).attempts == len(usages)


@pytest.mark.parametrize("read", [read_count, read_duration, read_moment, read_number, read_size])
@given(text=st.text(alphabet=st.sampled_from("0123456789.:-/ KMGTnT²JanFri"), max_size=30))
@settings(max_examples=60)
def test_any_quantity_is_read_or_no_data(read, text):
    read(text)
