"""How an exercise is checked: run on small cases, and compared with a bank of known mistakes."""

import contextlib
import copy
import functools
import inspect
import itertools
import re
import textwrap
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from kdlab.check import record
from kdlab.check.record import NOT_RIGHT, NOT_YET, RIGHT

# Far above what float32 and a small epsilon against log(0) do, and visible at four digits.
TOLERANCE = 1e-4


@dataclass(frozen=True, eq=False)
class Case:
    """One small input to try a function on: tensors and plain numbers, such as a temperature.

    `name` completes "on the case: …".
    """

    name: str
    inputs: tuple[Tensor | float, ...]


class Mistake:
    """A known mistake: a name for the record, a sentence for the learner, and the mistake itself.

    section: where the lesson says more.
    changes: the steps of `Exercise.in_steps` that are done wrongly, each with what is done instead.
    Several are variants of one mistake.
    """

    def __init__(self, name: str, sentence: str, section: str, *changes: dict[str, Callable]):
        self.name, self.sentence, self.section, self.changes = name, sentence, section, changes


@dataclass(frozen=True, eq=False)
class Exercise:
    """A function for a learner to write. Calling the exercise checks the learner's function.

    takes: names of the arguments.  task: what to write, in one sentence.
    reference: kdlab's own solution.  cases: inputs to try, the smallest first.
    in_steps: the solution again, each step an argument that a mistake can change; two mistakes that
        change different steps can then be found together.
    trains: whether students are trained with the function, so that it must keep the gradient.
    play: turns such a function into one of a case's inputs, where these are only the last of its
        arguments and the first ones (a student, its optimizer) are made anew for each case.
    praise: what is said of a right function, after its name.
    """

    lesson: str
    name: str
    takes: tuple[str, ...]
    task: str
    reference: Callable
    in_steps: Callable
    cases: tuple[Case, ...]
    mistakes: tuple[Mistake, ...]
    trains: bool = False
    play: Callable[[Callable], Callable] = lambda f: f
    praise: str = "gives what ours gives, on all {cases} test cases"

    def __call__(self, f: Callable, keep: bool = False, note: bool = True) -> Callable:
        """Check f, print what was found, and hand back f if it is right, else kdlab's own.

        keep=True hands back f even if it is wrong, so that one can see what the mistake does.
        note=False leaves no line in progress.csv.
        """
        with torch.random.fork_rng(devices=[]):  # cases that make networks draw their weights
            finding = examine(self, f)
        print(finding.message)
        keeps = finding.state == NOT_RIGHT and keep and callable(f)
        if finding.state == NOT_RIGHT:
            print("You keep your function." if keeps else "Until it is right, ours is used.")
        if note:
            trouble = record.note(self.lesson, self.name, finding.state, finding.mistake)
            if trouble:
                print(trouble)
        return f if keeps or finding.state == RIGHT else self.reference

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(self.takes)}): {self.task}"


@dataclass(frozen=True)
class Finding:
    """What a check found: `state` and `mistake` for the record, `message` for the learner."""

    state: str
    mistake: str
    message: str


def examine(exercise: Exercise, f: object) -> Finding:
    """Try f on all cases of an exercise and say what is wrong. Prints and records nothing."""
    if f is exercise.reference:
        return _not_yet("this is kdlab's own function. Run the cell that defines yours, then this.")
    if not callable(f):
        return _wrong(
            "not-a-function",
            f"the check was given something of type {type(f).__name__}. Give it your function "
            f"itself, without calling it: kdlab.check.{exercise.name}(your_function).",
        )
    called = getattr(f, "__name__", "<lambda>").replace("<lambda>", "your function")
    if not _takes(f, exercise.takes):
        wanted = f"({', '.join(exercise.takes)})"
        return _wrong("arguments", f"{called} takes other arguments than {wanted}.")
    results, changes_input = [], False
    for case in exercise.cases:
        inputs = copy.deepcopy(case.inputs)
        try:
            result = exercise.play(f)(*inputs)
        except Exception as error:
            if _is_stub(error):
                return _open(called)
            return _wrong(f"raises {type(error).__name__}", _raised(called, exercise, case, error))
        if result is None or result is ...:
            return _open(called)
        try:
            results.append(_as_tensor(result))
        except Exception:
            kind = type(result).__name__
            return _wrong("type", f"{called} gives back a {kind}; expected is a tensor.")
        changes_input |= not all(map(_identical, inputs, case.inputs))

    finding = _compare(exercise, called, results)
    if changes_input:
        return _changes_input(called, finding)
    if finding.state == RIGHT and exercise.trains and not _has_gradient(exercise, f):
        remark = (
            f"One remark: what {called} gives carries no gradient, so no student can be trained "
            "with it. Return the tensor itself, without .item(), .detach() or numpy."
        )
        return Finding(RIGHT, "", f"{finding.message}\n{_wrapped(remark)}")
    return finding


