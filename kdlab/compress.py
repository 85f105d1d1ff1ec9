"""Make a trained network smaller without a teacher: pruning and low-rank factors.

Each function gives a new module and leaves the model as it is. What it gives can be trained on by
`train` and `distill` as any module can. Whole numbers instead of floats: see exports.py.
"""

import copy
import warnings

import torch
from torch import Tensor, nn
from torch.nn.utils import prune as torch_prune

from kdlab import models
from kdlab.errors import Refusal, number, whole

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def prune(model: nn.Module, share: float) -> nn.Module:
    """The smallest weights of all linear and convolutional layers together, set to zero.

    share: of the weights that go, 0 to 1; biases stay. Zeros take as much room in a file and as
    much time as other numbers do, unless a format or a library for sparse weights is used. Train on
    with optimizer=kdlab.compress.keep_zeros, or they come back.

    (magnitude pruning: Han, Pool, Tran & Dally 2015, by torch.nn.utils.prune.)
    """
    share = _share(share)
    copied = copy.deepcopy(model)
    weights = [(layer, "weight") for layer in copied.modules() if isinstance(layer, LAYERS)]
    if not weights:
        raise Refusal(_no_layer(model, "a linear or convolutional layer"))
    torch_prune.global_unstructured(weights, torch_prune.L1Unstructured, amount=share)
    for layer, name in weights:
        torch_prune.remove(layer, name)  # the mask goes into the weight: an ordinary module again
    return copied


def keep_zeros(parameters, lr: float) -> torch.optim.Optimizer:
    """An optimizer for `train` and `distill`: Adam, and weights that are zero now stay zero.

    parameters: of a pruned student.  lr: learning rate.  Biases and other vectors may leave zero.
    """
    parameters = list(parameters)
    optimizer = torch.optim.Adam(parameters, lr=lr)
    zeros = [(weight, weight.detach() == 0) for weight in parameters if weight.ndim > 1]

    def zero_again(*_: object) -> None:
        with torch.no_grad():
            for weight, gone in zeros:
                weight.masked_fill_(gone, 0)

    optimizer.register_step_post_hook(zero_again)
    return optimizer


def narrow(model: nn.Module, share: float, inputs: Tensor) -> nn.Module:
    """The weakest neurons and channels taken out, and what read them with them: a smaller network.

    share: of each layer's neurons or channels that go, 0 to 1; the last layer keeps its classes. A
        layer's weights fall by more, for it also reads less.
    inputs: two or more examples, to follow which layer feeds which.

    (structured pruning by the length of a neuron's weights: Li et al. 2017, by Torch-Pruning, Fang
    et al. 2023.)
    """
    import torch_pruning  # 0.3 s to load, and few who import kdlab need it

    share = _share(share)
    copied = copy.deepcopy(model).eval()
    layers = [layer for layer in copied.modules() if isinstance(layer, LAYERS)]
    if len(layers) < 2:
        raise Refusal(_no_layer(model, "two linear or convolutional layers"))
    device = str(layers[0].weight.device)
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")  # it warns of every weight that belongs to no layer
        torch_pruning.BasePruner(
            copied,
            example_inputs=inputs[:2].to(device),
            importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
            pruning_ratio=share,
            ignored_layers=[_head(copied, inputs[:2].to(device))],
        ).step()
    copied.zero_grad(set_to_none=True)
    for module, was in zip(copied.modules(), model.modules(), strict=True):
        module.training = was.training
    for weight in copied.parameters():
        weight.requires_grad_(True)
    return copied


def factorise(model: nn.Module, rank: int) -> nn.Module:
    """Each linear layer as two thin ones, where that takes fewer numbers.

    W (out, in) ≈ B A, with A (rank, in) and B (out, rank): the nearest such product, by the
    singular value decomposition (Eckart & Young 1936; for networks: Denil et al. 2013).

    rank: numbers that stand between the two.  Raises Refusal where no layer gets smaller.
    """
    rank = whole("rank", rank, 1)
    copied = copy.deepcopy(model)
    wide = [
        (name, layer)
        for name, layer in copied.named_modules()
        if isinstance(layer, nn.Linear) and rank * sum(layer.weight.shape) < layer.weight.numel()
    ]
    if not wide:
        raise Refusal(
            f"rank={rank}: two factors would take more numbers than each of the linear layers of "
            f"this {models.name_of(model)} does. Take a lower rank, or a model with larger ones."
        )
    for name, layer in wide:
        thin = _two_factors(layer, rank)
        if not name:
            return thin
        parent, _, child = name.rpartition(".")
        setattr(copied.get_submodule(parent), child, thin)
    return copied


def _two_factors(layer: nn.Linear, rank: int) -> nn.Sequential:
    left, strength, right = torch.linalg.svd(layer.weight.detach(), full_matrices=False)
    outputs, inputs = layer.weight.shape
    first = nn.utils.skip_init(nn.Linear, inputs, rank, bias=False)
    second = nn.utils.skip_init(nn.Linear, rank, outputs, bias=layer.bias is not None)
    root = strength[:rank].sqrt()  # shared by both, so that neither learns faster
    with torch.no_grad():
        first.weight.copy_(root[:, None] * right[:rank])
        second.weight.copy_(left[:, :rank] * root)
        if layer.bias is not None:
            second.bias.copy_(layer.bias)
    return nn.Sequential(first, second).to(layer.weight)


def _head(model: nn.Module, inputs: Tensor) -> nn.Module:
    """The layer with weights that ran last: the one that gives the logits."""
    order, hooks = [], []
    for layer in model.modules():
        if isinstance(layer, LAYERS):
            hooks.append(layer.register_forward_hook(lambda ran, *_: order.append(ran)))
    try:
        with torch.no_grad():
            model(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return order[-1]


def _share(value: object) -> float:
    if not 0 <= number(value) < 1:
        raise Refusal(f"share={value!r}: expected a number of at least 0 and below 1 (0.9: 90 %).")
    return number(value)


def _no_layer(model: nn.Module, wanted: str) -> str:
    return f"this {models.name_of(model)} has not got {wanted}: there is nothing to take out."
