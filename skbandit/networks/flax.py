"""Modules of Flax's linen, pruned and given back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from skbandit._core.constraints import shown
from skbandit.networks.rebuilding import FunctionOfModule, Smaller, rebuilt

_SHRINK = "networks.flax.shrink"


def as_function(module: Any, variables: Any, **arguments: Any) -> tuple[FunctionOfModule, Any, Any]:
    """Return a module as a function of its parameters.

    Parameters
    ----------
    module : linen.Module
    variables : dict
        What ``module.init`` returned, or the trained variables: the collection ``"params"``, and others, such as
        ``"batch_stats"``, which are the state.
    **arguments
        Keyword arguments of every call, such as ``train=False`` or ``deterministic=True``: with them the module must be
        in inference mode.

    Returns
    -------
    apply : callable (params, *example) or (params, state, *example)
        The function, for `infer_groups` and `skbandit.prune`.
    params : dict
        The collection ``"params"``.
    state : dict or None
        The other collections, by name; None where there are none.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from flax import linen as nn
    >>> from skbandit import networks
    >>> module = nn.Sequential([nn.Dense(8), nn.relu, nn.Dense(2)])
    >>> variables = module.init(jax.random.key(0), jnp.ones((1, 4)))
    >>> apply, params, state = networks.flax.as_function(module, variables)
    >>> apply(params, jnp.ones((5, 4))).shape
    (5, 2)
    """
    from flax import linen

    if not isinstance(module, linen.Module):
        raise ValueError(
            f"The 'module' parameter of networks.flax.as_function must be a linen.Module. Got {shown(module)}. For "
            "modules of nnx there is networks.nnx."
        )
    if "params" not in variables:
        raise ValueError(
            "The 'variables' parameter of networks.flax.as_function must have the collection 'params', as what "
            f"module.init returns. Got the keys {list(variables)}."
        )
    state = {name: tree for name, tree in variables.items() if name != "params"}
    return FunctionOfModule(module, _of(bool(state), arguments)), variables["params"], state or None


def shrink(
    rebuild: Callable[[dict[str, int]], Any], result: Any, x: Any = None, *, tolerance: float | None = None
) -> Any:
    """Return the module at the smaller sizes.

    A linen module gets its sizes from the code that makes it, and refuses parameters of other shapes. So `shrink` calls
    that code with the sizes that are left. The module is returned only if it computes what ``result.apply`` computes.

    Parameters
    ----------
    rebuild : callable (sizes) → linen.Module
        Makes the module. ``sizes`` is a dictionary: the number of units that are left, by the name of the group, as
        ``result.sizes``. It may also return a function, (params, *example) or (params, state, *example) → outputs.
    result : PruneResult
        What `skbandit.prune` returned for the function of `as_function`. Or for a function of your own, whose
        parameters are all variables, or the collection ``"params"`` (its state is then a dictionary of the others).
    x : array or tuple of arrays, optional
        Rows to compare on; a tuple is several arguments. By default random values in the shapes that the function was
        pruned with (integers are 0 or 1).
    tolerance : float, optional
        Largest difference of the outputs that passes, relative to the largest output. By default 1e-4 for parameters of
        float32.

    Returns
    -------
    linen.Module
        What ``rebuild`` returned; its parameters are ``result.params``, its state is ``result.state``.

    Raises
    ------
    ValueError
        If the module does not run at the smaller sizes, or computes something else.

    Examples
    --------
    >>> import jax, numpy as np
    >>> from flax import linen as nn
    >>> import skbandit
    >>> from skbandit import networks
    >>> def make(width):
    ...     return nn.Sequential([nn.Dense(width), nn.relu, nn.Dense(1)])
    >>> X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    >>> apply, params, _ = networks.flax.as_function(make(8), make(8).init(jax.random.key(0), X))
    >>> result = skbandit.prune(
    ...     apply, params, X, X[:, :1], loss=lambda outputs, y: ((outputs - y) ** 2).sum(-1), policy="magnitude"
    ... )
    >>> result.sizes
    {'layers_0': 4}
    >>> small = networks.flax.shrink(lambda sizes: make(sizes["layers_0"]), result)
    >>> small.apply({"params": result.params}, X).shape
    (64, 1)
    """
    from flax import linen

    smaller = Smaller(_SHRINK, result, x, tolerance)
    of = smaller.of(_of(smaller.has_state, {}), None)
    return rebuilt(smaller, rebuild, lambda made: of(made) if isinstance(made, linen.Module) else made)


def _of(has_state: bool, arguments: dict[str, Any]) -> Callable[[Any], Callable[..., Any]]:
    """Return how a module is a function (params, *args) → outputs."""

    def of(module: Any) -> Callable[..., Any]:
        def function(params: Any, *args: Any) -> Any:
            variables = params if "params" in params else {"params": params}
            state, rows = (args[0], args[1:]) if has_state else ({}, args)
            return module.apply({**variables, **state}, *rows, **arguments)

        return function

    return of