# ---------------------------------------------------------------- comparing


def _compare(exercise: Exercise, called: str, results: list[Tensor]) -> Finding:
    """Right, a known mistake, two of them together, another shape, or other values."""
    ours = exercise.play(exercise.reference)
    expected = [_as_tensor(ours(*case.inputs)) for case in exercise.cases]
    if _all_same(results, expected):
        praise = exercise.praise.format(cases=len(expected))
        return Finding(RIGHT, "", _wrapped(f"right: {called} {praise}."))
    speaks = any(result.isfinite().any() for result in results)
    for mistakes, changes in _suspects(exercise.mistakes):
        if len(mistakes) > 1 and not speaks:
            break  # in NaN alone no two mistakes can be recognised
        if _all_same(results, _outcomes(exercise, changes)):
            name = " + ".join(mistake.name for mistake in mistakes)
            return Finding(NOT_RIGHT, name, _told(exercise, mistakes))
    differing = [
        (case, result, value)
        for case, result, value in zip(exercise.cases, results, expected, strict=True)
        if not _same(result, value)
    ]
    for case, result, value in differing:
        if result.shape != value.shape and not result.numel() == value.numel() == 1:
            return _wrong("shape", _other_shape(called, exercise, case, result, value))
    return _wrong("unknown", _other_values(called, exercise, *differing[0], len(differing)))


def _suspects(mistakes: tuple[Mistake, ...]) -> Iterator[tuple[tuple[Mistake, ...], dict]]:
    """Each known mistake with what it changes; then each two that change different steps."""
    for mistake in mistakes:
        for changes in mistake.changes:
            yield (mistake,), changes
    for one, other in itertools.combinations(mistakes, 2):
        for first, second in itertools.product(one.changes, other.changes):
            if not first.keys() & second.keys():
                yield (one, other), first | second


def _outcomes(exercise: Exercise, changes: dict[str, Callable]) -> Iterator[Tensor]:
    wrong = exercise.play(functools.partial(exercise.in_steps, **changes))
    for case in exercise.cases:
        yield _as_tensor(wrong(*case.inputs))


def _all_same(results: list[Tensor], others: Iterable[Tensor]) -> bool:
    return all(_same(result, other) for result, other in zip(results, others, strict=True))


def _same(result: Tensor, other: Tensor) -> bool:
    """Equal within the tolerance; a single number may have any shape.

    NaN, inf and -inf count as one: which of them log(0) ends in depends on how a line is written.
    """
    if result.numel() == other.numel() == 1:
        result, other = result.flatten(), other.flatten()
    if result.shape != other.shape:
        return False
    finite = result.isfinite()
    return torch.equal(finite, other.isfinite()) and torch.allclose(
        result[finite], other[finite], rtol=TOLERANCE, atol=TOLERANCE
    )


def _as_tensor(result: object) -> Tensor:
    """What a learner's function gave, as float64: a tensor, number, array, or a list of these."""
    if isinstance(result, (list, tuple)):
        return torch.stack([_as_tensor(part) for part in result])
    return torch.as_tensor(result).detach().to("cpu", torch.float64)


def _identical(one: Tensor | float, other: Tensor | float) -> bool:
    one, other = torch.as_tensor(one), torch.as_tensor(other)
    return one.shape == other.shape and torch.equal(one, other)


def _takes(f: Callable, arguments: tuple) -> bool:
    """Whether f can be called with as many arguments; True where Python cannot tell."""
    try:
        signature = inspect.signature(f)
    except (TypeError, ValueError):
        return True
    with contextlib.suppress(TypeError):
        signature.bind(*arguments)
        return True
    return False


def _is_stub(error: Exception) -> bool:
    """NotImplementedError marks an open exercise, but torch raises it too, for types it lacks."""
    return isinstance(error, NotImplementedError) and "not implemented for" not in str(error)


