"""Function: a forward and a backward written by hand, in PyTorch's spelling."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from limpid.errors import ArgumentError, CutError, DeclarationError, OperandError, RuleError
from limpid.graph.context import Cut, context
from limpid.graph.dtype import dtype_of
from limpid.graph.node import Array, Node, Params, Spec, spec_of
from limpid.graph.registry import operations
from limpid.graph.source import capture
from limpid.tensor import Tensor
from limpid.transforms.call import Call, Kept, Layout, Signature, unknown_derivative
from limpid.transforms.nesting import flatten


class FunctionContext:
    """What `forward` leaves for `backward`: saved tensors, and any attribute that is set on it."""

    needs_input_grad: tuple[bool, ...]  # for each argument of forward, whether to return one

    def __init__(self, needs_input_grad: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs_input_grad
        self._saved: tuple[Any, ...] = ()
        self._constant: tuple[Any, ...] = ()  # outputs marked as non-differentiable
        self._node: Node | None = None  # of the call, while the backward pass is recorded

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors for `backward`, where they come back as `ctx.saved_tensors`.

        An input or output saved here is part of the graph in a recorded backward pass, and writing
        to a saved slot raises OverwrittenError. What is no tensor is kept as an attribute.
        """
        for x in tensors:
            if x is not None and not isinstance(x, Tensor | np.ndarray | np.generic):
                raise OperandError(
                    f"save_for_backward takes tensors, not {type(x).__name__}; "
                    "keep other things as attributes: ctx.name = value"
                )
        self._saved = tensors

    def mark_non_differentiable(self, *outputs: Any) -> None:
        """These outputs of `forward` carry no gradient; `backward` still gets zeros for them."""
        self._constant = outputs

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """The saved tensors, in the order in which they were given."""
        return tuple(x.tensor(self._node) if isinstance(x, Saved) else x for x in self._saved)


class Saved(NamedTuple):
    """One saved tensor: its value, and what it is in the graph."""

    value: Array
    operand: int | None = None
    output: int | None = None
    outside: Tensor | None = None  # a tensor that forward closes over

    def tensor(self, node: Node | None) -> Tensor:
        """As `backward` sees it; with a node, as part of its graph."""
        if node is None:
            return Tensor(None, 0, self.value)
        if self.output is not None:
            return Tensor(node, self.output, self.value)
        if self.operand is not None:
            parent = node.inputs[self.operand]
            linked = parent if isinstance(parent, Node) else None
            return Tensor(linked, node.indices[self.operand], self.value)
        return unknown_derivative(node, self.value) if self.outside is None else self.outside


