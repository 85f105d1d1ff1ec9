"""Lesson 5, Compression: four functions to write, the mistakes we know, and four questions."""

import math
import statistics
import time
from collections.abc import Callable, Iterable

import safetensors.torch
import torch
from torch import Tensor, nn

from kdlab.check.core import Case, Exercise, Mistake
from kdlab.check.questions import Option, Question

LESSON = "05"
SIZE = "What a model costs"
TIME = "How long it takes"
FRONT = "Everything in one picture"


def _same(value):
    return value


def _none(*_) -> tuple:
    return ()


def _every(name: str, tensor: Tensor) -> bool:
    return True


def _built(models: dict[str, Callable]) -> Callable:
    """Hands a function a new model: the cases hold its number."""

    def play(f: Callable) -> Callable:
        def played(number: int) -> object:
            with torch.random.fork_rng(devices=[]):
                model = list(models.values())[number - 1]()
            return f(model)

        return played

    return play


def _cases(models: dict[str, Callable]) -> tuple[Case, ...]:
    return tuple(Case(name, (number,)) for number, name in enumerate(models, 1))


def _tied() -> nn.Module:
    words, answer = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)
    answer.weight = words.weight
    return nn.Sequential(words, answer)


def _partly_frozen() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 3).requires_grad_(False), nn.Linear(3, 2))


def _with_batch_norm() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))


def _int8() -> nn.Module:
    layer = nn.Linear(4, 3)
    del layer.weight
    layer.register_buffer("weight", torch.zeros(3, 4, dtype=torch.int8))
    return layer


# biases are told by their name, or by their one axis (then batch norm loses its weights as well)
NO_BIASES = (
    {"kept": lambda name, tensor: not name.endswith("bias")},
    {"kept": lambda name, tensor: tensor.dim() > 1},
)
NO_FROZEN = {"kept": lambda name, tensor: tensor.requires_grad}


# ---------------------------------------------------------------- parameters


def our_count_parameters(model: nn.Module) -> int:
    """How many numbers the parameters of a model hold, each counted once."""
    return sum(parameter.numel() for parameter in model.parameters())


def _count_in_steps(
    model: nn.Module,
    listed=nn.Module.named_parameters,
    kept=_every,
    also=_none,
    count=Tensor.numel,
) -> int:
    parameters = [tensor for name, tensor in listed(model) if kept(name, tensor)]
    return sum(count(tensor) for tensor in (*parameters, *also(model)))


COUNTED = {
    "nn.Linear(4, 3)": lambda: nn.Linear(4, 3),
    "a block in a block": lambda: nn.Sequential(nn.Sequential(nn.Linear(2, 3)), nn.Linear(3, 2)),
    "nn.Conv2d(1, 2, 3) and nn.BatchNorm2d(2)": _with_batch_norm,
    "nn.Linear(2, 3), frozen, and nn.Linear(3, 2)": _partly_frozen,
    "nn.Embedding(5, 3) and a linear layer that share one weight": _tied,
}

