"""Rows of limpid/ops/einsum.py: the primitive takes two operands, the function any number."""

from typing import Any

import numpy as np

import limpid
from tests.table import Row, Sample, normal


def _einsum(subscripts: str, *samples: Sample, by_torch: bool = True, **how: Any) -> Row:
    return Row(
        "einsum",
        lambda *xs: limpid.einsum(subscripts, *xs, **how),
        samples,
        lambda *xs: np.einsum(subscripts, *xs),
        (lambda t, *xs: t.einsum(subscripts, *xs)) if by_torch else None,
        label=f"{subscripts} {how or ''}".strip() + "".join(s.label for s in samples),
    )


ROWS = [
    _einsum("ij,jk->ik", normal(3, 4), normal(4, 2)),
    _einsum("ij,jk", normal(3, 4), normal(4, 2)),
    _einsum("ij,kj->ki", normal(3, 4), normal(2, 4)),
    _einsum("ijk,jil->kl", normal(2, 3, 4), normal(3, 2, 5)),
    _einsum("bij,bkj->bki", normal(2, 3, 4), normal(2, 5, 4)),
    _einsum("bhqd,bhkd->bhqk", normal(2, 2, 3, 4), normal(2, 2, 5, 4)),
    _einsum("ij,ij->", normal(3, 4), normal(3, 4)),
    _einsum("bi,bi->b", normal(3, 4), normal(3, 4)),
    _einsum("bi,bi->ib", normal(3, 4), normal(3, 4)),
    _einsum("i,jk->kji", normal(2), normal(3, 4)),
    _einsum("ab,a->b", normal(3, 4), normal(3)),
    _einsum(",ij->ij", normal(), normal(2, 3)),
    _einsum(",", normal(), normal()),
    _einsum("...ij,...jk->...ik", normal(2, 1, 3, 4), normal(5, 4, 2)),
    _einsum("...i,i", normal(2, 3, 4), normal(4)),
    _einsum("i...,...->...i", normal(2, 3), normal(4, 1)),
    _einsum("ij,jk->ik", normal(3, 1), normal(4, 2)),
    _einsum("ii,ij->j", normal(3, 3), normal(3, 2)),
    _einsum("iij,jk->ki", normal(3, 3, 2), normal(2, 4)),
    _einsum("ij,kl->", normal(2, 3), normal(4, 2)),
    _einsum("aab,bcc->ac", normal(2, 2, 3), normal(3, 2, 2)),
    _einsum("iii,ij->ij", normal(2, 2, 2), normal(2, 3)),
    _einsum("bi,bj,bk->ijk", normal(3, 2), normal(3, 4), normal(3, 2)),
    _einsum("ij,jk,kl,lm->im", normal(2, 3), normal(3, 4), normal(4, 2), normal(2, 3)),
    _einsum("ij,jk,kl->li", normal(2, 3), normal(3, 4), normal(4, 2), optimize=False),
    _einsum("ij,jk,kl->li", normal(2, 3), normal(3, 4), normal(4, 2), optimize="optimal"),
    _einsum("ij,jk,kl->li", normal(2, 3), normal(3, 4), normal(4, 2),
            optimize=["einsum_path", (1, 2), (0, 1)]),
    _einsum("ij,jk->ik", normal(0, 4), normal(4, 2)),
    _einsum("ij,jk->ik", normal(3, 0), normal(0, 2)),
    Row("einsum", lambda a, b: limpid.einsum(a, [0, 1, ...], b, [1, 2], [..., 2, 0]),
        (normal(2, 3, 4), normal(3, 2)), lambda a, b: np.einsum("ij...,jk->...ki", a, b),
        label="lists of axes"),
    Row("diagonal", lambda a: limpid.einsum("iji->ji", a), (normal(3, 2, 3),),
        lambda a: np.einsum("iji->ji", a), lambda t, a: t.einsum("iji->ji", a), label="by einsum"),
    Row("sum", lambda a: limpid.einsum("ijk->ki", a), (normal(2, 3, 4),),
        lambda a: np.einsum("ijk->ki", a), lambda t, a: t.einsum("ijk->ki", a), label="by einsum"),
]  # fmt: skip
