"""Mutation testing of lesson 1's checks: each wrong answer gets its name, each right one passes.

The answers are written as learners write them, in many styles, and share no code with the bank.
"""

import functools
import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from kdlab.check import core
from kdlab.check.soft_targets import EXERCISES, entropy, mean_soft_target, soft_cross_entropy
from tests.check.answers import Answers

SECTIONS = {
    "Look",
    "What entropy says",
    "A map of classes",
    "Labels against soft targets",
    "The class the student never saw",
    "Unlabelled data",
}
ANSWERS = Answers()
answer, right = ANSWERS.answer, ANSWERS.right


# ---------------------------------------------------------------- entropy


@right(entropy)
def with_xlogy(p):
    return -torch.xlogy(p, p).sum(dim=1)


@right(entropy)
def with_special_entr(p):
    return torch.special.entr(p).sum(-1)


@right(entropy)
def with_where(p):
    safe = torch.where(p > 0, p, torch.ones_like(p))
    return torch.where(p > 0, -p * safe.log(), 0.0).sum(1)


@right(entropy)
def with_epsilon(p):
    return -(p * torch.log(p + 1e-9)).sum(1)


@right(entropy)
def with_clamp(p):
    return -torch.einsum("bc,bc->b", p, p.clamp(min=1e-12).log())


@right(entropy)
def with_nansum(p):
    return -(p * p.log()).nansum(1)


@right(entropy)
def with_categorical(p):
    return torch.distributions.Categorical(probs=p).entropy()


@right(entropy)
def with_numpy(p):
    values = p.double().numpy()
    logs = np.log(values, where=values > 0, out=np.zeros_like(values))
    return -(values * logs).sum(axis=1)


@right(entropy)
def with_loops(p):
    return [-sum(x * math.log(x) for x in row if x > 0) for row in p.tolist()]


@right(entropy)
def with_list_of_tensors(p):
    return [-(row[row > 0] * row[row > 0].log()).sum() for row in p]


@right(entropy)
def with_base_change(p):
    return torch.special.entr(p.double()).div(math.log(2)).sum(1) * math.log(2)


@right(entropy)
def with_a_tuple(p):
    return tuple(torch.special.entr(row).sum() for row in p)


@answer(entropy, "log-of-zero")
def nan_at_zero(p):
    return torch.sum(-p * torch.log(p), -1)


@answer(entropy, "log-of-zero")
def nan_at_zero_by_einsum(p):
    return -torch.einsum("ij,ij->i", p, p.log())


@answer(entropy, "large-epsilon")
def epsilon_too_large(p):
    return -(p * torch.log(p + 0.001)).sum(1)


@answer(entropy, "base-2")
def in_bits(p):
    return torch.special.entr(p).sum(1) / math.log(2)


@answer(entropy, "base-2")
def in_bits_by_loop(p):
    return torch.tensor([-sum(x * math.log2(x) for x in row if x) for row in p.tolist()])


@answer(entropy, "base-10")
def in_bans(p):
    return -(p * torch.where(p > 0, p, 1).log10()).sum(1)


@answer(entropy, "minus-missing")
def no_minus(p):
    return torch.xlogy(p, p).sum(-1)


@answer(entropy, "mean-over-classes")
def mean_of_classes(p):
    return torch.special.entr(p).mean(dim=1)


@answer(entropy, "one-number")
def sum_of_all(p):
    return torch.special.entr(p).sum()


@answer(entropy, "one-number")
def mean_of_batch(p):
    return torch.special.entr(p).sum(1).mean().item()


@answer(entropy, "wrong-axis")
def along_the_batch(p):
    return torch.special.entr(p).sum(dim=0)


@answer(entropy, "softmax-first")
def softmax_of_probabilities(p):
    q = torch.exp(p) / torch.exp(p).sum(1, keepdim=True)
    return -(q * q.log()).sum(1)


@answer(entropy, "softmax-first")
def categorical_logits(p):
    return torch.distributions.Categorical(logits=p).entropy()


@answer(entropy, "softmax-first")
def log_softmax_for_log(p):
    return -(p * p.log_softmax(dim=-1)).sum(-1)


@answer(entropy, "weights-missing")
def logs_only(p):
    return -p.log().sum(1)


@answer(entropy, "log-missing")
def no_log(p):
    return -p.pow(2).sum(1)


@answer(entropy, "normalised")
def share_of_the_largest(p):
    return torch.special.entr(p).sum(1) / math.log(p.shape[1])


