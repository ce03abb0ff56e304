"""Modules of Flax's nnx, pruned and given back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax

from skbandit._core.constraints import shown
from skbandit.networks.attributes import Known, Path
from skbandit.networks.groups import plain_path
from skbandit.networks.rebuilding import Framework, FunctionOfModule, Smaller, at_smaller_sizes, by_path, put

_SHRINK = "networks.nnx.shrink"
_KERNEL = ("kernel",)
#: What the attributes of layers are.
_KNOWN: dict[str, dict[str, Known]] = {
    "Linear": {"in_features": Known(_KERNEL, 0), "out_features": Known(_KERNEL, 1)},
    "Conv": {
        "in_features": Known(_KERNEL, -2),
        "out_features": Known(_KERNEL, -1),
        "kernel_shape": Known(_KERNEL, 0, "shape"),
    },
    "ConvTranspose": {
        "in_features": Known(_KERNEL, -2),
        "out_features": Known(_KERNEL, -1),
        "kernel_shape": Known(_KERNEL, 0, "shape"),
    },
    "LinearGeneral": {"in_features": Known(_KERNEL, 0, "shape"), "out_features": Known(("bias",), 0, "shape")},
    "Embed": {"num_embeddings": Known(("embedding",), 0), "features": Known(("embedding",), 1)},
    "BatchNorm": {"num_features": Known(("scale",), 0)},
    "LayerNorm": {"num_features": Known(("scale",), 0)},
    "RMSNorm": {"num_features": Known(("scale",), 0)},
    "GroupNorm": {"num_groups": Known(("scale",), 0, "units"), "group_size": Known(("scale",), 0, "per unit")},
    "MultiHeadAttention": {
        "num_heads": Known(("query", "kernel"), 1),
        "num_kv_heads": Known(("key", "kernel"), 1),
        "head_dim": Known(("query", "kernel"), 2),
        "in_features": Known(("query", "kernel"), 0),
        "in_kv_features": Known(("key", "kernel"), 0),
        "qkv_features": Known(("query", "kernel"), 1, "product"),
        "out_features": Known(("out", "kernel"), -1),
    },
    "LSTMCell": {"in_features": Known(("ii", "kernel"), 0), "hidden_features": Known(("hi", "kernel"), 0)},
    "GRUCell": {"in_features": Known(("dense_i", "kernel"), 0), "hidden_features": Known(("dense_h", "kernel"), 0)},
}
_KNOWN["OptimizedLSTMCell"] = {
    "in_features": Known(("dense_i", "kernel"), 0),
    "hidden_features": Known(("dense_h", "kernel"), 0),
}


def as_function(
    module: Any, *, call: Callable[..., Any] | None = None
) -> tuple[FunctionOfModule, dict[Any, Any], dict[Any, Any] | None]:
    """Return a module as a function of its parameters, in inference mode.

    Parameters
    ----------
    module : nnx.Module
        Its ``nnx.Param`` are the parameters. All other variables are the state, except those of random numbers. The
        module is not changed: ``eval()`` is called on a copy.
    call : callable (module, *rows), optional
        Calls the module on a mini-batch, and returns the outputs. By default ``module(*rows)``.

    Returns
    -------
    apply : callable (params, *example) or (params, state, *example)
        The function, for `infer_groups` and `skbandit.prune`.
    params : dict
        ``nnx.to_pure_dict`` of the parameters.
    state : dict or None
        ``nnx.to_pure_dict`` of the state; None if there is none.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from flax import nnx
    >>> from skbandit import networks
    >>> model = nnx.Sequential(nnx.Linear(4, 8, rngs=nnx.Rngs(0)), nnx.relu, nnx.Linear(8, 2, rngs=nnx.Rngs(1)))
    >>> apply, params, state = networks.nnx.as_function(model)
    >>> apply(params, jnp.ones((5, 4))).shape
    (5, 2)
    """
    from flax import nnx

    _check("as_function", module)
    parts: Any = nnx.split(module, nnx.Param, nnx.RngState, ...)
    params, state = nnx.to_pure_dict(parts[1]), nnx.to_pure_dict(parts[3])
    has_state = bool(jax.tree.leaves(state))
    return FunctionOfModule(module, _of(call, has_state)), params, state if has_state else None


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

    It has the parameters of the result, and attributes such as ``in_features`` or ``num_heads`` that fit them. It is
    returned only if it computes what ``result.apply`` computes. The given module is not changed.

    Parameters
    ----------
    module : nnx.Module
        The module that was pruned.
    result : PruneResult
        What `skbandit.prune` returned for the function of `as_function`, or for a function of your own. Its parameters
        (and state) are then parts of ``nnx.split(module, nnx.Param, ...)``, as an ``nnx.State`` or a pure dictionary.
    x : array or tuple of arrays, optional
        Rows to compare on; a tuple is several arguments. By default random values in the shapes that the function was
        pruned with (integers are 0 or 1).
    call : callable (module, *rows), optional
        Calls the module on a mini-batch. By default as the function was made by `as_function`; needed for a function of
        your own that does not call ``module(*rows)``.
    attributes : mapping of str to value, optional
        New values of attributes that sizes do not determine, such as ``{"blocks.0.attention.num_heads": 2}``.
    rebuild : callable (sizes) → nnx.Module, optional
        Makes a module at the smaller sizes, with any parameters: those of the result are put in. ``sizes`` is a
        dictionary: the number of units that are left, by the name of the group. By default a copy of the module gets
        new attributes.
    tolerance : float, optional
        Largest difference of the outputs that passes, relative to the largest output. By default 1e-4 for parameters of
        float32.

    Returns
    -------
    nnx.Module
        A copy in the training or inference mode of ``module``, with the state of the result.

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
    >>> import numpy as np
    >>> from flax import nnx
    >>> import skbandit
    >>> from skbandit import networks
    >>> model = nnx.Sequential(nnx.Linear(4, 8, rngs=nnx.Rngs(0)), nnx.relu, nnx.Linear(8, 1, rngs=nnx.Rngs(1)))
    >>> X = np.random.default_rng(0).normal(size=(64, 4))
    >>> apply, params, _ = networks.nnx.as_function(model)
    >>> result = skbandit.prune(
    ...     apply, params, X, X[:, :1], loss=lambda outputs, y: ((outputs - y) ** 2).sum(-1), policy="magnitude"
    ... )
    >>> small = networks.nnx.shrink(model, result)
    >>> small.layers[0].kernel.shape, small.layers[0].out_features
    ((4, 4), 4)
    """
    _check("shrink", module)
    smaller = Smaller(_SHRINK, result, x, tolerance)
    framework = Framework("flax", _KNOWN, _modules, _filled, smaller.of(_of(call, smaller.has_state), call), _paths)
    return at_smaller_sizes(framework, smaller, module, attributes, rebuild)


