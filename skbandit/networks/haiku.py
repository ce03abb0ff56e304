"""Functions of dm-haiku, pruned and given back."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import jax

from skbandit._core.constraints import shown
from skbandit.networks.rebuilding import FunctionOfModule, Smaller, rebuilt

_SHRINK = "networks.haiku.shrink"


def as_function(
    transformed: Any, params: Any, state: Any = None, **arguments: Any
) -> tuple[FunctionOfModule, Any, Any]:
    """Return a transformed function as a function of its parameters. It is called without a random key.

    Parameters
    ----------
    transformed : hk.Transformed or hk.TransformedWithState
        What ``hk.transform`` or ``hk.transform_with_state`` returned, with or without ``hk.without_apply_rng``.
    params : dict
        Trained parameters.
    state : dict, optional
        The state of a function with state. An empty one counts as none.
    **arguments
        Keyword arguments of every call, such as ``is_training=False``: with them the function must be in inference
        mode.

    Returns
    -------
    apply : callable (params, *example) or (params, state, *example)
        The function, for `infer_groups` and `skbandit.prune`; with state it returns (outputs, new state).
    params : dict
    state : dict or None

    Examples
    --------
    >>> import haiku, jax, jax.numpy as jnp
    >>> from skbandit import networks
    >>> transformed = haiku.transform(lambda x: haiku.nets.MLP([8, 2])(x))
    >>> params = transformed.init(jax.random.key(0), jnp.ones((1, 4)))
    >>> apply, params, state = networks.haiku.as_function(transformed, params)
    >>> apply(params, jnp.ones((5, 4))).shape
    (5, 2)
    """
    _check("as_function", transformed)
    state = state if jax.tree.leaves(state) else None
    return FunctionOfModule(transformed, _of(state is not None, arguments)), params, state


def shrink(
    rebuild: Callable[[dict[str, int]], Any], result: Any, x: Any = None, *, tolerance: float | None = None
) -> Any:
    """Return the transformed function at the smaller sizes.

    Haiku's modules get their sizes from the code that makes them, and refuse parameters of other shapes. So `shrink`
    calls that code with the sizes that are left. The function is returned only if it computes what ``result.apply``
    computes.

    Parameters
    ----------
    rebuild : callable (sizes) → hk.Transformed or hk.TransformedWithState
        Makes the function. ``sizes`` is a dictionary: the number of units that are left, by the name of the group, as
        ``result.sizes``. It may also return a plain function, (params, *example) or (params, state, *example) →
        outputs.
    result : PruneResult
        What `skbandit.prune` returned for the function of `as_function`, or for a function of your own of the same
        parameters (and state).
    x : array or tuple of arrays, optional
        Rows to compare on; a tuple is several arguments. By default random values in the shapes that the function was
        pruned with (integers are 0 or 1).
    tolerance : float, optional
        Largest difference of the outputs that passes, relative to the largest output. By default 1e-4 for parameters of
        float32.

    Returns
    -------
    hk.Transformed or hk.TransformedWithState
        What ``rebuild`` returned; its parameters are ``result.params``, its state is ``result.state``.

    Raises
    ------
    ValueError
        If the function does not run at the smaller sizes, or computes something else.

    Examples
    --------
    >>> import haiku, jax, numpy as np
    >>> import skbandit
    >>> from skbandit import networks
    >>> def make(width):
    ...     return haiku.without_apply_rng(haiku.transform(lambda x: haiku.nets.MLP([width, 1])(x)))
    >>> X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    >>> apply, params, _ = networks.haiku.as_function(make(8), make(8).init(jax.random.key(0), X))
    >>> result = skbandit.prune(
    ...     apply, params, X, X[:, :1], loss=lambda outputs, y: ((outputs - y) ** 2).sum(-1), policy="magnitude"
    ... )
    >>> result.sizes
    {'mlp/~/linear_0': 4}
    >>> small = networks.haiku.shrink(lambda sizes: make(sizes["mlp/~/linear_0"]), result)
    >>> small.apply(result.params, X).shape
    (64, 1)
    """
    import haiku as hk

    smaller = Smaller(_SHRINK, result, x, tolerance)
    of = smaller.of(_of(smaller.has_state, {}), None)
    kinds = hk.Transformed, hk.TransformedWithState
    return rebuilt(smaller, rebuild, lambda made: of(made) if isinstance(made, kinds) else made)


def _check(owner: str, transformed: Any) -> None:
    import haiku as hk

    if not isinstance(transformed, (hk.Transformed, hk.TransformedWithState)):
        raise ValueError(
            f"The 'transformed' parameter of networks.haiku.{owner} must be what hk.transform or "
            f"hk.transform_with_state returns. Got {shown(transformed)}."
        )


def _of(has_state: bool, arguments: dict[str, Any]) -> Callable[[Any], Callable[..., Any]]:
    """Return how a transformed function is a function (params, *args) → outputs."""

    def of(transformed: Any) -> Callable[..., Any]:
        import haiku as hk

        takes_state = isinstance(transformed, hk.TransformedWithState)
        no_key = [None] if "rng" in inspect.signature(transformed.apply).parameters else []

        def function(params: Any, *args: Any) -> Any:
            state, rows = (args[0], args[1:]) if has_state else ({}, args)
            if not takes_state:
                return transformed.apply(params, *no_key, *rows, **arguments)
            outputs, new = transformed.apply(params, state, *no_key, *rows, **arguments)
            return (outputs, new) if has_state else outputs

        return function

    return of
