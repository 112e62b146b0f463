from __future__ import annotations

import threading

import pytest

import simherd as sh
from simherd.executors.thread_watch import ThreadWatch
from simherd.executors.workers import worker_names
from simherd.thread_use import thread_use


@pytest.mark.cluster
def test_the_scheduler_tells_the_names_of_all_workers():
    with sh.open_client("local", workers=7, processes=0) as client:
        names = worker_names(client)

        assert names.keys() == client.nthreads().keys()
        assert sorted(names.values()) == [str(number) for number in range(7)]


class Names(dict):
    """Names of workers, one of which reports what it uses just when they are looked at."""

    def __init__(self, hear):
        super().__init__(first="1", second="2")
        self._hear = hear

    def __contains__(self, address):
        other = threading.Thread(target=self._hear, args=(event("late"),))
        other.start()
        other.join()
        return super().__contains__(address)


def event(address):
    return 0.0, thread_use(address, 1).as_message()


def test_workers_may_report_what_threads_they_use_while_it_is_looked_at():
    watch = ThreadWatch(None)
    watch._hear(event("first"))
    watch._hear(event("second"))

    watch.warn(Names(watch._hear))

    assert watch.has_news
    assert set(watch._uses) == {"first", "second", "late"}
