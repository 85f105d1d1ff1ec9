"""Answers to `recorded_kd`, as learners write them."""

import torch
import torch.nn.functional as F

import kdlab
from tests.check.answers import Answers

ANSWERS = Answers()
right, wrong = ANSWERS.right, ANSWERS.wrong


@right
def with_a_dict(student_logits, indices, recorded, answers, temperature):
    place = {number: row for row, number in enumerate(recorded.tolist())}
    said = answers[[place[number] for number in indices.tolist()]]
    return temperature**2 * F.kl_div(
        F.log_softmax(student_logits / temperature, dim=1),
        F.softmax(said / temperature, dim=1),
        reduction="batchmean",
    )


@right
def with_searchsorted(student_logits, indices, recorded, answers, temperature):
    order = recorded.argsort()
    said = answers[order[torch.searchsorted(recorded[order], indices)]]
    return kdlab.losses.soft_target_kl(student_logits, said, temperature)


@right
def with_nonzero(student_logits, indices, recorded, answers, temperature):
    said = torch.stack([answers[(recorded == number).nonzero().item()] for number in indices])
    p, q = (z / temperature for z in (said, student_logits))
    gaps = p.softmax(1) * (p.log_softmax(1) - q.log_softmax(1))
    return gaps.sum(1).mean() * temperature * temperature


@right
def by_a_matrix_of_matches(student_logits, indices, recorded, answers, temperature):
    matches = (indices[:, None] == recorded[None]).float()
    return kdlab.losses.soft_target_kl(student_logits, matches @ answers, temperature)


@right
def with_a_table_by_number(student_logits, indices, recorded, answers, temperature):
    table = torch.empty(int(recorded.max()) + 1, answers.shape[1])
    table[recorded] = answers
    softened = [F.log_softmax(z / temperature, 1) for z in (student_logits, table[indices])]
    return temperature**2 * F.kl_div(*softened, reduction="batchmean", log_target=True)


@right
def example_by_example(student_logits, indices, recorded, answers, temperature):
    costs = []
    for logits, number in zip(student_logits, indices.tolist(), strict=True):
        p = torch.softmax(answers[recorded.tolist().index(number)] / temperature, 0)
        q = torch.softmax(logits / temperature, 0)
        costs.append((p * (p / q).log()).sum())
    return sum(costs) / len(costs) * temperature**2


def _kl(student_logits, said, temperature, factor=None):
    factor = temperature**2 if factor is None else factor
    p, q = F.softmax(said / temperature, 1), F.log_softmax(student_logits / temperature, 1)
    return factor * F.kl_div(q, p, reduction="batchmean")


def _found(indices, recorded, answers):
    return answers[[recorded.tolist().index(number) for number in indices.tolist()]]


@wrong("by-position")
def first_rows(student_logits, indices, recorded, answers, temperature):
    return _kl(student_logits, answers[: len(student_logits)], temperature)


@wrong("number-as-row")
def number_as_row(student_logits, indices, recorded, answers, temperature):
    return _kl(student_logits, answers[indices], temperature)


@wrong("looked-up-backwards")
def backwards(student_logits, indices, recorded, answers, temperature):
    return _kl(student_logits, answers[recorded[indices]], temperature)


@wrong("hard-labels")
def of_labels(student_logits, indices, recorded, answers, temperature):
    labels = _found(indices, recorded, answers).argmax(1)
    return temperature**2 * F.cross_entropy(student_logits / temperature, labels)


@wrong("square-missing")
def no_square(student_logits, indices, recorded, answers, temperature):
    return _kl(student_logits, _found(indices, recorded, answers), temperature, 1)


@wrong("factor-not-squared")
def once(student_logits, indices, recorded, answers, temperature):
    return _kl(student_logits, _found(indices, recorded, answers), temperature, temperature)


@wrong("square-twice")
def again(student_logits, indices, recorded, answers, temperature):
    said = _found(indices, recorded, answers)
    return temperature**2 * kdlab.losses.soft_target_kl(student_logits, said, temperature)


@wrong("temperature-ignored")
def at_1(student_logits, indices, recorded, answers, temperature):
    return _kl(student_logits, _found(indices, recorded, answers), 1)


@wrong("softmax-twice")
def of_probabilities(student_logits, indices, recorded, answers, temperature):
    said = _found(indices, recorded, answers)
    p = (said / temperature).softmax(1).softmax(1)
    q = (student_logits / temperature).log_softmax(1)
    return temperature**2 * (p * (p.log() - q)).sum(1).mean()


@wrong("softmax-twice")
def student_softmaxed(student_logits, indices, recorded, answers, temperature):
    said = _found(indices, recorded, answers)
    q = F.log_softmax(F.softmax(student_logits / temperature, 1), 1)
    return temperature**2 * F.kl_div(q, F.softmax(said / temperature, 1), reduction="batchmean")


@wrong("swapped")
def the_other_kl(student_logits, indices, recorded, answers, temperature):
    return _kl(_found(indices, recorded, answers), student_logits, temperature)


@wrong("mean-over-entries")
def all_entries(student_logits, indices, recorded, answers, temperature):
    said = _found(indices, recorded, answers)
    p, q = F.softmax(said / temperature, 1), F.log_softmax(student_logits / temperature, 1)
    return temperature**2 * (p * (p.log() - q)).mean()


@wrong("sum-over-batch")
def all_examples(student_logits, indices, recorded, answers, temperature):
    said = _found(indices, recorded, answers)
    p, q = F.softmax(said / temperature, 1), F.log_softmax(student_logits / temperature, 1)
    return temperature**2 * F.kl_div(q, p, reduction="sum")


@wrong("cross-entropy")
def soft_cross_entropy(student_logits, indices, recorded, answers, temperature):
    said = _found(indices, recorded, answers)
    p = F.softmax(said / temperature, 1)
    return temperature**2 * F.cross_entropy(student_logits / temperature, p)


@wrong("by-position + square-missing")
def two_of_them(student_logits, indices, recorded, answers, temperature):
    return _kl(student_logits, answers[: len(indices)], temperature, 1)
