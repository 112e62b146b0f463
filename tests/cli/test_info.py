from __future__ import annotations


def test_info_shows_stages_variables_and_inputs(simherd, experiment):
    done = simherd("info", experiment())

    assert done.code == 0
    assert (
        done.out
        == """\
1 process, 4 inputs. Order: walk

walk (Walk): initialize, run_step
  input  gain         climb per step [m]
  input  start        height at the start [m] default 0.0
  input  pause        default 0.0
  input  shape   (x)  default array([1., 1., 1.])
  sets   height       height reached [m]
"""
    )


def test_a_model_is_named_by_its_module_or_file(simherd, experiment, tmp_path, monkeypatch):
    experiment()
    monkeypatch.chdir(tmp_path)

    assert simherd("info", "walk.py:model").out == simherd("info", "walk.yaml").out
    assert "epidemic (Epidemic)" in simherd("info", "simherd.examples.influenza:model").out


def test_variables_of_others_groups_and_on_demand_ones_are_told_apart(simherd):
    out = simherd("info", "simherd.examples.landscape:model").out

    assert "reads  elevation      (y, x)  = surface.elevation" in out
    assert "all of group 'uplift'" in out
    assert "  on demand  relief" in out


def test_a_model_that_is_not_there_is_wrong_usage(simherd):
    done = simherd("info", "simherd.examples.influensa:model")

    assert done.code == 2
    assert done.err.startswith("Error: There is no module 'simherd.examples.influensa'")
