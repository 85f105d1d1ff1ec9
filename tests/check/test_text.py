"""Mutation testing of lesson 6's checks: each wrong answer gets its name, each right one passes.

The answers are written as learners write them, in many styles, and share no code with the bank.
"""

import pytest
import torch
import torch.nn.functional as F

import kdlab
from kdlab.check import core
from kdlab.check.text import (
    EXERCISES,
    TEXTS,
    WORDS,
    encode,
    masked_mean,
    recorded_kd,
    text_cnn,
)
from tests.check.answers import Answers

ANSWERS = Answers()
answer, right = ANSWERS.answer, ANSWERS.right


# ---------------------------------------------------------------- encode


@right(encode)
def row_by_row(texts, numbers, length):
    rows = torch.zeros(len(texts), length, dtype=torch.long)
    for row, text in enumerate(texts):
        for place, word in enumerate(text.lower().split()):
            if place < length:
                rows[row, place] = numbers.get(word, 1)
    return rows


@right(encode)
def as_lists(texts, numbers, length):
    rows = []
    for text in texts:
        row = [numbers.get(word.lower(), 1) for word in text.split()]
        rows.append((row + length * [0])[:length])
    return torch.tensor(rows)


@right(encode)
def lists_alone(texts, numbers, length):
    """A list of lists will do: the check makes a tensor of it."""
    return as_lists(texts, numbers, length).tolist()


@right(encode)
def with_pad_sequence(texts, numbers, length):
    rows = [torch.tensor([numbers.get(w, 1) for w in t.lower().split()][:length]) for t in texts]
    rows.append(torch.zeros(length))
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)[:-1].long()


@answer(encode, "capital-letters")
def case_kept(texts, numbers, length):
    rows = [[numbers.get(word, 1) for word in text.split()] for text in texts]
    return torch.tensor([(row + length * [0])[:length] for row in rows])


@answer(encode, "letters-for-words")
def through_the_letters(texts, numbers, length):
    rows = [[numbers.get(word, 1) for word in text.lower()] for text in texts]
    return torch.tensor([(row + length * [0])[:length] for row in rows])


@answer(encode, "unknown-as-padding")
def get_zero(texts, numbers, length):
    rows = [[numbers.get(word, 0) for word in text.lower().split()] for text in texts]
    return torch.tensor([(row + length * [0])[:length] for row in rows])


@answer(encode, "unknown-left-out")
def only_known(texts, numbers, length):
    rows = [[numbers[w] for w in text.lower().split() if w in numbers] for text in texts]
    return torch.tensor([(row + length * [0])[:length] for row in rows])


@answer(encode, "numbers-shifted")
def two_added(texts, numbers, length):
    rows = [[numbers.get(w, -1) + 2 for w in text.lower().split()] for text in texts]
    return torch.tensor([(row + length * [0])[:length] for row in rows])


@answer(encode, "cut-at-the-start")
def last_words(texts, numbers, length):
    rows = [[numbers.get(w, 1) for w in text.lower().split()][-length:] for text in texts]
    return torch.tensor([row + (length - len(row)) * [0] for row in rows])


@answer(encode, "padded-in-front")
def right_aligned(texts, numbers, length):
    rows = [[numbers.get(w, 1) for w in text.lower().split()][:length] for text in texts]
    return torch.tensor([(length - len(row)) * [0] + row for row in rows])


@answer(encode, "padded-with-unknown")
def filled_with_ones(texts, numbers, length):
    rows = torch.ones(len(texts), length).long()
    for row, text in zip(rows, texts, strict=True):
        for place, word in enumerate(text.lower().split()[:length]):
            row[place] = numbers.get(word, 1)
    return rows


@answer(encode, "padded-by-repeating")
def again_and_again(texts, numbers, length):
    rows = [[numbers.get(w, 1) for w in text.lower().split()] or [0] for text in texts]
    return torch.tensor([[row[place % len(row)] for place in range(length)] for row in rows])


