"""Normalisation layers against PyTorch: values, gradients, state, over several steps."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import limpid
from limpid import nn
from limpid.nn import functional as F

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

LAYERS: list[tuple[str, tuple[Any, ...], dict[str, Any], tuple[int, ...]]] = [
    ("BatchNorm1d", (3,), {}, (4, 3)),
    ("BatchNorm1d", (3,), {"momentum": None}, (4, 3, 5)),
    ("BatchNorm1d", (1,), {"affine": False, "eps": 0.1}, (2, 1)),
    ("BatchNorm1d", (3,), {"bias": False}, (0, 3)),
    ("BatchNorm1d", (3,), {}, (2, 3, 0)),
    ("BatchNorm2d", (3,), {"momentum": 0.4}, (2, 3, 4, 5)),
    ("BatchNorm2d", (3,), {"track_running_stats": False}, (1, 3, 7, 1)),
    ("BatchNorm2d", (2,), {"affine": False, "momentum": 1.0}, (3, 2, 1, 1)),
    ("BatchNorm3d", (2,), {}, (3, 2, 2, 3, 1)),
    ("InstanceNorm1d", (3,), {}, (2, 3, 5)),
    ("InstanceNorm1d", (3,), {"affine": True, "track_running_stats": True}, (3, 4)),
    ("InstanceNorm1d", (9,), {}, (2, 3, 5)),  # num_features is not used
    ("InstanceNorm2d", (3,), {"affine": True, "bias": False}, (3, 4, 2)),
    ("InstanceNorm2d", (2,), {"track_running_stats": True, "momentum": 0.3}, (4, 2, 3, 3)),
    ("InstanceNorm2d", (2,), {"track_running_stats": True, "momentum": None}, (4, 2, 3, 3)),
    ("InstanceNorm3d", (2,), {"affine": True, "track_running_stats": True}, (3, 2, 2, 2, 3)),
    ("InstanceNorm3d", (2,), {}, (2, 1, 4, 3)),
    ("LayerNorm", (5,), {}, (2, 3, 5)),
    ("LayerNorm", ([3, 5],), {"bias": False, "eps": 1e-3}, (2, 3, 5)),
    ("LayerNorm", (5,), {"elementwise_affine": False}, (5,)),
    ("LayerNorm", (1,), {}, (2, 1)),
    ("GroupNorm", (3, 6), {}, (2, 6, 4)),
    ("GroupNorm", (6, 6), {"affine": False}, (2, 6)),
    ("GroupNorm", (1, 6), {"bias": False}, (2, 6, 2, 3)),
    ("GroupNorm", (2, 4), {}, (0, 4, 3)),
    ("RMSNorm", (5,), {}, (3, 5)),
    ("RMSNorm", ((2, 5),), {"eps": 0.1, "elementwise_affine": False}, (3, 2, 5)),
    ("LocalResponseNorm", (5,), {"alpha": 0.7}, (2, 7, 3, 2)),
    ("LocalResponseNorm", (4, 0.5, 0.6, 1.5), {}, (2, 3, 4)),
]
layers = pytest.mark.parametrize(
    ("name", "args", "options", "shape"),
    LAYERS,
    ids=[f"{n}-{'-'.join(o) or 'plain'}-{s}" for n, _, o, s in LAYERS],
)


def pair(name: str, args: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, Any]:
    """The same layer in both, in float64, with random parameters."""
    plain = name == "LocalResponseNorm"
    mine = getattr(nn, name)(*args, **options, **({} if plain else {"dtype": "float64"}))
    kind = {} if plain else {"dtype": torch.float64}
    theirs = getattr(torch.nn, name)(*args, **options, **kind)
    assert repr(mine) == repr(theirs)
    assert list(mine.state_dict()) == list(theirs.state_dict())
    assert {k: v.shape for k, v in mine.state_dict().items()} == {
        k: tuple(v.shape) for k, v in theirs.state_dict().items()
    }
    rng = np.random.default_rng(1)
    for p in theirs.parameters():
        p.data = torch.from_numpy(rng.normal(size=p.shape))
    mine.load_state_dict(theirs.state_dict())
    return mine, theirs


def close(mine: Any, theirs: Any) -> None:
    theirs = np.asarray(theirs.detach())
    assert tuple(mine.shape) == theirs.shape
    np.testing.assert_allclose(np.asarray(mine), theirs, rtol=1e-8, atol=1e-8)


def compare(mine: Any, theirs: Any, x: np.ndarray) -> None:
    """Values and gradients of one pass."""
    given, other = limpid.tensor(x, requires_grad=True), torch.from_numpy(x).requires_grad_()
    y, z = mine(given), theirs(other)
    close(y.detach(), z)
    for p in theirs.parameters():
        p.grad = None
    mine.zero_grad()
    limpid.sum(y * y * y).backward()
    (z * z * z).sum().backward()
    close(given.grad, other.grad)
    for p, q in zip(mine.parameters(), theirs.parameters(), strict=True):
        close(p.grad, q.grad)


@pytest.mark.filterwarnings("ignore:input's size at dim=1 does not match")
@layers
def test_layers(
    name: str, args: tuple[Any, ...], options: dict[str, Any], shape: tuple[int, ...]
) -> None:
    mine, theirs = pair(name, args, options)
    rng = np.random.default_rng(0)
    for mode in (True, True, False, True, False):
        mine.train(mode)
        theirs.train(mode)
        compare(mine, theirs, rng.normal(size=shape) * 2 + 1)
        for key, value in theirs.state_dict().items():
            close(mine.state_dict()[key], value)


def test_large_inputs_in_float32() -> None:
    """Through the branches for many rows and long ones."""
    rng = np.random.default_rng(0)
    for shape in ((2000, 5), (3, 4, 110, 110), (20, 6, 9, 7)):
        x = rng.normal(size=shape).astype("f4")
        w = rng.normal(size=shape[1]).astype("f4")
        given, other = limpid.tensor(x, requires_grad=True), torch.from_numpy(x).requires_grad_()
        y = F.batch_norm(given, None, None, w, training=True)
        z = torch.nn.functional.batch_norm(other, None, None, torch.from_numpy(w), training=True)
        limpid.sum(y * y * y).backward()
        (z * z * z).sum().backward()
        np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), atol=1e-5)
        np.testing.assert_allclose(given.grad.numpy(), other.grad.numpy(), atol=2e-3)


def test_signatures_follow_pytorch() -> None:
    for name in ("batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm",
                 "local_response_norm", "normalize"):  # fmt: skip
        mine = inspect.signature(getattr(F, name)).parameters
        theirs = inspect.signature(getattr(torch.nn.functional, name)).parameters
        assert list(mine) == list(theirs)[: len(mine)]
        assert [p.default for p in mine.values()] == [theirs[n].default for n in mine]
    for name in sorted({name for name, *_ in LAYERS}):
        mine = inspect.signature(getattr(nn, name)).parameters
        theirs = inspect.signature(getattr(torch.nn, name)).parameters
        assert list(mine) == [n for n in theirs if n != "device"]
        assert [p.default for p in mine.values()] == [theirs[n].default for n in mine]
