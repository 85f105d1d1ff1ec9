"""Lesson 6: filters that slide over words, and what goes wrong there."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdlab.check.cases import drawn
from kdlab.check.core import Case, Exercise, Mistake
from kdlab.check.steps import same, softmax

LESSON = "06"
SECTION = "Filters that slide over words"


def our_text_cnn(filters, head, vectors: Tensor) -> Tensor:
    """Filters over some words in a row, the largest value of each over the text, and a head.

    filters: Conv1d layers, each (batch, width, words) -> (batch, its filters, places).
    head: from all filters to the classes.  vectors: (batch, words, width).
    Returns logits (batch, classes).  (Kim 2014, section 2.)
    """
    rows = vectors.transpose(1, 2)
    largest = [each(rows).relu().amax(2) for each in filters]
    return head(torch.cat(largest, 1))


def _answer(head: nn.Linear, features: Tensor) -> Tensor:
    """The head's logits; two mistakes together may give it more features than it takes, or less."""
    return head(F.pad(features, (0, head.in_features - features.shape[1])))


def _interleaved(pooled: list[Tensor]) -> Tensor:
    widest = max(part.shape[1] for part in pooled)
    return torch.stack([F.pad(part, (0, widest - part.shape[1])) for part in pooled], 2).flatten(1)


def _text_cnn_in_steps(
    filters,
    head,
    vectors: Tensor,
    turn=lambda vectors: vectors.transpose(1, 2),
    choose=list,
    bend=torch.relu,
    pool=lambda maps: maps.amax(2),
    join=lambda pooled: torch.cat(pooled, 1),
    answer=_answer,
    end=same,
) -> Tensor:
    rows = turn(vectors)
    pooled = [pool(bend(each(rows))) for each in choose(filters)]
    return end(answer(head, join(pooled)))


def _with_layers(text_cnn: Callable) -> Callable:
    """Filters and a head whose sizes let the usual slips run through, so that they can be named.

    Texts are as long as their vectors are wide, so a transpose that is missing does not stop; and
    there are as many filters as there are places on average, so neither does a wrong axis.
    """

    def played(vectors: Tensor) -> Tensor:
        words, width = vectors.shape[1:]
        count, classes = words + 3, 4
        filters = [nn.Conv1d(width, count, size, padding=size - 1) for size in (3, 4, 5)]
        head = nn.Linear(3 * count, classes)
        with torch.no_grad():
            for seed, layer in enumerate((*filters, head), 1):
                layer.weight.copy_(drawn(seed, *layer.weight.shape) / math.sqrt(width))
                layer.bias.copy_(drawn(10 + seed, len(layer.bias)) - 1)  # some are silent
        return text_cnn(filters, head, vectors)

    return played


text_cnn = Exercise(
    lesson=LESSON,
    name="text_cnn",
    takes=("filters", "head", "vectors"),
    task="run each of the filters over the vectors (batch, words, width), ReLU, the largest value "
    "over the places, all side by side into the head -> logits (batch, classes)",
    reference=our_text_cnn,
    in_steps=_text_cnn_in_steps,
    play=_with_layers,
    cases=(
        Case("one text", (drawn(41, 1, 3, 3),)),
        Case("two texts", (drawn(42, 2, 4, 4),)),
        Case("longer texts", (drawn(43, 4, 7, 7),)),
        Case("a text that is half padding", (drawn(44, 3, 6, 6) * (torch.arange(6) < 3)[:, None],)),
    ),
    mistakes=(
        Mistake(
            "not-transposed",
            "A Conv1d slides along the last axis, and that is the vectors' numbers in yours. The "
            "words have to stand last: vectors.transpose(1, 2).",
            SECTION,
            {"turn": same},
        ),
        Mistake(
            "relu-missing",
            "The ReLU is missing. With it, a filter that nowhere fits says 0, and not how badly it "
            "fits.",
            SECTION,
            {"bend": same},
        ),
        Mistake(
            "relu-on-the-logits",
            "The ReLU stands after the head. Logits may be negative; cut off, all classes that a "
            "text is not would look the same. It belongs to the filters.",
            SECTION,
            {"bend": same, "end": torch.relu},
        ),
        Mistake(
            "mean-not-max",
            "You take the mean over the places. Then a phrase counts less in a long text. The "
            "paper takes the largest value, which asks only whether the phrase is there.",
            SECTION,
            {"pool": lambda maps: maps.mean(2)},
        ),
        Mistake(
            "sum-not-max",
            "You take the sum over the places. Then a long text says everything more loudly. The "
            "paper takes the largest value, which asks only whether the phrase is there.",
            SECTION,
            {"pool": lambda maps: maps.sum(2)},
        ),
        Mistake(
            "max-over-filters",
            "You take the largest filter at each place. It is the other way round: of each filter, "
            "the largest value over the places, which are the last axis.",
            SECTION,
            {"pool": lambda maps: maps.amax(1)},
        ),
        Mistake(
            "places-not-values",
            "You hand on where each filter is largest, and not how large. max gives both, values "
            "first: .max(2).values, or .amax(2).",
            SECTION,
            {"pool": lambda maps: maps.argmax(2).to(maps)},
        ),
        Mistake(
            "one-place",
            "You look at one place of the text only. The filters slide over all of it: take the "
            "largest value over the last axis.",
            SECTION,
            {"pool": lambda maps: maps[:, :, 0]},
            {"pool": lambda maps: maps[:, :, -1]},
        ),
        Mistake(
            "one-width",
            "The same layer is used three times. Each of the filters has its own width, 3, 4 or 5 "
            "words: go through all of them.",
            SECTION,
            {"choose": lambda filters: [filters[0]] * len(filters)},
            {"choose": lambda filters: [filters[-1]] * len(filters)},
        ),
        Mistake(
            "mixed-up",
            "The features are all there, but in another order than the head expects: first all "
            "filters of 3 words, then of 4, then of 5. torch.cat(largest, 1).",
            SECTION,
            {"join": _interleaved},
            {"join": lambda pooled: torch.cat(pooled[::-1], 1)},
        ),
        Mistake(
            "head-missing",
            "You give back the features. The head makes logits of them, one a class.",
            SECTION,
            {"answer": lambda head, features: features},
        ),
        Mistake(
            "softmax-at-the-end",
            "There is a softmax at the end. cross_entropy and the KL of soft targets take logits, "
            "and have their own softmax; two of them make every answer vague.",
            SECTION,
            {"end": softmax},
            {"end": lambda logits: logits.log_softmax(1)},
        ),
    ),
)