@answer(entropy, "log-of-zero + base-2")
def nan_and_bits(p):
    return -(p * p.log2()).sum(1)


@answer(entropy, "log-of-zero + minus-missing")
def nan_and_no_minus(p):
    return (p * p.log()).sum(1)


@answer(entropy, "log-of-zero + one-number")
def nan_and_mean(p):
    return -(p * p.log()).sum(1).mean()


@answer(entropy, "base-2 + mean-over-classes")
def bits_and_mean(p):
    return torch.special.entr(p).mean(1) / math.log(2)


@answer(entropy, "shape")
def kept_dimension(p):
    return torch.special.entr(p).sum(1, keepdim=True)


@answer(entropy, "shape")
def not_summed(p):
    return torch.special.entr(p)


@answer(entropy, "changes-input")
def clamps_its_input(p):
    p.clamp_(min=1e-12)
    return -(p * p.log()).sum(1)


@answer(entropy, "base-2 + changes-input")
def clamps_and_bits(p):
    p += 1e-12
    return -(p * p.log2()).sum(1)


@answer(entropy, "unknown")
def gini(p):
    return 1 - p.square().sum(1)


@answer(entropy, "unknown")
def always_nan(p):
    return p.sum(1) * float("nan")


@answer(entropy, "unknown")
def perplexity(p):
    return torch.special.entr(p).sum(1).exp()


@answer(entropy, "type")
def gives_a_dict(p):
    return {"entropy": torch.special.entr(p).sum(1)}


@answer(entropy, "type")
def gives_text(p):
    return "0.69"


@answer(entropy, "raises IndexError")
def wrong_dimension(p):
    return p.sum(2)


@answer(entropy, "raises NotImplementedError")
def type_that_torch_lacks(p):
    return p.long().softmax(1)


@answer(entropy, "arguments")
def two_arguments(p, labels):
    return p


# ---------------------------------------------------------------- soft cross-entropy


@right(soft_cross_entropy)
def by_torch(student, teacher):
    return F.cross_entropy(student, teacher)


@right(soft_cross_entropy)
def by_module(student, teacher):
    return nn.CrossEntropyLoss()(student, teacher)


@right(soft_cross_entropy)
def by_einsum(student, teacher):
    return -torch.einsum("bc,bc->", teacher, student.log_softmax(-1)) / len(student)


@right(soft_cross_entropy)
def by_logsumexp(student, teacher):
    log_q = student - student.logsumexp(1, keepdim=True)
    return (teacher * -log_q).sum(1).mean(0)


@right(soft_cross_entropy)
def by_rows(student, teacher):
    rows = [-torch.dot(t, F.log_softmax(s, 0)) for s, t in zip(student, teacher, strict=True)]
    return torch.stack(rows).mean()


@right(soft_cross_entropy)
def by_kl_plus_entropy(student, teacher):
    kl = F.kl_div(student.log_softmax(1), teacher, reduction="batchmean")
    return kl + torch.special.entr(teacher).sum(1).mean()


@right(soft_cross_entropy)
def by_matmul(student, teacher):
    return -(teacher @ student.log_softmax(1).T).diagonal().mean()


@right(soft_cross_entropy)
def log_softmax_twice_is_once(student, teacher):
    return F.cross_entropy(F.log_softmax(student, 1), teacher)


@right(soft_cross_entropy)
def in_float64(student, teacher):
    return F.cross_entropy(student.double(), teacher.double())


@right(soft_cross_entropy)
def as_one_row(student, teacher):
    return F.cross_entropy(student, teacher).reshape(1)


@right(soft_cross_entropy)
def as_float(student, teacher):
    return float(F.cross_entropy(student, teacher))


@answer(soft_cross_entropy, "sum-over-batch")
def sum_reduction(student, teacher):
    return F.cross_entropy(student, teacher, reduction="sum")


@answer(soft_cross_entropy, "mean-over-entries")
def mean_of_all(student, teacher):
    return torch.mean(-teacher * student.log_softmax(1))


@answer(soft_cross_entropy, "not-averaged")
def no_reduction(student, teacher):
    return F.cross_entropy(student, teacher, reduction="none")


@answer(soft_cross_entropy, "wrong-axis")
def softmax_along_the_batch(student, teacher):
    return torch.einsum("bc,bc->b", teacher, -student.log_softmax(dim=0)).mean()


@answer(soft_cross_entropy, "softmax-twice")
def cross_entropy_of_softmax(student, teacher):
    return F.cross_entropy(F.softmax(student, dim=1), teacher)


