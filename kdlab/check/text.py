"""Lesson 6, Text: four functions to write, the mistakes that we know, and two questions."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdlab import losses
from kdlab.check.core import Case, Exercise, Mistake
from kdlab.check.questions import Option, Question
from kdlab.texts import PAD, UNKNOWN

LESSON = "06"
NUMBERS = "Words as numbers"
WINDOWS = "Filters that slide over words"
RECORD = "A teacher who is not there"


def _same(tensor: Tensor) -> Tensor:
    return tensor


def _drawn(seed: int, *shape: int) -> Tensor:
    """Numbers from a normal distribution; the same on every machine."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# ---------------------------------------------------------------- texts as rows of numbers

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
            NUMBERS,
            {"small": str},
        ),
        Mistake(
            "letters-for-words",
            "You go through the letters of a text. A string is a row of letters; text.split() "
            "makes words of it.",
            NUMBERS,
            {"split": list},
        ),
        Mistake(
            "unknown-as-padding",
            "An unknown word becomes 0, and 0 is padding: nobody could tell any longer that there "
            "was a word. It is 1: numbers.get(word, 1).",
            NUMBERS,
            {"number": lambda word, numbers: numbers.get(word, PAD)},
        ),
        Mistake(
            "unknown-left-out",
            "Unknown words are left out, so that words which were apart become neighbours. Keep "
            "their place, with the number 1.",
            NUMBERS,
            {"number": lambda word, numbers: numbers.get(word)},
        ),
        Mistake(
            "numbers-shifted",
            "Your words have other numbers than the vocabulary gives them. The numbers 0 and 1 are "
            "kept free in it already: add nothing.",
            NUMBERS,
            {"number": lambda word, numbers: numbers.get(word, UNKNOWN - 2) + 2},
            {"number": lambda word, numbers: numbers.get(word, UNKNOWN - 1) + 1},
            {"number": lambda word, numbers: numbers.get(word, UNKNOWN + 1) - 1},
        ),
        Mistake(
            "cut-at-the-start",
            "Of a text that is too long you keep the last words. Keep the first ones, [:length]: "
            "a definition begins with what matters most.",
            NUMBERS,
            {"cut": lambda row, length: row[-length:]},
        ),
        Mistake(
            "padded-in-front",
            "The padding stands in front of the words. It goes behind them, so that the first word "
            "of each text is in the first column.",
            NUMBERS,
            {"fill": lambda row, length: [PAD] * (length - len(row)) + row},
        ),
        Mistake(
            "padded-with-unknown",
            "Rows are filled up with 1, which says that there are words, but unknown ones. Padding "
            "is 0: there is nothing here.",
            NUMBERS,
            {"fill": lambda row, length: row + [UNKNOWN] * (length - len(row))},
        ),
        Mistake(
            "padded-by-repeating",
            "Rows are filled up with the text's own words again. Padding is 0: there is nothing "
            "here.",
            NUMBERS,
            {"fill": lambda row, length: ((row or [PAD]) * length)[:length]},
            {"fill": lambda row, length: row + (row[-1:] or [PAD]) * (length - len(row))},
        ),
        Mistake(
            "as-long-as-the-longest",
            "Your rows are as long as the longest text of the batch. That works, and saves time; "
            "but here every row shall have `length` numbers, so that batches fit each other.",
            NUMBERS,
            {"width": lambda rows, length: max(map(len, rows))},
        ),
        Mistake(
            "each-word-once",
            "A word that comes twice is counted once. Keep each word in its place, as often as it "
            "comes.",
            NUMBERS,
            {"split": lambda text: list(dict.fromkeys(text.split()))},
        ),
    ),
)


# ---------------------------------------------------------------- the mean of the real words


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


