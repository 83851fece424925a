"""The facts that rules read: what a step is made of, and numbers over its calls."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from limpid.graph.node import Array

Series = list[float]


@dataclass
class ParameterFacts:
    """A parameter over the calls.

    reached      whether a gradient comes to it in any kind of call
    written      whether any kind of call gives it a new value
    changed      whether its value was another one after any call
    accumulated  how often gradients were added to those with which it had been updated
    cut          the line that cuts it off from the loss; "" if none does
    stuck        of elements with a gradient, the share that no update changed; of each call
    norms        of the value, of the gradient, of the update: one number for each call seen
    lost         of the gradient's elements, the share below what the type holds exactly
    alike        whether all its rows were the same after the latest call
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    trainable: bool
    optimised: bool
    root: int
    reached: bool = False
    written: bool = False
    changed: bool = False
    alike: bool = False
    accumulated: int = 0
    cut: str = ""
    weights: Series = field(default_factory=list)
    gradients: Series = field(default_factory=list)
    updates: Series = field(default_factory=list)
    stuck: Series = field(default_factory=list)
    lost: Series = field(default_factory=list)
    samples: list[Array] = field(default_factory=list)  # the same elements of each gradient

    @property
    def is_weight(self) -> bool:
        """Whether it is a matrix or a filter, not a bias or a scale."""
        return len(self.shape) >= 2

    @property
    def ratios(self) -> Array:
        """‖update‖ / ‖value‖ of each call."""
        weights, updates = np.array(self.weights), np.array(self.updates)
        with np.errstate(all="ignore"):
            return np.where(weights > 0, updates / weights, np.nan)


@dataclass
class LayerFacts:
    """A product with a weight over the calls: sizes of what comes in, goes out and comes back."""

    name: str
    weight: str
    fan_in: int
    source: str
    inputs: Series = field(default_factory=list)  # root mean squares
    outputs: Series = field(default_factory=list)
    gradients: Series = field(default_factory=list)  # norms, with respect to the output
    varied: Series = field(default_factory=list)  # of the inputs, from example to example
    lost: Series = field(default_factory=list)  # of its gradients in half precision, as above
    pulls: Series = field(default_factory=list)  # ‖gradient‖·‖output‖, before any clipping
    raw: bool = False  # whether what comes in is computed from arguments alone


@dataclass
class ActivationFacts:
    """An elementwise function over the calls.

    dead       of its units, the share that passed no gradient for any example; of each call
    silent     the units that passed none, for each call
    constant   of the other units, the share that passed all for every example; of each call
    saturated  of its elements, the share where it is flat; of each call
    """

    name: str
    source: str
    squashes: bool
    hidden: bool
    gate: bool
    examples: int = 0
    silent: list[Array] = field(default_factory=list)
    constant: Series = field(default_factory=list)
    saturated: Series = field(default_factory=list)

    def dead(self, calls: int) -> float:
        """The share of units that were silent in all of the latest calls."""
        latest = [x for x in self.silent[-calls:] if x.shape == self.silent[-1].shape]
        return float(np.mean(np.all(latest, axis=0))) if latest and latest[0].size else 0.0


@dataclass
class ChoiceFacts:
    """A loss of a choice among classes over the calls.

    classes  how many scores there are; 1 where it is a matter of yes or no
    counts   how often each class was the target
    losses   its values, where it is a mean over examples
    chance   what it is if the scores say nothing but how frequent each class is
    floor    what it is at best: the entropy of targets that are probabilities, else 0
    """

    name: str
    source: str
    classes: int
    counts: Array
    outside: int = 0  # targets that are no class
    ignored: int | None = None
    losses: Series = field(default_factory=list)
    chance: Series = field(default_factory=list)
    floor: Series = field(default_factory=list)


@dataclass
class ScoreFacts:
    """What a softmax or a sigmoid within a loss is given: how it came to be, in numbers."""

    name: str
    source: str
    function: str
    probabilities: list[bool] = field(default_factory=list)
    logarithms: list[bool] = field(default_factory=list)
    squashed: bool = False


@dataclass
class TargetFacts:
    """The target of a loss that takes certain numbers only."""

    name: str
    source: str
    allowed: str
    smallest: float
    largest: float
    wrong: float  # share


@dataclass
class ModeFacts:
    """A module whose forward asks for its mode, in one call of it.

    learning  whether gradients go through what it returned
    outermost whether the module that was called first was in the same mode
    frozen    whether it has parameters, and none is ever to change
    """

    module: str
    kind: str
    training: bool
    learning: bool
    outermost: bool
    feeds_loss: bool
    trained: bool
    frozen: bool
    source: str


@dataclass
class Facts:
    """All of it."""

    calls: int = 0  # that ran
    seen: int = 0  # of which numbers were taken
    losses: Series = field(default_factory=list)  # one for each call where it is known
    steps: list[int] = field(default_factory=list)  # the calls of which numbers were taken
    parameters: dict[str, ParameterFacts] = field(default_factory=dict)
    layers: dict[str, LayerFacts] = field(default_factory=dict)
    activations: dict[str, ActivationFacts] = field(default_factory=dict)
    choices: dict[str, ChoiceFacts] = field(default_factory=dict)
    scores: dict[str, ScoreFacts] = field(default_factory=dict)
    targets: dict[str, TargetFacts] = field(default_factory=dict)
    modes: list[ModeFacts] = field(default_factory=list)
    crossed: dict[str, str] = field(default_factory=dict)  # line → shapes that were spread
    vanished_at: str = ""  # the line where numbers become 0, if no gradient arrives because of it
    by_epoch: bool = False  # whether what is called a call is an epoch
    failure: str = ""
    takes_gradient: bool = False
    source: str = "the step"

    @property
    def weights(self) -> list[ParameterFacts]:
        """The parameters that are matrices or filters and are seen to be trained."""
        return [p for p in self.parameters.values() if p.is_weight and p.weights and p.written]

    @property
    def has_no_gradient(self) -> bool:
        """Whether every gradient of every call was exactly 0."""
        known = [p for p in self.parameters.values() if p.gradients]
        return bool(known) and not any(any(p.gradients) for p in known)