count_parameters = Exercise(
    lesson=LESSON,
    name="count_parameters",
    takes=("model",),
    task="how many numbers the parameters of a model hold, each counted once",
    reference=our_count_parameters,
    in_steps=_count_in_steps,
    play=_built(COUNTED),
    cases=_cases(COUNTED),
    mistakes=(
        Mistake(
            "biases-forgotten",
            "The biases are not counted. They are few, but learned like the weights, and stored "
            "beside them. model.parameters() gives both.",
            SIZE,
            *NO_BIASES,
        ),
        Mistake(
            "buffers-counted",
            "You count buffers too, such as batch norm's running mean and variance. They are "
            "stored, but nobody learns them: they are bytes of the file, and not parameters.",
            SIZE,
            {"also": nn.Module.buffers},
        ),
        Mistake(
            "tensors-counted",
            "You count tensors, not the numbers in them: a weight of 4 · 3 numbers is one tensor. "
            "Add up parameter.numel().",
            SIZE,
            {"count": lambda tensor: 1},
        ),
        Mistake(
            "tied-twice",
            "A weight that two layers share is counted twice. It has two names, and is one set of "
            "numbers: model.parameters() gives it once, names and layers give it twice.",
            SIZE,
            {"listed": lambda model: model.named_parameters(remove_duplicate=False)},
        ),
        Mistake(
            "every-level",
            "You count a layer once for each block that it stands in. model.modules() gives the "
            "blocks and the layers within; model.parameters() alone goes through all of them.",
            SIZE,
            {"listed": lambda m: [p for part in m.modules() for p in part.named_parameters()]},
        ),
        Mistake(
            "frozen-left-out",
            "Frozen parameters are left out. They do not learn any more, but who runs the model "
            "needs them all the same.",
            SIZE,
            NO_FROZEN,
        ),
        Mistake(
            "shapes-added",
            "You add up the axes of each weight: 4 + 3 for one of shape (4, 3). It holds 4 · 3 "
            "numbers: multiply them, or take parameter.numel().",
            SIZE,
            {"count": lambda tensor: sum(tensor.shape)},
        ),
        Mistake(
            "bytes-given",
            "You give bytes. That is the next question; here the numbers are counted, whatever "
            "the number of bytes in which each is stored.",
            SIZE,
            {"count": lambda tensor: tensor.nbytes},
        ),
    ),
)


# ---------------------------------------------------------------- bytes


def our_weight_bytes(model: nn.Module) -> int:
    """Bytes of a model's parameters and buffers: how many numbers, times the bytes of each."""
    stored = (*model.parameters(), *model.buffers())
    return sum(tensor.numel() * tensor.element_size() for tensor in stored)


def _bytes_in_steps(
    model: nn.Module,
    kept=_every,
    buffers=nn.Module.buffers,
    size=lambda tensor, first: tensor.nbytes,
    end=lambda total, model: total,
) -> float:
    first = next(model.parameters())
    parameters = [tensor for name, tensor in model.named_parameters() if kept(name, tensor)]
    return end(sum(size(tensor, first) for tensor in (*parameters, *buffers(model))), model)


WEIGHED = {
    "nn.Linear(4, 3)": lambda: nn.Linear(4, 3),
    "nn.Linear(4, 3).half()": lambda: nn.Linear(4, 3).half(),
    "nn.Linear(4, 3).double()": lambda: nn.Linear(4, 3).double(),
    "nn.Conv2d(1, 2, 3) and nn.BatchNorm2d(2)": _with_batch_norm,
    "nn.Conv2d(1, 2, 3) and nn.BatchNorm2d(2), both .half()": lambda: _with_batch_norm().half(),
    "nn.Linear(2, 3), frozen, and nn.Linear(3, 2)": _partly_frozen,
    "a linear layer whose weight is an int8 buffer": _int8,
}

