"""The class docstrings: every parameter in the order of the signature, and every fitted attribute, as numpydoc."""

import inspect
import math
import re

import pandas as pd
import pytest

from skbandit import BanditPrunedMLPClassifier, BanditPrunedMLPRegressor
from skbandit._core.constraints import OneOf
from skbandit.criteria import CRITERIA
from skbandit.estimators._constructor import Constructor
from skbandit.estimators._docs import ATTRIBUTES, PARAMETERS
from skbandit.policies import POLICIES

CLASSES = {"regressor": BanditPrunedMLPRegressor, "classifier": BanditPrunedMLPClassifier}
EVERY = pytest.mark.parametrize("kind", CLASSES)


def entries(cls, section):
    """Return (name, type, text) of each entry of a section of the docstring."""
    sections = re.split(r"^(.+)\n-{3,}$\n", inspect.cleandoc(cls.__doc__), flags=re.MULTILINE)
    body = dict(zip(sections[1::2], sections[2::2], strict=True))[section].strip()
    found = []
    for entry in re.split(r"\n(?=\S)", body):
        head, _, text = entry.partition("\n")
        name, _, type_ = head.partition(" : ")
        found.append((name, type_, inspect.cleandoc(text)))
    return found


@EVERY
def test_parameters_are_those_of_the_signature_in_its_order(kind):
    signature = inspect.signature(CLASSES[kind])
    parameters = entries(CLASSES[kind], "Parameters")
    assert [name for name, _, _ in parameters] == list(signature.parameters)
    for name, type_, text in parameters:
        default = eval(type_.rpartition("default=")[2], {"inf": math.inf})
        assert default == signature.parameters[name].default, name
        assert type(default) is type(signature.parameters[name].default), name
        assert re.match(r"(?s)\S.*\.\)?$", text), name


@EVERY
def test_the_table_has_no_other_parameters(kind):
    assert PARAMETERS[kind].keys() == inspect.signature(CLASSES[kind]).parameters.keys()


@EVERY
def test_the_type_names_the_values_that_are_allowed(kind):
    for name, parameter in PARAMETERS[kind].items():
        named = set(re.findall(r'"(\w+)"', parameter.type))
        allowed = {value for c in parameter.constraints if isinstance(c, OneOf) for value in c.values}
        if parameter.constraints:
            assert named == allowed, name


def test_policy_names_every_policy_and_criterion():
    named = re.findall(r'"(\w+)"', PARAMETERS["regressor"]["policy"].text)
    assert sorted(named) == sorted({**POLICIES, **CRITERIA})


@EVERY
def test_defaults_are_allowed(kind):
    for name, default in CLASSES[kind]().get_params(deep=False).items():
        constraints = PARAMETERS[kind][name].constraints
        assert not constraints or any(constraint.accepts(default) for constraint in constraints), name


@EVERY
def test_types_are_declared_as_the_signature_has_them(kind):
    declared = Constructor.__annotations__ | CLASSES[kind].__annotations__
    for name, parameter in inspect.signature(CLASSES[kind]).parameters.items():
        assert declared[name] == parameter.annotation, name


@EVERY
def test_the_constructor_keeps_every_argument_unchanged(kind):
    given = {name: object() for name in inspect.signature(CLASSES[kind]).parameters}
    model = CLASSES[kind](**given)
    assert vars(model) == given
    assert all(vars(model)[name] is value for name, value in given.items())


class _Subclass(BanditPrunedMLPRegressor):
    def __init__(self, budget=4.0, extra=1):
        super().__init__(budget=budget)
        self.extra = extra


def test_a_subclass_may_call_the_constructor():
    model = _Subclass(budget=2.0)
    assert model.get_params() == {"budget": 2.0, "extra": 1}
    assert model.policy == "ucb1"
    assert "self" not in vars(model)


@EVERY
@pytest.mark.parametrize("n_members", [1, 2])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_fitted_attributes_are_documented_and_set(kind, n_members, make_data, regressor, classifier):
    data = make_data("regression" if kind == "regressor" else "binary")
    model = {"regressor": regressor, "classifier": classifier}[kind](n_members=n_members, early_stopping=True)
    model.fit(pd.DataFrame(data.X, columns=list("abcd")), data.y)
    fitted = {name for name in vars(model) if not name.startswith("_")} - set(model.get_params())
    expected = {name for name, attribute in ATTRIBUTES[kind].items() if attribute.of == "both" or n_members > 1}
    assert all(hasattr(model, name) for name in expected)
    # Of several members, what each network has is read from them.
    of_members = {name for name, attribute in ATTRIBUTES[kind].items() if attribute.of_members != "own"}
    assert fitted == (expected if n_members == 1 else expected - of_members)


@EVERY
def test_attributes_have_a_type_and_a_text(kind):
    attributes = entries(CLASSES[kind], "Attributes")
    assert [name for name, _, _ in attributes] == list(ATTRIBUTES[kind])
    for name, type_, text in attributes:
        assert type_, name
        assert re.match(r"(?s)[A-Z].*\.$", text), name


@EVERY
def test_what_belongs_to_members_is_listed(kind):
    (text,) = (text for name, _, text in entries(CLASSES[kind], "Attributes") if name == "estimators_")
    listed = set(re.findall(r"``(\w+_)``", text))
    of_network = {name for name, attribute in ATTRIBUTES[kind].items() if attribute.of_members != "own"}
    of_several = {"n_pulls_", "n_units_", "n_parameters_", "n_macs_", "t_", "loss_", "n_iter_", "hidden_layer_sizes_"}
    assert listed == of_network | of_several


@EVERY
def test_nothing_is_left_of_the_template(kind):
    doc = CLASSES[kind].__doc__
    assert "{parameters}" not in doc
    assert "{attributes}" not in doc
    assert max(len(line) for line in doc.splitlines()) <= 120


@EVERY
def test_numpydoc_reads_the_same(kind):
    docscrape = pytest.importorskip("numpydoc.docscrape")
    doc = docscrape.NumpyDocString(inspect.cleandoc(CLASSES[kind].__doc__))
    for section in ("Parameters", "Attributes"):
        read = [(p.name, p.type, "\n".join(p.desc)) for p in doc[section]]
        assert [entry[:2] for entry in read] == [entry[:2] for entry in entries(CLASSES[kind], section)]
        assert all(text for _, _, text in read)
