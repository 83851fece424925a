"""Errors name the thing, both lines, and the remedy; they carry an id and hide limpid's frames."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import limpid
from limpid import errors

HERE = Path(__file__).name


def lines_named(error: pytest.ExceptionInfo[BaseException]) -> list[str]:
    """The sub-expressions of this file that the message shows."""
    message = re.sub(r" \[L\d+\]$", "", str(error.value))
    return re.findall(rf"{HERE}:\d+: (.*)", message)


def test_shape_mismatch_names_operands_and_line() -> None:
    weights, inputs = limpid.tensor(np.ones((3, 4))), limpid.tensor(np.ones((5, 3)))
    with pytest.raises(errors.ShapeError) as error:
        weights @ inputs
    assert "weights: float64[3, 4]; inputs: float64[5, 3]" in str(error.value)
    assert lines_named(error) == ["weights @ inputs"]
    assert "[L101]" in str(error.value)
    with pytest.raises(errors.ShapeError, match=r"\(3, 4\) and \(5, 3\) do not broadcast"):
        weights + inputs


def test_shape_mismatch_while_recording() -> None:
    def wrong(a: limpid.Tensor, b: limpid.Tensor) -> limpid.Tensor:
        return a + b

    with pytest.raises(errors.ShapeError, match="a: float64"):
        limpid.record(wrong, np.ones(3), np.ones(4))


@pytest.mark.parametrize("bad", ["text", None, {1, 2}, 1j, object()])
def test_an_operand_of_the_wrong_type(bad: object) -> None:
    with pytest.raises((errors.OperandError, errors.DTypeError)):
        limpid.tensor(1.0) + bad


def test_unsupported_element_types() -> None:
    dates = np.array(["2020"], "M8[D]")
    for value in (np.array(["a"]), np.array([1j]), np.array([object()]), dates):
        with pytest.raises((errors.DTypeError, errors.OperandError)):
            limpid.tensor(value)


def test_overwritten_value_names_both_lines() -> None:
    w = limpid.Parameter([1.0, 2.0])
    loss = limpid.sum(w * w)
    limpid.assign(w, [5.0, 5.0])
    with pytest.raises(errors.OverwrittenError) as error:
        loss.backward()
    assert lines_named(error) == ["w * w", "limpid.assign(w, [5.0, 5.0])"]
    assert w.grad is None


def test_overwriting_what_no_rule_needs_is_fine() -> None:
    w = limpid.Parameter([1.0, 2.0])
    loss = limpid.sum(w + 1.0)
    limpid.assign(w, [5.0, 5.0])
    loss.backward()
    np.testing.assert_array_equal(w.grad.numpy(), [1.0, 1.0])


def test_views_of_a_slot_keep_the_value_they_saw() -> None:
    w = limpid.Parameter([[1.0, 2.0]])
    exported, turned = w.detach().numpy(), w.T
    loss = limpid.sum(turned * turned)
    limpid.assign(w, [[5.0, 5.0]])
    loss.backward()
    np.testing.assert_array_equal(w.grad.numpy(), [[2.0, 4.0]])
    np.testing.assert_array_equal(exported, [[1.0, 2.0]])
    np.testing.assert_array_equal(w.detach().numpy(), [[5.0, 5.0]])


def test_an_array_given_to_assign_stays_the_callers() -> None:
    w, given = limpid.Parameter([1.0, 2.0]), np.array([3.0, 4.0], np.float32)
    limpid.assign(w, given)
    given[0] = 100.0
    np.testing.assert_array_equal(w.detach().numpy(), [3.0, 4.0])


def test_second_backward_names_both_lines() -> None:
    x = limpid.tensor(3.0, requires_grad=True)
    y = x * x
    y.backward()
    with pytest.raises(errors.FreedError) as error:
        y.backward()
    assert lines_named(error) == ["x * x", "y.backward()"]
    assert "retain_graph=True" in str(error.value)
    z = x * x
    z.backward(retain_graph=True)
    z.backward()
    assert x.grad.item() == 18.0


def test_backward_of_a_non_scalar_needs_a_seed() -> None:
    x = limpid.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(errors.SeedError, match="float32"):
        (x * x).backward()
    with pytest.raises(errors.SeedError, match=r"\(3,\)"):
        (x * x).backward([1.0, 2.0, 3.0])
    (x * x).backward([1.0, 10.0])
    np.testing.assert_array_equal(x.grad.numpy(), [2.0, 40.0])


def test_integers_have_no_gradient() -> None:
    with pytest.raises(errors.DTypeError, match="int64"):
        limpid.tensor([1, 2], requires_grad=True)
    with pytest.raises(errors.DTypeError, match="only floats"):
        limpid.grad(lambda x: x * x)(np.array(3))


def test_unconnected_input() -> None:
    def ignores(x: limpid.Tensor, y: limpid.Tensor) -> limpid.Tensor:
        return x * x

    with pytest.raises(errors.UnconnectedError, match="argument 1"):
        limpid.grad(ignores, argnums=1)(1.0, 2.0)
    assert limpid.grad(ignores, argnums=1, unused="zeros")(1.0, 2.0) == 0.0
    x, y = (limpid.tensor(1.0, requires_grad=True) for _ in range(2))
    ignores(x, y).backward()
    assert y.grad is None


def test_backward_of_something_cut_says_where() -> None:
    x = limpid.tensor(1.0, requires_grad=True)
    with limpid.no_grad():
        y = x * x
    with pytest.raises(errors.NoGradientError) as error:
        (y + 1.0).backward()
    assert "no_grad" in str(error.value)
    assert lines_named(error) == ["x * x"]
    with pytest.raises(errors.NoGradientError, match="stop_gradient"):
        x.detach().backward()
    with pytest.raises(errors.NoGradientError, match="requires_grad=True"):
        limpid.tensor(1.0).backward()


def test_in_place_on_a_leaf() -> None:
    x = limpid.tensor([1.0], requires_grad=True)
    with pytest.raises(errors.InPlaceError, match="no_grad"):
        x += 1.0
    with limpid.no_grad():
        x += 1.0
    assert x.is_leaf
    assert x.requires_grad
    assert x.detach().numpy() == [2.0]
    y = x * 1.0
    before = y
    y += 1.0
    assert before is y
    limpid.sum(y).backward()
    assert x.grad.item() == 1.0


def test_conversions_that_would_lose_a_gradient() -> None:
    x = limpid.tensor([1.0, 2.0], requires_grad=True)
    for convert in (lambda t: t.numpy(), np.asarray, lambda t: np.array([t])):
        with pytest.raises(errors.CutError, match=r"\.detach\(\)\.numpy\(\)"):
            convert(x)
    assert not x.detach().numpy().flags.writeable
    assert float(limpid.sum(x)) == 3.0  # outside a transform a number may leave
    with pytest.raises(errors.CutError, match="inside a transform"):
        limpid.grad(lambda t: t * float(t))(1.0)


def test_reading_a_value_while_recording() -> None:
    def branch(x: limpid.Tensor) -> limpid.Tensor:
        if x > 0:
            return x
        return -x

    with pytest.raises(errors.AbstractError, match=r"limpid\.where") as error:
        limpid.record(branch, 1.0)
    assert lines_named(error)
    for read in (float, lambda t: t.item(), lambda t: t.numpy(), np.asarray, lambda t: t.tolist()):
        with pytest.raises(errors.AbstractError):
            limpid.record(read, 1.0)


def test_a_tensor_of_a_finished_recording() -> None:
    kept: list[limpid.Tensor] = []
    limpid.record(lambda x: kept.append(x), 1.0)
    with pytest.raises(errors.AbstractError):
        kept[0] + 1.0


def test_every_error_is_explained() -> None:
    page = (Path(limpid.__file__).parents[1] / "docs" / "errors.md").read_text(encoding="utf-8")
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.LimpidError)
    ]
    for kind in kinds:
        if kind is not errors.LimpidError:
            assert f"## {kind.id} {kind.__name__}" in page
    assert len({kind.id for kind in kinds}) == len(kinds)


def test_uncaught_errors_show_the_users_frames_only(tmp_path: Path) -> None:
    script = tmp_path / "user.py"
    script.write_text("import limpid\nlimpid.grad(lambda x: x + limpid.tensor([1., 2.]))(1.0)\n")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert done.returncode == 1
    assert "user.py" in done.stderr
    assert str(Path(limpid.__file__).parent) not in done.stderr
    assert "SeedError" in done.stderr


def test_a_constructor_names_the_class_and_the_line() -> None:
    with pytest.raises(errors.ArgumentError, match=r"^Linear: in_features .* not 2\.5\n") as error:
        limpid.nn.Linear(2.5, 3)
    assert lines_named(error) == ["limpid.nn.Linear(2.5, 3)"]


def test_a_module_names_itself_in_errors_of_its_forward() -> None:
    class Halves(limpid.nn.Module):
        def forward(self, x):
            raise errors.ShapeError(f"{x.shape[-1]} can't be halved")

    net = limpid.nn.Sequential(limpid.nn.Identity(), limpid.nn.Sequential(Halves()))
    with pytest.raises(errors.ShapeError, match=r"^Halves in 1\.0: 3 can't be halved\n") as error:
        net(limpid.zeros((2, 3)))
    assert lines_named(error) == ["net(limpid.zeros((2, 3)))"]
    assert "can't be halved" in str(error.traceback[-1].statement)  # its own line is in sight
