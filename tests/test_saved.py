"""Files with fitted estimators: which types they hold, and that files of earlier versions load."""

import importlib
import io
import pickle
from pathlib import Path

import numpy as np
import pytest

import skbandit
from skbandit import saved
from skbandit.criteria import CRITERIA, make
from skbandit.policies import POLICIES

FILES = sorted((Path(__file__).parent / "data").glob("saved-models-*.pkl"))
#: Of NumPy and Python: what arrays are made of.
ARRAYS = {
    "numpy.ndarray",
    "numpy.dtype",
    "numpy._core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
    "_codecs.encode",
}


class Listing(pickle.Unpickler):
    """Writes down what a pickle names."""

    def __init__(self, data):
        super().__init__(io.BytesIO(data))
        self.names = set()

    def find_class(self, module, name):
        self.names.add(f"{module}.{name}")
        return super().find_class(module, name)


def names_in(data):
    unpickler = Listing(data)
    unpickler.load()
    return unpickler.names


@pytest.fixture(scope="module", params=FILES, ids=[path.stem for path in FILES])
def models(request):
    """Return what a file of some version holds, loaded by this one."""
    return pickle.loads(request.param.read_bytes())


def test_there_is_a_file_of_this_version():
    assert f"saved-models-{skbandit.__version__}" in [path.stem for path in FILES]


def test_models_of_earlier_versions_predict_the_same(models):
    for name, (model, X, expected) in models.items():
        predicted = model.predict(X)
        assert predicted.dtype == expected.dtype, name
        if expected.dtype.kind == "f":
            np.testing.assert_allclose(predicted, expected, rtol=1e-5, atol=1e-5, err_msg=name)
        else:
            np.testing.assert_array_equal(predicted, expected, err_msg=name)


@pytest.mark.parametrize("name", ["regressor of categories", "classifier of categories", "strong regressor"])
def test_models_of_earlier_versions_are_pruned_further(name, models):
    model, X, y = models[name]
    smaller = model.prune(X, y, pruning_ratio=0.75, fine_tune_iter=0)
    assert smaller.n_units_[1] < model.n_units_[1]


@pytest.mark.parametrize("name", ["begun", "trained on"])
def test_models_of_earlier_versions_learn_on(name, models):
    model, X, y = models[name]
    n_before = model.t_
    assert model.partial_fit(X, y).t_ > n_before


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_files_name_nothing_but_the_types_that_are_listed(path):
    ours = names_in(path.read_bytes()) - ARRAYS
    assert ours <= {*saved.TYPES}


def test_all_types_that_are_listed_are_in_the_file_of_this_version():
    path = next(path for path in FILES if path.stem.endswith(skbandit.__version__))
    models = pickle.loads(path.read_bytes())
    again = names_in(pickle.dumps({name: model for name, (model, *_) in models.items()}))
    assert again - ARRAYS == {*saved.TYPES}


@pytest.mark.parametrize("name", [*POLICIES, *CRITERIA])
def test_models_of_earlier_versions_have_equal_policies(name, models):
    model, *_ = models.get(f"policy {name}") or pytest.skip("there was no such policy")
    assert repr(model.policy) == repr(make(name))


@pytest.mark.parametrize("address", saved.TYPES)
def test_each_address_leads_to_the_class(address):
    module, _, name = address.rpartition(".")
    cls = getattr(importlib.import_module(module), name)
    assert (cls.__module__, cls.__qualname__) == (module, name)
    assert pickle.loads(pickle.dumps(cls)) is cls


def test_other_names_are_not_found():
    with pytest.raises(AttributeError, match="has no attribute 'Scaler'"):
        _ = saved.Scaler


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_skops_loads_them_trusting_the_types_that_are_listed(path):
    skops = pytest.importorskip("skops.io")
    for name, (model, X, _) in pickle.loads(path.read_bytes()).items():
        data = skops.dumps(model)
        assert set(skops.get_untrusted_types(data=data)) <= {*saved.TYPES}, name
        np.testing.assert_array_equal(skops.loads(data, trusted=saved.TYPES).predict(X), model.predict(X))


def test_workers_get_the_addresses_and_not_the_classes(python):
    """In a process that has not loaded a model: what joblib's workers are sent is made by cloudpickle."""
    pytest.importorskip("cloudpickle")
    printed = python(
        "import pickle, pickletools, cloudpickle\n"
        "import numpy as np\n"
        "from skbandit import BanditPrunedMLPRegressor\n"
        "X = np.random.default_rng(0).normal(size=(60, 4))\n"
        "model = BanditPrunedMLPRegressor((8,), n_members=1, max_iter=12, fine_tune_iter=0).fit(X, X[:, 0])\n"
        "data = cloudpickle.dumps(model)\n"
        "words = {arg for op, arg, _ in pickletools.genops(data) if isinstance(arg, str)}\n"
        "print(np.array_equal(pickle.loads(data).predict(X), model.predict(X)), 'skbandit.saved' in words,\n"
        "      [word for word in words if word.startswith('cloudpickle')])"
    )
    assert printed == "True True []\n"