weight_bytes = Exercise(
    lesson=LESSON,
    name="weight_bytes",
    takes=("model",),
    task="how many bytes the parameters and the buffers of a model take, in the type in which each "
    "is stored",
    reference=our_weight_bytes,
    in_steps=_bytes_in_steps,
    play=_built(WEIGHED),
    cases=_cases(WEIGHED),
    mistakes=(
        Mistake(
            "numbers-given",
            "You count numbers and not bytes. A float32 takes 4 bytes, a float16 takes 2, an int8 "
            "takes 1: multiply by tensor.element_size().",
            SIZE,
            {"size": lambda tensor, first: tensor.numel()},
        ),
        Mistake(
            "four-bytes-each",
            "Right for float32 only: you take 4 bytes for every number. In float16 a model takes "
            "half as many. tensor.element_size() says how many bytes a number takes.",
            SIZE,
            {"size": lambda tensor, first: 4 * tensor.numel()},
        ),
        Mistake(
            "one-type-for-all",
            "You take the type of the first parameter for all. A model may mix types: in an int8 "
            "model the biases are often float32. Ask each tensor for its own.",
            SIZE,
            {"size": lambda tensor, first: tensor.numel() * first.element_size()},
        ),
        Mistake(
            "bits",
            "You give bits: eight times as many. Files and memory are measured in bytes.",
            SIZE,
            {"end": lambda total, model: 8 * total},
        ),
        Mistake(
            "kilobytes",
            "You give kilobytes. Give bytes, and turn them into kB only where they are shown: 1 kB "
            "is 1,000 bytes to some people and 1,024 to others.",
            SIZE,
            *({"end": lambda total, model, kilo=kilo: total / kilo} for kilo in (1_000, 1_024)),
        ),
        Mistake(
            "buffers-forgotten",
            "The buffers are missing. They are not learned by gradients, but written to the file: "
            "batch norm's running statistics, and often the weights of an int8 layer.",
            SIZE,
            {"buffers": _none},
        ),
        Mistake(
            "biases-forgotten",
            "The biases are missing. They are few, but they are stored like the weights: take all "
            "of model.parameters().",
            SIZE,
            *NO_BIASES,
        ),
        Mistake(
            "frozen-left-out",
            "Frozen parameters are left out. They do not learn any more, but the file holds them "
            "all the same.",
            SIZE,
            NO_FROZEN,
        ),
        Mistake(
            "whole-file",
            "You measure a whole file: it also holds names, shapes and types. For a large model "
            "they hardly count; here we ask for the numbers alone.",
            SIZE,
            {"end": lambda total, model: len(safetensors.torch.save(model.state_dict()))},
        ),
    ),
)


# ---------------------------------------------------------------- Pareto front


def our_pareto_front(costs: Iterable[float], scores: Iterable[float]) -> list[bool]:
    """True for each point that no other one beats: as cheap, as good, and better in one of both.

    costs: n numbers, lower is better.  scores: n numbers, higher is better.
    """
    points = list(zip(costs, scores, strict=True))
    return [
        not any(c <= cost and s >= score and (c < cost or s > score) for c, s in points)
        for cost, score in points
    ]


def _beats(saved: Tensor, gained: Tensor) -> Tensor:
    return (saved >= 0) & (gained >= 0) & ((saved > 0) | (gained > 0))


def _twins_before(saved: Tensor, gained: Tensor) -> Tensor:
    return ((saved == 0) & (gained == 0)).triu(1)


def _pareto_front_in_steps(
    costs: Tensor,
    scores: Tensor,
    saved=_same,
    gained=_same,
    beats=_beats,
    judges=lambda costs, scores: slice(None),
    end=lambda front, costs, scores: front,
) -> Tensor:
    beaten = beats(saved(costs - costs[:, None]), gained(scores[:, None] - scores))
    return end(~beaten[judges(costs, scores)].any(0), costs, scores)


def _from_cheap_to_dear(compare: Callable, seen: Callable) -> dict[str, Callable]:
    """Each point is kept that compares well with what was seen of the cheaper ones."""

    def end(front: Tensor, costs: Tensor, scores: Tensor) -> Tensor:
        order = costs.argsort(stable=True)
        kept, ranked = torch.ones_like(front), scores[order]
        kept[order[1:]] = compare(ranked[1:], seen(ranked)[:-1])
        return kept

    return {"end": end}


def _best_so_far(ranked: Tensor) -> Tensor:
    return ranked.cummax(0).values


def _points(*points: tuple[float, float]) -> tuple[Tensor, Tensor]:
    costs, scores = torch.tensor(points).T
    return costs, scores


