"""Students side by side: stacked weights, one pass forward and one back over all of them."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.func import stack_module_state

# Activations backwards, from what `Stack` kept: GELU's input, the others' output.
BACK = {
    nn.ReLU: lambda gradient, kept, layer: torch.ops.aten.threshold_backward(gradient, kept, 0),
    nn.Tanh: lambda gradient, kept, layer: torch.ops.aten.tanh_backward(gradient, kept),
    nn.Sigmoid: lambda gradient, kept, layer: torch.ops.aten.sigmoid_backward(gradient, kept),
    nn.GELU: lambda gradient, kept, layer: torch.ops.aten.gelu_backward(
        gradient, kept, approximate=layer.approximate
    ),
}

# Layers without state, chance or shape-dependent cost: a stack of them is the same computation.
SIMPLE = (nn.Sequential, nn.Flatten, nn.Identity, nn.Linear, *BACK)


def is_simple(part: nn.Module) -> bool:
    """Whether a layer is one that `Stack` computes, with nobody listening to it."""
    return type(part) in SIMPLE and not (part._forward_hooks or part._forward_pre_hooks)


class Stack:
    """Students side by side: one pass forward and one back over all of them, without a graph.

    Values stand as (members, numbers, batch), so that the product of a first layer that several
    members share comes out member by member, and no pass has to copy.
    """

    def __init__(self, students: list[nn.Module]):
        stacked, _ = stack_module_state(students)
        self.weights = {name: weight.detach() for name, weight in stacked.items()}
        self.gradients = {name: torch.empty_like(part) for name, part in self.weights.items()}
        self.layers = list(_in_order(students[0], ""))
        # nothing before the first layer with weights needs a gradient
        linear = [at for at, (_, layer) in enumerate(self.layers) if isinstance(layer, nn.Linear)]
        self.first = min(linear)
        self.kept: list[Tensor] = []

    def forward(self, inputs: Tensor, keep: bool = True) -> Tensor:
        """Logits (members, classes, batch) of inputs (groups, batch, ...).

        A group is the members next to each other that share these inputs.
        keep: whether a pass back follows.
        """
        now, kept = inputs.flatten(2).transpose(1, 2), []
        for name, layer in self.layers:
            before = now
            if isinstance(layer, nn.Linear):
                weight = _by_group(self.weights[name + "weight"], now)
                if layer.bias is None:
                    now = weight @ now
                else:
                    bias = _by_group(self.weights[name + "bias"].unsqueeze(2), now)
                    now = torch.baddbmm(bias, weight, now)
                now = now.unflatten(1, (-1, layer.out_features)).flatten(0, 1)
                kept.append(before)
            else:
                now = layer(before.clone() if getattr(layer, "inplace", False) else before)
                kept.append(before if isinstance(layer, nn.GELU) else now)
        if keep:
            self.kept = kept
        return now

    def backward(self, gradient: Tensor) -> None:
        """From d loss / d logits (members, classes, batch) to `gradients`."""
        for at in reversed(range(len(self.layers))):
            (name, layer), kept = self.layers[at], self.kept[at]
            if not isinstance(layer, nn.Linear):
                gradient = BACK[type(layer)](gradient, kept, layer)
                continue
            made = _by_group(gradient, kept), kept.transpose(1, 2)
            of_weight = _by_group(self.gradients[name + "weight"], kept)
            if torch.is_autocast_enabled(gradient.device.type):
                of_weight.copy_(torch.bmm(*made))
            else:
                torch.bmm(*made, out=of_weight)
            if layer.bias is not None:
                self.gradients[name + "bias"].copy_(gradient.sum(2))
            if at > self.first:
                gradient = self.weights[name + "weight"].transpose(1, 2) @ gradient
            else:
                return


def _in_order(module: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    """The layers of nested Sequentials that compute something, with their names' beginnings."""
    if isinstance(module, nn.Sequential):
        for part, inner in module.named_children():
            yield from _in_order(inner, f"{name}{part}.")
    elif not isinstance(module, (nn.Flatten, nn.Identity)):
        yield name, module


def _by_group(stacked: Tensor, like: Tensor) -> Tensor:
    """(members, rows, ...) as (groups, members of one · rows, ...), with the groups of `like`."""
    return stacked.reshape(len(like), -1, stacked.shape[2])
