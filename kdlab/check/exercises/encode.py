"""Lesson 6: texts as rows of numbers, and what goes wrong there."""

from collections.abc import Callable

import torch
from torch import Tensor

from kdlab.check.core import Case, Exercise, Mistake
from kdlab.texts import PAD, UNKNOWN

LESSON = "06"
SECTION = "Words as numbers"

WORDS = {"a": 2, "of": 3, "dog": 4, "large": 5, "barking": 6, "small": 7, "house": 8}

# A case holds numbers only, so its texts are found by its length.
TEXTS = {
    3: ["a dog"],
    2: ["A large Dog barking"],
    4: ["a purple dog", "of a small large house"],
    5: ["", "large", "House of a House of a Dog"],
    6: ["small small dog", "a quick brown dog of a Large house", "Barking"],
}


def our_encode(texts: list[str], numbers: dict[str, int], length: int) -> Tensor:
    """Texts as rows of word numbers, (n, length): cut off at the end, filled up with 0.

    Words are in small letters and apart by spaces. A word that is not in `numbers` is 1.
    """
    rows = torch.full((len(texts), length), PAD)
    for row, text in zip(rows, texts, strict=True):
        known = [numbers.get(word, UNKNOWN) for word in text.lower().split()[:length]]
        row[: len(known)] = torch.tensor(known, dtype=torch.long)
    return rows


def _encode_in_steps(
    texts: list[str],
    numbers: dict[str, int],
    length: int,
    small=str.lower,
    split=str.split,
    number=lambda word, numbers: numbers.get(word, UNKNOWN),
    cut=lambda row, length: row[:length],
    fill=lambda row, length: row + [PAD] * (length - len(row)),
    width=lambda rows, length: length,
) -> Tensor:
    rows = [[number(word, numbers) for word in split(small(text))] for text in texts]
    rows = [cut([known for known in row if known is not None], length) for row in rows]
    return torch.tensor([fill(row, width(rows, length)) for row in rows], dtype=torch.long)


def _texts_of_this_length(encode: Callable) -> Callable:
    return lambda length: encode(list(TEXTS[length]), dict(WORDS), length)


encode = Exercise(
    lesson=LESSON,
    name="encode",
    takes=("texts", "numbers", "length"),
    task="texts as word numbers: small letters, apart by spaces; an unknown word is 1; cut off "
    "after `length` words, filled up with 0 -> (texts, length)",
    reference=our_encode,
    in_steps=_encode_in_steps,
    play=_texts_of_this_length,
    cases=tuple(
        Case(f"{texts}, with numbers {WORDS}", (length,)) for length, texts in TEXTS.items()
    ),
    mistakes=(
        Mistake(
            "capital-letters",
            "Words with a capital letter are not found, and become unknown. The vocabulary is in "
            "small letters: text.lower() first.",
            SECTION,
            {"small": str},
        ),
        Mistake(
            "letters-for-words",
            "You go through the letters of a text. A string is a row of letters; text.split() "
            "makes words of it.",
            SECTION,
            {"split": list},
        ),
        Mistake(
            "unknown-as-padding",
            "An unknown word becomes 0, and 0 is padding: nobody could tell any longer that there "
            "was a word. It is 1: numbers.get(word, 1).",
            SECTION,
            {"number": lambda word, numbers: numbers.get(word, PAD)},
        ),
        Mistake(
            "unknown-left-out",
            "Unknown words are left out, so that words which were apart become neighbours. Keep "
            "their place, with the number 1.",
            SECTION,
            {"number": lambda word, numbers: numbers.get(word)},
        ),
        Mistake(
            "numbers-shifted",
            "Your words have other numbers than the vocabulary gives them. The numbers 0 and 1 are "
            "kept free in it already: add nothing.",
            SECTION,
            {"number": lambda word, numbers: numbers.get(word, UNKNOWN - 2) + 2},
            {"number": lambda word, numbers: numbers.get(word, UNKNOWN - 1) + 1},
            {"number": lambda word, numbers: numbers.get(word, UNKNOWN + 1) - 1},
        ),
        Mistake(
            "cut-at-the-start",
            "Of a text that is too long you keep the last words. Keep the first ones, [:length]: "
            "a definition begins with what matters most.",
            SECTION,
            {"cut": lambda row, length: row[-length:]},
        ),
        Mistake(
            "padded-in-front",
            "The padding stands in front of the words. It goes behind them, so that the first word "
            "of each text is in the first column.",
            SECTION,
            {"fill": lambda row, length: [PAD] * (length - len(row)) + row},
        ),
        Mistake(
            "padded-with-unknown",
            "Rows are filled up with 1, which says that there are words, but unknown ones. Padding "
            "is 0: there is nothing here.",
            SECTION,
            {"fill": lambda row, length: row + [UNKNOWN] * (length - len(row))},
        ),
        Mistake(
            "padded-by-repeating",
            "Rows are filled up with the text's own words again. Padding is 0: there is nothing "
            "here.",
            SECTION,
            {"fill": lambda row, length: ((row or [PAD]) * length)[:length]},
            {"fill": lambda row, length: row + (row[-1:] or [PAD]) * (length - len(row))},
        ),
        Mistake(
            "as-long-as-the-longest",
            "Your rows are as long as the longest text of the batch. That works, and saves time; "
            "but here every row shall have `length` numbers, so that batches fit each other.",
            SECTION,
            {"width": lambda rows, length: max(map(len, rows))},
        ),
        Mistake(
            "each-word-once",
            "A word that comes twice is counted once. Keep each word in its place, as often as it "
            "comes.",
            SECTION,
            {"split": lambda text: list(dict.fromkeys(text.split()))},
        ),
    ),
)
