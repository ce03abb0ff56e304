"""Training a pruned function on between rounds, with an optax optimizer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from skbandit._core.constraints import Number, check_values, shown
from skbandit._core.programs import compiled
from skbandit.networks.checks import check_signature
from skbandit.networks.gating import Gated
from skbandit.networks.inference import plan_of
from skbandit.networks.trace import Variables, specs
from skbandit.networks.traced import TracedNetwork, arguments
from skbandit.pruning.inputs import checked_rows_on_host
from skbandit.pruning.traced import rows_of_batches

Params = Any


@dataclasses.dataclass(frozen=True)
class FineTuning:
    """How `skbandit.prune` trains a function on after each round: the ``fine_tune`` parameter.

    The network is trained at its full shapes, with the gates of removed units at 0, so that one compiled program serves
    all rounds; the gradient is that of the smaller network. An epoch is one compiled call.

    Parameters
    ----------
    optimizer : optax.GradientTransformation
        With its schedule. Define it once: another object compiles anew.
    epochs : int, default=1
        Passes over the rows after each round.
    batch_size : int, default=128
        Rows of a step. Rows that do not fill a step are left to the next epoch.
    train_apply : callable, optional
        The function in training mode: (params, X, key) → outputs, or with state (params, state, X, key) → (outputs, new
        state); ``key`` is a typed JAX key, for dropout. It must read the same parameters. By default, the function that
        is pruned.
    opt_state : pytree, optional
        State of the optimizer after training the full network; by default it begins anew. It goes on from round to
        round, and comes back in ``PruneResult.opt_state`` at the smaller shapes.
    data : tuple (X, y), (X, y, sample_weight), or iterable of batches, optional
        What to train on: by default the rows that damages are measured on. An iterable is gone through once an epoch,
        in its own order and batches.
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

    def of(self, network: TracedNetwork, X: Any, y: Any, weight: Any, seed: int) -> Tuner:
        """Return the training of a network, on these rows unless there are others."""
        loader = None
        if self.data is not None:
            if isinstance(self.data, tuple):
                X, y, weight = (*self.data, None)[:3]
            else:
                loader = self.data
        rows = None if loader is not None else checked_rows_on_host(X, y, weight, of=" to fine-tune on")
        return Tuner(self, network, rows, loader, seed)


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
    rows : tuple (X, y, weight) of host arrays, or None
    loader : iterable of batches, or None
    seed : int
    """

    def __init__(
        self, tuning: FineTuning, network: TracedNetwork, rows: Any, loader: Iterable[Any] | None, seed: int
    ) -> None:
        self.tuning, self.rows, self.loader = tuning, rows, loader
        self.recipe = _Recipe(network, tuning.optimizer, tuning.train_apply, tuning.loss or network.loss)
        self.opt_state = tuning.opt_state
        self.rng = np.random.default_rng(seed)
        self._key = jax.random.key(seed)
        self._on_device: Any = None

    def __call__(self, params: Params, gates: Any, round_: int) -> Params:
        """Train for so many epochs; return parameters in the same shapes."""
        trained = params.params if isinstance(params, Variables) else params
        odd = [leaf.dtype for leaf in jax.tree.leaves(trained) if not jnp.issubdtype(leaf.dtype, jnp.floating)]
        if odd:
            raise ValueError(
                f"FineTuning trains parameters of floats. Got leaves of {', '.join(sorted(set(map(str, odd))))}: keep "
                "them in 'state', or out of the tree."
            )
        if self.opt_state is None:
            self.opt_state = self.tuning.optimizer.init(trained)
        elif self.opt_state is self.tuning.opt_state:
            self._check_opt_state(trained)
        for _ in range(int(self.tuning.epochs)):
            self._key, key = jax.random.split(self._key)
            if self.loader is None:
                params = self._epoch(params, gates, key)
            else:
                n_batches = 0
                for batch in self.loader:
                    n_batches += 1
                    key, own = jax.random.split(key)
                    X, y, weight = rows_of_batches("FineTuning", [batch], None, None, 2**31 - 1)
                    X, y, weight = checked_rows_on_host(X, y, weight, of=" to fine-tune on")
                    params, self.opt_state = _step(
                        self.recipe, params, self.opt_state, gates, X, y, np.asarray(weight), own
                    )
                if not n_batches:
                    raise ValueError("The 'data' parameter of FineTuning is an iterable without batches.")
        return jax.tree.map(np.asarray, params)

    def _check_opt_state(self, trained: Params) -> None:
        """Raise ValueError if the user's state is none of this optimizer and these parameters."""
        expected = jax.eval_shape(self.tuning.optimizer.init, trained)
        structure: Any = jax.tree.structure(expected)
        fits = structure == jax.tree.structure(self.opt_state)
        pairs = zip(jax.tree.leaves(expected), jax.tree.leaves(self.opt_state), strict=False)
        if not fits or any(getattr(given, "shape", ()) != leaf.shape for leaf, given in pairs):
            raise ValueError(
                "The 'opt_state' parameter of FineTuning must be a state of its optimizer for the full parameters, as "
                f"optimizer.init(params) makes it: the tree {structure}, of their shapes. Got "
                f"{shown(self.opt_state)}."
            )

    def _epoch(self, params: Params, gates: Any, key: Any) -> Params:
        if self._on_device is None:
            self._on_device = jax.device_put(self.rows)
        n = len(self.rows[2])
        width = min(int(self.tuning.batch_size), n)
        order = self.rng.permutation(n)[: n // width * width].reshape(-1, width).astype(np.int32)
        params, self.opt_state = _epoch(self.recipe, params, self.opt_state, gates, self._on_device, order, key)
        return params


def _updated(recipe: _Recipe, params: Params, opt_state: Any, gates: Any, X: Any, y: Any, weight: Any, key: Any) -> Any:
    """Make one step of the optimizer, on the mean of the rows' losses."""
    has_state = isinstance(params, Variables)
    network = recipe.network
    given = arguments(X) if recipe.train_apply is None else (*arguments(X), key)
    apply = recipe.train_apply or network.apply

    def loss(trained: Any) -> Any:
        variables = Variables(trained, params.state) if has_state else trained
        try:
            plan = plan_of(apply, network.groups, specs(variables, "'params'"), specs(given, "the rows"))
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
def _epoch(recipe: _Recipe, params: Any, opt_state: Any, gates: Any, rows: Any, order: Any, key: Any) -> Any:
    def step(carry: Any, given: Any) -> Any:
        params, opt_state = carry
        batch, key = given
        X, y, weight = jax.tree.map(lambda a: a[batch], rows)
        return _updated(recipe, params, opt_state, gates, X, y, weight, key), None

    carry, _ = lax.scan(step, (params, opt_state), (order, jax.random.split(key, order.shape[0])))
    return carry
