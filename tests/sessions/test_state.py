from __future__ import annotations

import pytest

from simherd.sessions.record import Ending, Session
from simherd.sessions.state import STARTING_S, State, judge

SESSION = Session(name="a", command=("true",), directory="/", host="n1", started=0.0, socket=None)
GOOD, BAD = Ending(exit_code=0, ended=1.0), Ending(exit_code=4, ended=1.0)


@pytest.mark.parametrize(
    ("ending", "is_here", "lives", "age_s", "state"),
    [
        (GOOD, True, False, 9, State.DONE),
        (GOOD, False, None, 9, State.DONE),
        (BAD, True, True, 9, State.FAILED),
        (None, False, False, 9, State.ELSEWHERE),
        (None, True, None, 1, State.STARTING),
        (None, True, None, STARTING_S + 1, State.KILLED),
        (None, True, True, 9, State.RUNNING),
        (None, True, False, 9, State.KILLED),
    ],
)
def test_a_state_follows_from_what_is_written_and_what_lives(ending, is_here, lives, age_s, state):
    assert judge(SESSION, ending, is_here, lives, age_s) is state


def test_only_what_has_not_ended_is_live():
    assert {state for state in State if state.is_live} == {State.STARTING, State.RUNNING, State.ELSEWHERE}
