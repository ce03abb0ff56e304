"""From a function and its parameters to a network that can be pruned, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import numpy as np

from skbandit._core.constraints import shown
from skbandit.networks.capabilities import PRUNABLE, offers
from skbandit.networks.groups import Groups
from skbandit.networks.inference import as_variables, infer_groups
from skbandit.networks.trace import Variables, specs
from skbandit.networks.traced import SmallerFunction, TracedNetwork, arguments
from skbandit.pruning.results import PruneResult


class Function(NamedTuple):
    """A function that is pruned, and its full parameters.

    Attributes
    ----------
    network : TracedNetwork
    params : pytree or Variables
        What the loop prunes.
    given : pytree of jax.ShapeDtypeStruct
        Shapes and dtypes of the parameters as they were given.
    example : tuple of pytree of jax.ShapeDtypeStruct
        Those of a few rows.
    """

    network: TracedNetwork
    params: Any
    given: Any
    example: tuple[Any, ...]

    def result(self, result: PruneResult) -> PruneResult:
        """Return a result with the function of the smaller network, and parameters in the dtypes that were given."""
        params = jax.tree.map(lambda a, given: a.astype(given.dtype), result.params, self.given)
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
    example = jax.tree.map(lambda a: np.asarray(a)[:4], arguments(X))
    if groups is None:
        groups = infer_groups(apply, params, *example, state=state)
    network = TracedNetwork.of(apply, groups, loss, params, example, state)
    variables = as_variables(params, state)
    return Function(network, variables, specs(variables, "'params'"), specs(example, "'X'"))


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
        batches.append(tuple(jax.tree.map(_on_host, part) for part in batch))
        n += len(batches[-1][1])
        if n >= max_rows:
            break
    if not batches or len({len(batch) for batch in batches}) > 1:
        raise ValueError(f"The iterable of batches for {owner} must hold batches that are alike, at least one.")
    parts = [jax.tree.map(lambda *a: np.concatenate(a)[:max_rows], *part) for part in zip(*batches, strict=True)]
    return parts[0], parts[1], (parts[2] if len(parts) == 3 else None)


def _on_host(array: Any) -> np.ndarray:
    """Return an array of any framework on the host: PyTorch's and TensorFlow's have ``numpy``."""
    return np.asarray(array.numpy() if hasattr(array, "numpy") else array)
