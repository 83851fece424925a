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
from limpid.graph.context import context, no_grad
from limpid.ops.cast import stop_gradient
from limpid.tensor import Tensor, to_array
from limpid.transforms.inputs import Inputs, check_callable, must_record, run, stays_open
from limpid.transforms.nesting import flatten, leaves_like, map_leaves
from limpid.transforms.passes import count_forward, count_reverse


def scalar_output(value: Any) -> Tensor:
    """The output of a function to take the gradient of: a scalar tensor."""
    if not isinstance(value, Tensor):
        if isinstance(value, float | int | np.ndarray | np.generic):
            return scalar_output(Tensor(None, 0, to_array(value)))
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
    count_reverse()
    found, _ = reverse(outputs, seeds, inputs.nodes, recording, inputs.since)
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
    unused   "error" raises UnconnectedError for an argument without influence, "zeros" returns 0

    The value is the kind of thing that was given, too: floats for floats, arrays for arrays.

    >>> import numpy as np, limpid
    >>> limpid.value_and_grad(lambda x: limpid.sum(x * x))(np.array([1.0, 2.0]))
    (array(5.), array([2., 4.]))
    """
    check_callable(function, "grad")
    _check_unused(unused)

    @wraps(function)
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        inputs = Inputs(args, argnums)
        result = run(function, inputs, kwargs)
        result, aux = split_aux(result) if has_aux else (result, None)
        output = scalar_output(result)
        recording = must_record(inputs, [output])
        seed = seed_for(output, None, recording)
        if recording and not stays_open(inputs, [output]):
            with no_grad():
                gradients = gradients_at(inputs, [output], [seed], unused, recording)
            output = stop_gradient(output) if output.requires_grad else output
        else:
            gradients = gradients_at(inputs, [output], [seed], unused, recording)
        value = inputs.result(output, recording)
        if has_aux:
            value = value, release(aux, inputs, recording)
        return value, inputs.gradients(gradients, [seed])

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


def _check_unused(unused: str) -> None:
    if unused not in ("error", "zeros"):
        raise ArgumentError(f'unused is "error" or "zeros", not {unused!r}')


def split_aux(result: Any) -> tuple[Any, Any]:
    """What a function returned with has_aux: the pair of what is differentiated and the rest."""
    if not isinstance(result, tuple) or len(result) != 2:
        raise ArgumentError(
            f"with has_aux=True the function returns a pair (value, aux), not {result!r:.60}"
        )
    return result


def release(aux: Any, inputs: Inputs, recording: bool) -> Any:
    """Extra results, the tensors among them as the kind of thing that was given."""
    return map_leaves(lambda x: inputs.result(x, recording) if isinstance(x, Tensor) else x, aux)


class Outputs:
    """What a function returned, taken apart into tensors."""

    def __init__(self, result: Any) -> None:
        self.result = result
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
    check_callable(function, "vjp")
    inputs = Inputs([map_leaves(_copied, x) for x in args], range(len(args)))
    outputs = Outputs(run(function, inputs, {}))
    recording = must_record(inputs, outputs.tensors)

    def pullback(upstream: Any) -> Any:
        given = leaves_like(outputs.result, upstream, "the upstream gradient")
        open_now = recording or _carry_gradient(given)
        seeds = [seed_for(y, g, open_now) for y, g in zip(outputs.tensors, given, strict=True)]
        found = gradients_at(inputs, outputs.tensors, seeds, unused, open_now)
        return inputs.gradients(found, seeds)

    return outputs.rebuild([inputs.result(y, recording) for y in outputs.tensors]), pullback


def _copied(leaf: Any) -> Any:
    """An array's owner may write into it before the pullback is called."""
    return leaf.copy() if isinstance(leaf, np.ndarray) else leaf


def _carry_gradient(given: Sequence[Any]) -> bool:
    """Whether what follows from these must be recorded."""
    if context.state.recorder is not None:
        return True
    return any(isinstance(x, Tensor) and x.requires_grad for x in given)


def jvp(function: Callable[..., Any], primals: Any, tangents: Any) -> tuple[Any, Any]:
    """The value of a function and its tangent J·dx, in one forward pass.

    primals, tangents  a tuple of arguments and a tuple nested alike of their tangents

    >>> import numpy as np, limpid
    >>> limpid.jvp(lambda x: x * x, (np.array(3.0),), (np.array(1.0),))
    (array(9.), array(6.))
    """
    check_callable(function, "jvp")
    if not isinstance(primals, tuple | list) or not isinstance(tangents, tuple | list):
        raise ArgumentError("jvp takes a tuple of primals and a tuple of tangents")
    inputs = Inputs(primals, range(len(primals)))
    given = inputs.flatten_like(tangents, "tangent")
    outputs = Outputs(run(function, inputs, {}))
    recording = must_record(inputs, outputs.tensors) or _carry_gradient(given)
    seeds = {
        t.node: dx if recording else dx.value
        for t, dx in zip(inputs.tensors, given, strict=True)
        if t.node is not None
    }
    pushed = tangents_at(inputs, outputs.tensors, seeds, recording)
    return (
        outputs.rebuild([inputs.result(y, recording) for y in outputs.tensors]),
        outputs.rebuild([inputs.result(dy, recording, list(seeds.values())) for dy in pushed]),
    )


def tangents_at(
    inputs: Inputs, outputs: Sequence[Tensor], seeds: dict[Any, Any], recording: bool
) -> list[Any]:
    """The tangent of every output; zeros where none arrives."""
    count_forward()
    pushed = push_forward(outputs, seeds, recording, inputs.since)
    return [
        zeros(y.spec, recording) if dy is None else dy
        for y, dy in zip(outputs, pushed, strict=True)
    ]


def hvp(function: Callable[..., Any], primals: Any, tangents: Any) -> Any:
    """Hessian times vector, forward over reverse: the Hessian is never formed.

    >>> import numpy as np, limpid
    >>> limpid.hvp(lambda x: limpid.sum(x * x * x), (np.array([1.0, 2.0]),), (np.ones(2),))
    (array([ 6., 12.]),)
    """
    gradient = grad(function, argnums=range(len(primals)), unused="zeros")
    return jvp(gradient, primals, tangents)[1]
