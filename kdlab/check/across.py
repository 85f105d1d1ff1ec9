"""Lesson 7, Across data sets: two functions to write, the mistakes we know, and three questions."""

import contextlib
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdlab import losses
from kdlab.check.core import Case, Exercise, Mistake
from kdlab.check.questions import Option, Question

LESSON = "07"
MIXTURES = "A teacher that sees the mixture"
SHARES = "What is each teacher worth?"

_kl = losses.soft_target_kl


def _drawn(rows: int, columns: int, seed: int) -> Tensor:
    """Numbers from a normal distribution; the same on every machine."""
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


# ---------------------------------------------------------------- MixUp with a teacher


def our_mixup_loss(student, teacher, inputs, labels, weight, order, temperature, alpha) -> Tensor:
    """The distillation loss on a mixture of each example with a partner of the same batch.

    x = weight · inputs + (1 − weight) · inputs[order], which student and teacher both see;
    L = alpha · (weight · CE(labels) + (1 − weight) · CE(labels[order])) + (1 − alpha) · T² · KL
    """
    mixed = weight * inputs + (1 - weight) * inputs[order]
    with torch.no_grad():
        teacher_logits = teacher(mixed)
    logits = student(mixed)
    own, partners = F.cross_entropy(logits, labels), F.cross_entropy(logits, labels[order])
    hard = weight * own + (1 - weight) * partners
    soft = losses.soft_target_kl(logits, teacher_logits, temperature)
    return alpha * hard + (1 - alpha) * soft


def _blend(one, other, weight: float):
    return weight * one + (1 - weight) * other


def _blend_answers(teacher: nn.Module, mixed, inputs, partners, weight) -> Tensor:
    return _blend(teacher(inputs), teacher(partners), weight)


def _blend_probabilities(teacher: nn.Module, mixed, inputs, partners, weight) -> Tensor:
    return _blend(teacher(inputs).softmax(1), teacher(partners).softmax(1), weight).log()


def _mixup_loss_in_steps(
    student,
    teacher,
    inputs,
    labels,
    weight,
    order,
    temperature,
    alpha,
    partner=lambda rows, order: rows[order],
    blend=_blend,
    seen=lambda mixed, inputs: mixed,
    quietly=torch.no_grad,
    answers=lambda teacher, mixed, inputs, partners, weight: teacher(mixed),
    places=lambda student, teacher: (student, teacher),
    blend_labels=_blend,
    soft=_kl,
    add=lambda hard, soft, alpha: alpha * hard + (1 - alpha) * soft,
    give=lambda loss: loss,
) -> Tensor:
    partners = partner(inputs, order)
    mixed = blend(inputs, partners, weight)
    with quietly():
        said = answers(teacher, mixed, inputs, partners, weight)
    logits = student(seen(mixed, inputs))
    costs = [F.cross_entropy(logits, of) for of in (labels, partner(labels, order))]
    hard = blend_labels(*costs, weight)
    return give(add(hard, soft(*places(logits, said), temperature), alpha))


def _with_networks(loss_of: Callable) -> Callable:
    """A new student and a teacher for each case.

    Gives the loss, 1 where it can train the student, and 1 where it also reaches the teacher.
    """

    def played(inputs, labels, weight, order, temperature, alpha) -> list | None:
        features, classes = inputs.shape[1], 3
        student = nn.Linear(features, classes)
        # bent: for a straight one, the mixture of its answers is its answer to the mixture
        teacher = nn.Sequential(nn.Linear(features, 4), nn.Tanh(), nn.Linear(4, classes)).eval()
        with torch.no_grad():
            for seed, layer in enumerate((student, teacher[0], teacher[2]), 1):
                layer.weight.copy_(2 * _drawn(*layer.weight.shape, seed))
                layer.bias.zero_()
        loss = loss_of(student, teacher, inputs, labels, weight, order, temperature, alpha)
        if loss is None or loss is ...:
            return None
        if isinstance(loss, Tensor) and loss.requires_grad and loss.numel() == 1:
            loss.backward()
        return [loss, *(float(_reached(net)) for net in (student, teacher))]

    return played


def _reached(net: nn.Module) -> bool:
    return any(weight.grad is not None for weight in net.parameters())


def _numbers(*values: int) -> Tensor:
    return torch.tensor(values)


