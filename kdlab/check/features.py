"""Lesson 4, Feature distillation: three functions to write, the mistakes we know, two questions."""

import torch
import torch.nn.functional as F
from torch import Tensor

from kdlab.check.core import Case, Exercise, Mistake
from kdlab.check.questions import Option, Question

LESSON = "04"
ALIKE = "Making shapes alike"
LOOK = "Where do they look?"
OWN = "A loss of your own"


def _same(tensor: Tensor) -> Tensor:
    return tensor


def _drawn(seed: int, *shape: int) -> Tensor:
    """Numbers from a normal distribution; the same on every machine."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# ---------------------------------------------------------------- projector


def our_project(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A 1x1 convolution: at each place, the channels are mixed by the same matrix.

    y[b, o, h, w] = bias[o] + Σ_c weight[o, c] · features[b, c, h, w]

    features: (batch, channels, height, width).  weight: (new, channels).  bias: (new,).
    Returns (batch, new, height, width).
    """
    return torch.einsum("oc,bchw->bohw", weight, features) + bias[:, None, None]


def _project_in_steps(
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    turn=_same,
    mix=lambda weight, features: torch.einsum("oc,bchw->bohw", weight, features),
    average=lambda mixed, channels: mixed,
    add=lambda mixed, bias: mixed + bias[:, None, None],
    end=_same,
    layout=_same,
) -> Tensor:
    mixed = average(mix(turn(weight), features), features.shape[1])
    return layout(end(add(mixed, bias)))


def _read_as_rows(weight: Tensor, features: Tensor) -> Tensor:
    """The numbers of the features read as if the channels stood last, and mixed."""
    batch, channels, *size = features.shape
    return features.reshape(batch, *size, channels) @ weight.T


project = Exercise(
    lesson=LESSON,
    name="project",
    takes=("features", "weight", "bias"),
    task="at each place of features (batch, channels, height, width), mix the channels by weight "
    "(new, channels) and add bias (new,) -> (batch, new, height, width)",
    reference=our_project,
    in_steps=_project_in_steps,
    trains=True,
    cases=(
        Case(
            "one place, two channels into three",
            (
                torch.tensor([[[[1.0]], [[2.0]]]]),
                torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, -1.0]]),
                torch.tensor([0.0, 0.5, 1.0]),
            ),
        ),
        Case(
            "two places, two channels into two",
            (
                torch.tensor([[[[1.0, 2.0]], [[3.0, 0.0]]]]),
                torch.tensor([[1.0, 2.0], [-1.0, 0.5]]),
                torch.tensor([0.5, -0.5]),
            ),
        ),
        # here and below the width is the number of new channels: a bias that is added along the
        # width does not stop with an error then, and can be told from others by its values
        Case("more channels", (_drawn(11, 2, 2, 2, 3), _drawn(12, 3, 2), _drawn(13, 3))),
        Case("fewer channels", (_drawn(14, 3, 4, 1, 2), _drawn(15, 2, 4), _drawn(16, 2))),
        Case("as many channels", (_drawn(17, 2, 3, 4, 3), _drawn(18, 3, 3), _drawn(19, 3))),
    ),
    mistakes=(
        Mistake(
            "bias-missing",
            "The bias is missing: each new channel gets its own constant, bias[o], at every place.",
            ALIKE,
            {"add": lambda mixed, bias: mixed},
        ),
        Mistake(
            "bias-along-width",
            "The bias is added along the width. A tensor of shape (new,) is lined up with the last "
            "axis; bias[:, None, None] lines it up with the channels.",
            ALIKE,
            {"add": lambda mixed, bias: mixed + bias},
        ),
        Mistake(
            "bias-subtracted",
            "The bias is subtracted. It is added: y = weight · features + bias.",
            ALIKE,
            {"add": lambda mixed, bias: mixed - bias[:, None, None]},
        ),
        Mistake(
            "reshaped",
            "You reshape the weights where you mean to transpose them. reshape and view only read "
            "the same numbers in other rows; weight.T swaps the axes.",
            ALIKE,
            {"turn": lambda weight: weight.reshape(weight.shape[1], weight.shape[0]).T},
        ),
        Mistake(
            "places-as-channels",
            "You reshape the features where you mean to move an axis: numbers of different places "
            "are mixed. permute(0, 2, 3, 1) moves the channels to the end, and a second permute "
            "brings them back.",
            ALIKE,
            {"mix": lambda weight, features: _read_as_rows(weight, features).permute(0, 3, 1, 2)},
            {
                "mix": lambda weight, features: _read_as_rows(weight, features).reshape(
                    len(features), len(weight), *features.shape[2:]
                )
            },
        ),
        Mistake(
            "mean-over-channels",
            "You take the mean over the channels; a convolution takes their sum. With many "
            "channels, the mean makes what comes out small.",
            ALIKE,
            {"average": lambda mixed, channels: mixed / channels},
        ),
        Mistake(
            "channels-last",
            "The channels stand last, (batch, height, width, new). A linear layer leaves them "
            "there; maps in PyTorch have them second: permute(0, 3, 1, 2).",
            ALIKE,
            {"layout": lambda mapped: mapped.permute(0, 2, 3, 1)},
        ),
        Mistake(
            "channels-first",
            "The channels stand before the batch, (new, batch, height, width). Maps have the batch "
            "first: transpose(0, 1).",
            ALIKE,
            {"layout": lambda mapped: mapped.transpose(0, 1)},
        ),
        Mistake(
            "places-lost",
            "You average over the places, so that one vector is left of each map. A projector "
            "keeps the places: the teacher's map is compared place by place.",
            ALIKE,
            {"layout": lambda mapped: mapped.mean((2, 3))},
        ),
        Mistake(
            "flattened",
            "The numbers are right, but flattened. Keep the shape of a map, "
            "(batch, new, height, width).",
            ALIKE,
            {"layout": lambda mapped: mapped.flatten(1)},
            {"layout": lambda mapped: mapped.flatten(2)},
        ),
        Mistake(
            "relu-added",
            "You cut off what is negative. A 1x1 convolution is linear; with a ReLU the student's "
            "channels could only ever add to a feature where the sum is positive.",
            ALIKE,
            {"end": torch.relu},
        ),
    ),
)