def _in_words(*rows: list[int]) -> Tensor:
    return torch.tensor(rows)


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
                _in_words([4, 2], [5, 0]),
            ),
        ),
        Case(
            "an unknown word, whose number is 1",
            (_drawn(31, 3, 3, 2), _in_words([4, 1, 0], [1, 0, 0], [2, 3, 5])),
        ),
        Case(
            "a text without any word",
            (_drawn(32, 3, 3, 4), _in_words([7, 2, 0], [0, 0, 0], [3, 0, 0])),
        ),
        Case(
            "longer texts",
            (
                _drawn(33, 4, 4, 3),
                _in_words([2, 3, 4, 0], [5, 6, 2, 1], [8, 0, 0, 0], [6, 4, 0, 0]),
            ),
        ),
    ),
    mistakes=(
        Mistake(
            "padding-counted",
            "The padding is in the mean: its vectors are added, and it is counted. A short text "
            "would mostly say what padding says. Leave out where the number is 0.",
            NUMBERS,
            {"mask": torch.ones_like},
        ),
        Mistake(
            "divided-by-length",
            "The sum is right, but you divide by the length of the row. Divide by the number of "
            "real words, (numbers != 0).sum(1).",
            NUMBERS,
            {"count": torch.ones_like, "guard": lambda ones: ones.sum(1)},
        ),
        Mistake(
            "padding-added",
            "You divide by the number of real words, but the padding's vectors are in the sum. "
            "Multiply the vectors by the mask first.",
            NUMBERS,
            {"hide": lambda vectors, there: vectors},
        ),
        Mistake(
            "nan-without-words",
            "A text without words gives 0 / 0, which is NaN, and one NaN spoils the whole batch. "
            "Count at least 1: .clamp(min=1).",
            NUMBERS,
            {"guard": _same},
        ),
        Mistake(
            "unknown-left-out",
            "You leave unknown words out, too. Their number is 1, and they are words: only 0 is "
            "padding.",
            NUMBERS,
            {"mask": lambda numbers: numbers > UNKNOWN},
        ),
        Mistake(
            "mask-inverted",
            "The mask is the wrong way round: you take the mean over the padding. numbers != 0 is "
            "True for words.",
            NUMBERS,
            {"mask": lambda numbers: numbers == PAD},
        ),
        Mistake(
            "not-divided",
            "You take the sum of the words. A mean does not grow with the length of the text: "
            "divide by the number of real words.",
            NUMBERS,
            {"divide": lambda total, count: total},
        ),
        Mistake(
            "over-batch",
            "You go over axis 0, the texts of the batch. The words are axis 1.",
            NUMBERS,
            {"collect": lambda hidden: hidden.sum(0), "count": lambda there: there.sum(0)},
        ),
        Mistake(
            "one-count-for-all",
            "All texts are divided by one number, the words of the whole batch. Count the words of "
            "each text by itself: .sum(1, keepdim=True).",
            NUMBERS,
            {"count": lambda there: there.sum()},
        ),
        Mistake(
            "weighted-by-number",
            "The word numbers themselves are used as weights. A number is only a name: rare words "
            "have large ones. Use the mask, 1 for a word and 0 for padding.",
            NUMBERS,
            {"mask": _same},
        ),
        Mistake(
            "largest-not-mean",
            "You take the largest value over the words; here it is their mean.",
            NUMBERS,
            {"collect": lambda hidden: hidden.amax(1), "divide": lambda total, count: total},
        ),
    ),
)


