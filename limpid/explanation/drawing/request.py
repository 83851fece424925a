"""`draw`: from whatever is to be drawn to a drawing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from limpid.errors import NoGradientError, OperandError
from limpid.explanation.build import record_numbers
from limpid.explanation.record import Explanation
from limpid.graph.graph import Graph
from limpid.tensor import Tensor
from limpid.transforms.recording import Recorded

if TYPE_CHECKING:
    from limpid.explanation.drawing.content import Content
    from limpid.explanation.drawing.drawing import Drawing


def draw(output: Any, gradient: Any = None, *, depth: int | None = None) -> Drawing:
    """A layered picture of what an output was computed from, forward and backward.

    Each box shows what a node is, its value and below it its gradient; lines show where values go,
    and beside them, by width and colour, the gradients that come back. Modules and repeated blocks
    fold. It draws from the record that `explain` makes: `backward()` is neither needed nor run.

    output    a tensor; an Explanation, also of a compiled step; or a recorded graph, which has no
              values
    gradient  the upstream of the output; 1 for a scalar
    depth     how deep modules and repeated blocks are unfolded: 0 not at all. By default a graph
              of up to 40 boxes wholly, a larger one as far as it keeps to 40, repeats folded

    Needs igraph (`pip install 'limpid[draw]'`), raises MissingLibraryError without it. Raises
    NoGradientError for a tensor without a graph, SeedError for one that is no scalar if no
    `gradient` is given.

    >>> import limpid
    >>> x, y, z = (limpid.tensor(v, requires_grad=True) for v in (-2.0, 5.0, -4.0))
    >>> picture = limpid.draw((x + y) * z)
    >>> [(box.title, box.value, box.gradient) for box in picture.boxes if box.title in ("x", "z")]
    [('x', '-2', '-4'), ('z', '-4', '3')]
    >>> picture.svg.startswith("<svg")
    True
    """
    from limpid.explanation.drawing.drawing import Drawing

    return Drawing(_content(output, gradient), depth)


def _content(output: Any, gradient: Any) -> Content:
    from limpid.explanation.drawing.content import content_of_record
    from limpid.explanation.drawing.recorded import content_of_graph

    if isinstance(output, Explanation):
        return content_of_record(output)
    if isinstance(output, Recorded):
        output = output.graph
    if isinstance(output, Graph):
        return content_of_graph(output)
    if not isinstance(output, Tensor):
        raise OperandError(
            f"draw takes a tensor, an Explanation or a graph, not {type(output).__name__}"
        )
    if not output.requires_grad:
        raise NoGradientError(
            "draw needs a tensor that was computed from something with requires_grad=True"
        )
    return content_of_record(record_numbers(output, gradient))


__all__ = ["draw"]
