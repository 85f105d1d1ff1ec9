"""Shipped teachers by name: a network where its weights ship, else its recorded answers."""

from torch import nn

from kdlab import encoders, files, models
from kdlab.data import load_data
from kdlab.errors import Refusal, unknown
from kdlab.signals import Signal

RECORDS = {  # name -> folder, file
    encoders.GLOSSES: (encoders.GLOSSES, encoders.ANSWERS),
    f"{encoders.GLOSSES}-vectors": (encoders.GLOSSES, encoders.VECTORS),
}


def load_teacher(name: str, checkpoint: str = "final", *, live: bool = False) -> nn.Module | Signal:
    """A shipped teacher, its files checked against its card.

    name: "fashion-cnn", "fashion-vgg" or "fashion-inception": modules in eval mode.
        "glosses-minilm": the recorded answers of a fine-tuned MiniLM to all glosses;
        "glosses-minilm-vectors": those to the training glosses with its sentence vectors, 64
        numbers each, as the feature "vector".
    checkpoint: "final"; of "fashion-cnn" also "early" and "middle" of the same training.
    live: the network itself of a teacher whose record ships; needs the extra `text`.

    Raises UnknownName for names, CorruptFile (with both hashes) for a damaged file, Refusal where
    the extra is missing.
    """
    if name not in RECORDS:
        if name not in models.TEACHERS:
            raise unknown("teacher", name, [*models.TEACHERS, *RECORDS])
        return models.load_teacher(name, checkpoint)
    if checkpoint != "final":
        raise unknown("checkpoint", checkpoint, ["final"])
    folder, file = RECORDS[name]
    card = files.read_card(folder)
    if not live:
        path = files.folder() / folder / file
        if not path.is_file():
            raise Refusal(f"{path} is missing. Bring it back with: git checkout -- data/{folder}")
        files.check_hash(path, path.read_bytes(), card["files"][file]["sha256"])
        return Signal.load(path)
    if name != encoders.GLOSSES:
        raise Refusal(f'{name!r} is a record alone: load_teacher("{encoders.GLOSSES}", live=True).')
    path = files.folder() / folder / encoders.ADAPTERS
    learned = models.read_tensors(path, card["files"][encoders.ADAPTERS]["sha256"])
    return encoders.with_learned(encoders.untrained(load_data("glosses", train=10)), learned)