@answer(encode, "as-long-as-the-longest")
def to_the_longest(texts, numbers, length):
    rows = [[numbers.get(w, 1) for w in text.lower().split()][:length] for text in texts]
    longest = max(len(row) for row in rows)
    return torch.tensor([row + (longest - len(row)) * [0] for row in rows])


@answer(encode, "each-word-once")
def without_twins(texts, numbers, length):
    rows = []
    for text in texts:
        seen = []
        for word in text.lower().split():
            if word not in seen:
                seen.append(word)
        rows.append(([numbers.get(word, 1) for word in seen] + length * [0])[:length])
    return torch.tensor(rows)


@answer(encode, "raises KeyError")
def no_unknown(texts, numbers, length):
    return torch.tensor([[numbers[word] for word in text.lower().split()] for text in texts])


@answer(encode, "capital-letters + unknown-as-padding")
def two_slips(texts, numbers, length):
    rows = [[numbers.get(word, 0) for word in text.split()] for text in texts]
    return torch.tensor([(row + length * [0])[:length] for row in rows])


# ---------------------------------------------------------------- masked mean


@right(masked_mean)
def with_masked_fill(vectors, numbers):
    empty = (numbers == 0)[:, :, None]
    total = vectors.masked_fill(empty, 0).sum(dim=1)
    return total / (numbers != 0).sum(dim=1, keepdim=True).clamp_min(1)


@right(masked_mean)
def with_einsum(vectors, numbers):
    mask = (numbers > 0).float()
    weights = mask / torch.maximum(mask.sum(1, keepdim=True), torch.ones(1))
    return torch.einsum("bwd,bw->bd", vectors, weights)


@right(masked_mean)
def text_by_text(vectors, numbers):
    means = []
    for rows, own in zip(vectors, numbers, strict=True):
        real = rows[own != 0]
        means.append(real.mean(0) if len(real) else torch.zeros(rows.shape[1]))
    return torch.stack(means)


@answer(masked_mean, "padding-counted")
def plain_mean(vectors, numbers):
    return vectors.mean(1)


@answer(masked_mean, "divided-by-length")
def mean_of_masked(vectors, numbers):
    return (vectors * (numbers != 0)[..., None]).mean(1)


@answer(masked_mean, "padding-added")
def sum_of_all(vectors, numbers):
    return vectors.sum(1) / (numbers != 0).sum(1, keepdim=True).clamp(min=1)


@answer(masked_mean, "nan-without-words")
def unguarded(vectors, numbers):
    mask = (numbers != 0).unsqueeze(-1).float()
    return (vectors * mask).sum(1) / mask.sum(1)


@answer(masked_mean, "unknown-left-out")
def above_one(vectors, numbers):
    mask = (numbers > 1).unsqueeze(-1).float()
    return (vectors * mask).sum(1) / mask.sum(1).clamp(min=1)


@answer(masked_mean, "mask-inverted")
def the_other_way(vectors, numbers):
    mask = (numbers == 0).unsqueeze(-1).float()
    return (vectors * mask).sum(1) / mask.sum(1).clamp(min=1)


@answer(masked_mean, "not-divided")
def summed(vectors, numbers):
    return (vectors * numbers.bool().unsqueeze(2)).sum(1)


@answer(masked_mean, "over-batch")
def along_the_batch(vectors, numbers):
    mask = (numbers != 0).unsqueeze(-1)
    return (vectors * mask).sum(0) / mask.sum(0).clamp(min=1)


@answer(masked_mean, "one-count-for-all")
def all_words(vectors, numbers):
    mask = (numbers != 0).unsqueeze(-1)
    return (vectors * mask).sum(1) / mask.sum()


@answer(masked_mean, "weighted-by-number")
def numbers_as_mask(vectors, numbers):
    return (vectors * numbers[:, :, None]).sum(1) / numbers.sum(1, keepdim=True).clamp(min=1)


@answer(masked_mean, "largest-not-mean")
def largest(vectors, numbers):
    return (vectors * (numbers != 0)[:, :, None]).max(1).values


@answer(masked_mean, "raises RuntimeError")
def mask_without_axis(vectors, numbers):
    return (vectors * (numbers != 0)).sum(1)


