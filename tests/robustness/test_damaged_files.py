"""Files that the package reads, cut, flipped, empty, or full of something else.

Promised: an entry of a cache is read as it was written, or made anew; a table is read, or refused with the name of the
file; a cut pickle of a model raises what `pickle` raises. A model's pickle has no checksum: a flipped bit of a weight
is not found.
"""

import gzip
import logging
import pickle
import random
import shutil
import warnings
from collections import Counter

import jax
import joblib
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache
from joblib._store_backends import CacheWarning
from joblib.memory import JobLibCollisionWarning

import skbandit
from skbandit._tabular.types import Ending, Network, Trained
from skbandit.cli.table import InputError, load_csv
from skbandit.estimators._memory import remembered
from skbandit.estimators._notes import Notes

LARGE = pytest.mark.exhaustive


def cut(old, draw):
    return old[: draw.randrange(len(old))]


def flipped(old, draw):
    """One to eight bits."""
    new = bytearray(old)
    for _ in range(draw.randint(1, 8)):
        new[draw.randrange(len(new))] ^= 1 << draw.randrange(8)
    return bytes(new)


def noise(old, draw):
    return draw.randbytes(draw.randrange(2 * len(old)))


def longer(old, draw):
    return old + draw.randbytes(draw.randrange(1, 100))


def zeros(old, draw):
    """A page that never got to the disk."""
    start = draw.randrange(len(old))
    return old[:start] + bytes(min(512, len(old) - start)) + old[start + 512 :]


def another(old, draw):
    return pickle.dumps(draw.choice([None, {"a": 1}, [0.0] * 9, b"bytes" * 20, "text", np.ones(3), Ending.STOPPED]))


def empty(old, draw):
    return b""


def folder(old, draw):
    return None


DAMAGES = [cut, flipped, noise, longer, zeros, another, empty, folder]


def damage(path, draw, damages=DAMAGES):
    """Damage a file; return how."""
    how = draw.choice(damages)
    new = how(path.read_bytes() or b"\0", draw)
    path.unlink()
    if new is None:
        path.mkdir()
    else:
        path.write_bytes(new)
    return how.__name__


# --- what memory= keeps ---------------------------------------------------------------------------------------------

TASK = (np.arange(6.0).reshape(2, 3), "adam", 0)
LAYERS = ((np.linspace(-1, 1, 96).reshape(3, 32), np.zeros(32)), (np.ones((32, 1)), np.zeros(1)))
TRAINED = Trained(Network({}, LAYERS), [np.zeros(300)], [0.5, 0.25], None, 0.25, 2, Ending.CONVERGED)


def ask(memory):
    with warnings.catch_warnings(record=True) as caught, Notes() as notes:
        warnings.simplefilter("always")
        found = remembered(memory, TASK, lambda: TRAINED, notes)
    theirs = (CacheWarning, JobLibCollisionWarning)
    # joblib says of some files that they look compressed, and cannot be mapped.
    told = ("'memory' ", "mmap_mode ")
    odd = [w for w in caught if w.category not in theirs and not str(w.message).startswith(told)]
    assert not odd, odd[0].message
    return found


@pytest.mark.parametrize("n", [40, pytest.param(1000, marks=LARGE)])
@pytest.mark.parametrize("options", [{}, {"compress": 3}, {"mmap_mode": "c"}])
def test_a_network_comes_back_as_it_was_whatever_became_of_the_files(n, options, tmp_path, caplog):
    caplog.set_level(logging.CRITICAL)  # joblib tells of each
    draw, counts, expected = random.Random(n), Counter(), pickle.dumps(TRAINED)
    whole = joblib.Memory(str(tmp_path / "other"), verbose=0)
    # joblib 1.6 reads for ever where bytes follow the end of a compressed file.
    damages = [how for how in DAMAGES if how is not longer or "compress" not in options]
    for _ in range(n):
        store = tmp_path / "store"
        shutil.rmtree(store, ignore_errors=True)
        whole.clear(warn=False)  # joblib forgets, as a new process has, which functions it has seen
        memory = joblib.Memory(str(store), verbose=0, **options)
        ask(memory)
        path = draw.choice([path for path in sorted(store.rglob("*")) if path.is_file()])
        how = damage(path, draw, damages)
        whole.clear(warn=False)
        for _ in range(2):
            found = ask(joblib.Memory(str(store), verbose=0, **options))
            assert pickle.dumps(found) == expected, (path.name, how)
        counts[f"{path.name}, {how}"] += 1
    assert len(counts) > 15