@answer(soft_cross_entropy, "softmax-twice")
def softmax_module_first(student, teacher):
    q = nn.Softmax(dim=-1)(student)
    return -(teacher * (q - q.logsumexp(-1, keepdim=True))).sum(-1).mean()


@answer(soft_cross_entropy, "teacher-softmax")
def softmax_of_the_teacher(student, teacher):
    return F.cross_entropy(student, torch.softmax(teacher, -1))


@answer(soft_cross_entropy, "log-missing")
def no_logarithm(student, teacher):
    return -(F.softmax(student, 1) * teacher).sum() / student.shape[0]


@answer(soft_cross_entropy, "softmax-missing")
def raw_logits(student, teacher):
    return -(student * teacher).sum(1).mean()


@answer(soft_cross_entropy, "softmax-missing")
def log_of_logits(student, teacher):
    return -(teacher * torch.log(student)).sum(1).mean()


@answer(soft_cross_entropy, "minus-missing")
def without_minus(student, teacher):
    return (teacher * F.log_softmax(student, -1)).sum(-1).mean()


@answer(soft_cross_entropy, "swapped")
def swapped_arguments(student, teacher):
    return F.cross_entropy(teacher, student)


@answer(soft_cross_entropy, "swapped")
def swapped_roles(student, teacher):
    return -(student.softmax(1) * teacher.log()).sum(1).mean()


@answer(soft_cross_entropy, "swapped")
def swapped_roles_with_epsilon(student, teacher):
    return -torch.mean(torch.sum(F.softmax(student, 1) * torch.log(teacher + 1e-8), dim=1))


@answer(soft_cross_entropy, "underflow")
def log_after_softmax(student, teacher):
    return -(teacher * torch.log(torch.softmax(student, 1))).sum(1).mean()


@answer(soft_cross_entropy, "underflow")
def log_after_softmax_with_epsilon(student, teacher):
    return -(teacher * torch.log(torch.softmax(student, 1) + 1e-8)).sum(1).mean()


@answer(soft_cross_entropy, "underflow")
def log_after_clamp(student, teacher):
    return (teacher * -student.softmax(1).clamp(min=1e-7).log()).sum(1).mean()


@answer(soft_cross_entropy, "underflow")
def log_of_exp_by_hand(student, teacher):
    e = torch.exp(student - student.max(1, keepdim=True).values)
    q = e / e.sum(1, keepdim=True)
    return -(teacher * q.log()).sum(1).mean()


@answer(soft_cross_entropy, "underflow")
def overflow_by_hand(student, teacher):
    log_q = student - student.exp().sum(1, keepdim=True).log()
    return -(teacher * log_q).sum(1).mean()


@answer(soft_cross_entropy, "hard-labels")
def argmax_labels(student, teacher):
    return F.cross_entropy(student, teacher.argmax(1))


@answer(soft_cross_entropy, "hard-labels")
def nll_of_argmax(student, teacher):
    return F.nll_loss(student.log_softmax(1), teacher.max(1).indices)


@answer(soft_cross_entropy, "kl")
def kl_batchmean(student, teacher):
    return F.kl_div(F.log_softmax(student, 1), teacher, reduction="batchmean")


@answer(soft_cross_entropy, "sum-over-batch + kl")
def kl_sum(student, teacher):
    return F.kl_div(F.log_softmax(student, 1), teacher, reduction="sum")


@answer(soft_cross_entropy, "mean-over-entries + kl")
def kl_mean(student, teacher):
    return F.kl_div(F.log_softmax(student, 1), teacher, reduction="none").mean()


@answer(soft_cross_entropy, "sum-over-batch + minus-missing")
def sum_without_minus(student, teacher):
    return torch.sum(teacher * student.log_softmax(1))


@answer(soft_cross_entropy, "mean-over-entries + underflow")
def mean_and_underflow(student, teacher):
    return -torch.mean(teacher * torch.log(student.softmax(1)))


@answer(soft_cross_entropy, "unknown")
def squared_difference(student, teacher):
    return F.mse_loss(student.softmax(1), teacher)


@answer(soft_cross_entropy, "unknown")
def never_a_number(student, teacher):
    return student.sum() * float("nan")


@answer(soft_cross_entropy, "shape")
def one_number_a_class(student, teacher):
    return -(teacher * student.log_softmax(1)).sum(0)


@answer(soft_cross_entropy, "changes-input")
def subtracts_in_place(student, teacher):
    student -= student.logsumexp(1, keepdim=True)
    return -(teacher * student).sum(1).mean()