pareto_front = Exercise(
    lesson=LESSON,
    name="pareto_front",
    takes=("costs", "scores"),
    task="for each point, True where no other one is at least as cheap and at least as good, and "
    "better in one of the two -> n times True or False",
    reference=our_pareto_front,
    in_steps=_pareto_front_in_steps,
    cases=(
        Case("one point", _points((2.0, 0.8))),
        Case("three points, the dearest of them beaten", _points((1, 0.7), (2, 0.9), (3, 0.8))),
        Case(
            "beaten by neither the cheapest nor the best, but by one between",
            _points((1, 0.6), (2, 0.8), (3, 0.7), (4, 0.9)),
        ),
        Case("two beaten in a row", _points((4, 0.9), (1, 0.8), (2, 0.5), (3, 0.6))),
        Case("twins", _points((2, 0.8), (1, 0.6), (2, 0.8), (3, 0.7))),
        Case(
            "some of one cost, and some of one score",
            _points((2, 0.7), (2, 0.8), (1, 0.6), (3, 0.8), (4, 0.9), (4, 0.85)),
        ),
    ),
    mistakes=(
        Mistake(
            "dominated-kept",
            "Beaten points stay: you compare with the cheapest or the best point only. One that "
            "both leave alone may be beaten by a third, so compare each with all.",
            FRONT,
            {"judges": lambda costs, scores: scores.argmax()[None]},
            {"judges": lambda costs, scores: costs.argmin()[None]},
            {"judges": lambda costs, scores: torch.stack([costs.argmin(), scores.argmax()])},
        ),
        Mistake(
            "neighbour-only",
            "You compare each point with the next cheaper one only. A point may do better than a "
            "bad neighbour and be beaten by one further off: keep the best score so far.",
            FRONT,
            _from_cheap_to_dear(torch.gt, _same),
            _from_cheap_to_dear(torch.ge, _same),
        ),
        Mistake(
            "running-best",
            "Going from cheap to dear with the best score so far is a good way, but equals need "
            "care: of one cost only the best stay, of one score only the cheapest, and of two "
            "points with the same cost and score both.",
            FRONT,
            _from_cheap_to_dear(torch.gt, _best_so_far),
            _from_cheap_to_dear(torch.ge, _best_so_far),
        ),
        Mistake(
            "dear-for-cheap",
            "You take dear for cheap: of a cost, less is better. Only of a score more is.",
            FRONT,
            {"saved": torch.neg},
        ),
        Mistake(
            "worse-for-better",
            "You take worse for better: here a higher score is better. With NLL or calibration "
            "error, turn the sign before.",
            FRONT,
            {"gained": torch.neg},
        ),
        Mistake(
            "twins-strike-out",
            "Two points with the same cost and score strike each other out, though nobody beats "
            "them. To beat, a point must also be better in one of the two.",
            FRONT,
            {"beats": lambda saved, gained: ((saved >= 0) & (gained >= 0)).fill_diagonal_(False)},
        ),
        Mistake(
            "second-twin-dropped",
            "Of two points with the same cost and score you keep only the first. Which that is "
            "depends on the order of the table: both are on the front.",
            FRONT,
            {"beats": lambda saved, gained: _beats(saved, gained) | _twins_before(saved, gained)},
        ),
        Mistake(
            "beats-itself",
            "No point is left: each is as cheap and as good as itself, and so beats itself. To "
            "beat, a point must be better in one of the two.",
            FRONT,
            {"beats": lambda saved, gained: (saved >= 0) & (gained >= 0)},
        ),
        Mistake(
            "better-in-both",
            "You ask for better in both. A point that costs the same and scores less is beaten "
            "too, and so is one with the same score at a higher cost.",
            FRONT,
            {"beats": lambda saved, gained: (saved > 0) & (gained > 0)},
        ),
        Mistake(
            "one-best",
            "You keep only what is best in one way: the best score, the least cost, or the most "
            "score for the money. The front holds every point that some budget would choose.",
            FRONT,
            {"end": lambda front, costs, scores: scores == scores.max()},
            {"end": lambda front, costs, scores: costs == costs.min()},
            {"end": lambda front, costs, scores: scores / costs == (scores / costs).max()},
        ),
        Mistake(
            "inverted",
            "You say True where a point is beaten. The front is the others: turn it round with ~ "
            "or not.",
            FRONT,
            {"end": lambda front, costs, scores: ~front},
        ),
        Mistake(
            "sorted",
            "Your answers stand in order of cost. They must stand as the points came, or they are "
            "read as those of other points.",
            FRONT,
            {"end": lambda front, costs, scores: front[costs.argsort(stable=True)]},
        ),
    ),
)