mixup_loss = Exercise(
    lesson=LESSON,
    name="mixup_loss",
    takes=(
        "student", "teacher", "inputs", "labels", "weight", "order", "temperature", "alpha",
    ),
    task="the distillation loss on a mixture of each example (weight) with its partner (order) "
    "-> the loss",
    reference=our_mixup_loss,
    in_steps=_mixup_loss_in_steps,
    play=_with_networks,
    cases=(
        Case(
            "three examples, each mixed with the next one; the loss, 1 for a student that can "
            "learn from it, and 0 for a teacher in peace",
            (
                torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.5]]),
                _numbers(0, 2, 1), 0.7, _numbers(1, 2, 0), 1.0, 0.5,
            ),
        ),
        Case(
            "T = 4",
            (_drawn(4, 2, seed=4), _numbers(0, 1, 2, 1), 0.9, _numbers(2, 0, 3, 1), 4.0, 0.3),
        ),
        Case(
            "mostly the partner",
            (_drawn(3, 2, seed=5), _numbers(2, 0, 1), 0.2, _numbers(2, 0, 1), 2.0, 0.8),
        ),
        Case(
            "teacher only, alpha = 0",
            (_drawn(4, 3, seed=6), _numbers(1, 1, 0, 2), 0.6, _numbers(3, 2, 0, 1), 3.0, 0.0),
        ),
        Case(
            "labels only, alpha = 1",
            (_drawn(4, 3, seed=7), _numbers(2, 1, 0, 2), 0.6, _numbers(1, 3, 0, 2), 3.0, 1.0),
        ),
    ),
    mistakes=(
        Mistake(
            "stale-teacher",
            "The student sees the mixture, but the teacher is asked about the pictures as they "
            "were. Its answer belongs to another picture: it is stale. Ask it about the very "
            "mixture that the student sees.",
            MIXTURES,
            {"answers": lambda teacher, mixed, inputs, partners, weight: teacher(inputs)},
            {"answers": lambda teacher, mixed, inputs, partners, weight: teacher(partners)},
        ),
        Mistake(
            "answers-mixed",
            "You ask the teacher about both pictures and mix its answers. A network is no straight "
            "line: its answer to the mixture is another one. Mix the pictures first, then ask.",
            MIXTURES,
            {"answers": _blend_answers},
            {"answers": _blend_probabilities},
        ),
        Mistake(
            "student-sees-no-mixture",
            "The teacher is asked about the mixture, but the student sees the pictures as they "
            "were. Both have to look at the same thing.",
            MIXTURES,
            {"seen": lambda mixed, inputs: inputs},
        ),
        Mistake(
            "inputs-not-mixed",
            "The labels are mixed, but the pictures are not. Each picture becomes "
            "weight · inputs + (1 − weight) · inputs[order].",
            MIXTURES,
            {"blend": lambda one, other, weight: one},
        ),
        Mistake(
            "labels-not-mixed",
            "The pictures are mixed, but only one of their two labels counts. The labels' term is "
            "weight · CE(labels) + (1 − weight) · CE(labels[order]).",
            MIXTURES,
            {"blend_labels": lambda own, partners, weight: own},
            {"blend_labels": lambda own, partners, weight: partners},
        ),
        Mistake(
            "larger-part-only",
            "Only the label of the larger part counts. That throws away what MixUp adds: 70 % coat "
            "and 30 % boot is to be called just that.",
            MIXTURES,
            {"blend_labels": lambda own, partners, weight: own if weight >= 0.5 else partners},
        ),
        Mistake(
            "weights-disagree",
            "Pictures and labels are mixed with different weights. What is 70 % of the picture is "
            "70 % of the label: weight belongs to the example itself, 1 − weight to its partner.",
            MIXTURES,
            {"blend_labels": lambda own, partners, weight: _blend(partners, own, weight)},
            {"blend": lambda one, other, weight: _blend(other, one, weight)},
        ),
        Mistake(
            "weight-on-the-partner",
            "You give the weight to the partner, in pictures and labels alike. It belongs to the "
            "example itself; the partner gets 1 − weight.",
            MIXTURES,
            {
                "blend": lambda one, other, weight: _blend(other, one, weight),
                "blend_labels": lambda own, partners, weight: _blend(partners, own, weight),
            },
        ),
        Mistake(
            "weight-ignored",
            "You mix half and half, whatever the weight is. MixUp draws a new weight for each "
            "batch, and most of its mixtures are not half and half.",
            MIXTURES,
            {
                "blend": lambda one, other, weight: (one + other) / 2,
                "blend_labels": lambda own, partners, weight: (own + partners) / 2,
            },
        ),
        Mistake(
            "labels-unweighted",
            "The pictures are mixed rightly, but both labels count alike. Weigh the two "
            "cross-entropies as you weigh the two pictures.",
            MIXTURES,
            {"blend_labels": lambda own, partners, weight: own + partners},
            {"blend_labels": lambda own, partners, weight: (own + partners) / 2},
        ),
        Mistake(
            "another-partner",
            "You choose partners of your own. Here order says who goes with whom: the partner of "
            "example i is example order[i], that is inputs[order] and labels[order].",
            MIXTURES,
            {"partner": lambda rows, order: rows.flip(0)},
            {"partner": lambda rows, order: rows.roll(1, 0)},
            {"partner": lambda rows, order: rows.roll(-1, 0)},
        ),
        Mistake(
            "teacher-gradients",
            "The loss is right, but its gradients go on into the teacher. Nobody needs them, and "
            "they cost time and memory. Ask the teacher under torch.no_grad().",
            MIXTURES,
            {"quietly": contextlib.nullcontext},
        ),
        Mistake(
            "no-gradient",
            "The value is right, but no student can be trained with it: it carries no gradient. "
            "Keep the student's forward pass out of torch.no_grad(), and return the loss without "
            ".item() or .detach().",
            MIXTURES,
            {"give": lambda loss: loss.detach()},
        ),
        Mistake(
            "alpha-swapped",
            "The weights of labels and teacher have changed places. In kdlab alpha weighs the "
            "labels and 1 − alpha the teacher.",
            MIXTURES,
            {"add": lambda hard, soft, alpha: (1 - alpha) * hard + alpha * soft},
        ),
        Mistake(
            "swapped",
            "Student and teacher have changed places in the teacher's term. In kdlab the student "
            "comes first: soft_target_kl(student_logits, teacher_logits, temperature).",
            MIXTURES,
            {"places": lambda student, teacher: (teacher, student)},
        ),
        Mistake(
            "temperature-ignored",
            "Right at T = 1, but the teacher's term does not change with T. Hand the temperature "
            "on: soft_target_kl(student_logits, teacher_logits, temperature).",
            MIXTURES,
            {"soft": lambda s, t, temperature: _kl(s, t, 1.0)},
        ),
        Mistake(
            "square-missing",
            "Right at T = 1; at a larger T the teacher's term is too small. The factor T² is "
            "missing (lesson 2). kdlab.losses.soft_target_kl has it inside.",
            MIXTURES,
            {"soft": lambda s, t, temperature: _kl(s, t, temperature) / temperature**2},
        ),
        Mistake(
            "square-twice",
            "Right at T = 1; at a larger T the teacher's term is too large. "
            "kdlab.losses.soft_target_kl has the factor T² inside: do not multiply again.",
            MIXTURES,
            {"soft": lambda s, t, temperature: _kl(s, t, temperature) * temperature**2},
        ),
    ),
)  # fmt: skip