@answer(soft_cross_entropy, "raises RuntimeError")
def matrices_that_do_not_fit(student, teacher):
    return student @ teacher


# ---------------------------------------------------------------- mean soft target


@right(mean_soft_target)
def by_mask(p, y):
    return torch.stack([p[y == c].mean(0) for c in range(p.shape[1])])


@right(mean_soft_target)
def by_one_hot(p, y):
    member = F.one_hot(y, num_classes=p.size(1)).float()
    return member.T @ p / member.sum(0).unsqueeze(1)


@right(mean_soft_target)
def by_index_add(p, y):
    total = torch.zeros(p.shape[1], p.shape[1]).index_add_(0, y, p)
    return total / torch.bincount(y, minlength=p.shape[1]).unsqueeze(1)


@right(mean_soft_target)
def by_sum_normalised(p, y):
    total = torch.einsum("nc,nk->ck", F.one_hot(y).to(p), p)
    return F.normalize(total, p=1, dim=1)


@right(mean_soft_target)
def by_scatter_reduce(p, y):
    table = torch.zeros(p.shape[1], p.shape[1])
    return table.scatter_reduce(0, y[:, None].expand_as(p), p, "mean", include_self=False)


@right(mean_soft_target)
def by_dictionary(p, y):
    rows = {}
    for label, row in zip(y.tolist(), p.tolist(), strict=True):
        rows.setdefault(label, []).append(row)
    return [np.mean(rows[label], axis=0).tolist() for label in sorted(rows)]


@right(mean_soft_target)
def by_list_of_rows(p, y):
    return [p[y == label].mean(dim=0) for label in y.unique()]


@right(mean_soft_target)
def by_numpy(p, y):
    p, y = p.numpy(), y.numpy()
    return np.stack([p[y == c].mean(axis=0) for c in range(p.shape[1])])


@answer(mean_soft_target, "sum")
def summed(p, y):
    return torch.zeros(p.shape[1], p.shape[1]).index_add_(0, y, p)


@answer(mean_soft_target, "grouped-by-answer")
def of_the_named_class(p, y):
    named = p.argmax(dim=1)
    return torch.stack([p[named == c].mean(0) for c in range(p.shape[1])])


@answer(mean_soft_target, "transposed")
def in_columns(p, y):
    return torch.stack([p[y == c].mean(0) for c in range(p.shape[1])], dim=1)


@answer(mean_soft_target, "overall-mean")
def same_row_everywhere(p, y):
    return p.mean(0).repeat(p.shape[1], 1)


@answer(mean_soft_target, "columns-normalised")
def sums_by_column(p, y):
    total = torch.zeros(p.shape[1], p.shape[1]).index_add_(0, y, p)
    return total / total.sum(dim=0, keepdim=True)


@answer(mean_soft_target, "columns-normalised")
def means_by_column(p, y):
    means = torch.stack([p[y == c].mean(0) for c in range(p.shape[1])])
    return F.normalize(means, p=1, dim=0)


@answer(mean_soft_target, "counts-on-columns")
def counts_without_axis(p, y):
    member = F.one_hot(y, p.shape[1]).to(p)
    return member.T @ p / torch.bincount(y, minlength=p.shape[1])


@answer(mean_soft_target, "geometric-mean")
def exp_of_mean_log(p, y):
    return torch.stack([p[y == c].log().mean(0).exp() for c in range(p.shape[1])])


@answer(mean_soft_target, "geometric-mean")
def softmax_of_mean_log(p, y):
    return torch.stack([F.softmax(p[y == c].log().mean(0), 0) for c in range(p.shape[1])])


@answer(mean_soft_target, "divided-by-all")
def of_all_examples(p, y):
    masks = [(y == c).float()[:, None] for c in range(p.shape[1])]
    return torch.stack([(p * mask).mean(0) for mask in masks])


@answer(mean_soft_target, "softmax-first")
def mean_of_softmax(p, y):
    return torch.stack([F.softmax(p, -1)[y == c].mean(0) for c in range(p.shape[1])])


@answer(mean_soft_target, "softmax-first")
def softmax_of_mean(p, y):
    return torch.stack([p[y == c].mean(0).softmax(0) for c in range(p.shape[1])])


@answer(mean_soft_target, "answers-counted")
def confusion(p, y):
    table = torch.zeros(p.shape[1], p.shape[1])
    for label, named in zip(y, p.argmax(1), strict=True):
        table[label, named] += 1
    return table / table.sum(1, keepdim=True)


@answer(mean_soft_target, "sum + transposed")
def summed_in_columns(p, y):
    return p.T @ F.one_hot(y, p.shape[1]).to(p)


