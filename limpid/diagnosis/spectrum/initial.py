"""Initialisations and activations compared before training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from limpid.diagnosis.spectrum.initial_record import InitialReport, Start
from limpid.diagnosis.spectrum.measure import spectral_norms
from limpid.diagnosis.spectrum.record import Spectrum
from limpid.diagnosis.spectrum.theory import ACTIVATIONS, expect
from limpid.errors import ArgumentError, OperandError
from limpid.nn import init
from limpid.nn.layers.linear import Linear
from limpid.nn.module import Module
from limpid.ops.axes import integer
from limpid.ops.generator import seed as manual_seed
from limpid.storage import writes_undone
from limpid.tensor import Tensor, to_array

INITIALISATIONS: dict[str, Callable[[Any], Any]] = {
    "normal 0.01": lambda w: init.normal_(w, 0.0, 0.01),
    "xavier uniform": init.xavier_uniform_,
    "xavier normal": init.xavier_normal_,
    "he": lambda w: init.kaiming_normal_(w, nonlinearity="relu"),
    "orthogonal": init.orthogonal_,
}
TOLERANCE = 1e-2  # of the residuals of spectral norms, whose errors are far smaller
OWN = "as it is"  # the activation, and the initialisation, of a model that has its own


def initial_report(
    model: Any = None,
    x: Any = None,
    *,
    depth: int = 20,
    width: int = 128,
    activations: Sequence[str] = tuple(ACTIVATIONS),
    initialisations: Sequence[str] = tuple(INITIALISATIONS),
    batch: int = 8,
    seed: int = 0,
) -> InitialReport:
    """How initialisations and activations carry signals forward and gradients back.

    Without a model: networks of `depth` layers of `width` units with each of the activations, on
    `batch` normal inputs, with what mean-field theory expects beside what is measured.

    model            a module, or a function that makes one: its weights (parameters of two axes or
                     more) get each initialisation, its biases and scales stay; first comes the
                     model as it is
    x                a batch for the model; several inputs as a tuple, the first of which counts
    activations      of sigmoid, tanh, relu, elu, selu and gelu
    initialisations  of "normal 0.01", "xavier uniform", "xavier normal", "he" and "orthogonal",
                     each without a gain for the activation
    seed             of weights and inputs

    The model and random generators are left as they were. Raises ArgumentError for unknown names.

    >>> import limpid
    >>> report = limpid.diagnosis.initial_report(depth=10, width=64, activations=["relu"])
    >>> report.best("relu").initialisation
    'he'
    """
    chosen = _known(initialisations, INITIALISATIONS, "initialisations")
    if model is not None:
        return _of_model(model, x, chosen, integer(seed, "seed", 0))
    if x is not None:
        raise ArgumentError("x is a batch for a model, and no model was given")
    depth, width = integer(depth, "depth", 1), integer(width, "width", 1)
    names = _known(activations, ACTIVATIONS, "activations")
    random = np.random.default_rng(integer(seed, "seed", 0))
    inputs = random.standard_normal((integer(batch, "batch", 1), width)).astype(np.float32)
    starts = []
    with writes_undone():
        for activation in names:
            for name in chosen:
                manual_seed(seed)
                net = Deep(depth, width, activation)
                initialise(net, name)
                starts.append(_start(name, activation, spectral(net, inputs), inputs, net))
    return InitialReport(f"{depth} layers of {width} units", tuple(starts))


class Deep(Module):
    """Linear layers without biases, each followed by the same activation."""

    def __init__(self, depth: int, width: int, activation: str) -> None:
        with init.skip_draws():
            self.layers = [Linear(width, width, bias=False) for _ in range(depth)]
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: Any) -> Any:
        """The last layer's output."""
        for layer in self.layers:
            x = self.activation(layer(x))
        return x


def initialise(model: Module, name: str) -> None:
    """Give all weights of a module, parameters of two axes or more, an initialisation."""
    for weight in weights_of(model):
        INITIALISATIONS[name](weight)


def weights_of(model: Module) -> list[Any]:
    """The parameters with an axis of outputs and one of inputs."""
    return [p for p in model.parameters() if p.ndim >= 2]


def spectral(model: Any, x: Any) -> Spectrum:
    """The spectrum for a random direction at the output, to few digits."""
    return spectral_norms(model, x, tolerance=TOLERANCE, factors=False)


def _of_model(model: Any, x: Any, names: Sequence[str], seed: int) -> InitialReport:
    if x is None:
        raise ArgumentError("x is needed: a batch for the model")
    with writes_undone():
        made = model
        if not isinstance(made, Module) and callable(made):
            manual_seed(seed)
            made = made()
        if not isinstance(made, Module):
            raise OperandError(f"the model must be a module, not {type(made).__name__}")
        if not weights_of(made):
            raise ArgumentError("the model has no parameter of two axes or more to initialise")
        starts = [_start(OWN, OWN, spectral(made, x), x)]
        for name in names:
            manual_seed(seed)
            initialise(made, name)
            starts.append(_start(name, OWN, spectral(made, x), x))
    return InitialReport(type(made).__name__, tuple(starts))


def _start(
    initialisation: str, activation: str, spectrum: Spectrum, x: Any, net: Deep | None = None
) -> Start:
    if not len(spectrum):
        raise ArgumentError("the model has no layers between its input and its output")
    signal = mean_square(x[0] if isinstance(x, tuple) and x else x)
    signals = (signal, *(layer.signal**2 for layer in spectrum.layers))
    gradients = (*(layer.gradient**2 for layer in spectrum.layers), spectrum.last**2)
    with np.errstate(all="ignore"):
        ratio = np.float64(gradients[0]) / np.float64(gradients[-1])
        measured = float(ratio ** (1 / len(spectrum)))
    chi = signals_expected = None
    if net is not None:
        expected = expect(activation, [_variance(w) for w in weights_of(net)], signal)
        with np.errstate(all="ignore"):
            chi = float(np.exp(np.mean(np.log(expected.chi))))
        signals_expected = expected.signals
    return Start(
        initialisation, activation, signals, gradients, spectrum.product, chi, measured,
        signals_expected,
    )  # fmt: skip


def _variance(weight: Any) -> float:
    """σ_w²: the number of inputs times the mean square of the weights."""
    array = weight.detach().numpy().astype(np.float64)
    return float(np.mean(array * array) * prod(array.shape[1:]))


def mean_square(x: Any) -> float:
    """E[x²] of a batch. Of integers, 1."""
    array = np.asarray(x.value if isinstance(x, Tensor) else to_array(x))
    if array.dtype.kind != "f":
        return 1.0
    with np.errstate(all="ignore"):
        return float(np.mean(np.square(array.astype(np.float64))))


def _known(names: Sequence[str], known: dict[str, Any], what: str) -> list[str]:
    given = [names] if isinstance(names, str) else list(names)
    for name in given:
        if name not in known:
            raise ArgumentError(f"{what}: {name!r:.40} is not among {', '.join(known)}")
    if not given:
        raise ArgumentError(f"{what}: there must be at least one of {', '.join(known)}")
    return given