def _has_gradient(exercise: Exercise, f: Callable) -> bool:
    first, *rest = copy.deepcopy(exercise.cases[0].inputs)
    try:
        with warnings.catch_warnings(action="ignore"):  # torch's own remark on .item()
            result = f(first.requires_grad_(), *rest)
    except Exception:  # such as .numpy() of a tensor that needs a gradient
        return False
    return isinstance(result, Tensor) and result.requires_grad


# ---------------------------------------------------------------- saying it


def _open(called: str) -> Finding:
    return _not_yet(
        f"{called} returns no value so far. Until it does, kdlab's own function is used."
    )


def _not_yet(sentence: str) -> Finding:
    return Finding(NOT_YET, "", f"not yet: {sentence}")


def _wrong(mistake: str, sentence: str) -> Finding:
    return Finding(NOT_RIGHT, mistake, _wrapped(f"Not right yet: {sentence}"))


def _told(exercise: Exercise, mistakes: tuple[Mistake, ...]) -> str:
    sentences = [
        f'{mistake.sentence} (Lesson {int(exercise.lesson)}, "{mistake.section}".)'
        for mistake in mistakes
    ]
    if len(sentences) == 1:
        return _wrapped(f"Almost. {sentences[0]}")
    return _wrapped(f"Two mistakes at once.\n1. {sentences[0]}\n2. {sentences[1]}")


def _changes_input(called: str, finding: Finding) -> Finding:
    sentence = (
        f"{called} changes its input in place. Whoever calls it then goes on with changed numbers. "
        "Make new tensors instead: p + 1 and not p += 1, p.clamp() and not p.clamp_()."
    )
    if finding.state == RIGHT:
        return _wrong("changes-input", f"the values are right, but {sentence}")
    return Finding(
        NOT_RIGHT,
        f"{finding.mistake} + changes-input",
        f"{finding.message}\n{_wrapped(f'Besides, {sentence}')}",
    )


def _raised(called: str, exercise: Exercise, case: Case, error: Exception) -> str:
    first_line = (str(error).strip().splitlines() or ["no message"])[0]
    # an address differs from run to run; a stored notebook is compared word for word
    said = re.sub(r"0x[0-9a-f]+", "0x…", first_line)[:200]
    return (
        f"{called} stopped with an error. {type(error).__name__}: {said}\n"
        f"It happened on the case: {case.name} ({_given(exercise, case)})."
    )


def _other_shape(
    called: str, exercise: Exercise, case: Case, result: Tensor, expected: Tensor
) -> str:
    return (
        f"{called} gives {_shape(result)} for {_given(exercise, case)}. "
        f"Expected is {_shape(expected)}."
    )


def _given(exercise: Exercise, case: Case) -> str:
    *first, last = (
        f"{name} of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"{name} {value}"
        for name, value in _named(exercise, case).items()
    )
    return f"{', '.join(first)} and {last}" if first else last


def _named(exercise: Exercise, case: Case) -> dict[str, Tensor | float]:
    return dict(zip(exercise.takes[-len(case.inputs) :], case.inputs, strict=True))


def _shape(tensor: Tensor) -> str:
    return f"shape {tuple(tensor.shape)}" if tensor.dim() else "a single number"


def _other_values(
    called: str, exercise: Exercise, case: Case, result: Tensor, expected: Tensor, wrong: int
) -> str:
    shown = _named(exercise, case)
    shown |= {"expected": expected, "yours": result.reshape(expected.shape)}
    width = max(map(len, shown))
    lines = [f"    {name:<{width}}  {_rounded(tensor)}" for name, tensor in shown.items()]
    said = (
        f"{called} differs from ours on {wrong} of {len(exercise.cases)} cases, and it is none of "
        f"the mistakes that we know. The smallest of these cases: {case.name}."
    )
    if not result.isfinite().all():
        lines.append("nan and inf often come from log(0), or from e to a large power.")
    return "\n".join([said, *lines])


def _rounded(value: Tensor | float) -> str:
    """Nested lists with four digits after the point, and no minus before a zero."""
    if isinstance(value, Tensor) and value.dim():
        return f"[{', '.join(map(_rounded, value))}]"
    return f"{round(float(value), 4) + 0.0:g}"


def _wrapped(text: str) -> str:
    """Lines of at most 96 characters; the indented ones, which hold numbers, stay as they are."""
    return "\n".join(
        line if line.startswith(" ") else textwrap.fill(line, 96, break_long_words=False)
        for line in text.split("\n")
    )
