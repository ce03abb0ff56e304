"""What a call with odd arguments comes to, in one word; the fuzzers count them.

* ``ok``: a value came back, and its numbers are finite.
* ``clear error``: an exception that a user can act on: of the kinds in `CLEAR`, with what it is about in its text.
* ``unclear``: any other exception.
* ``non-finite``: a value came back that holds NaN or infinity.
* ``warned``: a warning that is not one of those that a user is to see.

A crash ends the process, and a hang is ended by the process that started it: `in_another_process` tells of both.
"""

import multiprocessing
import traceback
import warnings
from collections import Counter
from typing import NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning

#: Exceptions that say what is wrong with what was given.
CLEAR = (ValueError, TypeError, MemoryError)
#: What no message to a user is made of.
INSIDE = ("jaxlib", "XlaRuntime", "Traced<", "ShapedArray", "tracer", "INTERNAL:")
#: Characters of a message: a longer one has an array or a number in it that fills the screen.
LONGEST = 2000
#: Failures of the verdicts that are faults.
FAULTS = ("unclear", "non-finite", "warned", "crash", "hang")


class Verdict(NamedTuple):
    """What a call came to."""

    kind: str
    said: str = ""
    """The error or warning, with the last lines of the traceback where it is unclear."""


def judge(call, about=(), finite=lambda value: value):
    """Call and judge.

    Parameters
    ----------
    call : callable () → value
    about : str or tuple of str
        What a clear error mentions: one of these; whatever it says is clear where there are none.
    finite : callable value → iterable of arrays, or an array
        What of the value must be finite.
    """
    about = (about,) if isinstance(about, str) else about
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            value = call()
        except CLEAR as error:
            said = str(error)
            named = not about or any(word in said for word in about)
            if named and 0 < len(said) <= LONGEST and not any(word in said for word in INSIDE):
                return Verdict("clear error", said)
            return Verdict("unclear", _told(error))
        except Exception as error:
            return Verdict("unclear", _told(error))
    # Those of ours are UserWarning itself; NumPy's and JAX's of overflow are RuntimeWarning.
    odd = [w for w in caught if w.category not in (UserWarning, ConvergenceWarning, DataConversionWarning)]
    if odd:
        return Verdict("warned", f"{odd[0].category.__name__}: {odd[0].message} ({odd[0].filename}:{odd[0].lineno})")
    arrays = finite(value)
    for array in [arrays] if isinstance(arrays, np.ndarray) else arrays:
        if np.asarray(array).dtype.kind == "f" and not np.isfinite(array).all():
            return Verdict("non-finite")
    return Verdict("ok")


def in_another_process(work, *args, seconds=120, method="spawn"):
    """Return what ``work(*args)`` puts out in a process of its own: a Verdict, which may be a crash or a hang."""
    context = multiprocessing.get_context(method)
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(there, work, args))
    process.start()
    there.close()
    try:
        found = here.recv() if here.poll(seconds) else Verdict("hang", f"no answer in {seconds} s")
    except EOFError:
        process.join(seconds)
        found = Verdict("crash", f"exit code {process.exitcode}")
    finally:
        process.kill()
        process.join()
    return found


def faults(verdicts):
    """Return the verdicts, by case, that are faults, as text to show: at most twenty."""
    found = {case: verdict for case, verdict in verdicts.items() if verdict.kind in FAULTS}
    return [f"{case}: {verdict.kind}: {verdict.said[-600:]}" for case, verdict in found.items()][:20]


def counts(verdicts):
    """Return how many there are of each kind."""
    return dict(Counter(verdict.kind for verdict in verdicts.values()))


def _send(there, work, args):
    there.send(work(*args))


def _told(error):
    return "".join(traceback.format_exception(error, limit=-3))
