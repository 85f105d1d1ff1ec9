"""Features of any network by layer name: read, made alike by a projector, compared by CKA."""

import contextlib
import math
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

import pandas as pd
import torch
from torch import Tensor, nn

from kdlab.errors import LayerNotFound, Refusal, nearest, unknown, whole
from kdlab.models import listening, tensor_in

BATCH = 1_000  # rows read at a time
LISTED = 40  # layer names in an error; a large network has hundreds


class Features(dict):
    """Layer name -> its output in the model's latest pass; a layer not called in it is refused."""

    tapped: Sequence[str] = ()

    def __missing__(self, name: object):
        if name not in self.tapped:
            raise unknown("tapped layer", name, self.tapped)
        raise Refusal(
            f'the layer "{name}" was not called in the latest pass, or there was none yet. What '
            "uses a layer's weights without calling it goes past it: take another layer."
        )


@contextlib.contextmanager
def tap(model: nn.Module, *names: str | Sequence[str]) -> Iterator[Features]:
    """Read layers by name while the model runs: `with tap(model, "block1", "head") as features:`.

    names: dotted, as `kdlab.layers.names(model)` shows them. After each pass `features[name]` is
        the layer's output in that pass, (batch, ...), with its gradient: the last one where it is
        called twice; of a tuple the first item, of a mapping "logits" or "last_hidden_state".

    The hooks are always taken off again, and see the passes of the thread that put them on, none
    of another's. A model under torch.compile runs uncompiled meanwhile, for compiled code goes
    past hooks. Raises LayerNotFound before anything runs.
    """
    features = Features()
    features.tapped = [n for name in names for n in ([name] if isinstance(name, str) else name)]
    layers = {name: find(model, name) for name in features.tapped}

    def keep(name: str, output: object) -> None:  # a copy: an in-place ReLU may change the output
        features[name] = _tensor(name, output).clone(memory_format=torch.contiguous_format)

    with _hooked(model, layers, keep, begin=features.clear):
        yield features


def read(
    model: nn.Module, inputs: object, names: str | Sequence[str], device: str = "cpu"
) -> dict[str, Tensor]:
    """Layers' outputs for all inputs: name -> (n, ...), on the CPU, without gradient.

    inputs: a tensor, a mapping of keyword inputs, a pair (inputs, labels), a Split, or a Data (its
        validation split). The model is asked in eval mode and is as before afterwards.
    """
    inputs, parts = _inputs(inputs), []
    with _asked(model, device) as there, tap(there, names) as features:
        for start in range(0, _count(inputs), BATCH):
            rows = _call(there, inputs, slice(start, start + BATCH), device)
            parts.append({name: features[name].cpu() for name in features.tapped})
            for name, part in parts[-1].items():
                if part.shape[:1] != (rows,):
                    raise Refusal(
                        f'the layer "{name}" gave shape {tuple(part.shape)} for {rows} examples: '
                        "expected a row for each. Take another layer."
                    )
                if part.shape[1:] != parts[0][name].shape[1:]:
                    raise Refusal(
                        f'the layer "{name}" gave shape {tuple(parts[0][name].shape)} for some '
                        f"examples and {tuple(part.shape)} for others, as the layers of a "
                        "transformer do for texts of other lengths. Take a layer that gives one "
                        "vector a text, such as a pooler."
                    )
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def find(model: nn.Module, name: str, role: str = "model", asked_by: str = "") -> nn.Module:
    """The layer of that name, or LayerNotFound with those that there are.

    role, asked_by: for the sentence: "student" or "teacher", and who asks ('the match "hidden"').
    """
    if not isinstance(model, nn.Module):
        raise Refusal(f"the {role} is a {type(model).__name__}: only a torch module has layers.")
    layers, own = _named(model), type(_root(model))
    if _plain(str(name)) in layers:
        return layers[_plain(str(name))]
    number = re.search(r"\d*$", str(name))[0]  # who asks for "layer3" may mean "block3"
    alike = [other for other in layers if number and other.endswith(number)]
    near = nearest(name, alike, cutoff=0.3) or nearest(name, layers)
    known = [*layers][:LISTED] + [f"and {len(layers) - LISTED} more"] * (len(layers) > LISTED)
    raise LayerNotFound(
        f"the {role}{'' if own.__module__.startswith('torch.') else ' ' + own.__name__} has no "
        f'layer "{name}"'
        + (f" (asked for by {asked_by})" if asked_by else "")
        + f". Its layers: {', '.join(known) or 'none'}."
        + (f' Did you mean "{near}"?' if near else "")
    )


