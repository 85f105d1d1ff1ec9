"""What a check prints, hands back and notes, whatever the exercise."""

import functools
import os
import subprocess
import sys

import pytest
import torch
from torch import nn

import kdlab
from kdlab.check import core, lessons, record


@pytest.fixture(autouse=True)
def own_progress(tmp_path, monkeypatch):
    monkeypatch.setenv("KDLAB_PROGRESS", str(tmp_path / "progress.csv"))
    return tmp_path / "progress.csv"


def good(probabilities):
    return torch.special.entr(probabilities).sum(1)


def bits(probabilities):
    return torch.special.entr(probabilities).sum(1) / torch.tensor(2.0).log()


def pass_stub(probabilities):
    pass


def ellipsis_stub(probabilities):
    return ...


def raising_stub(probabilities):
    raise NotImplementedError("write me")


STUBS = (pass_stub, ellipsis_stub, raising_stub)


# ---------------------------------------------------------------- what is handed back and printed


def test_a_right_function_is_handed_back(capsys):
    assert kdlab.check.entropy(good) is good
    assert capsys.readouterr().out == ("right: good gives what ours gives, on all 6 test cases.\n")


@pytest.mark.parametrize("stub", STUBS)
@pytest.mark.parametrize("keep", [False, True])
def test_an_untouched_stub_gets_ours_and_one_line(stub, keep, capsys):
    ours = kdlab.check.entropy(stub, keep=keep)
    assert torch.allclose(ours(torch.tensor([[0.5, 0.5]])), torch.tensor(2.0).log())
    assert capsys.readouterr().out == (
        f"not yet: {stub.__name__} returns no value so far. Until it does, kdlab's own function is "
        "used.\n"
    )


def test_a_wrong_function_is_named_and_replaced(capsys):
    assert kdlab.check.entropy(bits) is kdlab.check.entropy.reference
    assert capsys.readouterr().out == (
        "Almost. The logarithm has base 2, so the entropy is in bits: 1.443 times as large as in "
        "nats.\nNats come from the natural logarithm, torch.log. "
        '(Lesson 1, "What entropy says".)\n'
        "Until it is right, ours is used.\n"
    )


def test_keep_hands_a_wrong_function_back(capsys):
    assert kdlab.check.entropy(bits, keep=True) is bits
    assert capsys.readouterr().out.endswith("You keep your function.\n")


def test_an_unknown_mistake_is_shown_on_the_smallest_case(capsys):
    kdlab.check.soft_cross_entropy(lambda student, teacher: ((student - teacher) ** 2).mean())
    assert capsys.readouterr().out == (
        "Not right yet: your function differs from ours on 6 of 6 cases, and it is none of the "
        "mistakes\nthat we know. The smallest of these cases: one example.\n"
        "    student_logits         [[3, 2, 1]]\n"
        "    teacher_probabilities  [[0.7, 0.2, 0.1]]\n"
        "    expected               0.8076\n"
        "    yours                  3.1133\n"
        "Until it is right, ours is used.\n"
    )


def test_the_case_shown_is_one_that_differs():
    def at_zero(p):
        return torch.where((p == 0).any(1), -1.0, good(p))

    message = core.examine(kdlab.check.entropy, at_zero).message
    assert "on 1 of 6 cases" in message
    assert "probabilities  [[1, 0, 0], [0.5, 0.5, 0]]" in message
    assert "expected       [0, 0.6931]" in message
    assert "yours          [-1, -1]" in message


def test_nan_is_shown_with_a_hint():
    message = core.examine(kdlab.check.entropy, lambda p: p.sum(1) * float("nan")).message
    assert "yours          [nan]" in message
    assert "log(0)" in message


def test_ours_given_back_to_the_check_is_not_the_learners(capsys):
    ours = kdlab.check.entropy(pass_stub)
    assert kdlab.check.entropy(ours) is ours
    assert "not yet: this is kdlab's own function." in capsys.readouterr().out
    assert [row["result"] for row in record.lines()] == ["not yet", "not yet"]


# ---------------------------------------------------------------- what is said


def test_two_mistakes_are_both_told():
    message = core.examine(kdlab.check.entropy, lambda p: -(p * p.log2()).sum(1)).message
    assert message.startswith("Two mistakes at once.\n1. Where a probability is exactly 0")
    assert "\n2. The logarithm has base 2" in message


def test_an_exception_is_told_in_a_sentence_without_a_traceback():
    def careless(probabilities):
        raise ValueError("no such class\nand a second line")

    assert core.examine(kdlab.check.entropy, careless).message == (
        "Not right yet: careless stopped with an error. ValueError: no such class\n"
        "It happened on the case: one example (probabilities of shape (1, 3))."
    )


