"""What is not connected, not updated, not cleared, or in the wrong mode."""

from __future__ import annotations

from collections.abc import Iterator

from limpid.diagnosis.doctor.facts import Facts, ModeFacts, ParameterFacts
from limpid.diagnosis.doctor.finding import Finding

SHOWN = 4  # names of parameters in a finding
CALLS = 2  # with fewer nobody can say that something never happens


def unused_parameters(facts: Facts) -> Iterator[Finding]:
    """Parameters that should be trained and that no gradient reaches."""
    if not facts.takes_gradient:
        return
    used_roots = {p.root for p in facts.parameters.values() if p.reached}
    found = [
        p
        for p in facts.parameters.values()
        if p.trainable and not p.reached
        and ((p.root >= 0 and p.root in used_roots) or (p.optimised and _optimises(facts)))
    ]  # fmt: skip
    if not found:
        return
    cuts = sorted({p.cut for p in found if p.cut})
    cause = f"the way to the loss is cut at {cuts[0]}" if cuts else "the loss does not read them"
    remedy = (
        "let the gradient pass there, or freeze them: requires_grad_(False)"
        if cuts
        else "use them in forward, or take them out of the model and the optimiser"
    )
    numbers = {"parameters": len(found), "of": len(facts.parameters)}
    yield Finding(
        "unused-parameters", named(found), f"{len(found)} of {len(facts.parameters)} parameters "
        "have no path to the loss", cause, remedy, numbers,
    )  # fmt: skip


def _optimises(facts: Facts) -> bool:
    """Whether the step updates anything that an optimiser holds."""
    return any(p.optimised and p.written for p in facts.parameters.values())


def unchanged_parameters(facts: Facts) -> Iterator[Finding]:
    """Parameters that should be trained and that stay as they are."""
    if not facts.takes_gradient or facts.seen < CALLS:
        return
    yield from _not_updated(facts)
    yield from _updated_by_nothing(facts)


def _not_updated(facts: Facts) -> Iterator[Finding]:
    found = [p for p in facts.parameters.values() if p.reached and p.trainable and not p.written]
    frozen = [p for p in facts.parameters.values() if p.optimised and not p.trainable]
    if found and not any(p.written for p in facts.parameters.values() if p.reached):
        yield Finding(
            "unchanged-parameters", named(found), f"gradients reach {len(found)} parameters, and "
            f"in {facts.calls} calls none was updated", "the step never updates",
            "call optimizer.step() after loss.backward()", {"parameters": len(found)},
        )  # fmt: skip
    elif found:
        yield Finding(
            "unchanged-parameters", named(found), f"gradients reach {len(found)} parameters that "
            f"no update wrote in {facts.calls} calls",
            "no optimiser holds them: they were made after it, or left out",
            "give them to the optimiser, or freeze them: requires_grad_(False)",
            {"parameters": len(found)},
        )  # fmt: skip
    if frozen:
        yield Finding(
            "unchanged-parameters", named(frozen), f"an optimiser holds {len(frozen)} parameters "
            "with requires_grad=False", "they were frozen, and nobody let them go again",
            "requires_grad_(True), or leave them out of the optimiser if they are to stay",
            {"parameters": len(frozen)},
        )  # fmt: skip


def _updated_by_nothing(facts: Facts) -> Iterator[Finding]:
    """Written, with a gradient, and the same bits as before after every call."""
    trained = [p for p in facts.parameters.values() if p.reached and p.written and p.trainable]
    found = [p for p in trained if not p.changed and any(g > 0 for g in p.gradients)]
    half = [p for p in found if p.lost]
    found = [p for p in found if p not in half]  # which is what underflow looks like
    if found and 2 * len(found) > len([p for p in trained if p.is_weight]):
        yield Finding(
            "unchanged-parameters", named(found), f"{len(found)} parameters have a gradient and "
            f"were written in {facts.seen} calls, always with the value that they had",
            "the learning rate is 0, or too small for the type of the parameters",
            "a larger learning rate; look at the schedule", {"parameters": len(found)},
        )  # fmt: skip


def missing_zero_grad(facts: Facts) -> Iterator[Finding]:
    """Gradients with which parameters were updated are added to in the next call."""
    found = [p for p in facts.parameters.values() if p.accumulated]
    if not found:
        return
    most = max(p.accumulated for p in found)
    yield Finding(
        "missing-zero-grad", named(found), f"the gradients of {len(found)} parameters were added "
        f"to those of the call before, with which they had been updated already, {most} times",
        "nothing clears .grad between two updates",
        "optimizer.zero_grad() before loss.backward(), for every optimiser",
        {"parameters": len(found), "times": most},
    )  # fmt: skip


def wrong_mode(facts: Facts) -> Iterator[Finding]:
    """Training in evaluation mode, or evaluating in training mode."""
    learning = [m for m in facts.modes if m.learning]
    asleep = [m for m in learning if not m.training and m.outermost]
    if asleep and len(asleep) == len(learning):
        yield _mode_finding(
            asleep, "gradients go through them in evaluation mode: dropout leaves nothing out, and "
            "normalisation uses old statistics", "eval() was called, and train() was not after it",
            "model.train() before the training step",
        )  # fmt: skip
    awake = [
        m for m in facts.modes
        if m.training and m.trained and not m.learning and not m.feeds_loss
    ]  # fmt: skip
    if awake:
        yield _mode_finding(
            awake, "they are evaluated, without gradients, in training mode: dropout leaves out "
            "units, and normalisation learns from what is only to be measured",
            "eval() was not called before the evaluation",
            "model.eval() before evaluating, model.train() after it",
        )  # fmt: skip

    restless = [
        m for m in facts.modes if m.training and m.frozen and not m.learning and m.feeds_loss
    ]
    if restless:
        yield _mode_finding(
            restless, "they are frozen, without gradients, and what they return goes into the loss "
            "in training mode: it is another number in each call",
            "eval() was not called on a network that is only asked",
            "teacher.eval() for a network that is not trained",
        )  # fmt: skip


def _mode_finding(modes: list[ModeFacts], evidence: str, cause: str, remedy: str) -> Finding:
    names = list(dict.fromkeys(f"{m.module} ({m.kind})" for m in modes))
    where = ", ".join(names[:SHOWN])
    return Finding("wrong-mode", where, evidence, cause, remedy, {"modules": len(names)})


def named(parameters: list[ParameterFacts]) -> str:
    """The names of parameters, the first few."""
    names = [p.name for p in parameters]
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")