class Function:
    """An operation whose gradient is written by hand: subclass it, call `apply`.

    `forward(ctx, *arguments)` returns a tensor or a tuple of them. Tensors and float arrays come
    as tensors that record nothing; anything else comes as it is. `backward(ctx, *gradients)` gets
    the upstream gradient of each output (zeros where there is none) and returns the downstream
    gradient of each argument: of its shape and dtype, None where there is none. Both may use NumPy
    on `.numpy()`; for second derivatives and forward mode, which transposes it, `backward` must be
    written with limpid's operations.

    A tensor saved that is neither input nor output counts as unknown in a second derivative, which
    then raises RuleError; a constant is better kept as an attribute of ctx.

    Recorded, a call is one node that calls Python when the graph runs, and so is its gradient. The
    shapes of the outputs must be known then: `forward` is tried on ones, unless there is a static
    method `shape(*arguments)` that returns them, given specs in place of tensors.

    Raises RuleError if what `forward` or `backward` returns does not fit.

    >>> import numpy as np, limpid
    >>> class Exp(limpid.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         y = limpid.exp(x)
    ...         ctx.save_for_backward(y)
    ...         return y
    ...     @staticmethod
    ...     def backward(ctx, grad_y):
    ...         (y,) = ctx.saved_tensors
    ...         return grad_y * y
    >>> limpid.grad(lambda x: limpid.sum(Exp.apply(x)))(np.zeros(2))
    array([1., 1.])
    """

    forward: ClassVar[Any]
    backward: ClassVar[Any]
    _calls: ClassVar[dict[Layout, Call]]
    _taken: ClassVar[_Parameters | None]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._calls = {}
        cls._taken = None

    def __init__(self) -> None:
        name = type(self).__name__
        raise DeclarationError(f"a Function is not instantiated: call {name}.apply(…)")

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run `forward`, and remember how to run `backward` if a gradient may be asked for.

        Given no tensors it returns arrays.
        """
        taken = cls._taken
        if taken is None or taken.forward is not cls.forward:
            taken = cls._taken = _Parameters(cls)
        names, arguments, fixed, given = taken.bind(args, kwargs)
        is_tensor = tuple(map(_is_tensor, arguments))
        layout = Layout(names, is_tensor, tuple(map(_needs_gradient, arguments)), given)
        call = cls._calls.get(layout)
        if call is None:
            call = cls._calls[layout] = Call(_Rules(cls), layout)
        operands = []
        for name, x, it_is in zip(names, arguments, is_tensor, strict=True):
            if it_is:
                operands.append(x)
            else:
                fixed[name] = x
        for name, x in fixed.items():
            _check_fixed(cls, name, x)
        return _given_back(call(*operands, **fixed))


class _Parameters:
    """What the forward of a Function takes after ctx."""

    def __init__(self, function: Any) -> None:
        for rule in ("forward", "backward"):
            if not callable(getattr(function, rule, None)):
                raise DeclarationError(f"{function.__name__} does not define {rule}(ctx, …)")
        self.name = function.__name__
        self.forward = function.forward
        found = list(inspect.signature(self.forward).parameters.values())
        if found and found[0].kind is not inspect.Parameter.VAR_POSITIONAL:
            found = found[1:]
        self.signature = inspect.Signature(found)
        self.keyword = {p.name for p in found if p.kind in (p.KEYWORD_ONLY, p.VAR_KEYWORD)}
        self.rest = next((p.name for p in found if p.kind is p.VAR_POSITIONAL), None)
        self.names = tuple(p.name for p in found if p.name not in {*self.keyword, self.rest})

    def bind(
        self, args: tuple[Any, ...], kwargs: Params
    ) -> tuple[tuple[str, ...], tuple[Any, ...], dict[str, Any], int]:
        """Names and values of the positional arguments, the keywords, and how many were given."""
        if not kwargs and not self.keyword and len(args) == len(self.names):
            return self.names, args, {}, len(args)
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise ArgumentError(f"{self.name}.apply: {error}") from None
        given, keywords = len(bound.args), dict(bound.kwargs)
        bound.apply_defaults()
        rest = tuple(f"{self.rest}_{i}" for i in range(len(bound.args) - len(self.names)))
        return self.names + rest, bound.args, keywords, given


def _is_tensor(x: Any) -> bool:
    """Whether forward gets this as a tensor."""
    return isinstance(x, Tensor) or (isinstance(x, np.ndarray) and x.dtype.kind == "f")


def _needs_gradient(x: Any) -> bool:
    if not isinstance(x, Tensor):
        return False
    recorder = context.state.recorder
    x = x if recorder is None else recorder.current(x)
    return bool(x.requires_grad) and context.state.grad_enabled


def _check_fixed(cls: Any, name: str, x: Any) -> None:
    """Raise if a tensor with a gradient hides where it would be lost: in a list, in a keyword."""
    if not isinstance(x, Tensor | list | tuple | dict):
        return
    for path, leaf in flatten(x, name)[0]:
        if isinstance(leaf, Tensor) and leaf.requires_grad:
            raise OperandError(
                f"{path} of {cls.__name__}.apply is a tensor that requires a gradient, which would "
                "be lost\nremedy: hand over each tensor as a positional argument of forward"
            )


def _given_back(results: Sequence[Any]) -> Any:
    """What forward returned, without the token; outputs without derivative cut off."""
    *outputs, token = results
    signature = _signature(token)
    made = [
        _cut_off(y) if k in signature.constant and isinstance(y, Tensor) else y
        for k, y in enumerate(outputs)
    ]
    return made[0] if signature.single else tuple(made)


def _signature(token: Any) -> Signature:
    if not isinstance(token, Tensor):
        signature: Signature = token.kept.signature
    elif token._value is not None:
        signature = token._value.kept.signature  # type: ignore[attr-defined]  # a Token
    else:
        assert token.node is not None
        signature = token.node.outputs[-1].signature  # type: ignore[attr-defined]  # a TokenSpec
    return signature


def _cut_off(y: Tensor) -> Tensor:
    if y._value is None:
        return operations["stop_gradient"](y)
    made = Tensor(None, 0, y._value)
    made.cut = Cut("mark_non_differentiable", capture())
    return made


class _Rules:
    """Running a Function's forward and backward, and checking what they return."""

    def __init__(self, function: Any) -> None:
        self.function = function
        self.name: str = function.__name__

    def forward(
        self, layout: Layout, arguments: list[Any], keywords: Params
    ) -> tuple[list[Array], Kept]:
        """The outputs of one call, and what it keeps."""
        ctx = FunctionContext(layout.needs)
        result = self.function.forward(ctx, *arguments, **keywords)
        single = not isinstance(result, tuple | list)
        returned = [result] if single else list(result)
        if not returned:
            raise RuleError(f"{self.name}.forward returned nothing")
        handed = [x for x, it_is in zip(arguments, layout.tensors, strict=True) if it_is]
        arrays = [self._output(y, single, k, handed) for k, y in enumerate(returned)]
        places = _Places(handed, returned, arrays)
        constant = self._constant(ctx, places) | {
            k for k, y in enumerate(arrays) if y.dtype.kind != "f"
        }
        ctx._constant = ()
        ctx._saved = tuple(None if x is None else places.saved(x) for x in ctx._saved)
        operands = frozenset(
            x.operand for x in ctx._saved if x is not None and x.operand is not None
        )
        signature = Signature(single, frozenset(constant))
        return arrays, Kept(ctx, signature, tuple(map(spec_of, arrays)), operands)

    def _output(self, y: Any, single: bool, k: int, handed: list[Tensor]) -> Array:
        if not isinstance(y, Tensor | np.ndarray | np.generic):
            which = "" if single else f" as output {k}"
            raise RuleError(
                f"{self.name}.forward returned {y!r:.40}{which}; it must return a tensor, an array "
                "or a tuple of them"
            )
        array = y.value if isinstance(y, Tensor) else np.asarray(y)
        dtype_of(array.dtype)
        return array.copy() if any(array is x._value for x in handed) else array

    def _constant(self, ctx: FunctionContext, places: _Places) -> set[int]:
        marked = {places.outputs.get(id(y)) for y in ctx._constant}
        if None in marked:
            raise RuleError(
                f"{self.name}.forward marked as non-differentiable what it did not return"
            )
        return {k for k in marked if k is not None}

    def shape(self, arguments: list[Any], keywords: Params) -> tuple[list[Spec], Signature] | None:
        """What the class says of the outputs; None if it says nothing."""
        rule = getattr(self.function, "shape", None)
        if rule is None:
            return None
        result = rule(*arguments, **keywords)
        single = isinstance(result, Spec)
        specs = [result] if single else list(result)
        constant = frozenset(k for k, y in enumerate(specs) if y.dtype.kind != "float")
        return specs, Signature(single, constant)

    def backward(
        self, layout: Layout, kept: Kept, node: Node | None, gradients: list[Tensor]
    ) -> Sequence[Any]:
        """What backward returns, one for each argument of forward."""
        ctx = FunctionContext.__new__(FunctionContext)
        ctx.__dict__.update(kept.context.__dict__)
        ctx._node = node
        try:
            result = self.function.backward(ctx, *gradients)
        except CutError as error:
            raise RuleError(
                f"{self.name}.backward leaves the graph where forward mode or a second derivative "
                f"needs a formula: {str(error).splitlines()[0]}\n"
                "remedy: write backward with limpid's operations"
            ) from error
        found = list(result) if isinstance(result, tuple | list) else [result]
        count = len(layout.names)
        fits = layout.given <= len(found) and all(x is None for x in found[count:])
        if not fits:
            raise RuleError(
                f"{self.name}.backward returned {len(found)} gradients, but forward takes {count} "
                "arguments; return one for each of them, None for those without gradient"
            )
        return (found + [None] * count)[:count]


class _Places:
    """Which inputs and outputs of a call the objects that forward handled are."""

    def __init__(self, handed: list[Tensor], returned: list[Any], arrays: list[Array]) -> None:
        self.inputs = {id(x): i for i, x in enumerate(handed)}
        self.inputs.update((id(x._value), i) for i, x in enumerate(handed))
        self.outputs = {id(y): k for k, y in enumerate(arrays)}
        self.outputs.update((id(y), k) for k, y in enumerate(returned) if id(y) not in self.inputs)
        self.arrays = arrays

    def saved(self, x: Any) -> Saved:
        """What is known of a tensor that was saved."""
        value = x.value if isinstance(x, Tensor) else np.asarray(x)
        for key in (id(x), id(value)):
            if key in self.outputs:
                return Saved(self.arrays[self.outputs[key]], output=self.outputs[key])
            if key in self.inputs:
                return Saved(value, operand=self.inputs[key])
        return Saved(value, outside=x if isinstance(x, Tensor) and x.requires_grad else None)