@answer(masked_mean, "changes-input")
def in_place(vectors, numbers):
    vectors *= (numbers != 0)[:, :, None]
    return vectors.sum(1) / (numbers != 0).sum(1, keepdim=True).clamp(min=1)


# ---------------------------------------------------------------- TextCNN


@right(text_cnn)
def in_a_loop(filters, head, vectors):
    pooled = []
    for conv in filters:
        maps = F.relu(conv(vectors.permute(0, 2, 1)))
        pooled.append(F.max_pool1d(maps, maps.shape[-1]).squeeze(-1))
    return head(torch.hstack(pooled))


@right(text_cnn)
def relu_after_the_maximum(filters, head, vectors):
    """The largest value is the same before and after a ReLU."""
    rows = vectors.mT
    return head(torch.relu(torch.cat([conv(rows).max(dim=2)[0] for conv in filters], dim=-1)))


@right(text_cnn)
def by_adaptive_pool(filters, head, vectors):
    rows = torch.swapaxes(vectors, 1, 2)
    parts = [F.adaptive_max_pool1d(F.relu(conv(rows)), 1).flatten(1) for conv in filters]
    return F.linear(torch.cat(parts, 1), head.weight, head.bias)


@answer(text_cnn, "not-transposed")
def straight_in(filters, head, vectors):
    return head(torch.cat([conv(vectors).relu().amax(2) for conv in filters], 1))


@answer(text_cnn, "not-transposed")
def reshaped(filters, head, vectors):
    rows = vectors.reshape(len(vectors), vectors.shape[2], vectors.shape[1])
    return head(torch.cat([conv(rows).relu().amax(2) for conv in filters], 1))


@answer(text_cnn, "relu-missing")
def no_relu(filters, head, vectors):
    rows = vectors.transpose(1, 2)
    return head(torch.cat([conv(rows).amax(2) for conv in filters], 1))


@answer(text_cnn, "relu-on-the-logits")
def relu_last(filters, head, vectors):
    rows = vectors.transpose(1, 2)
    return head(torch.cat([conv(rows).amax(2) for conv in filters], 1)).relu()


@answer(text_cnn, "mean-not-max")
def averaged(filters, head, vectors):
    rows = vectors.transpose(1, 2)
    return head(torch.cat([conv(rows).relu().mean(-1) for conv in filters], 1))


@answer(text_cnn, "sum-not-max")
def added(filters, head, vectors):
    rows = vectors.transpose(1, 2)
    return head(torch.cat([conv(rows).relu().sum(-1) for conv in filters], 1))


@answer(text_cnn, "max-over-filters")
def wrong_axis(filters, head, vectors):
    rows = vectors.transpose(1, 2)
    return head(torch.cat([conv(rows).relu().max(1).values for conv in filters], 1))


@answer(text_cnn, "places-not-values")
def second_of_max(filters, head, vectors):
    rows = vectors.transpose(1, 2)
    return head(torch.cat([conv(rows).relu().max(2)[1].float() for conv in filters], 1))


@answer(text_cnn, "one-place")
def last_place(filters, head, vectors):
    rows = vectors.transpose(1, 2)
    return head(torch.cat([conv(rows).relu()[..., -1] for conv in filters], 1))


@answer(text_cnn, "one-width")
def first_layer_alone(filters, head, vectors):
    rows = vectors.transpose(1, 2)
    return head(torch.cat([filters[0](rows).relu().amax(2) for _ in filters], 1))


@answer(text_cnn, "mixed-up")
def stacked(filters, head, vectors):
    rows = vectors.transpose(1, 2)
    pooled = torch.stack([conv(rows).relu().amax(2) for conv in filters], dim=-1)
    return head(pooled.reshape(len(vectors), -1))


@answer(text_cnn, "head-missing")
def features_alone(filters, head, vectors):
    rows = vectors.transpose(1, 2)
    return torch.cat([conv(rows).relu().amax(2) for conv in filters], 1)


@answer(text_cnn, "softmax-at-the-end")
def probabilities(filters, head, vectors):
    rows = vectors.transpose(1, 2)
    return head(torch.cat([conv(rows).relu().amax(2) for conv in filters], 1)).softmax(-1)