def test_an_exception_on_a_later_case_names_that_case():
    def three_only(probabilities):
        if probabilities.shape[1] != 3:
            raise ValueError
        return good(probabilities)

    message = core.examine(kdlab.check.entropy, three_only).message
    assert "ValueError: no message" in message
    assert "more examples than classes (probabilities of shape (5, 2))" in message


def test_addresses_are_left_out():
    def speaks_of_itself(probabilities):
        raise RuntimeError(f"bad object at {hex(id(probabilities))}")

    assert "bad object at 0x…" in core.examine(kdlab.check.entropy, speaks_of_itself).message


def test_interrupts_pass_through():
    def interrupted(probabilities):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kdlab.check.entropy(interrupted)


def test_another_shape_is_told():
    message = core.examine(kdlab.check.entropy, lambda p: good(p)[:, None]).message
    assert message == (
        "Not right yet: your function gives shape (2, 1) for probabilities of shape (2, 3). "
        "Expected is\nshape (2,)."
    )


def test_a_changed_input_is_told_even_where_the_values_are_right():
    def in_place(probabilities):
        return good(probabilities.clamp_(min=1e-12))

    finding = core.examine(kdlab.check.entropy, in_place)
    assert (finding.state, finding.mistake) == ("not right yet", "changes-input")
    assert "the values are right, but in_place changes its input" in finding.message


def test_the_cases_themselves_are_never_changed():
    before = [tensor.clone() for case in kdlab.check.entropy.cases for tensor in case.inputs]
    core.examine(kdlab.check.entropy, lambda p: p.zero_().sum(1))
    after = [tensor for case in kdlab.check.entropy.cases for tensor in case.inputs]
    assert all(map(torch.equal, before, after))


@pytest.mark.parametrize("given", [None, 3.0, torch.ones(2)])
def test_what_is_no_function_is_told(given, capsys):
    assert kdlab.check.entropy(given, keep=True) is kdlab.check.entropy.reference
    assert f"something of type {type(given).__name__}" in capsys.readouterr().out


def test_other_arguments_are_told():
    finding = core.examine(kdlab.check.soft_cross_entropy, lambda student: student)
    assert finding.mistake == "arguments"
    assert "(student_logits, teacher_probabilities)" in finding.message


class Module(nn.Module):
    def forward(self, probabilities):
        return good(probabilities)


class Callable:
    def __call__(self, probabilities):
        return good(probabilities)


@pytest.mark.parametrize("f", [Module(), Callable(), functools.partial(good), lambda *a: good(*a)])
def test_anything_callable_will_do(f):
    assert core.examine(kdlab.check.entropy, f).state == "right"


@pytest.mark.parametrize("leave", ["item", "detach", "numpy"])
def test_a_loss_without_gradient_is_right_with_a_remark(leave, recwarn):
    def loss(student, teacher):
        return getattr(nn.functional.cross_entropy(student, teacher), leave)()

    finding = core.examine(kdlab.check.soft_cross_entropy, loss)
    assert finding.state == "right"
    assert "carries no gradient" in finding.message
    assert not recwarn


def test_a_loss_with_gradient_gets_no_remark():
    finding = core.examine(kdlab.check.soft_cross_entropy, nn.functional.cross_entropy)
    assert "remark" not in finding.message


def test_checking_leaves_the_random_state_alone():
    before = torch.get_rng_state()
    core.examine(kdlab.check.mean_soft_target, lambda p, y: p.T @ p)
    assert torch.equal(before, torch.get_rng_state())


def test_lines_are_short_enough_to_read():
    for exercise in lessons.EXERCISES:
        for mistake in exercise.mistakes:
            f = functools.partial(exercise.in_steps, **mistake.changes[0])
            lines = core.examine(exercise, f).message.splitlines()
            assert max(map(len, lines)) <= 96


def test_an_exercise_says_what_to_write():
    assert repr(kdlab.check.entropy).startswith("entropy(probabilities): the entropy of each row")


# ---------------------------------------------------------------- what is noted


def test_each_check_adds_a_line(own_progress, capsys):
    kdlab.check.entropy(pass_stub)
    kdlab.check.entropy(bits)
    kdlab.check.entropy(good)
    header, *lines = own_progress.read_text().splitlines()
    assert header == "time,lesson,exercise,result,mistake"
    assert [line.split(",", 1)[1] for line in lines] == [
        "01,entropy,not yet,",
        "01,entropy,not right yet,base-2",
        "01,entropy,right,",
    ]


