"""The benchmarks compare like with like, and their page says what was measured."""

import dataclasses
import json
from unittest import mock

import pytest
import torch

import kdlab
from benchmarks import arithmetic, atlas, growth, one_run, report, usual
from benchmarks.__main__ import main
from benchmarks.figure import SHORT, Figure, Size, ratio, teacher

TINY = Size(examples=300, epochs=5, seeds=1, rounds=1, validation=100, short=True)


@pytest.fixture(scope="module")
def data():
    return TINY.data()


@pytest.fixture(scope="module")
def small_teacher():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))


def logits_of_usual(student, teacher, data, seed, batches_of):
    net = usual.start(student, data, seed)
    usual.usual(net, teacher, data.train, epochs=3, seed=batches_of)
    return kdlab.signals.ask(net, data.validation.inputs)


@pytest.mark.parametrize("student", ["mlp-8", "cnn-small"])
def test_the_usual_way_trains_the_same_student(student, data, small_teacher):
    run = kdlab.distill(student, small_teacher, data, epochs=3, seed=1, progress=False)
    theirs = logits_of_usual(student, small_teacher, data, 1, 1)
    torch.testing.assert_close(theirs, run.logits(), rtol=0, atol=1e-4)
    others = logits_of_usual(student, small_teacher, data, 1, 2)
    assert (others - run.logits()).abs().max() > 1e-2  # other batches are another student


def test_the_usual_way_without_a_teacher_is_train(data):
    run = kdlab.train("mlp-8", data, epochs=3, seed=1, progress=False)
    theirs = logits_of_usual("mlp-8", None, data, 1, 1)
    torch.testing.assert_close(theirs, run.logits(), rtol=0, atol=1e-4)


def examples_asked(data):
    """About how many examples the teacher is asked during one distillation."""
    asked = []
    with teacher().register_forward_hook(lambda _, inputs, __: asked.append(len(inputs[0]))):
        kdlab.distill("mlp-8", teacher(), data, epochs=2, progress=False)
    return sum(asked)


def test_answers_unknown_has_the_teacher_asked_once_about_each_example(data):
    tried_out = 2  # examples, to see whether the teacher fits
    with one_run.answers_unknown(data):
        assert examples_asked(data) == len(data.train) + tried_out
    assert examples_asked(data) == tried_out  # the answers ship with kdlab


def test_one_run_tells_ratios_and_the_difference_of_accuracy():
    size = dataclasses.replace(TINY, pairs=3, epochs=1)
    rows = one_run.measure(size)
    assert len(rows) == 8 and all(row.value >= 0 for row in rows)
    assert all(len(times) == 3 for row in rows for times in row.seconds.values())
    for row in rows[:3]:
        assert row.value == ratio(row.seconds, *row.seconds)
    assert "3 paired seeds" in rows[3].note


def test_the_maps_students_are_all_different():
    size = dataclasses.replace(TINY, examples=100, epochs=1)
    found = atlas.sweep("mlp-8", size.data(), size)
    students = {run.logits().numpy().tobytes() for run in found.runs}
    assert len(students) == len(found.runs) == 25 * size.seeds


def test_operations_are_those_of_the_shapes(data):
    hidden, head = 784 * 8, 8 * 10
    forward, weights, inputs = hidden + head, hidden + head, head  # no gradient for the images
    counted = arithmetic.flops_an_example("mlp-8", data)
    assert counted == 2 * (forward + weights + inputs)


def test_the_shares_of_a_steps_time_add_up():
    size = dataclasses.replace(TINY, examples=200)
    shares = arithmetic._shares(size.data(), size)
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["matrix products"] > 0 and shares["optimiser"] > 0


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("aten::bmm", "matrix products"),
        ("aten::mkldnn_convolution", "matrix products"),
        ("aten::_fused_adam_", "optimiser"),
        ("aten::index_select", "gather"),
        ("aten::_log_softmax_backward_data", "elementwise and sums"),
        ("aten::copy_", "copies"),
        ("autograd::engine::evaluate_function: BmmBackward0", "other operations"),
    ],
)
def test_an_operation_is_counted_under_its_kind(operation, kind):
    assert arithmetic.kind_of(operation) == kind


@pytest.mark.parametrize("students", growth.GROWS["students"])
def test_a_grid_makes_as_many_students_as_asked(students):
    made = growth.grid(students)
    assert len(made["temperature"]) * len(made["alpha"]) * made["seeds"] == students


def test_growth_measures_in_a_process_of_its_own():
    held = torch.ones(2**28)  # 1 GiB here are not counted there
    row = growth._apart({"students": 2, "examples": 100, "epochs": 1})
    assert row["seconds"] > 0 and 1_024 > row["peak_mib"] >= row["peak_mib_before"] > 100
    del held