# --- the compilation cache ------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Error (reading|writing) persistent compilation cache entry:UserWarning")
@pytest.mark.skipif(
    getattr(compilation_cache, "zstd", None) is not None or getattr(compilation_cache, "zstandard", None) is not None,
    reason="the entries of this JAX have no checksum",
)
@pytest.mark.parametrize("n", [12, pytest.param(150, marks=LARGE)])
def test_a_program_whose_entry_is_damaged_is_compiled_again(n, cache_settings, tmp_path):
    tmp_path.chmod(0o700)
    draw, x = random.Random(n), np.linspace(0, 1, 8, dtype=np.float32)
    skbandit.enable_compilation_cache(tmp_path / "programs")

    def compiled():
        def program(x):
            return jax.numpy.sin(x) @ x + 3

        return float(jax.jit(program)(x))

    expected = compiled()
    (entry,) = (tmp_path / "programs").glob("*program*-cache")
    content = entry.read_bytes()
    for _ in range(n):
        how = damage(entry, draw)
        assert compiled() == expected, how
        if entry.is_dir():
            entry.rmdir()
        entry.write_bytes(content)


# --- tables ---------------------------------------------------------------------------------------------------------

TABLE = "a,b,kind,y\n" + "".join(f"{i},{i * i % 7},{'uvw'[i % 3]},{i / 3}\n" for i in range(60))
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "cp037"]


def of_encoding(old, draw):
    return old.decode().replace("u", "é").encode(draw.choice(ENCODINGS))


def with_nuls(old, draw):
    at = draw.randrange(len(old))
    return old[:at] + b"\0" * draw.randint(1, 9) + old[at:]


def few_rows(old, draw):
    return b"\n".join(old.splitlines()[: draw.randrange(25)])


def quoted(old, draw):
    at = draw.randrange(len(old))
    return old[:at] + b'"' + old[at:]


def other_numbers(old, draw):
    new = draw.choice([b"inf", b"1e400", b"-1e308", b"nan", b"", b"1_0", "٣".encode(), b"0x1f", b"9" * 5000])
    return old.replace(str(draw.randrange(10)).encode(), new)


def verdict(path, task):
    try:
        table = load_csv(path, "y", task)
    except InputError as error:
        return "refused" if str(path) in str(error) else f"refused without a name: {error}"
    return "read" if len(table.X) == len(table.y) >= 20 else "read in part"


@pytest.mark.parametrize("n", [200, pytest.param(8_000, marks=LARGE)])
def test_a_table_is_read_or_refused_by_name(n, tmp_path):
    draw, counts = random.Random(n), Counter()
    kinds = [cut, flipped, noise, longer, zeros, empty, of_encoding, with_nuls, few_rows, quoted, other_numbers]
    for _ in range(n):
        how, zipped, damaged_after = draw.choice(kinds), draw.random() < 0.3, draw.random() < 0.5
        content = TABLE.encode()
        if zipped:
            content = (
                how(gzip.compress(content), draw)
                if damaged_after and how in kinds[:6]
                else gzip.compress(how(content, draw))
            )
        else:
            content = how(content, draw)
        path = tmp_path / ("table.csv.gz" if zipped else "table.csv")
        path.write_bytes(content)
        counts[verdict(path, draw.choice(["auto", "classification", "regression"]))] += 1
    assert set(counts) == {"read", "refused"}
    assert min(counts.values()) > n / 20


# --- models ---------------------------------------------------------------------------------------------------------


#: What damaged pickles raise, by the documentation of `pickle`: "this is not necessarily all of them".
OF_PICKLE = (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, ValueError, KeyError, TypeError)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_model_that_is_cut_anywhere_is_not_loaded(make_data, regressor):
    data = make_data("regression")
    content = pickle.dumps(regressor().fit(data.X, data.y))
    for length in range(0, len(content), 7):
        with pytest.raises(OF_PICKLE):
            pickle.loads(content[:length])
