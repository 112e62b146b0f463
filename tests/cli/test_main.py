from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from simherd.cli import COMMANDS

HEAVY = ("numpy", "xarray", "zarr", "dask", "distributed", "rich", "scipy", "matplotlib", "yaml")


def test_help_lists_all_commands(simherd):
    done = simherd("--help")

    assert done.code == 0
    for name, summary in COMMANDS.items():
        assert f"  {name}" in done.out
        assert summary in done.out


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help_that_starts_as_the_list_says(simherd, name):
    done = simherd(name, "--help")

    assert done.code == 0
    assert COMMANDS[name].rstrip(".") in done.out
    assert done.err == ""


def test_h_is_help(simherd):
    assert simherd("-h").out == simherd("--help").out


def test_the_version_is_shown(simherd):
    assert simherd("--version").out.startswith("simherd 0.")


@pytest.mark.parametrize(
    "arguments", [("--help",), ("run", "--help"), ("graph", "--help"), ("info", "--help"), ("--version",)]
)
def test_help_imports_nothing_heavy(arguments):
    code = (
        "import sys; from simherd.cli import main\n"
        f"sys.argv = ['simherd', *{arguments!r}]\n"
        "try: main()\n"
        f"except SystemExit: print('heavy:', [n for n in {HEAVY} if n in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "heavy: []"


def test_help_is_quick():
    def seconds():
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "simherd.cli", "--help"], capture_output=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(3)) < 0.3  # of a core; 0.06 s on an idle machine


def test_an_unknown_command_comes_with_the_close_match(simherd):
    done = simherd("rnu")

    assert done.code == 2
    assert "No such command 'rnu'. Did you mean 'run'?" in done.err


def test_an_unknown_option_is_wrong_usage(simherd):
    done = simherd("run", "x.yaml", "--worker", "2")

    assert done.code == 2
    assert "--workers" in done.err


def test_no_command_shows_the_help(simherd):
    done = simherd()

    assert "Commands:" in done.out + done.err
    assert done.code in (0, 2)