def names(model: nn.Module, inputs: object = None) -> pd.DataFrame:
    """A row a layer: its name, kind, shape of its output for one example, numbers, parameters.

    inputs: examples as `read` takes them, for one small pass. A net made by name, such as a shipped
        teacher, needs none; other modules show "-" for the shape without. parameters: the layer's
        own and those below it. The model is as before afterwards.
    """
    shapes, table = _shapes(model, inputs), []
    for name, layer in _named(model).items():
        shape = "-" if shapes is None else shapes.get(name, "not called")
        told = (shape, None) if isinstance(shape, str) else (_spelt(shape), math.prod(shape))
        weights = sum(weight.numel() for weight in layer.parameters())
        table.append((name, type(_root(layer)).__name__, *told, weights))
    table = pd.DataFrame(table, columns=["layer", "kind", "shape", "numbers", "parameters"])
    return table.astype({"numbers": "Int64", "parameters": "int64"})


def outline(model: nn.Module, inputs: object = None) -> list[str]:
    """The layers worth comparing: the outermost that hold weights, deeper where these are under 3.

    inputs: as for `names`. Layers that give no row for each example stay out.
    """
    shapes, layers = _shapes(model, inputs), _named(model)
    if shapes is None:
        raise Refusal("inputs=None: only a net made by name knows its inputs. Give some examples.")

    def inside(outer: str) -> list[str]:
        found = []
        for name, layer in layers.items():
            if name.rpartition(".")[0] == outer and next(layer.parameters(), None) is not None:
                found += [name] if isinstance(shapes.get(name), tuple) else inside(name)
        return found

    level, deeper = [], inside("")
    while level != deeper and len(level) < 3:
        level, deeper = deeper, [low for name in deeper for low in (inside(name) or [name])]
    return level


# ---------------------------------------------------------------- making alike


def projector(student_shape: Sequence[int], teacher_shape: Sequence[int]) -> nn.Sequential:
    """A module from (batch, *student_shape) to (batch, *teacher_shape); `.said` tells what it does.

    Shapes are of one example: a vector (width,), tokens (tokens, width) or a map (channels, height,
    width). Map to map: a 1x1 convolution where the channels differ, and a resize where the sizes
    do (averages; bilinear where it grows), the convolution on the smaller side. Tokens to tokens:
    the same, with a linear map and averages. Else: flattened, and a linear map.
    The weights come from torch's global random state.

    (Romero et al. 2015, FitNets, section 2.2: a convolution as the regressor.)
    """
    own, wanted = tuple(student_shape), tuple(teacher_shape)
    for shape in own, wanted:
        if not 1 <= len(shape) <= 3 or min(shape) < 1:
            raise Refusal(
                f"features of shape {shape}: expected (width,), (tokens, width) or (channels, "
                "height, width). Give the match a projector of your own."
            )
    maps, parts, said = len(own) == 3, [], []
    if len(own) == len(wanted) and len(own) != 1:
        turn = 1 if maps else -1  # so that what is mixed stands first: channels, or the width
        (mixed, *size), (into, *fitted) = own[::turn], wanted[::turn]
        if mixed != into:
            parts.append(nn.Conv2d(mixed, into, 1) if maps else nn.Linear(mixed, into))
            how, what = ("1x1 convolution", "channels") if maps else ("linear map", "numbers")
            said.append(f"a {how} from {mixed} to {into} {what}")
        if size != fitted:
            down = all(new <= old for new, old in zip(fitted, size, strict=True))
            resize = nn.AdaptiveAvgPool2d(tuple(fitted) if maps else (fitted[0], None))
            if maps and not down:
                resize = nn.Upsample(size=tuple(fitted), mode="bilinear")
            parts.insert(0 if down else len(parts), resize)
            said.append(f"a resize from {_spelt(size)} to {_spelt(fitted)}{' tokens' * (not maps)}")
    elif own != wanted:
        parts = [nn.Flatten()] * (len(own) > 1) + [nn.Linear(math.prod(own), math.prod(wanted))]
        parts += [nn.Unflatten(1, wanted)] * (len(wanted) > 1)
        said = [f"a linear map from {_spelt(own)} to {_spelt(wanted)} numbers"]
    made = nn.Sequential(*parts)
    weights = sum(weight.numel() for weight in made.parameters())
    how_many = f"{weights:,} weights" if weights else "no weights"
    made.said = f"{' and '.join(said) or 'nothing to do, the shapes agree'} ({how_many})"
    return made