def _check(owner: str, module: Any) -> None:
    from flax import nnx

    if not isinstance(module, nnx.Module):
        raise ValueError(f"The 'module' parameter of networks.nnx.{owner} must be an nnx.Module. Got {shown(module)}.")


def _of(call: Callable[..., Any] | None, has_state: bool) -> Callable[[Any], Callable[..., Any]]:
    """Return how a module is a function (params, *args) → outputs."""
    if call is not None and not callable(call):
        raise ValueError(f"The 'call' parameter must be callable (module, *args) → outputs. Got {shown(call)}.")

    def of(module: Any) -> Callable[..., Any]:
        from flax import nnx

        quiet = nnx.clone(module)
        quiet.eval()
        graph, variables = nnx.split(quiet)

        def function(params: Any, *args: Any) -> Any:
            state, rows = (args[0], args[1:]) if has_state else (None, args)
            # With a copy, so that variables of random numbers may change in here.
            made = nnx.merge(graph, _put(variables, params, state), copy=True)
            return made(*rows) if call is None else call(made, *rows)

        return function

    return of


def _put(variables: Any, params: Any, state: Any) -> Any:
    return put(variables, by_path(params, _paths) | by_path(state, _paths), _SHRINK, _paths)


def _filled(module: Any, params: Any, state: Any) -> Any:
    from flax import nnx

    graph, variables = nnx.split(module)
    params, state = jax.device_put((params, state))
    return nnx.merge(graph, _put(variables, params, state), copy=True)


def _modules(module: Any) -> Iterator[tuple[Path, Any]]:
    """Yield a module and all modules below it, with their paths, the outermost first."""
    from flax import nnx

    yield from sorted(nnx.iter_modules(module), key=lambda found: len(found[0]))


def _paths(tree: Any) -> list[Path]:
    """Return the paths of variables, which hold their array as an attribute; in a pure dictionary they are arrays."""
    paths = [path for path, _ in jax.tree_util.tree_flatten_with_path(tree)[0]]
    return [plain_path(path[:-1] if isinstance(path[-1], jax.tree_util.GetAttrKey) else path) for path in paths]
