"""Answers to `encode`, as learners write them."""

import numpy as np
import torch

from tests.check.answers import Answers

ANSWERS = Answers()
right, wrong = ANSWERS.right, ANSWERS.wrong


@right
def row_by_row(texts, numbers, length):
    rows = torch.zeros(len(texts), length, dtype=torch.long)
    for row, text in enumerate(texts):
        for place, word in enumerate(text.lower().split()):
            if place < length:
                rows[row, place] = numbers.get(word, 1)
    return rows


@right
def as_lists(texts, numbers, length):
    rows = []
    for text in texts:
        row = [numbers.get(word.lower(), 1) for word in text.split()]
        rows.append((row + length * [0])[:length])
    return torch.tensor(rows)


@right
def lists_alone(texts, numbers, length):
    """A list of lists will do: the check makes a tensor of it."""
    return as_lists(texts, numbers, length).tolist()


@right
def with_pad_sequence(texts, numbers, length):
    rows = [torch.tensor([numbers.get(w, 1) for w in t.lower().split()][:length]) for t in texts]
    rows.append(torch.zeros(length))
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)[:-1].long()


@right
def by_numpy(texts, numbers, length):
    rows = np.zeros((len(texts), length), dtype=int)
    for row, text in zip(rows, texts, strict=True):
        words = text.lower().split()[:length]
        row[: len(words)] = [numbers.get(word, 1) for word in words]
    return rows


@right
def with_a_word_for_nothing(texts, numbers, length):
    numbers = {**numbers, "<nothing>": 0}
    rows = [(text.lower().split() + length * ["<nothing>"])[:length] for text in texts]
    return torch.tensor([[numbers.get(word, 1) for word in row] for row in rows])


@wrong("capital-letters")
def case_kept(texts, numbers, length):
    rows = [[numbers.get(word, 1) for word in text.split()] for text in texts]
    return torch.tensor([(row + length * [0])[:length] for row in rows])


@wrong("letters-for-words")
def through_the_letters(texts, numbers, length):
    rows = [[numbers.get(word, 1) for word in text.lower()] for text in texts]
    return torch.tensor([(row + length * [0])[:length] for row in rows])


@wrong("unknown-as-padding")
def get_zero(texts, numbers, length):
    rows = [[numbers.get(word, 0) for word in text.lower().split()] for text in texts]
    return torch.tensor([(row + length * [0])[:length] for row in rows])


@wrong("unknown-left-out")
def only_known(texts, numbers, length):
    rows = [[numbers[w] for w in text.lower().split() if w in numbers] for text in texts]
    return torch.tensor([(row + length * [0])[:length] for row in rows])


@wrong("numbers-shifted")
def two_added(texts, numbers, length):
    rows = [[numbers.get(w, -1) + 2 for w in text.lower().split()] for text in texts]
    return torch.tensor([(row + length * [0])[:length] for row in rows])


@wrong("cut-at-the-start")
def last_words(texts, numbers, length):
    rows = [[numbers.get(w, 1) for w in text.lower().split()][-length:] for text in texts]
    return torch.tensor([row + (length - len(row)) * [0] for row in rows])


@wrong("padded-in-front")
def right_aligned(texts, numbers, length):
    rows = [[numbers.get(w, 1) for w in text.lower().split()][:length] for text in texts]
    return torch.tensor([(length - len(row)) * [0] + row for row in rows])


@wrong("padded-with-unknown")
def filled_with_ones(texts, numbers, length):
    rows = torch.ones(len(texts), length).long()
    for row, text in zip(rows, texts, strict=True):
        for place, word in enumerate(text.lower().split()[:length]):
            row[place] = numbers.get(word, 1)
    return rows


@wrong("padded-by-repeating")
def again_and_again(texts, numbers, length):
    rows = [[numbers.get(w, 1) for w in text.lower().split()] or [0] for text in texts]
    return torch.tensor([[row[place % len(row)] for place in range(length)] for row in rows])


@wrong("as-long-as-the-longest")
def to_the_longest(texts, numbers, length):
    rows = [[numbers.get(w, 1) for w in text.lower().split()][:length] for text in texts]
    longest = max(len(row) for row in rows)
    return torch.tensor([row + (longest - len(row)) * [0] for row in rows])


@wrong("each-word-once")
def without_twins(texts, numbers, length):
    rows = []
    for text in texts:
        seen = []
        for word in text.lower().split():
            if word not in seen:
                seen.append(word)
        rows.append(([numbers.get(word, 1) for word in seen] + length * [0])[:length])
    return torch.tensor(rows)


@wrong("raises KeyError")
def no_unknown(texts, numbers, length):
    return torch.tensor([[numbers[word] for word in text.lower().split()] for text in texts])


@wrong("capital-letters + unknown-as-padding")
def two_slips(texts, numbers, length):
    rows = [[numbers.get(word, 0) for word in text.split()] for text in texts]
    return torch.tensor([(row + length * [0])[:length] for row in rows])