# ---------------------------------------------------------------- the Shapley value of three


def our_shapley_of_three(worth: Tensor) -> Tensor:
    """The Shapley value of each of three teachers: its mean gain over all six orders of joining.

    φ_A = (v(A) − v(∅)) / 3 + (v(AB) − v(B) + v(AC) − v(C)) / 6 + (v(ABC) − v(BC)) / 3
    worth: (2, 2, 2), worth[a, b, c] with 1 for a teacher that is in, 0 for one that is not.
    """
    values = []
    for teacher in range(3):
        without, joined = worth.movedim(teacher, 0)
        gains = joined - without
        values.append(gains[0, 0] / 3 + gains[0, 1] / 6 + gains[1, 0] / 6 + gains[1, 1] / 3)
    return torch.stack(values)


def _weighed(first: float, middle: float, last: float) -> Callable[[Tensor], Tensor]:
    """Gains weighed by how many of the others are in already: none, one, both."""
    return lambda gains: (
        first * gains[0, 0] + middle * (gains[0, 1] + gains[1, 0]) + last * gains[1, 1]
    )


_over_all_orders = _weighed(1 / 3, 1 / 6, 1 / 3)


def _from_zero(without: Tensor, joined: Tensor) -> Tensor:
    """Gains as if nobody were worth nothing."""
    without = without.clone()
    without[0, 0] = 0
    return joined - without


