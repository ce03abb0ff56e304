"""Training a pruned function on between rounds, with an optax optimizer."""

from __future__ import annotations

import dataclasses
import functools
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from skbandit._core.constraints import Number, check_values, shown
from skbandit._core.programs import compiled
from skbandit.networks.checks import check_signature
from skbandit.networks.gating import Gated
from skbandit.networks.inference import plan_of
from skbandit.networks.trace import Variables, specs
from skbandit.networks.traced import TracedNetwork, arguments, hashable
from skbandit.pruning.inputs import checked_rows_on_host
from skbandit.pruning.results import PruneResult
from skbandit.pruning.traced import rows_of_batches

Params = Any


@dataclasses.dataclass(frozen=True)
class FineTuning:
    """How `skbandit.prune` trains a function after each round: a value of its ``fine_tune`` parameter.

    The network is trained at its full shapes, with the gates of removed units at 0, so that one compiled program serves
    all rounds. The gradient is that of the smaller network. A step of the optimizer is one compiled call.

    Parameters
    ----------
    optimizer : optax.GradientTransformation
        The optimizer, with its learning-rate schedule. Define it once: another object is compiled anew.
    epochs : int, default=1
        Passes over the rows after each round; `skbandit.prune` has 4 rounds by default.
    batch_size : int, default=128
        Rows of a step. Rows are shuffled in each epoch; those that do not fill the last step are left out of it.
    train_apply : callable, optional
        The function in training mode: (params, X, key) → outputs, or with state (params, state, X, key) → (outputs, new
        state); ``key`` is a typed JAX key, for dropout. It must take the same tree of parameters. By default, the
        function that is pruned.
    opt_state : pytree, optional
        State of the optimizer after training the full network; by default that of ``optimizer.init``. It goes on from
        round to round where the fine-tuned network is kept, and is set back where it is not. It comes back in
        ``PruneResult.opt_state`` at the smaller shapes, or as None with a warning where it cannot be cut.
    data : tuple (X, y), (X, y, sample_weight), or iterable of batches, optional
        What to train on: by default the rows that damages are measured on. An iterable is read once in each epoch, in
        its own order and batches; a generator, which can be read only once, will not do.
    loss : callable (outputs, y) → f[n], optional
        By default, that of ``prune``.

    Examples
    --------
    >>> import optax
    >>> from skbandit.pruning import FineTuning
    >>> tuning = FineTuning(optax.adam(1e-3), epochs=2)
    """

    optimizer: Any
    epochs: int = 1
    batch_size: int = 128
    train_apply: Callable[..., Any] | None = None
    opt_state: Any = None
    data: Any = None
    loss: Callable[[Any, Any], Any] | None = None

    def __post_init__(self) -> None:
        check_values("FineTuning", {"epochs": self.epochs, "batch_size": self.batch_size}, _CONSTRAINTS)
        if not (hasattr(self.optimizer, "init") and hasattr(self.optimizer, "update")):
            raise ValueError(
                "The 'optimizer' parameter of FineTuning must be an optax.GradientTransformation. "
                f"Got {shown(self.optimizer)} instead."
            )
        for name in ("train_apply", "loss"):
            value = getattr(self, name)
            if value is not None and not callable(value):
                raise ValueError(f"The {name!r} parameter of FineTuning must be callable. Got {shown(value)} instead.")
        if self.loss is not None:
            check_signature("FineTuning", "loss", self.loss, ("outputs", "y"))
        if self.data is not None:
            self._check_data()

    def __call__(self, params: Params, gates: Any, round_: int) -> Params:
        """Raise TypeError: it is `skbandit.prune` that knows the function to train."""
        raise TypeError("A FineTuning is given to skbandit.prune, with a function: prune(apply, ..., fine_tune=...).")

    def _check_data(self) -> None:
        """Raise ValueError if the rows to train on are no tuple, and nothing that can be gone through many times."""
        allowed = "a tuple (X, y) or (X, y, sample_weight), or an iterable of batches"
        if isinstance(self.data, tuple) and len(self.data) in (2, 3):
            return
        is_array = hasattr(self.data, "shape") or isinstance(self.data, (tuple, str, bytes, dict))
        if is_array or not isinstance(self.data, Iterable):
            length = f" of length {len(self.data)}" if isinstance(self.data, tuple) else ""
            raise ValueError(
                f"The 'data' parameter of FineTuning must be {allowed}. Got {shown(self.data)}{length} instead."
            )
        if isinstance(self.data, Iterator):
            raise ValueError(
                f"The 'data' parameter of FineTuning must be {allowed}, which is gone through once an epoch. Got "
                f"{shown(self.data)}, which can be gone through once: give a list, or a data loader."
            )

    def of(self, network: TracedNetwork, params: Any, X: Any, y: Any, weight: Any, seed: int) -> Tuner:
        """Return the training of a network, on these rows unless there are others.

        Raises
        ------
        ValueError
            If a step cannot be made.
        """
        loader = None
        if self.data is not None:
            if isinstance(self.data, tuple):
                X, y, weight = (*self.data, None)[:3]
            else:
                loader = self.data
        rows = None if loader is not None else checked_rows_on_host(X, y, weight, of=" to fine-tune on")
        return Tuner(self, network, params, rows, loader, seed)