@answer(text_cnn, "raises RuntimeError")
def joined_along_the_batch(filters, head, vectors):
    rows = vectors.transpose(1, 2)
    return head(torch.cat([conv(rows).relu().amax(2) for conv in filters]))


@answer(text_cnn, "relu-missing + softmax-at-the-end")
def two_at_once(filters, head, vectors):
    rows = vectors.transpose(1, 2)
    return torch.log_softmax(head(torch.cat([conv(rows).amax(2) for conv in filters], 1)), 1)


# ---------------------------------------------------------------- distil from a record


@right(recorded_kd)
def with_a_dict(student_logits, indices, recorded, answers, temperature):
    place = {number: row for row, number in enumerate(recorded.tolist())}
    said = answers[[place[number] for number in indices.tolist()]]
    return temperature**2 * F.kl_div(
        F.log_softmax(student_logits / temperature, dim=1),
        F.softmax(said / temperature, dim=1),
        reduction="batchmean",
    )


@right(recorded_kd)
def with_searchsorted(student_logits, indices, recorded, answers, temperature):
    order = recorded.argsort()
    said = answers[order[torch.searchsorted(recorded[order], indices)]]
    return kdlab.losses.soft_target_kl(student_logits, said, temperature)


@right(recorded_kd)
def with_nonzero(student_logits, indices, recorded, answers, temperature):
    said = torch.stack([answers[(recorded == number).nonzero().item()] for number in indices])
    p, q = (z / temperature for z in (said, student_logits))
    gaps = p.softmax(1) * (p.log_softmax(1) - q.log_softmax(1))
    return gaps.sum(1).mean() * temperature * temperature


def _kl(student_logits, said, temperature, factor=None):
    factor = temperature**2 if factor is None else factor
    p, q = F.softmax(said / temperature, 1), F.log_softmax(student_logits / temperature, 1)
    return factor * F.kl_div(q, p, reduction="batchmean")


def _found(indices, recorded, answers):
    return answers[[recorded.tolist().index(number) for number in indices.tolist()]]


@answer(recorded_kd, "by-position")
def first_rows(student_logits, indices, recorded, answers, temperature):
    return _kl(student_logits, answers[: len(student_logits)], temperature)


@answer(recorded_kd, "number-as-row")
def number_as_row(student_logits, indices, recorded, answers, temperature):
    return _kl(student_logits, answers[indices], temperature)


@answer(recorded_kd, "looked-up-backwards")
def backwards(student_logits, indices, recorded, answers, temperature):
    return _kl(student_logits, answers[recorded[indices]], temperature)


@answer(recorded_kd, "hard-labels")
def of_labels(student_logits, indices, recorded, answers, temperature):
    labels = _found(indices, recorded, answers).argmax(1)
    return temperature**2 * F.cross_entropy(student_logits / temperature, labels)


@answer(recorded_kd, "square-missing")
def no_square(student_logits, indices, recorded, answers, temperature):
    return _kl(student_logits, _found(indices, recorded, answers), temperature, 1)


@answer(recorded_kd, "factor-not-squared")
def once(student_logits, indices, recorded, answers, temperature):
    return _kl(student_logits, _found(indices, recorded, answers), temperature, temperature)


@answer(recorded_kd, "square-twice")
def again(student_logits, indices, recorded, answers, temperature):
    said = _found(indices, recorded, answers)
    return temperature**2 * kdlab.losses.soft_target_kl(student_logits, said, temperature)


@answer(recorded_kd, "temperature-ignored")
def at_1(student_logits, indices, recorded, answers, temperature):
    return _kl(student_logits, _found(indices, recorded, answers), 1)


@answer(recorded_kd, "softmax-twice")
def of_probabilities(student_logits, indices, recorded, answers, temperature):
    said = _found(indices, recorded, answers)
    p = (said / temperature).softmax(1).softmax(1)
    q = (student_logits / temperature).log_softmax(1)
    return temperature**2 * (p * (p.log() - q)).sum(1).mean()