def _shapley_of_three_in_steps(
    worth: Tensor,
    places=lambda teacher: teacher,
    gain=lambda without, joined: joined - without,
    mean=_over_all_orders,
    finish=lambda values, worth: values,
) -> Tensor:
    values = [mean(gain(*worth.movedim(places(teacher), 0))) for teacher in range(3)]
    return finish(torch.stack(values), worth)


def _worth(*points: float) -> Tensor:
    """none, C, B, B and C, A, A and C, A and B, all three."""
    return torch.tensor(points, dtype=torch.float32).reshape(2, 2, 2)


shapley_of_three = Exercise(
    lesson=LESSON,
    name="shapley_of_three",
    takes=("worth",),
    task="the Shapley value of three teachers from worth[a, b, c] (2, 2, 2), each index 1 for a "
    "teacher that is in -> (3,)",
    reference=our_shapley_of_three,
    in_steps=_shapley_of_three_in_steps,
    cases=(
        Case("A and B are twins, and C adds nothing", (_worth(80, 80, 82, 82, 82, 82, 82, 82),)),
        Case(
            "only A and B together are worth something", (_worth(70, 70, 70, 70, 70, 70, 76, 76),)
        ),
        Case("each adds its own part", (_worth(80, 83, 82, 85, 81, 84, 83, 86),)),
        Case("C takes away", (_worth(81, 79, 82.5, 81.2, 83, 81.4, 83.6, 82.1),)),
        Case("any table", (80 + 2 * _drawn(2, 4, seed=8).reshape(2, 2, 2),)),
    ),
    mistakes=(
        Mistake(
            "alone-only",
            "You count what each teacher adds alone. That misses how it fares in company: twins "
            "would both be paid in full for the same knowledge.",
            SHARES,
            {"mean": _weighed(1, 0, 0)},
        ),
        Mistake(
            "last-only",
            "You count what each teacher adds to all the others. Then twins are both worth "
            "nothing, for each can be replaced by the other.",
            SHARES,
            {"mean": _weighed(0, 0, 1)},
        ),
        Mistake(
            "first-and-last",
            "You average what a teacher adds alone and what it adds at the end. The two coalitions "
            "in between count too: it joins second in two of the six orders.",
            SHARES,
            {"mean": _weighed(1 / 2, 0, 1 / 2)},
        ),
        Mistake(
            "plain-mean",
            "You average the four gains alike (that is the Banzhaf value). In the six orders of "
            "joining, a teacher comes first twice and last twice, but it meets each single other "
            "one only once: weights 1/3, 1/6, 1/6, 1/3.",
            SHARES,
            {"mean": _weighed(1 / 4, 1 / 4, 1 / 4)},
        ),
        Mistake(
            "sixths",
            "You give each of the four gains a sixth, which makes four sixths. A teacher comes "
            "first in two of the six orders and last in two: these two gains count twice.",
            SHARES,
            {"mean": _weighed(1 / 6, 1 / 6, 1 / 6)},
        ),
        Mistake(
            "thirds",
            "You give each of the four gains a third, which makes four thirds. The two gains in "
            "the middle share one third: a sixth each.",
            SHARES,
            {"mean": _weighed(1 / 3, 1 / 3, 1 / 3)},
        ),
        Mistake(
            "weights-swapped",
            "The weights have changed places: first and last count a third each, the two gains in "
            "the middle a sixth each.",
            SHARES,
            {"mean": _weighed(1 / 6, 1 / 3, 1 / 6)},
        ),
        Mistake(
            "sum-of-orders",
            "You add up the gains of all six orders. The Shapley value is their mean: divide by 6. "
            "Then the three values add up to worth of all minus worth of none.",
            SHARES,
            {"mean": _weighed(2, 1, 2)},
        ),
        Mistake(
            "none-forgotten",
            "You take the worth of no teacher as 0. But a student of labels alone has learned "
            "something too: a teacher alone is worth v(A) − v(∅).",
            SHARES,
            {"gain": _from_zero},
        ),
        Mistake(
            "worth-not-gain",
            "You average the worth of the coalitions that a teacher is in. What counts is the "
            "gain: worth with it minus worth of the same coalition without it.",
            SHARES,
            {"gain": lambda without, joined: joined},
        ),
        Mistake(
            "sign",
            "You subtract the other way round: what a teacher adds is worth with it minus worth "
            "without it.",
            SHARES,
            {"gain": lambda without, joined: without - joined},
        ),
        Mistake(
            "equal-shares",
            "You divide the total by three, so every teacher gets the same, whatever it did. "
            "Follow each teacher by itself through the table.",
            SHARES,
            {"finish": lambda v, worth: ((worth[1, 1, 1] - worth[0, 0, 0]) / 3).expand(3)},
            {"finish": lambda v, worth: (worth[1, 1, 1] / 3).expand(3)},
        ),
        Mistake(
            "shares-of-one",
            "You divide by the sum, so that the values add up to 1. Leave them as they are, in "
            "the unit of the table: they add up to worth of all minus worth of none.",
            SHARES,
            {"finish": lambda values, worth: values / values.sum()},
        ),
        Mistake(
            "reversed",
            "The values are right, but stand in the reverse order. The first index of worth is the "
            "first teacher.",
            SHARES,
            {"places": lambda teacher: 2 - teacher},
        ),
    ),
)


