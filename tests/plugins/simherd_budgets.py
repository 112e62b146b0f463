"""Time budgets: what the tests of a marker may take together, printed at the end of each run.

A budget (``time_budgets`` in pyproject.toml) is seconds of tests, added up over all workers. More than
the budget is said; more than twice the budget fails a run in which everything else passed, as a test
that has come to take minutes is a fault too, but a busy machine is none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator

import pytest

FAILS_ABOVE = 2.0


class TimeBudgets:
    """Adds up the time of tests by marker."""

    def __init__(self, budgets_s: dict[str, float]) -> None:
        self.budgets_s = budgets_s
        self.spent_s: dict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add the time of a test's set-up, call or tear-down."""
        # The report of a worker that crashed has none.
        for marker in self.budgets_s.keys() & set(getattr(report, "markers", ())):
            self.spent_s[marker] += report.duration

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail a run whose tests took far longer than they may."""
        if session.exitstatus == pytest.ExitCode.OK and any(map(self.is_well_exceeded, self.spent_s)):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print what was spent of each budget."""
        if self.spent_s:
            terminalreporter.section("time budgets")
        for marker in sorted(self.spent_s):
            terminalreporter.line(self.line(marker))

    def is_well_exceeded(self, marker: str) -> bool:
        """Tell whether a marker's tests took so long that the run fails."""
        return self.spent_s[marker] > FAILS_ABOVE * self.budgets_s[marker]

    def line(self, marker: str) -> str:
        """Return what the summary says of a marker."""
        spent, budget = self.spent_s[marker], self.budgets_s[marker]
        text = f"{marker}: {spent:.0f} s of {budget:.0f} s"
        if self.is_well_exceeded(marker):
            return f"{text}: more than {FAILS_ABOVE:g} times as much, which fails the run"
        return f"{text}: more than planned" if spent > budget else text


def read_budgets(lines: list[str]) -> dict[str, float]:
    """Read lines such as ``slurm: 300`` (seconds)."""
    return {marker.strip(): float(seconds) for marker, seconds in (line.split(":") for line in lines)}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write a test's markers into its reports: their keywords mix them with names of parameters."""
    report = yield
    report.markers = sorted({marker.name for marker in item.iter_markers()})
    return report


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let pyproject.toml set budgets."""
    parser.addini("time_budgets", "seconds that the tests of a marker may take together", type="linelist")


def pytest_configure(config: pytest.Config) -> None:
    """Add up in the process that sees the reports of all workers."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(
            TimeBudgets(read_budgets(config.getini("time_budgets"))), "time_budgets"
        )