# ---------------------------------------------------------------- comparing


def cka(a: Tensor, b: Tensor) -> float:
    """Linear centred kernel alignment of two layers' features: 0 (unrelated) to 1 (alike).

    CKA = ‖XᵀY‖² / (‖XᵀX‖ · ‖YᵀY‖), Frobenius norms, columns of X and Y centred, in double precision

    a, b: (n, ...) and (n, ...), the same n examples in the same order; maps are flattened. Rotating
    or scaling one layer's features as a whole changes nothing, stretching some of them does.
    Features that are the same for every example resemble nothing: 0.
    (Kornblith, Norouzi, Lee & Hinton 2019, section 3.)
    """
    if len(a) != len(b) or len(a) < 3:
        raise Refusal(
            f"features of {len(a)} and of {len(b)} examples: expected the same examples for both, "
            "three at least (any two examples look alike)."
        )
    x, y = _centred(a), _centred(b)
    if max(x.shape[1], y.shape[1]) < len(x):  # the same, from smaller products
        return _ratio((x.T @ y).square().sum(), (x.T @ x).norm() * (y.T @ y).norm())
    return _alignment(x @ x.T, y @ y.T)


def similarity(
    student: nn.Module,
    teacher: nn.Module,
    inputs: object,
    student_layers: Sequence[str] | None = None,
    teacher_layers: Sequence[str] | None = None,
    examples: int = 500,
) -> pd.DataFrame:
    """CKA of each student layer (a row) with each teacher layer (a column), on the same inputs.

    inputs: as for `read`; the first `examples` of them.  layers: None takes the `outline`.
    """
    most = whole("examples", examples, 3)
    inputs = {name: value[:most] for name, value in _inputs(inputs).items()}
    grams = []
    for model, layers in (student, student_layers), (teacher, teacher_layers):
        features = read(model, inputs, outline(model, inputs) if layers is None else layers)
        centred = {name: _centred(own) for name, own in features.items()}
        grams.append({name: own @ own.T for name, own in centred.items()})
    own, other = grams
    table = pd.DataFrame({n: {m: _alignment(own[m], other[n]) for m in own} for n in other})
    return table.rename_axis(index="student layer", columns="teacher layer")


def _centred(features: Tensor) -> Tensor:
    rows = features.detach().flatten(1).double()
    centred = rows - rows.mean(0)
    constant = centred.norm() <= 1e-12 * rows.norm()  # what is left is rounding
    return torch.zeros_like(rows) if constant else centred


def _alignment(gram: Tensor, other: Tensor) -> float:
    return _ratio((gram * other).sum(), gram.norm() * other.norm())


def _ratio(shared: Tensor, most: Tensor) -> float:
    return 0.0 if most == 0 else min(float(shared / most), 1.0)


# ---------------------------------------------------------------- hooks, and how a model is asked