# ---------------------------------------------------------------- latency


def our_latency(model: nn.Module, inputs: Tensor, calls: int = 20) -> float:
    """Median seconds of one call, after a warm-up, in eval mode and without gradients."""
    training, seconds = model.training, []
    model.eval()
    with torch.inference_mode():
        for _ in range(3):
            model(inputs)
        for _ in range(calls):
            began = time.perf_counter()
            model(inputs)
            seconds.append(time.perf_counter() - began)
    model.train(training)
    return statistics.median(seconds)


def _latency_in_steps(
    model: nn.Module,
    inputs: Tensor,
    calls: int,
    listen=nn.Module.eval,
    quietly=torch.inference_mode,
    warm_up=lambda model, inputs: [model(inputs) for _ in range(3)],
    timed=_same,
    unit=_same,
    average=statistics.median,
    put_back=nn.Module.train,
) -> float:
    model.waits = False  # a mistake needs no clock: the probe says how long it would have taken
    training, seconds = model.training, []
    listen(model)
    with quietly():
        warm_up(model, inputs)
        for _ in range(timed(calls)):
            model(inputs)
            seconds.append(unit(model.spent[-1]))
    put_back(model, training)
    return average(seconds)


# How long calls of the probe take, in median calls: the first are slow, and later one in seven.
# Any seven in a row of the later ones have the same median, mean, sum, least and most.
MEDIAN = 4e-4  # seconds
SLOW_ONES, FIRST = 3, 6.0
LATER = (1.0, 0.5, 1.1, 1.0, 1.1, 12.0, 0.5)
AVERAGES = (statistics.median, statistics.fmean, sum, min, max)
UNITS = (1.0, 1e3, 1e6, 1e9)  # in a second
NEAR = math.log(2.0)  # further than by this factor from all of them: none of them


def _probed(latency: Callable) -> Callable:
    """What shows of a function that times: its kind of average, and ones for what it does right.

    The model that it is given notes how it is called, and how long each call has really taken: so
    a busy machine, where all calls take longer, does no harm.
    """

    def played(number: int, inputs: Tensor, calls: int) -> object:
        spent, modes = [], []  # of each call: seconds; (gradients on, training mode)

        class Probe(nn.Module):
            waits = True

            def forward(self, inputs: Tensor) -> Tensor:
                began, call = time.perf_counter(), len(spent)
                modes.append((torch.is_grad_enabled(), self.training))
                lasts = MEDIAN * (FIRST if call < SLOW_ONES else LATER[call % len(LATER)])
                while self.waits and time.perf_counter() - began < lasts:
                    pass  # a sleep may last much longer than asked for
                spent.append(time.perf_counter() - began if self.waits else lasts)
                return inputs

        model = Probe().train(number == 1)
        model.spent = spent
        with torch.enable_grad():  # and afterwards as it was, whatever is switched within
            told = latency(model, inputs, calls)
        try:
            value = torch.as_tensor(told, dtype=torch.float64)
        except (TypeError, ValueError, RuntimeError):  # none, or no number: the check has words
            return told
        one, enough = value.numel() == 1, len(spent) >= calls
        kind, warm = _recognised(value.item(), spent, calls) if one and enough else (1.0, True)
        quiet = not any(gradients for gradients, _ in modes[-calls:])
        listening = not any(training for _, training in modes)
        return [kind, one, enough, warm, quiet, listening, model.training == (number == 1)]

    return played