def test_without_a_setting_the_file_lies_in_the_current_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("KDLAB_PROGRESS")
    monkeypatch.chdir(tmp_path)
    kdlab.check.entropy(good)
    assert (tmp_path / "progress.csv").exists()


def test_lines_are_only_added(own_progress, capsys):
    kdlab.check.entropy(bits)
    before = own_progress.read_bytes()
    kdlab.check.entropy(good)
    assert own_progress.read_bytes().startswith(before)


def test_a_line_cut_short_is_left_alone_and_the_next_is_whole(own_progress, capsys):
    kdlab.check.entropy(bits)
    own_progress.write_bytes(own_progress.read_bytes()[:-9])
    before = own_progress.read_bytes()
    kdlab.check.entropy(good)
    assert own_progress.read_bytes().startswith(before + b"\n")
    assert record.lines()[-1]["result"] == "right"


def test_another_kind_of_file_is_not_touched(own_progress, capsys):
    own_progress.write_text("weight,height\n80,1.9\n")
    assert kdlab.check.entropy(good) is good
    assert own_progress.read_text() == "weight,height\n80,1.9\n"
    assert capsys.readouterr().out.endswith(
        "(Progress was not noted: progress.csv is a file of another kind.)\n"
    )


@pytest.mark.parametrize("place", ["missing/progress.csv", "."])
def test_what_cannot_be_written_costs_one_sentence(place, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KDLAB_PROGRESS", str(tmp_path / place))
    assert kdlab.check.entropy(good) is good
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("(Progress was not noted: ")
    assert str(tmp_path) not in last
    assert set(kdlab.check.progress()["state"]) == {"not started"}


def test_a_full_disk_costs_one_sentence(monkeypatch, capsys):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.open", full)
    assert kdlab.check.entropy(good) is good
    assert "(Progress was not noted: No space left on device.)" in capsys.readouterr().out


def test_a_device_that_never_ends_is_not_read():
    if not os.path.exists("/dev/full"):  # Linux only; elsewhere there is nothing to try
        return
    code = "import kdlab; kdlab.check.entropy(None); print(len(kdlab.check.progress()))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"KDLAB_PROGRESS": "/dev/full"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines()[-2:] == [
        "(Progress was not noted: No space left on device.)",
        str(len(lessons.EXERCISES) + len(lessons.QUIZZES)),
    ]


# ---------------------------------------------------------------- progress


def test_at_first_everything_is_listed_as_not_started():
    table = kdlab.check.progress()
    assert list(table.columns) == ["lesson", "exercise", "state", "tries", "last mistake"]
    assert list(table["exercise"])[:5] == [
        "entropy",
        "mean_soft_target",
        "soft_cross_entropy",
        "soft targets 1",
        "soft targets 2",
    ]
    assert len(table) == len(lessons.EXERCISES) + len(lessons.QUIZZES)
    assert set(table["state"]) == {"not started"}
    assert table["tries"].sum() == 0


def test_progress_counts_tries_and_keeps_the_last_mistake(capsys):
    kdlab.check.entropy(pass_stub)
    state = kdlab.check.progress().set_index("exercise").loc["entropy"]
    assert (state["state"], state["tries"], state["last mistake"]) == ("not yet", 0, "")
    kdlab.check.entropy(bits)
    state = kdlab.check.progress().set_index("exercise").loc["entropy"]
    assert (state["state"], state["tries"], state["last mistake"]) == ("not right yet", 1, "base-2")
    kdlab.check.entropy(good)
    state = kdlab.check.progress().set_index("exercise").loc["entropy"]
    assert (state["state"], state["tries"], state["last mistake"]) == ("right", 2, "base-2")


def test_what_was_right_once_stays_right(capsys):
    kdlab.check.entropy(good)
    kdlab.check.entropy(bits, keep=True)
    kdlab.check.entropy(pass_stub)
    assert kdlab.check.progress()["state"][0] == "right"


def test_damaged_and_strange_lines_do_no_harm(own_progress, capsys):
    kdlab.check.entropy(good)
    with own_progress.open("ab") as file:
        file.write(b'\xff\xfe"\n,,,\n\nnow,09,of a later kdlab,right,\n')
    table = kdlab.check.progress()
    assert table["state"][0] == "right"
    assert len(table) == len(lessons.EXERCISES) + len(lessons.QUIZZES)


# ---------------------------------------------------------------- cost


def test_the_checks_bring_no_widgets_and_no_plots():
    code = (
        "import sys, kdlab; kdlab.check.entropy; kdlab.check.progress; "
        "print([m for m in ('ipywidgets', 'matplotlib', 'IPython') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