@pytest.mark.parametrize(
    ("figure", "held"),
    [
        (Figure("faster", 9.0, least=9), True),
        (Figure("faster", 8.9, least=9), False),
        (Figure("wait", 0.5, "s", most=0.5), True),
        (Figure("wait", 0.6, "s", most=0.5), False),
        (Figure("seen", 0.6), None),
    ],
)
def test_a_bar_is_held_or_missed(figure, held):
    assert figure.held is held
    full = report.result([figure], {}, Size(), 1.0)
    word = {True: "held", False: "missed", None: ""}[held]
    assert report.table(full)["held?"].tolist() == [word]
    short = report.result([figure], {}, SHORT, 1.0)
    assert report.table(short)["held?"][0] == ("" if held is None else "short form: not judged")


def test_figures_come_back_from_json_and_stand_in_the_page():
    seen = Figure("other", 2.0)
    barred = Figure("map", 1 / 3, "of one run", most=1, seconds={"usual": [1.0, 9.0, 2.0]})
    grown = {"students": [
        dict(students=1, seconds=1.0, seconds_each=1.0, peak_mib=9.0, peak_mib_before=8.0),
        dict(students=10, seconds=100.0, seconds_each=10.0, peak_mib=9.0, peak_mib_before=8.0),
    ]}  # fmt: skip
    found = report.result([seen, barred], grown, Size(), 1.0)
    page = f"before {report.FIRST} old {report.LAST} after"
    filled = report.filled(page, {"here": json.loads(json.dumps(found))})
    assert filled.startswith("before ") and filled.endswith(" after") and "old" not in filled
    assert "| map | 0.333 of one run | ≤ 1 | held | usual 2 s |" in filled
    assert filled.index("| map |") < filled.index("| other |")  # those with a bar first
    assert "| 10 | 100.00 | 1e+04 | 2.00 | 9 | 8 |" in filled
    assert report.filled(filled, {"here": found}) == filled


def test_the_page_holds_the_kept_figures():
    page = report.README.read_text(encoding="utf-8")
    assert report.filled(page, report.kept()) == page, "run: python -m benchmarks --write"


def test_the_plot_shows_every_axis_of_every_machine(tmp_path):
    row = dict(seconds=1.0, peak_mib=9.0)
    tables = {name: [{name: 1, **row}, {name: 10, **row}] for name in growth.GROWS}
    growth.plot({"cpu": tables, "gpu": tables}, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_measures_prints_and_keeps(tmp_path, capsys):
    row = Figure("a ratio", 3.0, "times as fast", least=2)
    path = tmp_path / "here.json"
    with mock.patch.object(one_run, "measure", lambda size: [row]):
        main(["--only", "one_run", "--rounds", "4", "--json", str(path)])
    assert "a ratio" in capsys.readouterr().out
    kept = json.loads(path.read_text(encoding="utf-8"))
    assert kept["size"]["rounds"] == 4 and kept["machine"]["cores"] >= 1
    assert kept["figures"][0]["verdict"] == "held" and kept["versions"]["torch"]


@pytest.mark.parametrize("wrong", [["--only", "nothing"], ["--rounds", "0"]])
def test_a_wrong_argument_is_refused_with_a_sentence(wrong, capsys):
    with pytest.raises(SystemExit):
        main(wrong)
    assert "expected" in capsys.readouterr().err


def test_the_readme_tells_what_was_measured():
    measured = (report.HERE / "results" / "epyc-2-cores.json").read_text(encoding="utf-8")
    found = {figure["name"]: figure["value"] for figure in json.loads(measured)["figures"]}
    loading = found["waiting: import kdlab, torch included"]
    first = loading + found["waiting: from import to the first figure"]
    on_screen = found["in JupyterLab: slider to picture on the screen, median"]
    five = found["waiting: slider to 5 new paired students, median"]
    asked = found["one run, mlp-32: the teacher asked once, and timed"]
    known = found["one run, mlp-32: the teacher's answers known"]
    alone = found["one run, mlp-32: no teacher in either"]
    small_cnn = found["one run, cnn-small: the teacher asked once, and timed"]
    told = (report.HERE.parent / "README.md").read_text(encoding="utf-8")
    for sentence in (
        f"{first:.1f} s from `import kdlab` to the first figure ({loading:.1f} s of it",
        f"{on_screen:.0f} ms from a key on a slider",
        f"{five:.1f} s (median) for five new students",
        f"is trained {asked:.0f} times as fast ({known:.0f} times where",
        f"the small CNN {small_cnn:.0f} times",
        f"without a teacher on either side, kdlab is {alone:.1f} times as fast",
    ):
        assert sentence in told
    assert "takes half as long as *one* run" in told
    assert round(found["atlas: 125 students mlp-32"], 1) == 0.5
