"""What a primitive's forward does, found by running it once on arrays that have no values.

So the NumPy code of a declaration is also the source of its native code: nothing is written twice.
A forward that looks at values, writes into views or calls what is not known here can't be traced;
its primitive is called as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from limpid.compiler.program import functions as functions  # NumPy's functions become known
from limpid.compiler.program.construction import Untraceable
from limpid.compiler.program.traced import Traced, value_of
from limpid.compiler.program.values import Value


def trace(
    forward: Callable[..., Any], operands: Sequence[Value | Any], params: Mapping[str, Any]
) -> tuple[Value, ...]:
    """The outputs of a forward; raises Untraceable."""
    given = [Traced(x) if isinstance(x, Value) else x for x in operands]
    try:
        made = forward(*given, **params)
    except Untraceable:
        raise
    except Exception as error:  # a forward may do anything; eager tells the user what is wrong
        raise Untraceable(str(error)) from error
    if made is NotImplemented:
        raise Untraceable("there are no plain steps for these operands")
    found = made if isinstance(made, tuple) else (made,)
    return tuple(map(value_of, found))
