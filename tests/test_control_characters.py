"""Texts that others wrote cannot act on a terminal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import simherd
from simherd.control_characters import readable_portions, without_controls
from simherd.errors import StoreError
from simherd.events import BlockLost, RunStarted
from simherd.progress import headline, loss
from simherd.progress.notices import notice

ODD = "a\x1b]0;title\x07b\x1b[31mc\x1b[2Jd\x9b1me\x07f\x08g\x7fh\x1bci\u202ej\r\nk\tl"
CLEAN = "abcdefghij\nk\tl"
FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def test_control_sequences_go_and_lines_and_tabs_stay():
    assert without_controls(ODD) == CLEAN
    assert without_controls("naïve — 数値 ±1 °C\n") == "naïve — 数値 ±1 °C\n"


def test_a_sequence_that_does_not_end_takes_no_text_along():
    assert without_controls("a\x1b]0;title and all the rest\nof it") == "a0;title and all the rest\nof it"


@given(st.text())
def test_no_text_leaves_a_control_character(text):
    assert not FORBIDDEN.search(without_controls(text))


@given(
    st.lists(st.sampled_from(["é", "x", "\n", "\r", "\x1b[31", "m", "\x1b", "]0;t", "\x07", "\x9b"])),
    st.data(),
)
def test_portions_are_cut_anywhere(parts, data):
    text = "".join(parts)
    raw = text.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)))))
    portions = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]

    joined = "".join(readable_portions(portions))

    assert joined == "".join(readable_portions([raw]))
    assert not FORBIDDEN.search(joined)


def test_a_portion_that_is_whole_is_there_at_once():
    portions = readable_portions(iter([b"10 %\r", b"20 %\r\n", b"done \x1b[1", b"mhere\n"]))

    assert [next(portions) for _ in range(4)] == ["10 %", "\n20 %\n", "done ", "here\n"]


def test_errors_quote_without_control_characters():
    error = StoreError(f"Cannot read {ODD}", fix=ODD, cli_fix=ODD)

    assert str(error) == f"Cannot read {CLEAN} Fix: {CLEAN}"
    assert error.for_cli() == f"Cannot read {CLEAN} Fix: {CLEAN}"


def test_progress_shows_no_control_characters(capsys):
    notice(ODD)

    assert capsys.readouterr().err == f"{CLEAN}\n"
    assert headline(RunStarted(simulations=1, blocks=1, workers=1, where=ODD)).endswith(CLEAN)
    assert loss(BlockLost(simulations="simulation 1", reason=ODD)).endswith(f"{CLEAN}.")


def test_the_command_line_prints_in_one_way_only():
    """Each print, echo or write of its own would let texts of stores through."""
    folder = Path(simherd.__file__).parent / "cli"
    direct = re.compile(r"\bclick\.s?echo\(|(?<!\.)\bprint\(|std(out|err)\.(buffer|write)")

    found = {path.name for path in folder.glob("*.py") if direct.search(path.read_text())}

    assert found == {"output.py"}


@pytest.mark.parametrize(
    "arguments", [("failures",), ("failures", "--all"), ("status",), ("status", "--check")]
)
def test_commands_on_a_store_print_no_control_characters(arguments, tmp_path, monkeypatch, capsys, walk):
    from simherd.cli import main
    from simherd.store.journal import read_journal

    path = tmp_path / "out\x1b[31m.zarr"
    walk.setup([1.0, -1.0]).simherd.run(walk.model, batch_dim="member", store=path, on_error="record")
    (journal,) = (path / "journal").iterdir()
    journal.write_text(journal.read_text().replace("is negative", ODD.encode("unicode_escape").decode()
                       .replace("\\x", "\\u00")))  # fmt: skip
    assert "\x1b]0;" in read_journal(path)[0]["traceback"]
    monkeypatch.setattr("sys.argv", ["simherd", *arguments, str(path)])

    with pytest.raises(SystemExit):
        main()

    output = capsys.readouterr()
    assert "out" in output.out
    assert not FORBIDDEN.search(output.out + output.err)