# ---------------------------------------------------------------- TextCNN


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
    end=_same,
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
                layer.weight.copy_(_drawn(seed, *layer.weight.shape) / math.sqrt(width))
                layer.bias.copy_(_drawn(10 + seed, len(layer.bias)) - 1)  # some are silent
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
        Case("one text", (_drawn(41, 1, 3, 3),)),
        Case("two texts", (_drawn(42, 2, 4, 4),)),
        Case("longer texts", (_drawn(43, 4, 7, 7),)),
        Case(
            "a text that is half padding", (_drawn(44, 3, 6, 6) * (torch.arange(6) < 3)[:, None],)
        ),
    ),
    mistakes=(
        Mistake(
            "not-transposed",
            "A Conv1d slides along the last axis, and that is the vectors' numbers in yours. The "
            "words have to stand last: vectors.transpose(1, 2).",
            WINDOWS,
            {"turn": _same},
        ),
        Mistake(
            "relu-missing",
            "The ReLU is missing. With it, a filter that nowhere fits says 0, and not how badly it "
            "fits.",
            WINDOWS,
            {"bend": _same},
        ),
        Mistake(
            "relu-on-the-logits",
            "The ReLU stands after the head. Logits may be negative; cut off, all classes that a "
            "text is not would look the same. It belongs to the filters.",
            WINDOWS,
            {"bend": _same, "end": torch.relu},
        ),
        Mistake(
            "mean-not-max",
            "You take the mean over the places. Then a phrase counts less in a long text. The "
            "paper takes the largest value, which asks only whether the phrase is there.",
            WINDOWS,
            {"pool": lambda maps: maps.mean(2)},
        ),
        Mistake(
            "sum-not-max",
            "You take the sum over the places. Then a long text says everything more loudly. The "
            "paper takes the largest value, which asks only whether the phrase is there.",
            WINDOWS,
            {"pool": lambda maps: maps.sum(2)},
        ),
        Mistake(
            "max-over-filters",
            "You take the largest filter at each place. It is the other way round: of each filter, "
            "the largest value over the places, which are the last axis.",
            WINDOWS,
            {"pool": lambda maps: maps.amax(1)},
        ),
        Mistake(
            "places-not-values",
            "You hand on where each filter is largest, and not how large. max gives both, values "
            "first: .max(2).values, or .amax(2).",
            WINDOWS,
            {"pool": lambda maps: maps.argmax(2).to(maps)},
        ),
        Mistake(
            "one-place",
            "You look at one place of the text only. The filters slide over all of it: take the "
            "largest value over the last axis.",
            WINDOWS,
            {"pool": lambda maps: maps[:, :, 0]},
            {"pool": lambda maps: maps[:, :, -1]},
        ),
        Mistake(
            "one-width",
            "The same layer is used three times. Each of the filters has its own width, 3, 4 or 5 "
            "words: go through all of them.",
            WINDOWS,
            {"choose": lambda filters: [filters[0]] * len(filters)},
            {"choose": lambda filters: [filters[-1]] * len(filters)},
        ),
        Mistake(
            "mixed-up",
            "The features are all there, but in another order than the head expects: first all "
            "filters of 3 words, then of 4, then of 5. torch.cat(largest, 1).",
            WINDOWS,
            {"join": _interleaved},
            {"join": lambda pooled: torch.cat(pooled[::-1], 1)},
        ),
        Mistake(
            "head-missing",
            "You give back the features. The head makes logits of them, one a class.",
            WINDOWS,
            {"answer": lambda head, features: features},
        ),
        Mistake(
            "softmax-at-the-end",
            "There is a softmax at the end. cross_entropy and the KL of soft targets take logits, "
            "and have their own softmax; two of them make every answer vague.",
            WINDOWS,
            {"end": lambda logits: logits.softmax(1)},
            {"end": lambda logits: logits.log_softmax(1)},
        ),
    ),
)


# ---------------------------------------------------------------- distil from a record


def our_recorded_kd(
    student_logits: Tensor,
    indices: Tensor,
    recorded: Tensor,
    answers: Tensor,
    temperature: float,
) -> Tensor:
    """The soft-target loss, with the teacher's answers found by the examples' numbers.

    L = T² · mean of KL(teacher_T || student_T)

    student_logits: (batch, classes).  indices: (batch,), the numbers of its examples.
    recorded: (n,), the numbers of the recorded examples, in any order, `answers` (n, classes) their
    logits in the same order.
    """
    rows = (indices[:, None] == recorded).int().argmax(1)
    return losses.soft_target_kl(student_logits, answers[rows], temperature)