@contextlib.contextmanager
def _hooked(
    model: nn.Module,
    layers: Mapping[str, nn.Module],
    keep: Callable[[str, object], None],
    begin: Callable[[], None],
) -> Iterator[None]:
    """Call `begin` before each pass of the model and `keep(name, output)` after each layer's."""
    root, here = _root(model), threading.get_ident()

    def own(module: nn.Module, hooked: nn.Module) -> bool:
        """No pass of another thread (a panel's, say), nor of a copy made with the hooks on."""
        return module is hooked and threading.get_ident() == here

    def before(module, _):
        if own(module, root):
            begin()

    def after(name, layer):
        return lambda module, _, output: keep(name, output) if own(module, layer) else None

    with contextlib.ExitStack() as stack:
        if any(_is_compiled(module) for module in model.modules()):
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.enter_context(root.register_forward_pre_hook(before))
        for name, layer in layers.items():
            stack.enter_context(layer.register_forward_hook(after(name, layer)))
        yield


def _is_compiled(module: nn.Module) -> bool:
    in_place = getattr(module, "_compiled_call_impl", None) is not None
    return in_place or hasattr(module.forward, "_torchdynamo_orig_callable")


def _root(model: nn.Module) -> nn.Module:
    """The model itself, out of the wrapper that torch.compile makes."""
    return getattr(model, "_orig_mod", model)


def _plain(name: str) -> str:
    return ".".join(part for part in name.split(".") if part != "_orig_mod")


def _named(model: nn.Module) -> dict[str, nn.Module]:
    """Every layer under every name it has, in order; the model is no layer of its own."""
    named = {_plain(name): layer for name, layer in model.named_modules(remove_duplicate=False)}
    return {name: layer for name, layer in named.items() if name}


def _tensor(name: str, output: object) -> Tensor:
    return tensor_in(output, f'the layer "{name}"', ("logits", "last_hidden_state"))


def _shapes(model: nn.Module, inputs: object) -> dict[str, tuple[int, ...] | str] | None:
    """Shape of each called layer's output for one example, or why there is none."""
    weight = next(model.parameters(), torch.empty(0))
    if inputs is None:
        if not hasattr(_root(model), "_input_shape"):
            return None
        inputs = torch.zeros(2, *_root(model)._input_shape, dtype=weight.dtype)
    inputs, shapes = _inputs(inputs), {}
    rows = min(2, _count(inputs))

    def keep(name: str, output: object) -> None:
        shape = ()
        with contextlib.suppress(Refusal):
            shape = tuple(_tensor(name, output).shape)
        shapes[name] = shape[1:] if shape[:1] == (rows,) else "no row for each example"

    with _asked(model, weight.device) as there, _hooked(there, _named(there), keep, shapes.clear):
        _call(there, inputs, slice(rows), weight.device)
    return shapes


@contextlib.contextmanager
def _asked(model: nn.Module, device: str | torch.device) -> Iterator[nn.Module]:
    """The model ready to be asked; its modes, statistics and the random state stay as they are."""
    with listening(model, device) as there, torch.no_grad(), torch.random.fork_rng(devices=[]):
        yield there


def _inputs(given: object) -> Mapping[str, Tensor]:
    """Inputs by argument name, all of one length; "" for those that are given without a name."""
    given = getattr(given, "validation", given)
    given = getattr(given, "inputs", given)
    given = given[0] if isinstance(given, (tuple, list)) and given else given
    inputs = given if isinstance(given, Mapping) else {"": given}
    told = [isinstance(value, Tensor) and value.ndim and len(value) for value in inputs.values()]
    if not told or not all(told):
        raise Refusal(
            f"inputs of type {type(given).__name__}: expected a tensor of examples, a mapping of "
            "tensors by argument name, a pair (inputs, labels), a Split or a Data; none empty."
        )
    return inputs


def _count(inputs: Mapping[str, Tensor]) -> int:
    return len(next(iter(inputs.values())))


def _call(model: nn.Module, inputs: Mapping[str, Tensor], rows: slice, device) -> int:
    """One pass over some of the inputs; how many they are."""
    part = {name: value[rows].to(device) for name, value in inputs.items()}
    model(part[""]) if "" in part else model(**part)
    return _count(part)


def _spelt(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape)) or "1"