@answer(recorded_kd, "softmax-twice")
def student_softmaxed(student_logits, indices, recorded, answers, temperature):
    said = _found(indices, recorded, answers)
    q = F.log_softmax(F.softmax(student_logits / temperature, 1), 1)
    return temperature**2 * F.kl_div(q, F.softmax(said / temperature, 1), reduction="batchmean")


@answer(recorded_kd, "swapped")
def the_other_kl(student_logits, indices, recorded, answers, temperature):
    return _kl(_found(indices, recorded, answers), student_logits, temperature)


@answer(recorded_kd, "mean-over-entries")
def all_entries(student_logits, indices, recorded, answers, temperature):
    said = _found(indices, recorded, answers)
    p, q = F.softmax(said / temperature, 1), F.log_softmax(student_logits / temperature, 1)
    return temperature**2 * (p * (p.log() - q)).mean()


@answer(recorded_kd, "sum-over-batch")
def all_examples(student_logits, indices, recorded, answers, temperature):
    said = _found(indices, recorded, answers)
    p, q = F.softmax(said / temperature, 1), F.log_softmax(student_logits / temperature, 1)
    return temperature**2 * F.kl_div(q, p, reduction="sum")


@answer(recorded_kd, "cross-entropy")
def soft_cross_entropy(student_logits, indices, recorded, answers, temperature):
    said = _found(indices, recorded, answers)
    p = F.softmax(said / temperature, 1)
    return temperature**2 * F.cross_entropy(student_logits / temperature, p)


@answer(recorded_kd, "by-position + square-missing")
def two_of_them(student_logits, indices, recorded, answers, temperature):
    return _kl(student_logits, answers[: len(indices)], temperature, 1)


# ---------------------------------------------------------------- what they show


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
@pytest.mark.parametrize("stub", [lambda *a: None, lambda *a: ...])
def test_a_stub_is_open(exercise, stub):
    assert core.examine(exercise, stub).state == "not yet"


def test_a_wrong_row_is_shown_with_its_text():
    def one_off(texts, numbers, length):
        return as_lists(texts, numbers, length).clamp(max=6)

    message = core.examine(encode, one_off).message
    assert "small large house" in message.replace("\n", " ") and "expected" in message


def test_our_rows_are_those_of_a_vocabulary():
    """Where a vocabulary gives words the same numbers, its rows are the exercise's."""
    vocabulary = kdlab.texts.Vocabulary(sorted(WORDS, key=WORDS.get))
    for length, texts in TEXTS.items():
        assert torch.equal(encode.reference(texts, WORDS, length), vocabulary.encode(texts, length))


def test_our_mean_is_the_bag_and_our_filters_are_the_textcnn():
    numbers = torch.tensor([[5, 3, 9, 0, 0], [2, 0, 0, 0, 0], [0, 0, 0, 0, 0]])
    bag = kdlab.models.build("text-bag", (5,), 3).eval()
    assert torch.allclose(
        bag.head(masked_mean.reference(bag.vectors(numbers), numbers)), bag(numbers), atol=1e-6
    )
    cnn = kdlab.models.build("textcnn", (5,), 3).eval()
    ours = text_cnn.reference(cnn.filters, cnn.head, cnn.vectors(numbers))
    assert torch.allclose(ours, cnn(numbers), atol=1e-6)


def test_our_loss_is_that_of_a_record():
    split = kdlab.load_data("digits", train=50).train
    record = kdlab.record(kdlab.models.build("mlp-8", (1, 8, 8), 10), split, progress=False)
    rows = torch.tensor([3, 17, 30])
    batch, logits = split[rows], torch.randn(3, 10, generator=torch.Generator().manual_seed(0))
    shuffled = torch.randperm(50, generator=torch.Generator().manual_seed(1))
    ours = recorded_kd.reference(
        logits, batch.indices, record.indices[shuffled], record.logits[shuffled], 3.0
    )
    theirs = kdlab.losses.soft_target_kl(logits, record.look_up(batch), 3.0)
    assert torch.allclose(ours, theirs)
