"""The answer of `why`: plain data that prints."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

LONGEST = 12  # edges shown in print


@dataclass(frozen=True)
class Link:
    """One factor of a path: an edge, or the sum at a fan-out."""

    node: str  # the name of the node whose rule this is, or of the fan-out
    to: str  # the name of the node that receives
    op: str  # the primitive; "sum" at a fan-out
    factor: float  # how the norm changes: ‖downstream‖ / ‖upstream‖
    source: str  # file:line
    scope: str


@dataclass(frozen=True, repr=False)
class Reason:
    """Why a gradient is what it is.

    status   "none" (there is no path), "zero", "tiny", "not finite" or "arrives"
    kind     the cause in a word or two, such as "detached", "unused", "mask", "saturated"
    text     the same as a sentence, with numbers
    source   the line that is to blame, as file:line; "" where none is
    remedy   what to do about it; "" where nothing is wrong
    edges    the strongest path from the loss to the tensor, as far as anything goes along it
    whole    ‖gradient of the tensor‖ / ‖upstream of the loss‖, the product of the factors
    certain  False where the graph that would prove it is gone
    """

    status: str
    kind: str
    text: str
    source: str = ""
    remedy: str = ""
    edges: tuple[Link, ...] = ()
    whole: float | None = None
    certain: bool = True

    @property
    def factors(self) -> tuple[float, ...]:
        """The factor of each edge; they multiply to `whole`."""
        return tuple(edge.factor for edge in self.edges)

    def to_json(self) -> dict[str, Any]:
        """The reason as plain data for `json.dumps`."""
        return {**asdict(self), "factors": list(self.factors)}

    def __repr__(self) -> str:
        return str(self)  # what a person sees who asks in an interactive session

    def __str__(self) -> str:
        lines = [self.text if self.certain else f"probably: {self.text}"]
        if self.remedy:
            lines.append(f"remedy: {self.remedy}")
        if self.edges:
            lines.append("the strongest path, from the loss:")
            lines += _rows(self.edges)
        if self.whole is not None:
            lines.append(f"together × {self.whole:.3g}")
        return "\n".join(lines)


def _rows(edges: tuple[Link, ...]) -> list[str]:
    shown = edges if len(edges) <= LONGEST else (*edges[: LONGEST // 2], *edges[-LONGEST // 2 :])
    titles = [f"{edge.op}: {edge.node} → {edge.to}" for edge in shown]
    width = max(map(len, titles))
    rows = [
        f"  × {edge.factor:<9.3g} {title:<{width}}  {edge.source.rsplit('/', 1)[-1]}".rstrip()
        for edge, title in zip(shown, titles, strict=True)
    ]
    if len(shown) < len(edges):
        rows.insert(LONGEST // 2, f"  … {len(edges) - len(shown)} more")
    return rows
