"""Interrupt calls at random moments, each in a process of its own: ``python interrupted.py WORK N SEED CACHE``.

Prints a line of JSON for each moment. The processes are forked from this one, which has not imported JAX: all that a
first call imports, traces and compiles is done in it, and may be interrupted.
"""

import faulthandler
import hashlib
import json
import os
import pickle
import random
import select
import signal
import sys
import time
import traceback
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

import skbandit
import skbandit.estimators
from skbandit import BanditPrunedMLPRegressor

#: No answer for so long, by many times what the whole call takes, is a hang.
HANG = 100
rng = np.random.default_rng(0)
X = rng.standard_normal((60, 4))
y = X[:, 0] - X[:, 1] ** 2


def make(**params):
    given = {"hidden_layer_sizes": (8,), "n_members": 1, "max_iter": 40, "n_rounds": 2, "fine_tune_iter": 2}
    given |= {"pruning_ratio": 0.5, "policy": "magnitude", "random_state": 0}
    return BanditPrunedMLPRegressor(**given | params)


def cold(cache):
    """Forget what was compiled, and compile from here on."""
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    jax.config.update("jax_compilation_cache_dir", None)
    compilation_cache.reset_cache()
    jax.clear_caches()


def fit(cache):
    model = make()
    return model, lambda: model.fit(X, y)


def refit(cache):
    warm(cache)
    model = make().fit(X, -y)
    cold(cache)
    return model, lambda: model.fit(X, y)


def members(cache):
    model = make(n_members=2)
    return model, lambda: model.fit(X, y)


def partial_fit(cache):
    warm(cache)
    model = make(early_stopping=False, learning_rate="constant").partial_fit(X, y)
    cold(cache)
    return model, lambda: model.partial_fit(X, y)


def prune(cache):
    warm(cache)
    model = make(pruning_ratio=0).fit(X, y)
    cold(cache)
    return model, lambda: model.prune(X, y, pruning_ratio=0.5)


WORKS = {work.__name__: work for work in (fit, refit, members, partial_fit, prune)}


def warm(cache):
    skbandit.enable_compilation_cache(cache)


def state(model):
    return pickle.dumps(vars(model))


def run(work, cache, send):
    """Call, and say what came of it; runs in a process of its own."""
    warnings.simplefilter("ignore")
    model, call = WORKS[work](cache)
    before = state(model)
    send("go")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        start = time.perf_counter()
        try:
            result = call()
            kind = "whole"
        except KeyboardInterrupt:
            kind = "KeyboardInterrupt"
            where = traceback.format_exc()
        except BaseException as error:
            kind, where = f"{type(error).__name__}", traceback.format_exc()
        seconds = time.perf_counter() - start
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    found = {"kind": kind, "seconds": seconds}
    said = [str(w.message) for w in caught if not issubclass(w.category, ConvergenceWarning)]
    if kind == "whole":
        found["warned"] = any("nterrupted" in text for text in said)
        found["finite"] = bool(np.isfinite(pickle.loads(pickle.dumps(result)).predict(X)).all())
    else:
        found["where"] = where[-1500:]
        found["unchanged"] = state(model) == before
    found["digest"] = digest(result) if kind == "whole" else None
    # And again, with nobody who interrupts; what compiles is taken from the cache.
    try:
        warm(cache)
        found["again"] = digest(call())
    except BaseException:
        found["again"] = traceback.format_exc()[-1500:]
    send(json.dumps(found))


def digest(model):
    return hashlib.sha256(model.predict(X).tobytes()).hexdigest()


def moment(work, cache, delay):
    """Return what came of an interrupt after ``delay`` seconds; none for None."""
    here, there = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(here)
        log = os.open(os.environ.get("INTERRUPTED_LOG", os.devnull), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 2)
        faulthandler.dump_traceback_later(HANG - 10, file=sys.stderr)
        try:
            run(work, cache, lambda text: os.write(there, (text + "\n").encode()))
        finally:
            os._exit(0)
    os.close(there)
    found = b""
    sent, deadline = delay is None, time.monotonic() + 2 * HANG
    with open(here, "rb", buffering=0) as end:
        while time.monotonic() < deadline:
            if select.select([end], [], [], 1)[0]:
                data = end.read(65536)
                if not data:
                    break
                found += data
                if not sent and b"go\n" in found:
                    time.sleep(delay)
                    os.kill(pid, signal.SIGINT)
                    sent, deadline = True, time.monotonic() + HANG
        else:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return {"kind": "hang"}
    _, status = os.waitpid(pid, 0)
    lines = found.decode().splitlines()
    if len(lines) < 2:
        return {"kind": "crash", "status": status, "said": lines}
    return json.loads(lines[1])


def main():
    work, n, seed, cache = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    whole = moment(work, cache, None)
    print(json.dumps({"delay": None, **whole}), flush=True)
    draw = random.Random(seed)
    for i in range(n):  # one in each of n equal parts
        delay = whole["seconds"] * (i + draw.random()) / n
        print(json.dumps({"delay": delay, **moment(work, cache, delay)}), flush=True)


if __name__ == "__main__":
    main()