def _recorded_kd_in_steps(
    student_logits: Tensor,
    indices: Tensor,
    recorded: Tensor,
    answers: Tensor,
    temperature: float,
    find=lambda indices, recorded: (indices[:, None] == recorded).int().argmax(1),
    soften=lambda logits, temperature: logits / temperature,
    aims=lambda softened: softened.softmax(1),
    says=lambda softened: softened.log_softmax(1),
    compare=lambda aims, says: (torch.xlogy(aims, aims) - aims * says).sum(1),
    average=torch.mean,
    factor=lambda temperature: temperature**2,
) -> Tensor:
    said = answers[find(indices, recorded)]
    aimed = aims(soften(said, temperature))
    gaps = compare(aimed, says(soften(student_logits, temperature)))
    return factor(temperature) * average(gaps)


def _backwards(aims: Tensor, says: Tensor) -> Tensor:
    """KL(student || teacher)."""
    return (says.exp() * (says - aims.log())).sum(1)


def _one_hot(softened: Tensor) -> Tensor:
    return F.one_hot(softened.argmax(1), softened.shape[1]).to(softened)


def _record(seed: int, batch: tuple[int, ...], order: tuple[int, ...], temperature: float):
    """A batch, and a record of as many examples as there are numbers, in that order."""
    student, teacher = _drawn(seed, len(batch), 4), 2 * _drawn(seed + 1, len(order), 4)
    return student, torch.tensor(batch), torch.tensor(order), teacher, temperature


recorded_kd = Exercise(
    lesson=LESSON,
    name="recorded_kd",
    takes=("student_logits", "indices", "recorded", "answers", "temperature"),
    task="find the teacher's answers to the examples of these numbers in a record that has them in "
    "another order, and compare softened answers: T² times the mean KL",
    reference=our_recorded_kd,
    in_steps=_recorded_kd_in_steps,
    trains=True,
    # the numbers go from 0 upwards without a gap, so that a number that is taken for a row does
    # not stop with an error; each order is no swap of pairs, so that it differs from its inverse
    cases=(
        Case("one example, T = 1", _record(51, (1,), (2, 0, 1), 1.0)),
        Case("two examples, T = 4", _record(53, (3, 1), (1, 2, 3, 0), 4.0)),
        Case("a larger record, T = 2", _record(55, (5, 0, 2, 4), (4, 2, 0, 5, 1, 3), 2.0)),
        Case("one example twice, T = 5", _record(57, (2, 2, 0), (1, 2, 3, 0), 5.0)),
    ),
    mistakes=(
        Mistake(
            "by-position",
            "You take the record's first answers, whatever the batch holds. Batches are shuffled, "
            "and a record has an order of its own: look up each example by its number.",
            RECORD,
            {"find": lambda indices, recorded: torch.arange(len(indices))},
        ),
        Mistake(
            "number-as-row",
            "You take an example's number for its row in the record. The record may be in any "
            "order: find the row where `recorded` holds the number.",
            RECORD,
            {"find": lambda indices, recorded: indices},
        ),
        Mistake(
            "looked-up-backwards",
            "You look up the wrong way round: recorded[indices] says which example stands in a "
            "row, and what you need is the row in which an example stands.",
            RECORD,
            {"find": lambda indices, recorded: recorded[indices]},
        ),
        Mistake(
            "hard-labels",
            "Only the teacher's first choice is left of its answer. Then it is a label like any "
            "other; what the other classes got is what there is to learn here.",
            RECORD,
            {"aims": _one_hot},
        ),
        Mistake(
            "square-missing",
            "Right at T = 1; at a larger T the loss is too small. The factor T² is missing "
            "(lesson 2).",
            RECORD,
            {"factor": lambda temperature: 1},
        ),
        Mistake(
            "factor-not-squared",
            "Right at T = 1; at a larger T the loss is too small. The factor is T², and yours "
            "is T.",
            RECORD,
            {"factor": lambda temperature: temperature},
        ),
        Mistake(
            "square-twice",
            "Right at T = 1; at a larger T the loss is too large. kdlab.losses.soft_target_kl has "
            "the factor T² inside: do not multiply again.",
            RECORD,
            {"factor": lambda temperature: temperature**4},
        ),
        Mistake(
            "temperature-ignored",
            "Right at T = 1, but neither answer is softened: divide the logits by T before the "
            "softmax.",
            RECORD,
            {"soften": lambda logits, temperature: logits},
            {"soften": lambda logits, temperature: logits, "factor": lambda temperature: 1},
        ),
        Mistake(
            "softmax-twice",
            "There are two softmaxes in a row on one of the sides. The record holds logits, and so "
            "does the student give them: one softmax (or log_softmax) each.",
            RECORD,
            {"aims": lambda softened: softened.softmax(1).softmax(1)},
            {"says": lambda softened: softened.softmax(1).log_softmax(1)},
            {
                "aims": lambda softened: softened.softmax(1).softmax(1),
                "says": lambda softened: softened.softmax(1).log_softmax(1),
            },
        ),
        Mistake(
            "swapped",
            "Student and teacher have changed places: this is KL(student || teacher). The "
            "teacher's probabilities weigh the differences of the logarithms.",
            RECORD,
            {"compare": _backwards},
        ),
        Mistake(
            "mean-over-entries",
            "You average over the classes too, so the loss is too small by their number. "
            'F.kl_div needs reduction="batchmean".',
            RECORD,
            {"average": lambda gaps: gaps.mean() / 4},
        ),
        Mistake(
            "sum-over-batch",
            "You sum over the batch; here it is the mean. A sum would make a larger batch learn "
            "with larger steps.",
            RECORD,
            {"average": torch.sum},
        ),
        Mistake(
            "cross-entropy",
            "This is the soft cross-entropy. It gives the same gradient, but is larger by the "
            "teacher's entropy, so it does not fall to 0 when the two agree. Here it is the KL.",
            RECORD,
            {"compare": lambda aims, says: -(aims * says).sum(1)},
        ),
    ),
)