# ---------------------------------------------------------------- attention map


def our_attention_map(features: Tensor) -> Tensor:
    """Where a layer looks: squared activations, averaged over channels, scaled to length 1.

    features: (batch, channels, height, width).  Returns (batch, height · width).
    (Zagoruyko & Komodakis 2017, section 3.1, with p = 2.)
    """
    return F.normalize(features.square().mean(1).flatten(1), dim=1)


def _attention_map_in_steps(
    features: Tensor,
    power=torch.square,
    over_channels=lambda powers: powers.mean(1),
    end=_same,
    flatten=lambda maps: maps.flatten(1),
    scale=lambda rows: F.normalize(rows, dim=1),
) -> Tensor:
    return scale(flatten(end(over_channels(power(features)))))


def _shared(total) -> tuple[dict, ...]:
    """Rows divided by a total: as it is (NaN where it is 0), and kept from 0 in two ways."""
    return tuple(
        {"scale": lambda rows, guard=guard: rows / guard(total(rows))}
        for guard in (_same, lambda total: total + 1e-8, lambda total: total.clamp(min=1e-12))
    )


attention_map = Exercise(
    lesson=LESSON,
    name="attention_map",
    takes=("features",),
    task="the attention map of features (batch, channels, height, width): squares, their mean over "
    "the channels, flattened, each row scaled to length 1 -> (batch, height · width)",
    reference=our_attention_map,
    in_steps=_attention_map_in_steps,
    trains=True,
    cases=(
        Case("one picture, two places", (torch.tensor([[[[1.0, 2.0]], [[2.0, 0.0]]]]),)),
        Case(
            "negative activations",
            (torch.tensor([[[[1.0, -2.0], [3.0, 0.0]], [[-1.0, 1.0], [-3.0, 2.0]]]]),),
        ),
        Case("several pictures", (_drawn(21, 3, 2, 2, 2),)),
        Case("higher than wide", (_drawn(22, 2, 4, 3, 2),)),
        Case(
            "a picture at which no channel looks",
            (torch.cat([_drawn(23, 2, 3, 2, 2).relu(), torch.zeros(1, 3, 2, 2)]),),
        ),
    ),
    mistakes=(
        Mistake(
            "nan-at-zero",
            "Where no channel looks anywhere, you divide 0 by 0, and get NaN. It happens: a ReLU "
            "may be silent for a whole picture. F.normalize divides by a tiny number then.",
            LOOK,
            {"scale": lambda rows: rows / rows.norm(dim=1, keepdim=True)},
        ),
        Mistake(
            "not-scaled",
            "The maps are not scaled. A layer with large activations would look harder, not "
            "elsewhere. Divide each row by its length: F.normalize(rows, dim=1).",
            LOOK,
            {"scale": _same},
        ),
        Mistake(
            "scaled-to-sum-1",
            "Each row is scaled to sum 1. Here its length shall be 1, the root of the sum of its "
            "squares: F.normalize(rows, dim=1), whose p is 2 if you say nothing.",
            LOOK,
            *_shared(lambda rows: rows.sum(1, keepdim=True)),
        ),
        Mistake(
            "scaled-by-largest",
            "Each row is divided by its largest value. That is good for looking at maps; here the "
            "length of each row shall be 1.",
            LOOK,
            *_shared(lambda rows: rows.amax(1, keepdim=True)),
        ),
        Mistake(
            "divided-by-squares",
            "You divide by the sum of the squares and not by its root, so the rows do not have "
            "length 1.",
            LOOK,
            *_shared(lambda rows: rows.square().sum(1, keepdim=True)),
        ),
        Mistake(
            "scaled-over-batch",
            "You scale over axis 0, the pictures of the batch. What a picture's map is would then "
            "depend on its neighbours. Scale each row by itself: dim=1.",
            LOOK,
            {"scale": lambda rows: F.normalize(rows, dim=0)},
            {"scale": lambda rows: rows / rows.norm()},
            {"scale": lambda rows: rows / rows.norm(dim=0)},
        ),
        Mistake(
            "scaled-before-flatten",
            "You scale the maps before they are flattened, so that each column, or each row, of a "
            "map gets length 1, and not the whole map. Flatten first.",
            LOOK,
            {"flatten": lambda maps: F.normalize(maps, dim=1).flatten(1), "scale": _same},
            {"flatten": lambda maps: F.normalize(maps, dim=-1).flatten(1), "scale": _same},
        ),
        Mistake(
            "softmax",
            "You scale with a softmax, which makes every place count a little and has no zero. "
            "Divide by the length instead.",
            LOOK,
            {"scale": lambda rows: rows.softmax(1)},
        ),
        Mistake(
            "absolute-values",
            "You average absolute values. The squares are missing: with them, one strong channel "
            "counts more than many weak ones.",
            LOOK,
            {"power": torch.abs},
        ),
        Mistake(
            "square-missing",
            "The square is missing, so positive and negative activations cancel each other.",
            LOOK,
            {"power": _same},
        ),
        Mistake(
            "squared-after-the-mean",
            "You average first and square afterwards. Square first: a channel that says −2 looks "
            "as hard as one that says 2, and the two must not cancel.",
            LOOK,
            {"power": _same, "end": torch.square},
        ),
        Mistake(
            "rooted",
            "You take the root of the mean. That is another attention map, a flatter one; here the "
            "squares stay as they are.",
            LOOK,
            {"end": torch.sqrt},
        ),
        Mistake(
            "largest-channel",
            "You take the largest channel at each place; here it is the mean of all.",
            LOOK,
            {"over_channels": lambda powers: powers.amax(1)},
        ),
        Mistake(
            "over-places",
            "You average over the places, and keep one number a channel. An attention map is the "
            "other way round: it forgets which channel looks and keeps where.",
            LOOK,
            {"over_channels": lambda powers: powers.mean((2, 3))},
            {"over_channels": lambda powers: powers.flatten(2).sum(2)},
        ),
        Mistake(
            "over-batch",
            "You average over axis 0, the pictures. The channels are axis 1.",
            LOOK,
            {"over_channels": lambda powers: powers.mean(0)},
        ),
        Mistake(
            "not-flattened",
            "The numbers are right, but each map still has height and width. Flatten it, so that "
            "the shape is (batch, height · width).",
            LOOK,
            {
                "flatten": _same,
                "scale": lambda maps: F.normalize(maps.flatten(1), dim=1).reshape(maps.shape),
            },
        ),
    ),
)


