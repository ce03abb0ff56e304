"""Solvers: which way a step goes, by name or as an optax transformation of the user's.

A solver that goes by name sees small arrays as one vector. Its kernels are compiled once, not once for each array,
which saves a quarter of the program's compilation with three hidden layers. To cut a large array out of that vector at
each step, and to put its gradient into it, costs more than kernels of its own: it stands beside the vector. A
transformation of the user's sees the tree of arrays: it may treat one of them differently from another.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax

from skbandit._core.constraints import shown

Solver: TypeAlias = str | optax.GradientTransformation

#: From so many entries on, and so many times the rows, an array stands beside the vector. At 2 x 256 units a step takes
#: two thirds of the time; its kernels take .1 s to compile, which the steps on few rows do not make up for.
LARGE = 2**13
WORTH_KERNELS = 2**25


class Hyper(NamedTuple):
    """Traced hyper-parameters."""

    alpha: float = 1e-4
    """Weight of the L2 penalty; for a solver of `DECOUPLED`, its weight decay."""
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    momentum: float = 0.9
    tol: float = 1e-4
    n_iter_no_change: float = 10.0
    adaptive: float = 0.0
    """1: divide the learning rate by 5 where training would stop (scikit-learn's ``"adaptive"``)."""
    patience_on: float = 1.0
    """0: never stop before the last epoch."""
    dropout: float = 0.0
    """Share of the hidden activations that a step leaves out."""
    label_smoothing: float = 0.0
    monitor_loss: float = 0.0
    """1: the best epoch is that of the smallest held-out loss, not of the highest score."""
    keep_last: float = 0.0
    """1: the last epoch is kept, also where held-out rows say which is the best."""

    def as_arrays(self, dtype: str) -> Hyper:
        """Return each as an array of one dtype: an ``int`` where a ``float`` was would compile anew."""
        return Hyper(*(np.asarray(value, dtype) for value in self))  # type: ignore[arg-type]


def _sgd(h: Hyper) -> optax.GradientTransformation:
    return optax.trace(decay=h.momentum, nesterov=False)


def _sgd_nesterov(h: Hyper) -> optax.GradientTransformation:
    return optax.trace(decay=h.momentum, nesterov=True)


#: Directions by name, before the learning rate; the hyper-parameters are traced.
SOLVERS: dict[str, Callable[[Hyper], optax.GradientTransformation]] = {
    "adam": lambda h: optax.scale_by_adam(b1=h.beta_1, b2=h.beta_2, eps=h.epsilon),
    "adamw": lambda h: optax.scale_by_adam(b1=h.beta_1, b2=h.beta_2, eps=h.epsilon),
    "nadam": lambda h: optax.scale_by_adam(b1=h.beta_1, b2=h.beta_2, eps=h.epsilon, nesterov=True),
    "lion": lambda h: optax.scale_by_lion(b1=h.beta_1, b2=h.beta_2),
    "rmsprop": lambda h: optax.scale_by_rms(decay=h.beta_2, eps=h.epsilon),
    "sgd": _sgd,
    "sgd_nesterov": _sgd_nesterov,
}
#: What each array of a solver's state is: a mean of gradients (1) or of their squares (2), or neither (0).
MOMENTS: dict[str, tuple[int, ...]] = {
    "adam": (0, 1, 2),
    "adamw": (0, 1, 2),
    "nadam": (0, 1, 2),
    "lion": (0, 1),
    "rmsprop": (2,),
    "sgd": (1,),
    "sgd_nesterov": (1,),
}
#: Those that shrink the weights by themselves: here, by ``alpha`` times the learning rate at each step.
DECOUPLED = ("adamw",)


def make_solver(solver: Solver, hyper: Hyper) -> optax.GradientTransformation:
    """Return the transformation; one that goes by name still wants the learning rate applied."""
    return SOLVERS[solver](hyper) if isinstance(solver, str) else solver


def init_opt_state(params: Any, solver: Solver, opt_leaves: list[np.ndarray] | None = None) -> Any:
    """Return the optimizer's state before the first step, made on the host where that is possible.

    Parameters
    ----------
    params : tuple (inputs, layers)
        Arrays of one dtype.
    solver : str or optax.GradientTransformation
    opt_leaves : list of arrays, optional
        The arrays of a state to go on from.
    """
    leaves, tree = jax.tree.flatten(params)
    if not isinstance(solver, str):
        _check_transformation(solver, params)
    if opt_leaves is None and not isinstance(solver, str):
        return solver.init(jax.tree.map(jnp.asarray, params))
    # Every named solver starts from zeros; made by NumPy, they cost no compilation.
    if isinstance(solver, str):
        opt_state = _zero_opt_state(solver, None, ((sum(leaf.size for leaf in leaves),),), leaves[0].dtype)
    else:
        opt_state = _zero_opt_state(solver, tree, tuple(leaf.shape for leaf in leaves), leaves[0].dtype)
    return opt_state if opt_leaves is None else jax.tree.unflatten(jax.tree.structure(opt_state), opt_leaves)


def _check_transformation(solver: optax.GradientTransformation, params: Any) -> None:
    """Raise ValueError for a transformation of the user's that does not make steps of the network's shape."""

    def step(params: Any) -> Any:
        state = solver.init(params)
        updates, new_state = solver.update(params, state, params)
        return (params, state), (updates, new_state)

    try:
        before, after = jax.eval_shape(step, params)
    except Exception as error:
        raise ValueError(
            f"The 'solver' parameter must be an optax.GradientTransformation of the parameters of the network: it "
            f"raised {shown(error)}"
        ) from error
    for what, wanted, got in zip(("updates", "a state"), before, after, strict=True):
        if _shapes(wanted) != _shapes(got):
            raise ValueError(
                f"The 'solver' parameter must return {what} of the shapes that it was given. Got {shown(got)} for "
                f"{shown(wanted)}."
            )


def _shapes(tree: Any) -> Any:
    leaves, structure = jax.tree.flatten(tree)
    return [leaf.shape for leaf in leaves], structure


@functools.lru_cache(maxsize=64)
def _zero_opt_state(solver: Solver, tree: Any, shapes: tuple[tuple[int, ...], ...], dtype: np.dtype) -> Any:
    """Return zeros of the structure of a state; tracing ``init`` for it takes as long as some epochs.

    Parameters
    ----------
    tree : PyTreeDef or None
        Structure of the parameters; None for a single array.
    shapes : tuple of shapes
        Of their arrays.
    """
    tx = make_solver(solver, Hyper())
    leaves = [np.empty(shape, dtype) for shape in shapes]
    params = leaves[0] if tree is None else jax.tree.unflatten(tree, leaves)
    return jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), jax.eval_shape(tx.init, params))