EXERCISES = (encode, masked_mean, text_cnn, recorded_kd)


# ---------------------------------------------------------------- questions

QUIZZES = (
    Question(
        LESSON,
        "text 1",
        "Two students make the same number of steps. One sees 1,000 labelled texts twelve times. "
        "The other sees these and 5,000 unlabelled ones, each twice, with the teacher's answers. "
        "The second one is better. What has helped it?",
        (
            Option(
                "It was trained for longer.",
                "Both made as many steps, with batches of the same size. What differs is how often "
                "they saw the same text.",
            ),
            Option(
                "New texts: words and phrases that the 1,000 do not hold, with an answer each.",
                "A word that stands in no training text keeps the vector that it was drawn with. "
                "Six times as many texts hold far more words, and the teacher says what they mean.",
                right=True,
            ),
            Option(
                "The labels of the 5,000 texts.",
                "There are none: load_data takes them away. All that the student gets is what the "
                "teacher says.",
            ),
            Option(
                "Twelve passes over the labels are too many; two would have been better.",
                "Perhaps there are better ones than twelve. But two passes over 1,000 texts are a "
                "sixth of the steps, and the word vectors would hardly have moved.",
            ),
        ),
    ),
    Question(
        LESSON,
        "text 2",
        "A student gets the teacher's answers for texts that have no labels, and learns from "
        "nothing else. The teacher is wrong about one text in eight. What does the student learn?",
        (
            Option(
                "Nothing, for without labels there is nothing to learn.",
                "The teacher's answers are something to learn from, and the lesson measured what.",
            ),
            Option(
                "It is wrong about at least as many texts as its teacher, by necessity.",
                "In most cases it is. But a student that averages over many answers may smooth out "
                "some of the teacher's slips: it is no necessity.",
            ),
            Option(
                "What the teacher says, slips included: mostly right, and soft where it was in "
                "doubt.",
                "A slip is often a doubtful answer, and a soft target says so. That is one reason "
                "for soft targets where labels are missing.",
                right=True,
            ),
            Option(
                "All classes equally, for wrong answers cancel right ones.",
                "Seven of eight are right. They would cancel only if the teacher guessed.",
            ),
        ),
    ),
)
