"""Lesson 6: the mean of the real words, and what goes wrong there."""

import torch
from torch import Tensor

from kdlab.check.cases import drawn, integers
from kdlab.check.core import Case, Exercise, Mistake
from kdlab.check.steps import same
from kdlab.texts import PAD, UNKNOWN

LESSON = "06"
SECTION = "Words as numbers"


def our_masked_mean(vectors: Tensor, numbers: Tensor) -> Tensor:
    """The mean of each text's word vectors, padding left out; zeros for a text without words.

    vectors: (batch, words, width).  numbers: (batch, words), 0 for padding.
    """
    there = (numbers != PAD).unsqueeze(2).to(vectors)
    return (vectors * there).sum(1) / there.sum(1).clamp(min=1)


def _masked_mean_in_steps(
    vectors: Tensor,
    numbers: Tensor,
    mask=lambda numbers: numbers != PAD,
    hide=lambda vectors, there: vectors * there,
    collect=lambda hidden: hidden.sum(1),
    count=lambda there: there.sum(1),
    guard=lambda count: count.clamp(min=1),
    divide=lambda total, count: total / count,
) -> Tensor:
    there = mask(numbers).unsqueeze(2).to(vectors)
    return divide(collect(hide(vectors, there)), guard(count(there)))


masked_mean = Exercise(
    lesson=LESSON,
    name="masked_mean",
    takes=("vectors", "numbers"),
    task="the mean of the vectors (batch, words, width) of each text's words; where its number "
    "(batch, words) is 0 there is no word -> (batch, width)",
    reference=our_masked_mean,
    in_steps=_masked_mean_in_steps,
    trains=True,
    # padding has vectors of its own here, and the batch is as large as the texts are long: what
    # goes wrong shows in the values, and does not stop with an error
    cases=(
        Case(
            "two texts of two words, the second one padded",
            (
                torch.tensor([[[1.0, 2.0], [3.0, 0.0]], [[2.0, 2.0], [9.0, 9.0]]]),
                integers([4, 2], [5, 0]),
            ),
        ),
        Case(
            "an unknown word, whose number is 1",
            (drawn(31, 3, 3, 2), integers([4, 1, 0], [1, 0, 0], [2, 3, 5])),
        ),
        Case(
            "a text without any word",
            (drawn(32, 3, 3, 4), integers([7, 2, 0], [0, 0, 0], [3, 0, 0])),
        ),
        Case(
            "longer texts",
            (
                drawn(33, 4, 4, 3),
                integers([2, 3, 4, 0], [5, 6, 2, 1], [8, 0, 0, 0], [6, 4, 0, 0]),
            ),
        ),
    ),
    mistakes=(
        Mistake(
            "padding-counted",
            "The padding is in the mean: its vectors are added, and it is counted. A short text "
            "would mostly say what padding says. Leave out where the number is 0.",
            SECTION,
            {"mask": torch.ones_like},
        ),
        Mistake(
            "divided-by-length",
            "The sum is right, but you divide by the length of the row. Divide by the number of "
            "real words, (numbers != 0).sum(1).",
            SECTION,
            {"count": torch.ones_like, "guard": lambda ones: ones.sum(1)},
        ),
        Mistake(
            "padding-added",
            "You divide by the number of real words, but the padding's vectors are in the sum. "
            "Multiply the vectors by the mask first.",
            SECTION,
            {"hide": lambda vectors, there: vectors},
        ),
        Mistake(
            "nan-without-words",
            "A text without words gives 0 / 0, which is NaN, and one NaN spoils the whole batch. "
            "Count at least 1: .clamp(min=1).",
            SECTION,
            {"guard": same},
        ),
        Mistake(
            "unknown-left-out",
            "You leave unknown words out, too. Their number is 1, and they are words: only 0 is "
            "padding.",
            SECTION,
            {"mask": lambda numbers: numbers > UNKNOWN},
        ),
        Mistake(
            "mask-inverted",
            "The mask is the wrong way round: you take the mean over the padding. numbers != 0 is "
            "True for words.",
            SECTION,
            {"mask": lambda numbers: numbers == PAD},
        ),
        Mistake(
            "not-divided",
            "You take the sum of the words. A mean does not grow with the length of the text: "
            "divide by the number of real words.",
            SECTION,
            {"divide": lambda total, count: total},
        ),
        Mistake(
            "over-batch",
            "You go over axis 0, the texts of the batch. The words are axis 1.",
            SECTION,
            {"collect": lambda hidden: hidden.sum(0), "count": lambda there: there.sum(0)},
        ),
        Mistake(
            "one-count-for-all",
            "All texts are divided by one number, the words of the whole batch. Count the words of "
            "each text by itself: .sum(1, keepdim=True).",
            SECTION,
            {"count": lambda there: there.sum()},
        ),
        Mistake(
            "weighted-by-number",
            "The word numbers themselves are used as weights. A number is only a name: rare words "
            "have large ones. Use the mask, 1 for a word and 0 for padding.",
            SECTION,
            {"mask": same},
        ),
        Mistake(
            "largest-not-mean",
            "You take the largest value over the words; here it is their mean.",
            SECTION,
            {"collect": lambda hidden: hidden.amax(1), "divide": lambda total, count: total},
        ),
    ),
)
