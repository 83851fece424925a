"""The doctor: each rule on a fault and on its near miss, the report, runs, and the corpus."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import limpid
from limpid import nn, optim
from limpid.cli import main
from limpid.diagnosis.doctor.causes import EXPLAINS, RULES
from limpid.diagnosis.doctor.facts import ActivationFacts, Facts
from limpid.diagnosis.doctor.finding import Finding
from limpid.diagnosis.doctor.report import Report
from limpid.diagnosis.doctor.rules.units import dead_units
from limpid.diagnosis.doctor.runs import examine_run
from limpid.errors import ArgumentError, LimpidError, RunError
from limpid.nn import functional as F
from tests.faults.case import Program
from tests.faults.corpus import CASES, PARTS
from tests.faults.programs import batches, clouds, curve, draw, training

# The halves that are measured: (cases, healthy runs). One line for each.
RECALL, PRECISION, FALSE_ALARMS = 0.8, 0.9, 1 / 50
CALLS = 40


def rules_of(program: Program) -> list[str]:
    report = limpid.doctor(program.step, program.batches).report()
    return [finding.rule for finding in report.findings]


def perceptron(
    hidden: int = 1, activation: Any = nn.ReLU, features: int = 8, outputs: int = 4
) -> nn.Sequential:
    widths = [features, *[32] * hidden]
    layers: list[nn.Module] = []
    for a, b in pairwise(widths):
        layers += [nn.Linear(a, b), activation()]
    return nn.Sequential(*layers, nn.Linear(32, outputs))


def classify(
    model: nn.Module, optimizer: Any, x: Any = None, y: Any = None, calls: int = CALLS
) -> Program:
    if x is None:
        x, y = clouds(np.random.default_rng(7), 128, 8, 4)
    return training(
        model, optimizer, lambda x, y: F.cross_entropy(model(x), y), batches(calls, 32, x, y)
    )


# Each maker takes whether there is a fault.


def vanishing(faulty: bool) -> Program:
    draw(1)
    model = perceptron(8 if faulty else 2, nn.Sigmoid)
    return classify(model, optim.SGD(model.parameters(), lr=0.1))


def exploding(faulty: bool) -> Program:
    draw(2)
    model = perceptron(10)
    for p in model.parameters():
        if p.ndim > 1:
            nn.init.normal_(p, std=1.0 if faulty else np.sqrt(2 / p.shape[1]))
    return classify(model, optim.SGD(model.parameters(), lr=1e-6 if faulty else 1e-2))


def small_steps(faulty: bool) -> Program:
    draw(3)
    model = perceptron()
    return classify(model, optim.SGD(model.parameters(), lr=1e-7 if faulty else 0.02))


def equal_weights(faulty: bool) -> Program:
    draw(4)
    model = perceptron(2)
    for p in model.parameters() if faulty else [model[4].weight]:  # a last layer of zeros is fine
        nn.init.constant_(p, 0.1 if faulty else 0.0)
    return classify(model, optim.SGD(model.parameters(), lr=0.1))


def no_rate(faulty: bool) -> Program:
    draw(5)
    model = perceptron()
    return classify(model, optim.SGD(model.parameters(), lr=0.0 if faulty else 0.1))


def large_inputs(faulty: bool) -> Program:
    random = draw(6)
    x, y = clouds(random, 128, 64, 4)
    model = perceptron(features=64)
    x = (127 + 40 * x).clip(0, 255).astype(np.float32) if faulty else x
    return classify(model, optim.SGD(model.parameters(), lr=0.1), x, y)


def shuffled_labels(faulty: bool) -> Program:
    random = draw(7)
    x, y = clouds(random, 2048, 8, 4)
    model = perceptron()
    y = random.permutation(y) if faulty else y
    return classify(model, optim.Adam(model.parameters(), lr=1e-3), x, y, calls=60)


def never_cleared(faulty: bool) -> Program:
    draw(8)
    model = perceptron()
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    count = [0]

    def step(x: Any, y: Any) -> Any:
        if not faulty and count[0] % 2 == 0:  # two batches for each update
            optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        if faulty or count[0] % 2 == 1:
            optimizer.step()
        count[0] += 1
        return loss

    return Program(step, batches(CALLS, 32, *clouds(np.random.default_rng(7), 128, 8, 4)))


def probabilities(faulty: bool) -> Program:
    random = draw(9)
    x, y = clouds(random, 128, 8, 2)
    model = nn.Sequential(perceptron(outputs=1), nn.Sigmoid())
    criterion = F.binary_cross_entropy_with_logits if faulty else F.binary_cross_entropy
    return training(
        model, optim.Adam(model.parameters(), lr=0.01),
        lambda x, y: criterion(model(x)[:, 0], y), batches(CALLS, 32, x, y.astype(np.float32)),
    )  # fmt: skip


def signs(faulty: bool) -> Program:
    random = draw(10)
    x, y = clouds(random, 128, 8, 2)
    model = perceptron(outputs=1)
    labels = (y if faulty else 2 * y - 1).astype(np.float32)
    return training(
        model, optim.Adam(model.parameters(), lr=0.01),
        lambda x, y: F.hinge_loss(model(x)[:, 0], y), batches(CALLS, 32, x, labels),
    )  # fmt: skip


def many_outputs(faulty: bool) -> Program:
    random = draw(11)
    model = perceptron(outputs=10 if faulty else 4)
    return classify(model, optim.Adam(model.parameters(), lr=0.01), *clouds(random, 128, 8, 4))


def frozen_norm(faulty: bool) -> Program:
    draw(12)
    model = nn.Sequential(nn.Linear(8, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 4))
    (model if faulty else model[1]).eval()  # one layer of a network that trains: meant so
    return classify(model, optim.Adam(model.parameters(), lr=0.01))


def half_updates(faulty: bool) -> Program:
    random = draw(13)
    x, y = clouds(random, 128, 8, 4)
    model = nn.Linear(8, 4, dtype="float16")
    optimizer = optim.SGD(model.parameters(), lr=1e-4 if faulty else 0.1)
    return classify(model, optimizer, x.astype(np.float16), y)


def maximised(faulty: bool) -> Program:
    random = draw(14)
    x, y = clouds(random, 128, 8, 4)
    model = perceptron()
    sign = -1 if faulty else 1
    return training(
        model, optim.SGD(model.parameters(), lr=0.1),
        lambda x, y: sign * F.cross_entropy(model(x), y), batches(CALLS, 32, x, y),
    )  # fmt: skip


def settled(faulty: bool) -> Program:
    random = draw(15)
    x = random.standard_normal((128, 4)).astype(np.float32)
    w = random.standard_normal((1, 4)).astype(np.float32)
    y = x @ w.T + 0.1 * random.standard_normal((128, 1)).astype(np.float32)
    model = nn.Linear(4, 1)
    limpid.assign(model.weight, w)  # what is to be learnt is known already
    optimizer = optim.SGD(model.parameters(), lr=1.5 if faulty else 0.01)
    return training(
        model, optimizer, lambda x, y: F.mse_loss(model(x), y), batches(CALLS, 32, x, y)
    )


def left_out(faulty: bool) -> Program:
    draw(16)
    body, head = perceptron(), nn.Linear(4, 4)
    model = nn.ModuleList([body, head])
    held = body.parameters() if faulty else model.parameters()
    optimizer = optim.Adam(held, lr=0.01)
    x, y = clouds(np.random.default_rng(7), 128, 8, 4)
    return training(
        model, optimizer, lambda x, y: F.cross_entropy(head(body(x)), y),
        batches(CALLS, 32, x, y),
    )  # fmt: skip


PAIRS = {
    vanishing: {"vanishing"}, exploding: {"exploding", "initial-scale"},
    small_steps: {"update-ratio"}, equal_weights: {"initial-scale"},
    no_rate: {"unchanged-parameters"}, large_inputs: {"input-scale"},
    shuffled_labels: {"loss-at-chance"}, never_cleared: {"missing-zero-grad"},
    probabilities: {"softmax-twice"}, signs: {"label-mismatch"}, many_outputs: {"label-mismatch"},
    frozen_norm: {"wrong-mode"}, half_updates: {"underflow"}, maximised: {"loss-not-falling"},
    settled: {"update-ratio", "loss-not-falling"}, left_out: {"unchanged-parameters"},
}  # fmt: skip


@pytest.mark.parametrize("make", PAIRS, ids=lambda make: make.__name__)
def test_a_fault_is_found(make: Callable[[bool], Program]) -> None:
    found = rules_of(make(True))
    assert found
    assert set(found) <= PAIRS[make]


@pytest.mark.parametrize("make", PAIRS, ids=lambda make: make.__name__)
def test_a_near_miss_is_healthy(make: Callable[[bool], Program]) -> None:
    assert rules_of(make(False)) == []


# The corpus


@dataclass
class Score:
    """How often the doctor was right."""

    asked: int = 0
    right: int = 0
    findings: int = 0
    wrong: int = 0

    @property
    def recall(self) -> float:
        return self.right / max(self.asked, 1)

    @property
    def precision(self) -> float:
        return 1 - self.wrong / max(self.findings, 1)


@pytest.mark.parametrize("part", PARTS)
def test_corpus(part: str) -> None:
    cases, runs = PARTS[part]
    score, lines = Score(), []
    for case in cases:
        if not case.rules:
            continue
        found = rules_of(case.faulty())
        near = rules_of(case.healthy())
        wrong = [rule for rule in found if rule not in (*case.rules, *case.also)] + near
        hit = any(rule in case.rules for rule in found)
        score.asked += 1
        score.right += hit
        score.findings += len(found) + len(near)
        score.wrong += len(wrong)
        if wrong or not hit:
            lines.append(f"{case.name}: {found} for {case.rules}, near miss {near}")
    alarms = {name: rules for name, make in runs.items() if (rules := rules_of(make()))}
    print(
        f"{part}: recall {score.recall:.2f} of {score.asked}, precision {score.precision:.2f} of "
        f"{score.findings} findings; {len(alarms)} false alarms in {len(runs)} healthy runs "
        f"{alarms}",
        *lines, sep="\n",
    )  # fmt: skip
    assert score.recall >= RECALL, lines
    assert score.precision >= PRECISION, lines
    assert len(alarms) <= max(1, FALSE_ALARMS * len(runs)), alarms


def test_healthy_sides_of_all_cases() -> None:
    alarms = {c.name: r for c in CASES if (r := set(rules_of(c.healthy())) - set(c.also))}
    assert not alarms


# The report


def faulty_report() -> Report:
    program = equal_weights(True)
    return limpid.doctor(program.step, program.batches).report()


def test_report_says_all_of_a_finding() -> None:
    report = faulty_report()
    finding = report.findings[0]
    text = str(report)
    for part in (finding.rule, finding.where, finding.evidence, finding.cause, finding.remedy):
        assert part
        assert part in text
    assert finding.page == f"docs/doctor.md#{finding.rule}"
    assert finding.numbers
    assert "looked at: 40 calls" in text
    assert all(rule in RULES for rule in finding.consequences)
    assert json.loads(report.json())["findings"][0]["rule"] == "initial-scale"


def test_nothing_found_says_what_was_looked_at() -> None:
    program = equal_weights(False)
    report = limpid.doctor(program.step, program.batches).report()
    assert not report
    assert "nothing found" in str(report)
    assert "3 layers" in str(report)
    assert "nothing found" in report._repr_html_()


def test_names_are_no_markup() -> None:
    finding = Finding("dead-units", "<script>alert(1)</script>", "a < b", "[red]", "&", {"x": 1.0})
    page = Report("<b>", [finding], {"calls": 1})._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "<b>:" not in page


def test_json_has_no_nan() -> None:
    report = Report("x", [Finding("a", "b", "c", "d", "e", {"n": float("nan")})], {})
    assert json.loads(report.json())["findings"][0]["numbers"]["n"] is None


def test_pages_have_a_section_for_each_rule() -> None:
    page = Path(__file__).parents[1].joinpath("docs/doctor.md").read_text()
    for rule in RULES:
        assert f"\n## {rule}\n" in page
    assert set(EXPLAINS) == set(RULES)


def test_no_finding_explains_itself_in_a_circle() -> None:
    for rule, others in EXPLAINS.items():
        for other in others:
            assert rule not in EXPLAINS[other], (rule, other)


# The doctor


def test_numbers_are_those_of_the_step() -> None:
    program, plain = many_outputs(False), many_outputs(False)
    doctor = limpid.doctor(program.step)
    step = limpid.compile(plain.step)
    seen = [doctor(*batch).item() for batch in program.batches[:12]]
    assert seen == [step(*batch).item() for batch in plain.batches[:12]]
    assert doctor.facts.calls == 12
    assert doctor.facts.losses == seen


def test_a_compiled_step_keeps_its_probes() -> None:
    program = many_outputs(False)
    step = limpid.compile(program.step, probe="norm:grad:*")
    limpid.doctor(step, program.batches[:3])
    assert step.count == 0
    assert step.probes == ("norm:grad:*",)


def test_labels_out_of_range_are_explained() -> None:
    random = draw(17)
    model = perceptron(outputs=4)
    program = classify(model, optim.SGD(model.parameters(), lr=0.1), *clouds(random, 128, 8, 5))
    assert rules_of(program) == ["label-mismatch"]


def test_a_call_that_fails_otherwise_raises() -> None:
    model = nn.Linear(3, 2)

    def step(x: Any) -> Any:
        return limpid.sum(model(x))

    with pytest.raises(LimpidError, match="shape"):
        limpid.doctor(step, [np.ones((2, 5), np.float32)])


def test_a_step_without_gradients_is_no_reason_to_complain() -> None:
    model = nn.Linear(3, 2)
    report = limpid.doctor(lambda x: limpid.sum(model(x)), [np.ones((2, 3), np.float32)] * 20)
    assert report.report().findings == []


def test_misuse() -> None:
    with pytest.raises(ArgumentError, match="not int"):
        limpid.doctor(3)  # type: ignore[arg-type]  # that is the point
    with pytest.raises(ArgumentError, match="no batches"):
        limpid.doctor(lambda x: x, [])
    with pytest.raises(ArgumentError, match="batches are the arguments"):
        limpid.doctor(lambda x: x, 5)  # type: ignore[arg-type]  # that is the point
    with pytest.raises(ArgumentError, match="has not been called"):
        limpid.doctor(lambda x: x).report()


def test_few_calls_accuse_nobody() -> None:
    program = no_rate(False)
    assert rules_of(Program(program.step, program.batches[:1])) == []


@pytest.mark.parametrize("name", ["fully_masked_row", "masked_log"])  # the loss, a parameter
def test_what_is_no_number_is_said_at_once(name: str) -> None:
    program = next(c for c in CASES if c.name == name).faulty()
    report = limpid.doctor(program.step, program.batches).report()
    assert [f.rule for f in report.findings] == ["loss-not-falling"]
    assert "trace_nans" in report.findings[0].remedy
    assert json.loads(report.json())["findings"]


def test_units_of_few_examples_are_not_dead() -> None:
    unit = ActivationFacts("relu", "", False, True, False, examples=6)
    unit.silent = [np.ones(16, bool)] * 3
    facts = Facts(calls=3, seen=3, activations={"relu": unit})
    assert not list(dead_units(facts))
    unit.examples = 640
    assert [f.rule for f in dead_units(facts)] == ["dead-units"]


# Runs


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    settings: dict[str, list[str]] = {
        "good": ["--hidden", "32"],
        "dead": ["--hidden", "32", "--optimizer", "adam", "--lr", "1"],
        "deep": ["--hidden", *["32"] * 7, "--activation", "sigmoid", "--optimizer", "sgd"],
    }
    for name, given in settings.items():
        args = ["train", "digits", "--epochs", "4", "-q", "--output", str(folder / name), *given]
        assert main(args) == 0
    return {name: folder / name for name in settings}


def test_runs(runs: dict[str, Path]) -> None:
    assert examine_run(runs["good"]).findings == []
    assert [f.rule for f in examine_run(runs["dead"]).findings] == ["dead-units"]
    assert [f.rule for f in examine_run(runs["deep"]).findings] == ["vanishing"]


def test_command(runs: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", str(runs["good"])]) == 0
    assert "nothing found" in capsys.readouterr().out
    assert main(["doctor", str(runs["dead"]), "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["findings"][0]["rule"] == "dead-units"
    assert main(["doctor", str(runs["good"].parent / "none")]) == 1
    assert "no such run folder" in capsys.readouterr().err


def test_command_compares_initialisations(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "lenet5", "--init-report", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)
    assert main(["doctor", "lenet5", "--init-report", "--html", "x.html"]) == 1
    assert main(["doctor", "runs/1", "--input", "3"]) == 1
    assert "--input belongs to --init-report" in capsys.readouterr().err


def test_command_writes_a_page(runs: dict[str, Path], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    page = tmp_path / "report.html"
    assert main(["doctor", str(runs["dead"]), "--html", str(page)]) == 3
    assert "dead-units" in page.read_text(encoding="utf-8")


def test_train_with_doctor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, more in {"plain": [], "watched": ["--doctor"]}.items():
        args = ["train", "digits", "--epochs", "2", "--hidden", "16", "-q", *more]
        assert main([*args, "--output", str(tmp_path / name)]) == 0
    assert "nothing found" in capsys.readouterr().err
    lines = [
        [json.loads(line) for line in (tmp_path / n / "metrics.jsonl").read_text().splitlines()]
        for n in ("plain", "watched")
    ]
    assert [x["train_loss"] for x in lines[0]] == [x["train_loss"] for x in lines[1]]


def test_train_with_doctor_reports_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["train", "digits", "--hidden", "16", "--optimizer", "sgd", "--lr", "1e30", "-q"]
    assert main([*args, "--doctor", "--output", str(tmp_path / "run")]) == 1
    assert "looked at" in capsys.readouterr().err


def test_a_run_without_epochs(tmp_path: Path) -> None:
    with pytest.raises(RunError):
        examine_run(tmp_path)


def test_curve_is_healthy_in_regression() -> None:
    random = draw(18)
    x, y = curve(random, 128, 8)
    model = perceptron(outputs=1)
    program = training(
        model, optim.Adam(model.parameters(), lr=0.01), lambda x, y: F.mse_loss(model(x), y),
        batches(CALLS, 32, x, 100 * y + 300),
    )  # fmt: skip
    assert rules_of(program) == []


def test_a_symptom_is_told_with_its_cause() -> None:
    program = next(c for c in CASES if c.name == "zeroed_input").faulty()
    (finding,) = limpid.doctor(program.step, program.batches).report().findings
    assert finding.rule == "input-scale"
    assert "loss-at-chance" in finding.consequences
