"""A student on its own: as weights, as a program of torch, or as ONNX; and ONNX asked like a model.

Nothing of the teacher, of a projector or of kdlab is in the file.
"""

import contextlib
import importlib
import io
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save_model
from torch import Tensor, nn

from kdlab import models
from kdlab.data import Data
from kdlab.errors import Refusal
from kdlab.runs import Run

FORMATS = (".safetensors", ".pt2", ".onnx")
INT8 = ("dynamic", "static")
CALIBRATION = 512  # examples that a static int8 model sets its ranges by
TOLERANCE = (
    1e-3  # largest difference between a file's logits and the model's, relative to their size
)
QUANTISED = {"dynamic": ["MatMul", "Gemm"], "static": ["MatMul", "Gemm", "Conv"]}
EXTRA = 'needs the extra "onnx": pip install "kdlab[onnx]"'


def export(
    model: nn.Module | Run,
    path: str | Path,
    inputs: Tensor | Data | None = None,
    *,
    int8: str | None = None,
) -> Path:
    """Write a model to a file that runs without kdlab; gives the path.

    path: its ending chooses the format. ".safetensors": the weights alone, to load into the same
        class of module. ".pt2": torch.export, runs with torch alone: torch.export.load(path).
        ".onnx": runs without torch, in ONNX Runtime and on phones; input "inputs" (batch, ...),
        output "logits" (batch, classes).
    inputs: examples (n, ...), or a data set (its training examples). Needed for ".pt2" and ".onnx"
        where the model is not one of kdlab's by name, and for int8="static".
    int8: of ".onnx", weights as whole numbers of 8 bits: "dynamic" (linear layers; ranges of the
        values in between are set anew in each pass) or "static" (convolutions too; ranges are set
        once, by up to 512 of the examples), by ONNX Runtime's quantisation.

    What was there before stays until the new file is whole. The file's answers are compared with
    the model's before it is handed over (an int8 file's answers differ: `kdlab.report` says by how
    much). Raises Refusal for what cannot be written, with the reason.
    """
    path = Path(path)
    if isinstance(model, Run):
        model = model.student
    if not isinstance(model, nn.Module) or isinstance(model, OnnxModel):
        raise Refusal(f"export: expected a torch module or a run, got {type(model).__name__}.")
    if path.suffix not in FORMATS:
        raise Refusal(f"{path.name}: expected a name that ends in one of {', '.join(FORMATS)}.")
    if int8 is not None and (int8 not in INT8 or path.suffix != ".onnx"):
        raise Refusal(
            f"int8={int8!r} for a {path.suffix} file: expected one of {', '.join(INT8)}, and a "
            "file that ends in .onnx."
        )
    if int8 == "static" and inputs is None:
        raise Refusal('int8="static" sets its ranges by examples: give inputs=, or the data set.')
    examples = None if path.suffix == ".safetensors" else _examples(model, inputs)
    path.parent.mkdir(parents=True, exist_ok=True)
    with models.listening(model, "cpu") as there, _beside(path) as part:
        if path.suffix == ".safetensors":
            save_model(there, str(part))
        elif path.suffix == ".pt2":
            _write_pt2(there, examples[:2], part)
            _same(torch.export.load(part).module(), there, examples)
        else:
            _write_onnx(there, examples[:2], part)
            _same(load_onnx(part), there, examples)
            if int8 is not None:
                _to_int8(part, int8, examples)
    return path


def load_onnx(path: str | Path) -> "OnnxModel":
    """An ONNX file as a module: for `kdlab.report`, and to compare it with the student it was."""
    if not Path(path).exists():
        raise Refusal(f"{path} is missing: expected an ONNX file, as kdlab.export writes it.")
    return OnnxModel(Path(path).read_bytes(), str(path))