class OneVector:
    """A tree of arrays of one dtype as one vector, and back."""

    def __init__(self, tree: Any):
        leaves, self.structure = jax.tree.flatten(tree)
        self.shapes = [leaf.shape for leaf in leaves]
        self.edges = np.cumsum([0, *(leaf.size for leaf in leaves)]).tolist()

    def pack(self, tree: Any) -> jax.Array:
        """Return the entries of all arrays, f[n]."""
        leaves = jax.tree.leaves(tree)
        return jnp.concatenate([jnp.ravel(leaf) for leaf in leaves]) if leaves else jnp.zeros(0)

    def unpack(self, flat: jax.Array) -> Any:
        """Return the arrays."""
        parts = [
            flat[i:j].reshape(shape) for i, j, shape in zip(self.edges[:-1], self.edges[1:], self.shapes, strict=True)
        ]
        return jax.tree.unflatten(self.structure, parts)

    def spread(self, numbers: Any) -> jax.Array:
        """Repeat a number for each array of the tree at each of its entries, f[n]."""
        sizes = np.diff(self.edges)
        return jnp.concatenate(
            [jnp.broadcast_to(x, n) for x, n in zip(jax.tree.leaves(numbers), sizes.tolist(), strict=True)]
        )

    def opened(self, opt_state: Any) -> Any:
        """Return the state as it is: its moments are vectors."""
        return opt_state

    def closed(self, opt_state: Any, like: Any) -> Any:
        """Return the state as it is."""
        return opt_state


class Parts:
    """A tree of arrays of one dtype as one vector of the small arrays, and the large ones.

    The optimizer's state has moments of that form within a call, and vectors of all entries between calls: what is
    saved of it, and what goes on from it, does not depend on what is large.
    """

    def __init__(self, tree: Any, large: list[bool]):
        self.large, self.whole = large, OneVector(tree)
        self.vector = OneVector(self._split(jax.tree.leaves(tree))[0])

    def pack(self, tree: Any) -> tuple[jax.Array, list[Any]]:
        """Return the entries of the small arrays, f[n], and the large arrays."""
        small, large = self._split(jax.tree.leaves(tree))
        return self.vector.pack(small), large

    def unpack(self, parts: tuple[jax.Array, list[Any]]) -> Any:
        """Return the tree."""
        small, large = iter(self.vector.unpack(parts[0])), iter(parts[1])
        return jax.tree.unflatten(self.whole.structure, [next(large if alone else small) for alone in self.large])

    def spread(self, numbers: Any) -> tuple[jax.Array, list[Any]]:
        """Repeat the numbers of the small arrays at each of their entries; those of the large ones stay."""
        small, large = self._split(jax.tree.leaves(numbers))
        return self.vector.spread(small), large

    def opened(self, opt_state: Any) -> Any:
        """Return a state with parts for each vector."""
        return jax.tree.map(lambda leaf: self.pack(self.whole.unpack(leaf)) if leaf.ndim else leaf, opt_state)

    def closed(self, opt_state: Any, like: Any) -> Any:
        """Return a state with vectors again, where ``like`` has them."""
        return jax.tree.map(lambda was, now: self.whole.pack(self.unpack(now)) if was.ndim else now, like, opt_state)

    def _split(self, leaves: list[Any]) -> tuple[list[Any], list[Any]]:
        pairs = list(zip(leaves, self.large, strict=True))
        return [leaf for leaf, alone in pairs if not alone], [leaf for leaf, alone in pairs if alone]


class SameTree:
    """Identity counterpart of `OneVector` for user-supplied optax transformations."""

    def pack(self, tree: Any) -> Any:
        """Return the tree as it is."""
        return tree

    unpack = spread = opened = pack

    def closed(self, opt_state: Any, like: Any) -> Any:
        """Return the state as it is."""
        return opt_state


def parameter_form(solver: Solver, params: Any, n_rows: int) -> OneVector | Parts | SameTree:
    """Return the form in which a solver sees parameters of this structure, in training on so many rows."""
    if not isinstance(solver, str):
        return SameTree()
    large = [leaf.size >= LARGE and leaf.size * n_rows >= WORTH_KERNELS for leaf in jax.tree.leaves(params)]
    return Parts(params, large) if any(large) else OneVector(params)
