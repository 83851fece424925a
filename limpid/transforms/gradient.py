"""First derivatives of functions: grad, value_and_grad, vjp, jvp, hvp.

A transform makes fresh input nodes, runs the function, and differentiates the graph between the
two. Nested transforms differentiate nested graphs, so nothing can be confused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np

from limpid.differentiation.forward import push_forward
from limpid.differentiation.reverse import reverse, seed_for
from limpid.differentiation.saved import zeros
from limpid.errors import ArgumentError, SeedError, UnconnectedError
from limpid.tensor import Tensor, to_array
from limpid.transforms.inputs import Inputs, Kind, must_record, run
from limpid.transforms.nesting import Rebuild, flatten


def scalar_output(value: Any) -> Tensor:
    """The output of a function to take the gradient of: a scalar tensor."""
    if not isinstance(value, Tensor):
        if isinstance(value, float | int | np.ndarray | np.generic):
            return Tensor(None, 0, to_array(value))
        raise SeedError(
            f"grad needs a function that returns a scalar tensor, not {type(value).__name__}; "
            "return (loss, extra) with has_aux=True for more"
        )
    if value.size != 1:
        raise SeedError(
            f"grad needs a function that returns a scalar, not {value.spec}; reduce it "
            "(limpid.sum, limpid.mean), or use limpid.jacobian or limpid.vjp"
        )
    if value.dtype.kind != "float":
        raise SeedError(f"grad needs a function that returns a float, not {value.spec}")
    return value


def gradients_at(
    inputs: Inputs, outputs: Sequence[Tensor], seeds: Sequence[Any], unused: str, recording: bool
) -> list[Any]:
    """The gradient at every input leaf; zeros or an error where none arrives."""
    found, _ = reverse(outputs, seeds, inputs.nodes, recording)
    gradients = []
    for path, tensor in zip(inputs.paths, inputs.tensors, strict=True):
        g = found.get(tensor.node) if tensor.node is not None else None
        if g is None:
            if unused != "zeros":
                raise UnconnectedError(
                    f"the output does not depend on argument {path}; its gradient is zero "
                    'everywhere. Pass unused="zeros" if that is meant'
                )
            g = zeros(tensor.spec, recording)
        gradients.append(g)
    return gradients


def value_and_grad(
    function: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    *,
    has_aux: bool = False,
    unused: str = "error",
) -> Callable[..., Any]:
    """A function that returns (value, gradient) of a scalar function.

    argnums  which positional arguments; each may be any nesting of arrays, tensors, numbers, or a
             module (its gradient is {name: gradient})
    has_aux  the function returns (scalar, anything else); the result is ((value, aux), gradient)
    unused   "error" raises UnconnectedError for an argument that has no influence, "zeros" returns 0

    >>> import numpy as np, limpid
    >>> limpid.value_and_grad(lambda x: limpid.sum(x * x))(np.array([1.0, 2.0]))
    (array(5.), array([2., 4.]))
    """

    @wraps(function)
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        inputs = Inputs(args, argnums)
        result = run(function, inputs, kwargs)
        result, aux = result if has_aux else (result, None)
        output = scalar_output(result)
        recording = must_record(inputs, [output])
        seed = seed_for(output, None, recording)
        gradients = gradients_at(inputs, [output], [seed], unused, recording)
        converted = [inputs.convert(i, g) for i, g in enumerate(gradients)]
        value = _result_kind(inputs, recording)(output)
        return (value, _release(aux, recording)) if has_aux else value, inputs.rebuild(converted)

    return differentiated


def grad(
    function: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    *,
    has_aux: bool = False,
    unused: str = "error",
) -> Callable[..., Any]:
    """A function that returns the gradient of a scalar function; options as `value_and_grad`.

    The gradient is the kind of thing that was given: arrays for arrays, tensors for tensors.

    >>> import numpy as np, limpid
    >>> limpid.grad(lambda x: limpid.sum(limpid.sin(x)))(np.zeros(2))
    array([1., 1.])
    """
    both = value_and_grad(function, argnums, has_aux=has_aux, unused=unused)

    @wraps(function)
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return differentiated


def _result_kind(inputs: Inputs, recording: bool) -> Kind:
    """Values come back as tensors if a tensor was given, else as arrays."""
    if recording or inputs.has_tensor:
        return lambda y: y if recording else Tensor(None, 0, y.value)
    return lambda y: y.value if isinstance(y, Tensor) else y


def _release(aux: Any, recording: bool) -> Any:
    """Extra results, cut off from the graph unless it goes on."""
    leaves, rebuild = flatten(aux)
    return rebuild(
        iter(
            [
                Tensor(None, 0, x.value) if isinstance(x, Tensor) and not recording else x
                for _, x in leaves
            ]
        )
    )


class Outputs:
    """What a function returned, taken apart into tensors."""

    def __init__(self, result: Any):
        leaves, self.rebuild_leaves = flatten(result)
        self.paths = [path for path, _ in leaves]
        self.tensors = [
            x if isinstance(x, Tensor) else Tensor(None, 0, to_array(x)) for _, x in leaves
        ]

    def rebuild(self, values: Sequence[Any]) -> Any:
        """Values, one for each output, in the nesting of the result."""
        return self.rebuild_leaves(iter(values))


def vjp(function: Callable[..., Any], *args: Any, unused: str = "zeros") -> tuple[Any, Any]:
    """The value of a function, and the function g ↦ gᵀ·J that pulls gradients back.

    All positional arguments are differentiated; the pullback takes an upstream gradient nested
    like the value and returns a gradient for each argument.

    >>> import numpy as np, limpid
    >>> y, pullback = limpid.vjp(limpid.sin, np.zeros(2))
    >>> pullback(np.array([1.0, 3.0]))
    (array([1., 3.]),)
    """
    inputs = Inputs(args, range(len(args)))
    outputs = Outputs(run(function, inputs, {}))
    recording = must_record(inputs, outputs.tensors)
    kind = _result_kind(inputs, recording)

    def pullback(upstream: Any) -> Any:
        given = [leaf for _, leaf in flatten(upstream)[0]]
        if len(given) != len(outputs.tensors):
            raise ArgumentError(
                f"the upstream gradient must be nested like the value: {len(outputs.tensors)} "
                f"leaves, not {len(given)}"
            )
        open_now = recording or any(isinstance(g, Tensor) and g.requires_grad for g in given)
        seeds = [seed_for(y, g, open_now) for y, g in zip(outputs.tensors, given, strict=True)]
        found = gradients_at(inputs, outputs.tensors, seeds, unused, open_now)
        return inputs.rebuild([inputs.convert(i, g) for i, g in enumerate(found)])

    return outputs.rebuild([kind(y) for y in outputs.tensors]), pullback


def jvp(function: Callable[..., Any], primals: Any, tangents: Any) -> tuple[Any, Any]:
    """The value of a function and its tangent J·dx, in one forward pass.

    primals, tangents  a tuple of arguments and a tuple nested alike of their tangents

    >>> import numpy as np, limpid
    >>> limpid.jvp(lambda x: x * x, (np.array(3.0),), (np.array(1.0),))
    (array(9.), array(6.))
    """
    if not isinstance(primals, tuple | list) or not isinstance(tangents, tuple | list):
        raise ArgumentError("jvp takes a tuple of primals and a tuple of tangents")
    inputs = Inputs(primals, range(len(primals)))
    given = inputs.flatten_like(tangents, "tangent")
    outputs = Outputs(run(function, inputs, {}))
    recording = must_record(inputs, outputs.tensors) or any(t.requires_grad for t in given)
    seeds = {
        t.node: dx if recording else dx.value
        for t, dx in zip(inputs.tensors, given, strict=True)
        if t.node is not None
    }
    pushed = push_forward(outputs.tensors, seeds, recording)
    kind = _result_kind(inputs, recording)
    results = [
        _as_result(zeros(y.spec, recording) if dy is None else dy, inputs.has_tensor)
        for y, dy in zip(outputs.tensors, pushed, strict=True)
    ]
    return outputs.rebuild([kind(y) for y in outputs.tensors]), outputs.rebuild(results)


def _as_result(tangent: Any, as_tensor: bool) -> Any:
    if isinstance(tangent, Tensor):
        return tangent
    array = np.asarray(tangent)
    return Tensor(None, 0, array) if as_tensor else array


def hvp(function: Callable[..., Any], primals: Any, tangents: Any) -> Any:
    """Hessian times vector, forward over reverse: the Hessian is never formed.

    >>> import numpy as np, limpid
    >>> limpid.hvp(lambda x: limpid.sum(x * x * x), (np.array([1.0, 2.0]),), (np.ones(2),))
    (array([ 6., 12.]),)
    """
    gradient = grad(function, argnums=range(len(primals)), unused="zeros")
    return jvp(gradient, primals, tangents)[1]