@answer(mean_soft_target, "shape")
def own_class_only(p, y):
    return torch.stack([p[y == c, c].mean() for c in range(p.shape[1])])


@answer(mean_soft_target, "shape")
def one_row_an_example(p, y):
    return p


@answer(mean_soft_target, "unknown")
def medians(p, y):
    return torch.stack([p[y == c].median(0).values for c in range(p.shape[1])])


@answer(mean_soft_target, "changes-input")
def sorts_in_place(p, y):
    order = y.argsort()
    p[:], y[:] = p[order], y[order]
    return torch.stack([p[y == c].mean(0) for c in range(p.shape[1])])


# ---------------------------------------------------------------- the tests


@pytest.mark.parametrize(
    ("exercise", "name", "f"), ANSWERS, ids=[f"{e.name}-{f.__name__}" for e, _, f in ANSWERS]
)
def test_answer_gets_its_name(exercise, name, f):
    finding = core.examine(exercise, f)
    assert (finding.mistake or finding.state) == name, finding.message
    assert (finding.state == "right") == (name == "right")


def test_every_mistake_of_the_bank_has_a_wrong_answer_here():
    tried = {(exercise.name, name) for exercise, name, _ in ANSWERS}
    bank = {(exercise.name, m.name) for exercise in EXERCISES for m in exercise.mistakes}
    assert bank <= tried


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)
class TestBank:
    def outcomes(self, exercise, changes):
        return list(core._outcomes(exercise, changes))

    def test_reference_is_right(self, exercise):
        assert core.examine(exercise, lambda *a: exercise.reference(*a)).state == "right"
        assert core.examine(exercise, lambda *a: exercise.in_steps(*a)).state == "right"

    def test_reference_never_gives_nan(self, exercise):
        for case in exercise.cases:
            assert exercise.reference(*case.inputs).isfinite().all()

    def test_each_mistake_differs_from_the_reference_and_from_every_other(self, exercise):
        found = [("reference", self.outcomes(exercise, {}))]
        for mistake in exercise.mistakes:
            found += [(mistake.name, self.outcomes(exercise, c)) for c in mistake.changes]
        for (one, first), (other, second) in itertools.combinations(found, 2):
            assert one == other or not core._all_same(first, second), (one, other)

    def test_no_two_mistakes_together_are_right(self, exercise):
        expected = self.outcomes(exercise, {})
        for mistakes, changes in core._suspects(exercise.mistakes):
            together = self.outcomes(exercise, changes)
            assert not core._all_same(together, expected), [m.name for m in mistakes]

    def test_each_mistake_is_recognised_in_all_its_variants(self, exercise):
        for mistake in exercise.mistakes:
            for changes in mistake.changes:
                f = functools.partial(exercise.in_steps, **changes)
                assert core.examine(exercise, f).mistake == mistake.name

    def test_names_are_unique_and_fit_a_csv_cell(self, exercise):
        names = [mistake.name for mistake in exercise.mistakes]
        assert len(set(names)) == len(names)
        assert not any(set(name) & set(',"\n+') for name in names)

    def test_hints_point_to_sections_of_the_lesson(self, exercise):
        assert {mistake.section for mistake in exercise.mistakes} <= SECTIONS

    def test_sentences_are_sentences(self, exercise):
        for mistake in exercise.mistakes:
            assert mistake.sentence.endswith(".")
            assert 60 <= len(mistake.sentence) <= 330, mistake.name

    def test_cases_are_small_float32_and_nasty(self, exercise):
        firsts = [case.inputs[0] for case in exercise.cases]
        assert all(first.dtype == torch.float32 and first.numel() <= 70 for first in firsts)
        assert any(len(first) != first.shape[1] for first in firsts)
        assert len({tuple(first.shape) for first in firsts}) >= 4
        assert any((tensor == 0).any() for case in exercise.cases for tensor in case.inputs)
        sizes = [first.numel() for first in firsts]
        assert sizes[0] == min(sizes)


def test_the_teacher_of_the_map_is_wrong_now_and_then_but_names_every_class():
    for case in mean_soft_target.cases:
        probabilities, labels = case.inputs
        assert set(labels.tolist()) == set(range(probabilities.shape[1]))
    drawn = [case.inputs for case in mean_soft_target.cases if case.name.startswith("many")]
    for probabilities, labels in drawn:
        assert set(probabilities.argmax(1).tolist()) == set(labels.tolist())
        assert (probabilities.argmax(1) != labels).any()
