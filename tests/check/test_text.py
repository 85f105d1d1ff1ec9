"""Lesson 6: what its checks say, and that its own solutions are those of the package."""

import torch

import kdlab
from kdlab.check import core, encode, masked_mean, recorded_kd, text_cnn
from kdlab.check.exercises.encode import TEXTS, WORDS
from tests.check.learners.encode import as_lists


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