class OnnxModel(nn.Module):
    """Runs an ONNX file in ONNX Runtime, on as many threads as torch uses; not to be trained."""

    def __init__(self, file: bytes, name: str = "the ONNX file"):
        super().__init__()
        self.file, self.name = file, name
        runtime = _need("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3  # errors only
        try:
            self.session = runtime.InferenceSession(
                file, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's own kinds of error, by dozens
            raise Refusal(f"{name} cannot be run by ONNX Runtime: {_first_line(error)}") from error
        self.asked = self.session.get_inputs()[0].name

    def forward(self, inputs: Tensor) -> Tensor:
        (logits, *_) = self.session.run(None, {self.asked: inputs.cpu().numpy()})
        return torch.from_numpy(logits).to(inputs.device)

    def parameters_held(self) -> int:
        """Numbers that the file holds: weights, and for int8 their scales."""
        onnx = _need("onnx")
        held = onnx.load_from_string(self.file).graph.initializer
        shapes = onnx.TensorProto.INT64  # the sizes in a reshape are no weights
        return sum(torch.Size(one.dims).numel() for one in held if one.data_type != shapes)

    def __reduce__(self):  # copies and other processes open the file anew
        return type(self), (self.file, self.name)

    def __deepcopy__(self, memo: dict) -> "OnnxModel":
        return type(self)(self.file, self.name)


def _examples(model: nn.Module, inputs: Tensor | Data | None) -> Tensor:
    if isinstance(inputs, Data):
        inputs = inputs.train.inputs
    if inputs is None:
        shape = getattr(model, "_input_shape", None)
        if shape is None:
            raise Refusal(
                "the shape of this model's inputs is not known: give inputs=, a few examples "
                "(n, ...), or the data set."
            )
        inputs = torch.randn(4, *shape, generator=torch.Generator().manual_seed(0))
    if not isinstance(inputs, Tensor) or len(inputs) < 2:
        raise Refusal("inputs: expected a tensor of two or more examples (n, ...), or a data set.")
    return inputs[:CALIBRATION].cpu()


def _write_pt2(model: nn.Module, inputs: Tensor, part: Path) -> None:
    with _refused(model, ".pt2"):
        batch = torch.export.Dim("batch", min=1)
        program = torch.export.export(model, (inputs,), dynamic_shapes=({0: batch},))
        torch.export.save(program, part)


def _write_onnx(model: nn.Module, inputs: Tensor, part: Path) -> None:
    _need("onnx"), _need("onnxscript"), _need("onnxruntime")
    with _refused(model, ".onnx"):
        torch.onnx.export(
            model,
            (inputs,),
            str(part),
            input_names=["inputs"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
            dynamo=True,
            external_data=False,  # one file
            verbose=False,
        )
    _strip(part)


def _strip(part: Path) -> None:
    """Take out what the exporter notes beside the network: paths of this machine, and its code."""
    onnx = _need("onnx")
    written = onnx.load(part)
    del written.graph.value_info[:]  # shapes in between: whoever needs them infers them
    held = [written, written.graph, *written.graph.node, *written.graph.initializer]
    held += [*written.graph.input, *written.graph.output]
    for one in held:
        one.ClearField("doc_string")
        if hasattr(one, "metadata_props"):
            del one.metadata_props[:]
    onnx.save(written, part)


def _to_int8(part: Path, int8: str, examples: Tensor) -> None:
    """Quantise a file in place: ONNX Runtime's tools, for torch's own are on their way out.

    torch.ao.quantization is deprecated in favour of torchao, whose int8 kernels are not made for
    small networks on a CPU; ONNX Runtime runs the same file on every machine.
    """
    _need("onnxruntime")
    from onnxruntime import quantization

    known = {node.op_type for node in _need("onnx").load(part).graph.node}
    kinds = QUANTISED[int8]
    if not known & set(kinds):
        raise Refusal(f'int8="{int8}" finds no layer to quantise: it takes {QUANTISED[int8]}.')
    # 7 bits of weight: with 8, older processors without VNNI overflow within a product
    chosen = {"op_types_to_quantize": kinds, "reduce_range": True}
    with tempfile.TemporaryDirectory(dir=part.parent) as folder, _quiet():
        ready, done = Path(folder) / "ready.onnx", Path(folder) / "int8.onnx"
        quantization.quant_pre_process(str(part), str(ready), skip_symbolic_shape=True)
        if int8 == "dynamic":
            quantization.quantize_dynamic(
                ready, done, weight_type=quantization.QuantType.QInt8, **chosen
            )
        else:
            quantization.quantize_static(
                ready, done, _Calibration(examples), per_channel=True, **chosen
            )
        os.replace(done, part)


class _Calibration:
    """Examples one batch after another, as ONNX Runtime's calibration asks for them."""

    def __init__(self, examples: Tensor, batch: int = 64):
        self.batches = iter(examples.split(batch))

    def get_next(self) -> dict | None:
        batch = next(self.batches, None)
        return None if batch is None else {"inputs": batch.numpy()}

    def __iter__(self):
        return iter(self.get_next, None)


def _same(written, model: nn.Module, examples: Tensor) -> None:
    """Refuse a file that does not answer as the model does, on other batch sizes too."""
    with torch.no_grad():
        for few in (examples[:1], examples[:64]):
            expected = models.logits_of(model(few))
            gap = (models.logits_of(written(few)) - expected).abs().max().item()
            if not gap <= TOLERANCE * max(1.0, expected.abs().max().item()):
                raise Refusal(
                    f"the written file's logits differ from the model's by up to {gap:.2g}: "
                    "nothing was kept. Does the model draw numbers, or do its steps depend on "
                    "values?"
                )


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A new file that takes the old one's place once it is whole."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}-") as folder:
        part = Path(folder) / path.name
        yield part
        os.replace(part, path)


@contextlib.contextmanager
def _refused(model: nn.Module, suffix: str) -> Iterator[None]:
    """What an exporter says over many lines, as one sentence."""
    try:
        with _quiet():
            yield
    except (ImportError, OSError):
        raise
    except Exception as error:  # whatever the exporters raise
        raise Refusal(
            f"this {models.name_of(model)} cannot be written as {suffix}: {_first_line(error)} "
            "(Its weights alone can: a name that ends in .safetensors.)"
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Exporters tell their steps on the screen, as warnings and in the log."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _need(name: str):
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Refusal(f"{name} is not installed: ONNX {EXTRA}.") from error


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