# ---------------------------------------------------------------- a feature loss of one's own


def our_feature_loss(student_features: Tensor, teacher_features: Tensor) -> Tensor:
    """One minus the cosine of student and teacher, averaged over the batch.

    L = 1 − mean of cos(s_i, t_i).  Both (batch, ...), of one shape; maps are flattened.
    """
    return 1 - F.cosine_similarity(student_features.flatten(1), teacher_features.flatten(1)).mean()


def _feature_loss_in_steps(
    student_features: Tensor,
    teacher_features: Tensor,
    student=_same,
    teacher=_same,
    compare=lambda student, teacher: (student - teacher).square(),
    over_features=lambda gaps: gaps.flatten(1).mean(1),
    over_batch=torch.mean,
    sign=_same,
    end=_same,
) -> Tensor:
    gaps = compare(student(student_features), teacher(teacher_features))
    return end(sign(over_batch(over_features(gaps))))


def _facts(loss):
    """What is true of a loss, as ones (as it should be) and zeros, in the order below.

    There is no one right answer here: losses are compared by what a student needs of them.
    """

    def facts(student: Tensor, teacher: Tensor) -> object:
        try:
            given = torch.as_tensor(loss(student, teacher))
        except (TypeError, ValueError, RuntimeError):  # none, or no number: the check has words
            return loss(student, teacher)
        if not given.isfinite().all():
            return torch.tensor([given.numel() == 1, False] + 8 * [True])

        def value(student: Tensor, teacher: Tensor) -> Tensor:
            return torch.as_tensor(loss(student.clone(), teacher.clone())).detach().mean()

        here, at_teacher = value(student, teacher), value(teacher, teacher)
        slope = _slope(loss, student, teacher)
        silent = student * (torch.arange(len(student)) > 0)[:, None, None, None]
        other = teacher + torch.linspace(0, 2, teacher.numel()).square().view_as(teacher)
        heeds = not here.isclose(value(student, other))
        least_elsewhere = heeds and bool(at_teacher > here)
        tripled = value(3 * teacher, teacher)
        reached = slope.flatten(1).abs().sum(1) > 0
        four_times = value(*(features.repeat(4, 1, 1, 1) for features in (student, teacher)))
        return torch.tensor(
            [
                given.numel() == 1,
                True,
                bool(reached.any()),
                bool(reached.all()) or not reached.any(),
                heeds,
                not least_elsewhere,
                least_elsewhere or not heeds or bool(tripled >= at_teacher - 1e-6),
                bool(four_times.abs() <= 2.5 * here.abs() + 1e-6),
                not heeds or not here.isclose(value(student, teacher.roll(1, 0))),
                bool(_slope(loss, silent, teacher).isfinite().all()),
            ]
        )

    return facts