def _recognised(told: float, spent: list[float], calls: int) -> tuple[float, bool]:
    """Which average of the seconds spent this is, in median calls, and if it is of warm calls."""
    windows = [(spent[-calls:], len(spent) > calls)]
    if len(spent) == calls:
        windows.append((spent[SLOW_ONES:], True))  # timed, and then left out
    guesses = [
        (abs(math.log(told / (unit * average(window)))), unit * average(LATER), warm)
        for window, warm in windows
        for average in AVERAGES
        for unit in UNITS
        if 0 < told < math.inf
    ]
    off, kind, warm = min(guesses, default=(math.inf, 0.0, True))
    return (kind, warm) if off < NEAR else (told / statistics.median(spent), True)


latency = Exercise(
    lesson=LESSON,
    name="latency",
    takes=("model", "inputs", "calls"),
    task="the median seconds of one call of a model, over as many timed calls, after a warm-up",
    reference=our_latency,
    in_steps=_latency_in_steps,
    play=_probed,
    praise="times the median call, warmed up, in eval mode and without gradients, and leaves the "
    "model as it was",
    cases=(
        Case(
            "a model in training mode, told as its time in median calls and 1 for all done right",
            (1, torch.ones(1, 3), len(LATER)),
        ),
        Case("a model that is in eval mode already", (2, torch.ones(1, 3), len(LATER))),
    ),
    mistakes=(
        Mistake(
            "no-warm-up",
            "The first calls are in what you time. They are slow: memory is set aside, kernels are "
            "chosen, caches are cold. Call the model a few times before you start the clock.",
            TIME,
            {"warm_up": _none},
        ),
        Mistake(
            "gradients-on",
            "Gradients are on while you time, so each call also notes what a backward pass would "
            "need. Who uses the model does not learn: call it under torch.inference_mode().",
            TIME,
            {"quietly": torch.enable_grad},
        ),
        Mistake(
            "training-mode",
            "The model is called in training mode, where dropout draws and batch norm averages: "
            "other work than in use, and each call moves batch norm's statistics. Call "
            "model.eval() first.",
            TIME,
            {"listen": _same},
            {"listen": nn.Module.train},
        ),
        Mistake(
            "mode-not-put-back",
            "The model comes back in another mode than it came in, and whoever trains it next "
            "trains in the wrong one. Note model.training before, and call model.train(noted) at "
            "the end.",
            TIME,
            {"put_back": _none},
            {"put_back": lambda model, training: model.train()},
        ),
        Mistake(
            "mean",
            "You give the mean. One call that the computer interrupts moves it far; the median, "
            "statistics.median(seconds), hardly notices.",
            TIME,
            {"average": statistics.fmean},
        ),
        Mistake(
            "total",
            "You give the seconds of all calls together. We ask how long one call takes, so that "
            "it does not depend on how many were timed.",
            TIME,
            {"average": sum},
        ),
        Mistake(
            "fastest-or-slowest",
            "You give the fastest or the slowest call. One is the computer at its best, the other "
            "tells what else it did at that moment; a user mostly waits for the median.",
            TIME,
            {"average": min},
            {"average": max},
        ),
        Mistake(
            "other-unit",
            "You give another unit: milliseconds, microseconds or nanoseconds. Give seconds, and "
            "turn them into ms only where they are shown.",
            TIME,
            {"unit": lambda seconds: 1e3 * seconds},
            {"unit": lambda seconds: 1e6 * seconds},
            {"unit": lambda seconds: 1e9 * seconds},
        ),
        Mistake(
            "too-few-calls",
            "You call the model fewer times than `calls` says. One call alone may be the one that "
            "the computer interrupts: time each of them, and take the median.",
            TIME,
            {"timed": lambda calls: 1},
        ),
        Mistake(
            "all-times-given",
            "You give the seconds of every call. Give one number, their median: "
            "statistics.median(seconds).",
            TIME,
            {"average": list},
        ),
    ),
)


EXERCISES = (count_parameters, weight_bytes, pareto_front, latency)


# ---------------------------------------------------------------- questions