EXERCISES = (mixup_loss, shapley_of_three)


# ---------------------------------------------------------------- questions

QUIZZES = (
    Question(
        LESSON,
        "across 1",
        "Three colleagues have a record of the clean pictures, kept = kdlab.record(teacher, "
        "data.train). Ann shuffles: she draws rows at random and takes kept.look_up(data.train"
        "[rows]). Ben mixes each picture with a random other one and takes kept.look_up of the "
        "first. Cleo adds a little noise and takes kdlab.across(kept, data.train, noisy.train). "
        "Whose answers are stale?",
        (
            Option(
                "Those of Ann: after shuffling, answers and pictures stand in another order.",
                "look_up goes by the number of each example, not by its place. Had she written "
                "kept.logits[:128], the answers would belong to other pictures; here they do not.",
            ),
            Option(
                "Those of Ben: half of what the student sees is another picture.",
                "The kept answer says nothing about the second picture, which may be most of the "
                "mixture. The teacher has to be asked about the mixture itself.",
                right=True,
            ),
            Option(
                "Those of Cleo: the teacher never saw the noise.",
                "True, and that is why its answers are good: noise does not change what is in the "
                "picture, so what the teacher says of the clean one holds for its noisy twin.",
            ),
            Option(
                "Those of Ben and of Cleo: both change the pictures after they were recorded.",
                "Both change what is seen. What counts is whether the answer still holds. It does "
                "for a noisy coat; it does not for a coat that is two thirds boot.",
            ),
        ),
    ),
    Question(
        LESSON,
        "across 2",
        "Two of your three teachers are twins: one network under two names. What do their Shapley "
        "values look like?",
        (
            Option(
                "The first twin gets its full value, the second one gets 0.",
                "That is one order of joining. In as many orders the second twin comes first. "
                "Over all orders they are treated alike.",
            ),
            Option(
                "Both get what a single one of them would get.",
                "Then the values would add up to more than there is. All values together are what "
                "the three teachers gain over labels alone, so twins have to share.",
            ),
            Option(
                "Both get the same, and all three values add up to what the three gain.",
                "Whoever adds the same to every coalition gets the same, and nothing is left over: "
                "these are two of the rules from which the formula follows. What one of them would "
                "get without its twin, the two values do not say.",
                right=True,
            ),
            Option(
                "Both get 0, for each can be replaced by the other.",
                "That is what each adds to a coalition that holds the other one. But each also "
                "joins first in some orders, and then it brings what both know.",
            ),
        ),
    ),
    Question(
        LESSON,
        "across 3",
        "Your new camera gives darker pictures. You have a teacher for the old camera, 1,000 new "
        "pictures with labels and 20,000 without. What do you do first?",
        (
            Option(
                "Let the teacher mark all 21,000, and distil with a large weight.",
                "If the teacher falls on dark pictures as it fell on pale ones here, this costs "
                "tens of points, and the loss looks fine all the while.",
            ),
            Option(
                "Ask the teacher about the 1,000 pictures whose labels you have.",
                "A minute's work, and it says whether its answers about the other 20,000 are worth "
                "having. If not: start from its weights, or find twins that it can read.",
                right=True,
            ),
            Option(
                "Train on the labels alone: knowledge does not travel to another camera.",
                "Sometimes it does. Its weights were a good start here, and its answers about the "
                "clean twins were as good as ever. Measure before you throw it away.",
            ),
            Option(
                "Take several teachers of the old camera: their mean cannot be wrong.",
                "It can. Teachers that learned from the same pictures fall together on pictures "
                "that none of them has seen.",
            ),
        ),
    ),
)