def _slope(loss, student: Tensor, teacher: Tensor) -> Tensor:
    """The gradient at the student's features; zeros where none comes."""
    student = student.clone().requires_grad_()
    answer = torch.as_tensor(loss(student, teacher.clone())).mean()
    slope = None
    if answer.requires_grad:
        (slope,) = torch.autograd.grad(answer, student, allow_unused=True)
    return torch.zeros_like(student) if slope is None else slope


def _to_length_1(features: Tensor) -> Tensor:
    return features / features.flatten(1).norm(dim=1)[:, None, None, None]


def _batch_mean(features: Tensor) -> Tensor:
    return features.mean(0, keepdim=True)


def _first(features: Tensor) -> Tensor:
    return features[:1]


feature_loss = Exercise(
    lesson=LESSON,
    name="feature_loss",
    takes=("student_features", "teacher_features"),
    task="a loss of your own on features of one shape, (batch, channels, height, width) -> one "
    "number that a student can be trained to make small",
    reference=our_feature_loss,
    in_steps=_feature_loss_in_steps,
    play=_facts,
    praise="is a loss that a student can learn from: one finite number that does not grow with the "
    "batch, least at the teacher, with a gradient for every picture",
    cases=(
        # three, for a loss on distances: those of two pictures, over their mean, are always 1
        Case("three pictures", (_drawn(31, 3, 2, 1, 2), _drawn(32, 3, 2, 1, 2).relu())),
        Case("five pictures", (_drawn(33, 5, 3, 2, 2), _drawn(34, 5, 3, 2, 2).relu())),
    ),
    mistakes=(
        Mistake(
            "not-one-number",
            "Your loss gives several numbers. A loss is one number: take the mean over the batch "
            "and over what you compare in each example.",
            OWN,
            {"over_batch": _same},
            {"over_features": _same, "over_batch": _same},
        ),
        Mistake(
            "not-finite",
            "Your loss is NaN or infinite on ordinary features. What a projector gives may be "
            "negative, and what a ReLU gives is often exactly 0: look for a log, a root, or a "
            "division.",
            OWN,
            {"compare": lambda student, teacher: (student.log() - teacher.log()).square()},
            {"compare": lambda student, teacher: student / teacher},
        ),
        Mistake(
            "no-gradient",
            "No gradient reaches the student's features, so they can learn nothing. Either the "
            "loss does not use them, or the thread is cut: by .detach(), .item(), numpy, or by "
            "argmax and the like.",
            OWN,
            {"end": torch.detach},
            {"compare": lambda student, teacher: teacher.square()},
        ),
        Mistake(
            "compared-with-itself",
            "Your loss does not change with the teacher's features, and no gradient reaches the "
            "student's: one of the two is compared with itself. Look at which name stands where.",
            OWN,
            {"compare": lambda student, teacher: (student - student).square()},
            {"compare": lambda student, teacher: (teacher - teacher).square()},
        ),
        Mistake(
            "ignores-teacher",
            "Your loss does not change with the teacher's features: what it asks of the student is "
            "the same under every teacher.",
            OWN,
            {"compare": lambda student, teacher: student.square()},
        ),
        Mistake(
            "wrong-sign",
            "Your loss is larger where the student's features are the teacher's than elsewhere, so "
            "training would drive the student away. There is a minus missing, or one too many.",
            OWN,
            {"sign": torch.neg},
        ),
        Mistake(
            "runs-away",
            "Your loss falls on and on while the student's features grow: at three times the "
            "teacher's features it is lower than at the teacher's own. Scale both to length 1 "
            "first, F.normalize, or compare differences.",
            OWN,
            {"compare": lambda student, teacher: -student * teacher},
        ),
        Mistake(
            "sum-over-batch",
            "Your loss adds up over the examples: four times the batch makes it four times as "
            "large, and its weight against the other terms too. Take the mean over the batch.",
            OWN,
            {"over_batch": torch.sum},
        ),
        Mistake(
            "unpaired",
            "Your loss stays the same when the teacher's examples come in another order. So it "
            "compares averages over the batch, and never a picture with the same picture.",
            OWN,
            {"student": _batch_mean, "teacher": _batch_mean},
        ),
        Mistake(
            "some-examples-unused",
            "The gradient reaches only some of the batch's examples; the others are computed for "
            "nothing. Look for an index such as [0].",
            OWN,
            {"student": _first, "teacher": _first},
        ),
        Mistake(
            "nan-at-zero",
            "Where a student's features are all 0, as a silent ReLU gives them, the gradient is "
            "NaN, and one such picture ends the training. F.normalize and F.cosine_similarity "
            "take care of this; a division by a norm does not.",
            OWN,
            {"student": _to_length_1},
        ),
    ),
)