QUIZZES = (
    Question(
        LESSON,
        "compression 1",
        "A student has a tenth of the teacher's multiply-adds. With 64 pictures at once it is "
        "quicker, yet with one picture it is slower. How can that be?",
        (
            Option(
                "It cannot: fewer multiply-adds take less time. The timing is wrong.",
                "Multiply-adds are only part of the time. Each layer also costs a start, and "
                "weights must come from memory, however few numbers are then multiplied.",
            ),
            Option(
                "It has more layers, one after the other.",
                "At batch 1 a small layer's time is mostly its start, which does not shrink with "
                "its width. Ten thin layers start ten times, three wide ones three times. At batch "
                "64 the products weigh more, and there are fewer of them.",
                right=True,
            ),
            Option(
                "It was not distilled long enough.",
                "Distillation changes the values of weights. In a dense network time depends on "
                "shapes, types and machine, hardly on values: an untrained student is as quick.",
            ),
        ),
    ),
    Question(
        LESSON,
        "compression 2",
        "You set the smallest 90 % of a student's weights to zero, for good, and save it with "
        "safetensors as before. How large is the file?",
        (
            Option(
                "A tenth of what it was: zeros are not stored.",
                "A dense tensor stores every number, and a float32 zero takes four bytes like any "
                "other. To leave zeros out one needs a sparse format, or whole channels cut out.",
            ),
            Option(
                "As large as before, but a call now takes a tenth of the time.",
                "The size is right, the time is not: a dense product multiplies by the zeros too. "
                "Time falls where whole rows or channels are cut out, and matrices get smaller.",
            ),
            Option(
                "As large as before.",
                "Shape and type of each weight are what they were, and they decide about the "
                "bytes. Zip the file and it shrinks, for zeros pack well: on the wire, not in "
                "memory.",
                right=True,
            ),
            Option(
                "Larger, for the places of the zeros must be stored as well.",
                "So it is with a sparse format, or while torch's pruning keeps its masks. Here the "
                "zeros are ordinary numbers in an ordinary tensor.",
            ),
        ),
    ),
    Question(
        LESSON,
        "compression 3",
        "The weights of a float32 student are stored as int8, with one scale a layer. What surely "
        "falls, on every machine?",
        (
            Option(
                "All costs, to about a quarter: bytes, multiply-adds, latency.",
                "Only the bytes do. There are as many products as before; whether they are quicker "
                "depends on the processor, and on what it takes to convert to int8 and back.",
            ),
            Option(
                "The number of parameters, to about a quarter.",
                "Each parameter is still there, only coarser: 256 steps. Bytes are the number of "
                "parameters times the bytes of each, and it is the second factor that falls.",
            ),
            Option(
                "The bytes of these weights, to about a quarter.",
                "One byte a number instead of four. Biases often stay float32, and a small layer's "
                "scales weigh something too. Latency has to be measured: small layers may even "
                "get slower.",
                right=True,
            ),
        ),
    ),
    Question(
        LESSON,
        "compression 4",
        "A student is pruned. Its accuracy falls by 0.2 points, but its calibration error "
        "(ECE) rises from 1 to 5 points. What follows?",
        (
            Option(
                "A mistake in the measurement: with the same answers, ECE cannot change.",
                "Accuracy asks only which logit is largest. ECE asks how sure the student is, and "
                "confidence can move a long way while the largest logit stays the largest.",
            ),
            Option(
                "Nothing: only the answers count.",
                "Only where nobody looks at the confidence. Where unsure answers go to a person, "
                "or several models vote, a student that is too sure, or not sure enough, does "
                "harm at the same accuracy.",
            ),
            Option(
                "Divide its logits by the T of the distillation, for the student has learned "
                "soft answers.",
                "The T of training makes targets soft inside the loss. At use the student answers "
                "at T = 1, and another T has to be found on its own answers.",
            ),
            Option(
                "Its confidences have moved; one temperature, fitted on validation, may mend it.",
                "Dividing all logits by one number changes no answer and costs no bytes. Fit it on "
                "validation after the compression, and measure ECE on test: what was well "
                "calibrated before need not be so afterwards.",
                right=True,
            ),
        ),
    ),
)
