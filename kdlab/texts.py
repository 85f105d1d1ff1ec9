"""Texts as numbers: words, a vocabulary, and rows of word numbers of one length."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from kdlab.errors import Refusal, whole

PAD, UNKNOWN = 0, 1  # numbers that are no word: nothing here, and a word that is not known
LENGTH = 24  # words that are kept of a text


def words(text: str) -> list[str]:
    """The words and signs of a text, in small letters: "A dog, barking" -> a dog , barking."""
    return re.findall(r"\w+|[^\w\s]", text.lower())


class Vocabulary:
    """Words and their numbers: 0 for padding, 1 for an unknown word, then the most frequent first.

    A student that knows only the first few thousand takes any larger number for an unknown word.
    """

    def __init__(self, known: Sequence[str]):
        self.known = ("", "?", *known)
        self.numbers = {word: number for number, word in enumerate(self.known)}

    @classmethod
    def of(cls, texts: Iterable[str], others: Iterable[str] = ()) -> "Vocabulary":
        """The words of some texts by frequency, then those that stand only in `others`."""
        counted = Counter(word for text in texts for word in words(text))
        first = sorted(counted, key=lambda word: (-counted[word], word))
        rest = {word for text in others for word in words(text)} - counted.keys()
        return cls([*first, *sorted(rest)])

    def __len__(self) -> int:
        return len(self.known)

    def encode(self, texts: Sequence[str], length: int = LENGTH) -> Tensor:
        """Texts as word numbers, (n, length): cut off after `length` words, filled up with 0."""
        if isinstance(texts, str):
            raise Refusal("encode: expected a list of texts, got one: write [text].")
        length, rows = whole("length", length, 1), []
        for text in texts:
            numbers = [self.numbers.get(word, UNKNOWN) for word in words(text)[:length]]
            rows.append(numbers + [PAD] * (length - len(numbers)))
        return torch.tensor(rows, dtype=torch.long).reshape(-1, length)

    def decode(self, rows: Tensor) -> list[str]:
        """Word numbers (n, length) as texts again, words apart by spaces."""
        return [" ".join(self.known[number] for number in row if number) for row in rows.tolist()]