EXERCISES = (project, attention_map, feature_loss)


# ---------------------------------------------------------------- questions

QUIZZES = (
    Question(
        LESSON,
        "features 1",
        "Ten methods are each compared with one baseline, by a 95 % interval. Suppose that none of "
        "them changes anything. What will such a table look like?",
        (
            Option(
                "All ten say “no difference seen”: that is what a 95 % interval is for.",
                "Each single interval misses the truth about 1 time in 20. Ten of them have ten "
                "chances to miss.",
            ),
            Option(
                "In about four tables of ten, at least one method looks better or worse by chance.",
                "1 − 0.95¹⁰ is 0.40, if the ten were independent; here they share one baseline, "
                "which changes the number a little. One lone “better” among ten is no finding: "
                "run that method again on fresh seeds.",
                right=True,
            ),
            Option(
                "Five of the ten look better and five look worse.",
                "That is how the signs of the differences fall. An interval that leaves out zero "
                "is rarer: about 1 in 20.",
            ),
            Option(
                "Nobody can say, for the seeds are random.",
                "One table cannot be foretold, but how often chance alone says “better” can: it is "
                "what the 95 % mean.",
            ),
        ),
    ),
    Question(
        LESSON,
        "features 2",
        "With a match, the student's attention maps overlap with the teacher's by 0.9 instead of "
        "0.8. Its accuracy is not told from that of its twin. What follows?",
        (
            Option(
                "The match was ignored: a bug in the training.",
                "The maps did change, so the term was heard. A term can do what it asks and still "
                "not help with what you want.",
            ),
            Option(
                "The student now decides as the teacher does, and only the test set is too small.",
                "The maps say where activations are large, not what is made of them. Whether two "
                "networks decide alike is measured on their answers: look at agreement.",
            ),
            Option(
                "Attention maps have nothing to do with accuracy.",
                "That is more than one student at one budget can show. With another student or "
                "less training the same term may help.",
            ),
            Option(
                "The student can look where the teacher looks without answering better.",
                "A feature loss makes features alike: that is its only promise. Whether alike "
                "features help the answers is another question, and it needs its own measurement.",
                right=True,
            ),
        ),
    ),
)
