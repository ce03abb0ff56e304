"""From a function and its parameters to a network that can be pruned, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import numpy as np

from skbandit._core.constraints import shown
from skbandit.networks.capabilities import PRUNABLE, offers
from skbandit.networks.groups import Groups
from skbandit.networks.inference import as_variables, infer_groups, is_traced
from skbandit.networks.trace import Variables, specs
from skbandit.networks.traced import SmallerFunction, TracedNetwork, arguments
from skbandit.pruning.inputs import rows_on_host
from skbandit.pruning.results import PruneResult


class Function(NamedTuple):
    """A function that is pruned, and its full parameters.

    Attributes
    ----------
    network : TracedNetwork
    params : pytree or Variables
        What the loop prunes.
    given : pytree of jax.ShapeDtypeStruct
        Shapes of the parameters, and their dtypes as JAX takes them.
    dtypes : pytree of dtypes
        As they were given.
    example : tuple of pytree of jax.ShapeDtypeStruct
        Those of a few rows.
    """

    network: TracedNetwork
    params: Any
    given: Any
    dtypes: Any
    example: tuple[Any, ...]

    def result(self, result: PruneResult) -> PruneResult:
        """Return a result with the function of the smaller network, and parameters in the dtypes that were given."""
        params = jax.tree.map(lambda a, dtype: a.astype(dtype), result.params, self.dtypes)
        has_state = isinstance(params, Variables)
        return result._replace(
            params=params.params if has_state else params,
            state=params.state if has_state else None,
            groups=self.network.groups,
            apply=SmallerFunction(self.network.apply, self.network.groups, result.kept, self.given, self.example),
        )


def function_of(owner: str, apply: Any, params: Any, X: Any, loss: Any, groups: Any, state: Any) -> Function | None:
    """Return the function that is to be pruned, None where ``apply`` is a network with gates of its own.

    Raises
    ------
    ValueError
        If arguments are missing, or there that have no meaning.
    """
    of_function = {"loss": loss, "groups": groups, "state": state}
    if offers(apply, PRUNABLE) or not callable(apply) or isinstance(apply, type):
        odd = [name for name, value in of_function.items() if value is not None]
        if odd and offers(apply, PRUNABLE):
            raise ValueError(
                f"The parameters {odd} of {owner} are for a function (params, x) → outputs. The network that was given "
                "has a loss and groups of its own."
            )
        return None
    if loss is None:
        raise ValueError(
            f"The 'network' parameter of {owner} must have 'groups' and 'batch_loss', as a GatedNetwork has, or be a "
            f"function (params, X) → outputs, together with the 'loss' parameter, (outputs, y) → losses. Got "
            f"{shown(apply)} and no 'loss'."
        )
    if groups is not None and not isinstance(groups, Groups):
        raise ValueError(
            f"The 'groups' parameter of {owner} must be what infer_groups returns. Got {shown(groups)} instead."
        )
    if is_traced((params, state, X)):
        raise ValueError(
            f"{owner} was given values of 'params', 'state' or 'X' that JAX traces, or was called where it does. "
            "Pruning runs on the host: call it outside of jit, grad and other transformations of JAX."
        )
    example = jax.tree.map(lambda a: a[:4], arguments(rows_on_host(X, "X")))
    if groups is None:
        groups = infer_groups(apply, params, *example, state=state)
    network = TracedNetwork.of(apply, groups, loss, params, example, state)
    variables = as_variables(params, state)
    given = specs(variables, "'params'")
    dtypes = jax.tree.map(lambda a, spec: getattr(a, "dtype", spec.dtype), variables, given)
    return Function(network, variables, given, dtypes, specs(example, "'X'"))


def rows_of_batches(owner: str, X: Any, y: Any, weight: Any, max_rows: int) -> tuple[Any, Any, Any]:
    """Return rows from an iterable of batches (x, y) or (x, y, weight), where ``y`` is None; other rows as they are.

    Parameters
    ----------
    max_rows : int
        Rows to read at most.

    Raises
    ------
    ValueError
        If what was given is no such iterable, or is empty.
    """
    if y is not None or not isinstance(X, Iterable) or hasattr(X, "shape") or isinstance(X, (dict, str)):
        return X, y, weight
    if weight is not None:
        raise ValueError(f"With an iterable of batches, {owner} takes the weights from the batches: (x, y, weight).")
    batches: list[tuple[Any, ...]] = []
    n = 0
    for batch in X:
        if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
            raise ValueError(
                f"A batch of the iterable for {owner} must be (x, y) or (x, y, weight). Got {shown(batch)}."
            )
        batches.append(tuple(map(_on_host, batch)))
        n += _rows_of_batch(owner, batches[-1])
        if n >= max_rows:
            break
    if not batches:
        raise ValueError(f"The iterable of batches for {owner} is empty: it must hold one batch at least.")
    first, *others = map(_kind_of_batch, batches)
    odd = [i for i, kind in enumerate(others, 1) if kind != first]
    if odd:
        raise ValueError(
            f"The batches of the iterable for {owner} must be alike, but for their rows. Batch 0 has rows of "
            f"{first}, batch {odd[0]} has rows of {others[odd[0] - 1]}."
        )
    parts = [jax.tree.map(lambda *a: np.concatenate(a)[:max_rows], *part) for part in zip(*batches, strict=True)]
    return parts[0], parts[1], (parts[2] if len(parts) == 3 else None)


def _on_host(part: Any) -> Any:
    """Return arrays of any framework on the host: PyTorch's and TensorFlow's have ``numpy``."""
    if isinstance(part, dict):
        return {key: _on_host(value) for key, value in part.items()}
    # A list of tensors is what data loaders make of a tuple.
    if isinstance(part, tuple) or (isinstance(part, list) and part and all(hasattr(a, "shape") for a in part)):
        return tuple(map(_on_host, part))
    if part is None:
        return None
    tensor: Any = part
    return np.asarray(tensor.numpy() if hasattr(tensor, "numpy") else tensor)


def _rows_of_batch(owner: str, batch: tuple[Any, ...]) -> int:
    """Return how many rows a batch has; raise ValueError if its arrays do not agree."""
    shapes = [array.shape for array in jax.tree.leaves(batch)]
    if () in shapes or len({shape[0] for shape in shapes}) != 1:
        raise ValueError(
            f"The arrays of a batch of the iterable for {owner} must have the same number of rows, along their first "
            f"axis. Got arrays of the shapes {shapes}."
        )
    return int(shapes[0][0])


def _kind_of_batch(batch: tuple[Any, ...]) -> Any:
    """Return what must be the same in all batches: the tree, and the shapes of a row."""
    return jax.tree.map(lambda a: a.shape[1:], batch)
