"""Modules of Equinox, pruned and given back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax

from skbandit._core.constraints import shown
from skbandit.networks.attributes import Known, Path
from skbandit.networks.rebuilding import (
    Framework,
    FunctionOfModule,
    Smaller,
    at_smaller_sizes,
    by_path,
    paths_of,
    put,
)

_SHRINK = "networks.equinox.shrink"
#: What the attributes of layers are.
_KNOWN: dict[str, dict[str, Known]] = {
    "Linear": {"in_features": Known(("weight",), 1), "out_features": Known(("weight",), 0)},
    "Conv": {"in_channels": Known(("weight",), 1), "out_channels": Known(("weight",), 0)},
    "Embedding": {"num_embeddings": Known(("weight",), 0), "embedding_size": Known(("weight",), 1)},
    "GroupNorm": {"groups": Known(("weight",), 0, "units"), "channels": Known(("weight",), 0)},
    "LayerNorm": {"shape": Known(("weight",), 0, "shape")},
    "RMSNorm": {"shape": Known(("weight",), 0, "shape")},
    "BatchNorm": {"input_size": Known(("weight",), 0)},
    "GRUCell": {"input_size": Known(("weight_ih",), 1), "hidden_size": Known(("weight_hh",), 1)},
    "LSTMCell": {"input_size": Known(("weight_ih",), 1), "hidden_size": Known(("weight_hh",), 1)},
    "MultiheadAttention": {
        "num_heads": Known(("query_proj", "weight"), 0, "units"),
        "query_size": Known(("query_proj", "weight"), 1),
        "key_size": Known(("key_proj", "weight"), 1),
        "value_size": Known(("value_proj", "weight"), 1),
        "output_size": Known(("output_proj", "weight"), 0),
        "qk_size": Known(("query_proj", "weight"), 0, "per unit"),
        "vo_size": Known(("value_proj", "weight"), 0, "per unit"),
    },
    "MLP": {"in_size": Known(("layers", 0, "weight"), 1)},
}


def as_function(
    module: Any, state: Any = None, *, call: Callable[..., Any] | None = None
) -> tuple[FunctionOfModule, Any, Any]:
    """Return a module as a function of its parameters, in inference mode.

    Parameters
    ----------
    module : equinox.Module
        Its floating-point arrays are the parameters.
    state : equinox.nn.State, optional
        The state of a module that has one, such as batch statistics.
    call : callable (module, *rows) or (module, state, *rows), optional
        Calls the module on a mini-batch, and returns outputs, or with state (outputs, new state). By default the module
        is mapped over the first axis of the rows: ``jax.vmap(module)(*rows)``. With state it is called as
        ``module(*row, state)``, mapped with ``axis_name="batch"``.

    Returns
    -------
    apply : callable (params, *example) or (params, state, *example)
        The function, for `infer_groups` and `skbandit.prune`.
    params : pytree
    state : equinox.nn.State or None

    Examples
    --------
    >>> import equinox, jax, jax.numpy as jnp
    >>> from skbandit import networks
    >>> model = equinox.nn.MLP(4, 2, width_size=8, depth=1, key=jax.random.key(0))
    >>> apply, params, state = networks.equinox.as_function(model)
    >>> apply(params, jnp.ones((5, 4))).shape
    (5, 2)
    """
    params, _ = _partition("as_function", module)
    return FunctionOfModule(module, _of(call, state is not None)), params, state


def shrink(
    module: Any,
    result: Any,
    x: Any = None,
    *,
    call: Callable[..., Any] | None = None,
    attributes: Mapping[str, Any] | None = None,
    rebuild: Callable[[dict[str, int]], Any] | None = None,
    tolerance: float | None = None,
) -> Any:
    """Return the module at the smaller sizes.

    It has the parameters of the result, and attributes such as ``hidden_size`` or ``num_heads`` that fit them. It is
    returned only if it computes what ``result.apply`` computes.

    Parameters
    ----------
    module : equinox.Module
        The module that was pruned.
    result : PruneResult
        What `skbandit.prune` returned for the function of `as_function`, or for a function of your own whose parameters
        are ``equinox.partition(module, equinox.is_inexact_array)[0]``.
    x : array or tuple of arrays, optional
        Rows to compare on; a tuple is several arguments. By default random values in the shapes that the function was
        pruned with (integers are 0 or 1).
    call : callable (module, *rows) or (module, state, *rows), optional
        Calls the module on a mini-batch, as in `as_function`. By default as the function was made by `as_function`;
        needed for a function of your own that calls the module in another way.
    attributes : mapping of str to value, optional
        New values of attributes that sizes do not determine, such as ``{"blocks.0.attention.num_heads": 2}``.
    rebuild : callable (sizes) → equinox.Module, optional
        Makes a module at the smaller sizes, with any parameters: those of the result are put in. ``sizes`` is a
        dictionary: the number of units that are left, by the name of the group. By default a copy of the module gets
        new attributes.
    tolerance : float, optional
        Largest difference of the outputs that passes, relative to the largest output. By default 1e-4 for parameters of
        float32.

    Returns
    -------
    equinox.Module
        With JAX arrays, and in the training or inference mode of ``module``. Its state, if there is one, is
        ``result.state``.

    Raises
    ------
    ValueError
        If the module does not run at the smaller sizes, or computes something else.

    Warns
    -----
    UserWarning
        If several new values of an attribute are possible and the outputs do not depend on it. It keeps its old value.

    Examples
    --------
    >>> import equinox, jax, numpy as np
    >>> import skbandit
    >>> from skbandit import networks
    >>> model = equinox.nn.MLP(4, 1, width_size=8, depth=1, key=jax.random.key(0))
    >>> X = np.random.default_rng(0).normal(size=(64, 4))
    >>> apply, params, _ = networks.equinox.as_function(model)
    >>> result = skbandit.prune(
    ...     apply, params, X, X[:, :1], loss=lambda outputs, y: ((outputs - y) ** 2).sum(-1), policy="magnitude"
    ... )
    >>> small = networks.equinox.shrink(model, result)
    >>> small.layers[0].weight.shape, small.layers[0].out_features
    ((4, 4), 4)
    """
    _partition("shrink", module)
    smaller = Smaller(_SHRINK, result, x, tolerance)
    of = smaller.of(_of(call, smaller.has_state), call)
    framework = Framework("equinox", _KNOWN, _modules, _filled, of, paths_of)
    return at_smaller_sizes(framework, smaller, module, attributes, rebuild)


def _partition(owner: str, module: Any) -> tuple[Any, Any]:
    """Return the parameters of a module, and what is left of it."""
    import equinox as eqx

    if not isinstance(module, eqx.Module):
        raise ValueError(
            f"The 'module' parameter of networks.equinox.{owner} must be an equinox.Module. Got {shown(module)}."
        )
    params, static = eqx.partition(module, eqx.is_inexact_array)
    return params, static


def _of(call: Callable[..., Any] | None, has_state: bool) -> Callable[[Any], Callable[..., Any]]:
    """Return how a module is a function (params, *args) → outputs."""
    import equinox as eqx

    if call is not None and not callable(call):
        raise ValueError(f"The 'call' parameter must be callable (module, *args) → outputs. Got {shown(call)}.")
    call = call or (_mapped_with_state if has_state else _mapped)

    def of(module: Any) -> Callable[..., Any]:
        quiet = eqx.nn.inference_mode(module)
        return lambda params, *args: call(put(quiet, by_path(params), _SHRINK), *args)

    return of


def _mapped(module: Any, *rows: Any) -> Any:
    return jax.vmap(module)(*rows)


def _mapped_with_state(module: Any, state: Any, *rows: Any) -> Any:
    return jax.vmap(module, axis_name="batch", in_axes=(*(0 for _ in rows), None), out_axes=(0, None))(*rows, state)


def _filled(module: Any, params: Any, state: Any) -> Any:
    return put(module, {path: jax.device_put(array) for path, array in by_path(params).items()}, _SHRINK)


def _modules(tree: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield a module and all modules below it, with their paths."""
    import equinox as eqx

    if isinstance(tree, eqx.Module):
        yield path, tree
        children: Any = vars(tree).items()
    elif isinstance(tree, dict):
        children = tree.items()
    elif isinstance(tree, (list, tuple)):
        children = enumerate(tree)
    else:
        return
    for key, child in children:
        yield from _modules(child, (*path, key))
