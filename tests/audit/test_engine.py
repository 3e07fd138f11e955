"""Where batches run: order, overlap, memory, failures."""

import threading
import time

import pytest

from trust_core.audit.engine import READ_AHEAD, run_behind, run_local

pytestmark = pytest.mark.timeout(20)  # whatever fails, nothing hangs


class Failed(Exception):
    """A failure of its own, so that no other is mistaken for it."""


def test_results_come_in_order_even_when_a_later_item_is_read_first():
    def load(item: int) -> int:
        time.sleep(0.02 if item % 2 == 0 else 0)
        return item

    assert list(run_local(range(12), load, lambda item: item * item)) == [n * n for n in range(12)]


@pytest.mark.parametrize("count", [0, 1, READ_AHEAD, READ_AHEAD + 1])
def test_few_items_or_none(count: int):
    assert list(run_local(range(count), str, int)) == list(range(count))


def test_the_next_items_are_read_while_one_is_worked_on():
    """Work on item 0 waits until item 1 has been read: it would wait for ever without overlap."""
    read = {item: threading.Event() for item in range(4)}

    def load(item: int) -> int:
        read[item].set()
        return item

    def work(item: int) -> bool:
        return read[min(item + 1, 3)].wait(10)

    assert all(run_local(range(4), load, work))


def test_no_more_is_read_ahead_than_memory_was_planned_for():
    loaded, worked, ahead = [], [], []

    def load(item: int) -> int:
        loaded.append(item)
        ahead.append(len(loaded) - len(worked))
        return item

    def work(item: int) -> None:
        time.sleep(0.005)
        worked.append(item)

    list(run_local(range(20), load, work))
    assert max(ahead) <= READ_AHEAD + 1


def test_items_are_taken_as_they_are_needed():
    taken = []

    def items():
        for item in range(100):
            taken.append(item)
            yield item

    results = run_local(items(), lambda item: item, lambda item: item)
    assert next(results) == 0
    assert len(taken) <= READ_AHEAD + 1
    results.close()


def test_work_runs_in_the_callers_thread_and_reading_in_others():
    here = threading.get_ident()
    threads = set(run_local(range(5), lambda _: threading.get_ident(), lambda loader: loader))
    assert here not in threads
    assert set(run_local(range(5), str, lambda _: threading.get_ident())) == {here}


@pytest.mark.parametrize("fails_at", [0, 3, 9])
@pytest.mark.parametrize("where", ["load", "work"])
def test_a_failure_comes_out_after_the_results_before_it(where: str, fails_at: int):
    def fail(item: int) -> int:
        if item == fails_at:
            raise Failed(item)
        return item

    load, work = (fail, int) if where == "load" else (int, fail)
    results: list[int] = []
    with pytest.raises(Failed):
        results.extend(run_local(range(10), load, work))
    assert results == list(range(fails_at))


def test_no_thread_is_left_when_the_caller_stops_early():
    before = threading.active_count()
    results = run_local(range(50), lambda item: item, lambda item: item)
    next(results)
    results.close()
    assert threading.active_count() == before


def test_saving_runs_in_order_in_a_thread_of_its_own():
    here = threading.get_ident()
    saved = list(run_behind(range(6), lambda result: (result, threading.get_ident())))
    assert [result for result, _ in saved] == list(range(6))
    assert here not in {thread for _, thread in saved}
    assert list(run_behind([], str)) == []


def test_the_next_result_is_made_while_one_is_saved():
    """Saving result 0 waits until result 1 is made: for ever, if there were no overlap."""
    made = [threading.Event() for _ in range(4)]

    def results():
        for index in range(4):
            made[index].set()
            yield index

    assert all(run_behind(results(), lambda index: made[min(index + 1, 3)].wait(10)))


def test_what_was_made_is_saved_when_the_caller_stops_early():
    saved = []
    results = run_behind(range(50), saved.append)
    next(results)
    results.close()
    assert saved == [0, 1]
    assert not [t for t in threading.enumerate() if t.name.startswith("write")]


@pytest.mark.parametrize("where", ["make", "save"])
def test_a_failure_comes_out_and_what_came_before_it_is_saved(where):
    saved = []

    def results():
        for index in range(10):
            if where == "make" and index == 4:
                raise Failed(index)
            yield index

    def save(index):
        if where == "save" and index == 4:
            raise Failed(index)
        saved.append(index)

    with pytest.raises(Failed):
        list(run_behind(results(), save))
    assert saved[:4] == [0, 1, 2, 3]
