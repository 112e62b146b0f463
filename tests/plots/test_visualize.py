from __future__ import annotations

import shutil

import pytest

import simherd as sh
from simherd.errors import UnknownNameError


def test_a_model_is_drawn_with_as_much_as_is_asked_for(walk):
    plain = str(sh.visualize(walk.model))
    full = str(sh.visualize(walk.model, show_inputs=True, show_variables=True))

    assert "walk" in plain
    assert "gain" not in plain
    assert '"gain"' in full
    assert '|"x"|' in full


def test_one_variable_is_shown_with_its_readers_alone():
    source = sh.process(type("S", (), {n: sh.variable(intent="out") for n in ("u", "v")}))
    reader = sh.process(type("R", (), {n: sh.foreign(source, n) for n in ("u", "v")}))
    model = sh.Model({"s": source, "r": reader})

    text = str(sh.visualize(model, show_only_variable=("r", "v")))

    assert '|"v"|' in text


def test_an_unknown_variable_comes_with_the_close_match(walk):
    with pytest.raises(UnknownNameError, match="Did you mean 'walk__gain'"):
        sh.visualize(walk.model, show_only_variable=("walk", "gian"))


def test_a_picture_is_written_and_shown_in_notebooks(walk, tmp_path):
    sh.visualize(walk.model, tmp_path / "model.mmd")

    assert (tmp_path / "model.mmd").read_text().startswith("flowchart")
    if shutil.which("dot"):
        assert "<svg" in sh.visualize(walk.model)._repr_svg_()
