"""Many threads predict while the model is fitted again, and servers that load a model and fork."""

import os
import pickle
import sys
import threading
import traceback

import pytest

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(autouse=True)
def threads_change_often():
    """Let threads interleave more finely; and a fit would else wait 5 ms for each of 32 threads at every step."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    yield
    sys.setswitchinterval(before)


def serve(model, rows, n_threads, n_calls, refits):
    """Predict ``n_calls`` times and on until the refits are done; return what each answer was, as bytes or an error."""
    stop, answers, lock = threading.Event(), {}, threading.Lock()
    enough = threading.Semaphore(0)

    def client():
        mine, left = {}, n_calls // n_threads
        while left > 0 or not stop.is_set():
            try:
                answer = model.predict(rows).tobytes()
            except Exception as error:
                answer = repr(error)
            mine[answer] = mine.get(answer, 0) + 1
            left -= 1
            if left == 0:
                enough.release()
        with lock:
            for answer, n in mine.items():
                answers[answer] = answers.get(answer, 0) + n

    threads = [threading.Thread(target=client) for _ in range(n_threads)]
    for thread in threads:
        thread.start()
    try:
        for refit in refits:
            refit()
        for _ in threads:
            enough.acquire()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    return answers


@pytest.mark.parametrize(
    ("n_threads", "n_calls", "n_refits"), [(8, 2_000, 2), pytest.param(32, 100_000, 4, marks=pytest.mark.exhaustive)]
)
@pytest.mark.parametrize("params", [{}, {"n_members": 2}, {"warm_start": True}], ids=str)
def test_answers_are_of_whole_models(params, n_threads, n_calls, n_refits, make_data, regressor):
    data = make_data("regression")
    targets = [data.y, 5 - 3 * data.y]
    model = regressor(max_iter=20, **params).fit(data.X, data.y)
    whole = [model.predict(data.X_val).tobytes()]

    def refit(i):
        model.fit(data.X, targets[i % 2])
        whole.append(model.predict(data.X_val).tobytes())

    refits = [lambda i=i: refit(i) for i in range(1, n_refits + 1)]
    answers = serve(model, data.X_val, n_threads, n_calls, refits)
    assert set(answers) <= set(whole)
    assert sum(answers.values()) >= n_calls


def test_threads_that_fit_one_estimator_leave_one_of_the_models_whole(make_data, regressor):
    data = make_data("regression")
    targets = [data.y, 5 - 3 * data.y, data.y**2]
    whole = {regressor(max_iter=20).fit(data.X, y).predict(data.X).tobytes() for y in targets}
    model = regressor(max_iter=20)
    threads = [threading.Thread(target=model.fit, args=(data.X, y)) for y in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert model.predict(data.X).tobytes() in whole


def in_child(work):
    """Fork; return the id of the child and the pipe that it writes the result of ``work`` to."""
    reads, writes = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            with os.fdopen(writes, "wb") as out:
                out.write(pickle.dumps(work()))
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(writes)
    return pid, reads


SERVER = """
import os, pickle, sys, warnings

import numpy as np

sys.path.insert(0, sys.argv[1])
from test_serving_under_load import in_child

with open("model.pkl", "rb") as file:
    model, X, y, expected = pickle.load(file)
assert np.array_equal(model.predict(X), expected)
assert "jax" not in sys.modules


def serve(refits):
    same = all(np.array_equal(model.predict(X), expected) for _ in range(50))
    if refits:
        warnings.simplefilter("ignore")  # three epochs are few
        model.fit(X, 5 - 3 * y)
    return same, np.array_equal(model.predict(X), expected)


children = [in_child(lambda i=i: serve(i == 3)) for i in range(8)]
for pid, reads in children:
    with os.fdopen(reads, "rb") as found:
        print(*pickle.load(found))
    os.waitpid(pid, 0)
print(np.array_equal(model.predict(X), expected))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_server_that_forks_predicts_in_each_child_and_may_fit_in_one(make_data, regressor, python, tmp_path):
    data = make_data("regression")
    model = regressor(max_iter=3).fit(data.X, data.y)
    (tmp_path / "model.pkl").write_bytes(pickle.dumps((model, data.X, data.y, model.predict(data.X))))
    *children, parent = python(SERVER, os.path.dirname(__file__)).splitlines()
    # Each predicts as the file does, before and after; the fourth has fitted in between.
    assert children == ["True False" if i == 3 else "True True" for i in range(8)]
    assert parent == "True"