_CONSTRAINTS: dict[str, tuple[Any, ...]] = {
    "epochs": (Number(1, integral=True),),
    "batch_size": (Number(1, integral=True),),
}


class _Recipe(NamedTuple):
    """What is compiled: part of the key of a program."""

    network: TracedNetwork
    optimizer: Any
    train_apply: Callable[..., Any] | None
    loss: Callable[[Any, Any], Any]


class Tuner:
    """The training of one pruning phase.

    Parameters
    ----------
    tuning : FineTuning
    network : TracedNetwork
    params : pytree or Variables
        At their full shapes.
    rows : tuple (X, y, weight) of host arrays, or None
    loader : iterable of batches, or None
    seed : int
    """

    def __init__(
        self,
        tuning: FineTuning,
        network: TracedNetwork,
        params: Any,
        rows: Any,
        loader: Iterable[Any] | None,
        seed: int,
    ) -> None:
        self.tuning, self.rows, self.loader = tuning, rows, loader
        train_apply = None if tuning.train_apply is None else hashable(tuning.train_apply)
        self.recipe = _Recipe(network, tuning.optimizer, train_apply, tuning.loss or network.loss)
        self.rng = np.random.default_rng(seed)
        self._key = jax.random.key(seed)
        self._on_device: Any = None
        #: What the last call returned, and the state of the optimizer before it.
        self._proposed: tuple[Params, Any] | None = None
        trained = params.params if isinstance(params, Variables) else params
        odd = sorted({str(leaf.dtype) for leaf in jax.tree.leaves(trained) if not _is_float(leaf)})
        if odd:
            raise ValueError(
                f"FineTuning trains parameters of floats. Got leaves of {', '.join(odd)}: keep them in 'state', or out "
                "of the tree."
            )
        trained = jax.tree.map(_single, trained)
        if tuning.opt_state is not None:
            self._check_opt_state(trained)
        given = tuning.optimizer.init(trained) if tuning.opt_state is None else tuning.opt_state
        self.opt_state = jax.tree.map(_single, given)
        if rows is not None:
            self._try_a_step(params)

    def _try_a_step(self, params: Any) -> None:
        """Trace one step, so that what is wrong is said before any work."""
        width = min(int(self.tuning.batch_size), len(self.rows[2]))
        X, y, weight = jax.tree.map(lambda a: a[:width], self.rows)
        gates = tuple(np.ones(size, "float32") for size in self.recipe.network.groups.sizes)
        given = jax.tree.map(_single, params), self.opt_state, gates, X, y, weight, self._key
        before = jax.eval_shape(lambda *a: a, *given[:2])
        try:
            after = jax.eval_shape(functools.partial(_updated, self.recipe), *given)
        except Exception as error:
            first = next(iter(str(error).strip().splitlines()), "")
            raise ValueError(
                "The 'fine_tune' parameter of prune cannot make a step with its 'optimizer', 'opt_state', 'loss' and "
                f"'train_apply', (params, X, key) or (params, state, X, key): {type(error).__name__}: {first}"
            ) from error
        for name, one, other in zip(("parameters and state", "'opt_state'"), before, after, strict=True):
            same: Any = jax.tree.structure(one)
            shapes = [[(a.shape, a.dtype) for a in jax.tree.leaves(tree)] for tree in (one, other)]
            if same != jax.tree.structure(other) or shapes[0] != shapes[1]:
                raise ValueError(
                    f"A step of the 'fine_tune' parameter of prune must return {name} as it takes them: the same tree, "
                    "shapes and dtypes. Does 'train_apply' return (outputs, new state), and does 'opt_state' belong to "
                    "the optimizer?"
                )

    def settle(self, params: Params) -> None:
        """Go on from the state of the last training if the network that it returned was kept, these parameters."""
        if self._proposed is None:
            return
        trained, before = self._proposed
        same = all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(trained), jax.tree.leaves(params), strict=True))
        if not same:
            self.opt_state = before
        self._proposed = None

    def __call__(self, params: Params, gates: Any, round_: int) -> Params:
        """Train for so many epochs; return parameters in the same shapes."""
        before = self.opt_state
        for _ in range(int(self.tuning.epochs)):
            self._key, key = jax.random.split(self._key)
            params = self._epoch(params, gates, key) if self.loader is None else self._batches(params, gates, key)
        params = jax.tree.map(np.asarray, params)
        cleared = self.recipe.network.groups.zero(params, [np.flatnonzero(np.asarray(g) == 0) for g in gates])
        self._proposed = cleared, before
        return params

    def _check_opt_state(self, trained: Params) -> None:
        """Raise ValueError if the user's state is none of this optimizer and these parameters."""
        expected = jax.eval_shape(self.tuning.optimizer.init, trained)
        structure: Any = jax.tree.structure(expected)
        given_state = self.tuning.opt_state
        fits = structure == jax.tree.structure(given_state)
        pairs = zip(jax.tree.leaves(expected), jax.tree.leaves(given_state), strict=False)
        if not fits or any(getattr(given, "shape", ()) != leaf.shape for leaf, given in pairs):
            raise ValueError(
                "The 'opt_state' parameter of FineTuning must be a state of its optimizer for the full parameters, as "
                f"optimizer.init(params) makes it: the tree {structure}, of their shapes. Got "
                f"{shown(given_state)}."
            )

    def _epoch(self, params: Params, gates: Any, key: Any) -> Params:
        if self._on_device is None:
            self._on_device = jax.device_put(self.rows)
        n = len(self.rows[2])
        width = min(int(self.tuning.batch_size), n)
        order = self.rng.permutation(n)[: n // width * width].reshape(-1, width).astype(np.int32)
        # A call for each step: in a compiled loop XLA's gradients of convolutions are up to 25 times slower on CPUs.
        for batch, own in zip(order, jax.random.split(key, len(order)), strict=True):
            params, self.opt_state = _step_of(self.recipe, params, self.opt_state, gates, self._on_device, batch, own)
        return params

    def _batches(self, params: Params, gates: Any, key: Any) -> Params:
        n_steps = 0
        for batch in self.loader or ():
            key, own = jax.random.split(key)
            X, y, weight = rows_of_batches("FineTuning", [batch], None, None, 2**31 - 1)
            X, y, weight = checked_rows_on_host(X, y, weight, of=" to fine-tune on")
            params, self.opt_state = _step(self.recipe, params, self.opt_state, gates, X, y, weight, own)
            n_steps += 1
        if not n_steps:
            raise ValueError("The 'data' parameter of FineTuning is an iterable without batches.")
        return params

    def cut_state(self, result: PruneResult) -> tuple[Any, list[str]]:
        """Return the optimizer's state at the smaller shapes and in its own dtypes, and what is to be said of it."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # what stays at the full shapes is found below
            cut = result.cut(self.opt_state)
        wanted = jax.eval_shape(self.tuning.optimizer.init, result.params)
        structure: Any = jax.tree.structure(wanted)
        pairs = list(zip(jax.tree.leaves(cut), jax.tree.leaves(wanted), strict=False))
        if structure != jax.tree.structure(cut) or any(np.shape(a) != b.shape for a, b in pairs):
            return None, [
                "The state of the optimizer cannot be cut: it holds arrays of other shapes than those of the "
                "parameters. 'opt_state' is None: begin anew with optimizer.init(result.params)."
            ]
        return jax.tree.map(lambda a, b: np.asarray(a).astype(b.dtype), cut, wanted), []


def _is_float(leaf: Any) -> bool:
    return bool(jnp.issubdtype(np.asarray(leaf).dtype if not hasattr(leaf, "dtype") else leaf.dtype, jnp.floating))


def _single(leaf: Any) -> Any:
    """Return floats as float32, which pruning computes with."""
    return np.asarray(leaf, "float32") if _is_float(leaf) else leaf


def _updated(recipe: _Recipe, params: Params, opt_state: Any, gates: Any, X: Any, y: Any, weight: Any, key: Any) -> Any:
    """Make one step of the optimizer, on the mean of the rows' losses."""
    has_state = isinstance(params, Variables)
    network = recipe.network
    given = arguments(X) if recipe.train_apply is None else (*arguments(X), key)
    apply = recipe.train_apply or network.apply

    def loss(trained: Any) -> Any:
        variables = Variables(trained, params.state) if has_state else trained
        version = network.version if recipe.train_apply is None else ""
        try:
            plan = plan_of(apply, network.groups, specs(variables, "'params'"), specs(given, "the rows"), version)
        except ValueError as error:
            if recipe.train_apply is None:
                raise
            raise ValueError(f"The 'train_apply' of FineTuning does not fit what is pruned. {error}") from error
        made = Gated(plan, jnp.concatenate(gates)).run(plan.trace.graph, jax.tree.leaves((variables, *given)))
        returned = jax.tree.unflatten(plan.trace.structure, made)
        outputs, state = returned if plan.trace.carries_state else (returned, getattr(variables, "state", None))
        total = jnp.maximum(jnp.sum(weight), jnp.finfo(weight.dtype).tiny)
        return network.mean_loss(outputs, y, weight / total, recipe.loss), state

    trained = params.params if has_state else params
    gradient, state = jax.grad(loss, has_aux=True)(trained)
    updates, opt_state = recipe.optimizer.update(gradient, opt_state, trained)
    trained = jax.tree.map(lambda p, u: (p + u).astype(p.dtype), trained, updates)
    return (Variables(trained, state) if has_state else trained), opt_state


@compiled(static_argnums=(0,))
def _step(recipe: _Recipe, params: Any, opt_state: Any, gates: Any, X: Any, y: Any, weight: Any, key: Any) -> Any:
    return _updated(recipe, params, opt_state, gates, X, y, weight, key)


@compiled(static_argnums=(0,))
def _step_of(recipe: _Recipe, params: Any, opt_state: Any, gates: Any, rows: Any, batch: Any, key: Any) -> Any:
    X, y, weight = jax.tree.map(lambda a: a[batch], rows)
    return _updated(recipe, params, opt_state, gates, X, y, weight, key)
