"""The zoo: small networks by name, for an input shape and a number of classes."""

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor, nn

from kdlab.errors import Refusal
from kdlab.texts import PAD, UNKNOWN


def mlp(shape: tuple[int, ...], classes: int, width: int) -> nn.Module:
    """One hidden layer: flatten, hidden (width), ReLU, head."""
    inputs = torch.Size(shape).numel()
    return nn.Sequential(
        OrderedDict(
            flatten=nn.Flatten(),
            hidden=nn.Linear(inputs, width),
            relu=nn.ReLU(),
            head=nn.Linear(width, classes),
        )
    )


def cnn(shape: tuple[int, ...], classes: int, width: int) -> nn.Module:
    """Two 3x3 convolutions (width, 2·width), each followed by a 2x2 pool and ReLU, and a head."""
    channels, height, breadth = _picture(shape, least=4)
    flat = 2 * width * (height // 4) * (breadth // 4)
    return nn.Sequential(
        OrderedDict(
            block1=_block(channels, width, norm=False, pool=True),
            block2=_block(width, 2 * width, norm=False, pool=True),
            flatten=nn.Flatten(),
            head=nn.Linear(flat, classes),
        )
    )


def fashion_cnn(shape: tuple[int, ...], classes: int) -> nn.Module:
    """The teacher: convolutions 32-64-128 with batch norm, pools after the first two, a head."""
    channels, height, breadth = _picture(shape, least=4)
    return nn.Sequential(
        OrderedDict(
            block1=_block(channels, 32, norm=True, pool=True),
            block2=_block(32, 64, norm=True, pool=True),
            block3=_block(64, 128, norm=True, pool=False),
            flatten=nn.Flatten(),
            head=nn.Linear(128 * (height // 4) * (breadth // 4), classes),
        )
    )


def fashion_vgg(shape: tuple[int, ...], classes: int) -> nn.Module:
    """VGG's plan for small pictures: pairs of 3x3 convolutions, a pool after each pair, wide head.

    Widths 16-32-64, batch norm, and a hidden layer of 256 with dropout (after Simonyan & Zisserman
    2015, configuration B, whose widths are 64-512 and whose hidden layers are two of 4,096).
    """
    channels, height, breadth = _picture(shape, least=8)
    parts = OrderedDict()
    for number, width in enumerate((16, 32, 64), 1):
        pair = OrderedDict(
            first=_block(channels, width, norm=True, pool=False),
            second=_block(width, width, norm=True, pool=True),
        )
        parts[f"block{number}"], channels = nn.Sequential(pair), width
    parts["flatten"] = nn.Flatten()
    parts["hidden"] = nn.Linear(64 * (height // 8) * (breadth // 8), 256)
    parts["relu"], parts["dropout"] = nn.ReLU(), nn.Dropout(0.5)
    parts["head"] = nn.Linear(256, classes)
    return nn.Sequential(parts)


class Mixed(nn.Module):
    """Four looks at one map, side by side: 1x1, 3x3, 5x5 as two 3x3, and a pool.

    (batch, channels, height, width) -> (batch, sum of widths, height, width); a 1x1 convolution
    narrows the map before each dear look (Szegedy et al. 2016, figure 5).
    """

    def __init__(self, channels: int, widths: tuple[int, int, int, int]):
        super().__init__()
        one, three, five, pooled = widths
        self.one = _block(channels, one, kernel=1)
        self.three = nn.Sequential(
            _block(channels, three // 2, kernel=1), _block(three // 2, three)
        )
        self.five = nn.Sequential(
            _block(channels, five // 2, kernel=1), _block(five // 2, five), _block(five, five)
        )
        self.pooled = nn.Sequential(
            nn.AvgPool2d(3, stride=1, padding=1), _block(channels, pooled, kernel=1)
        )

    def forward(self, maps: Tensor) -> Tensor:
        looks = (self.one, self.three, self.five, self.pooled)
        return torch.cat([look(maps) for look in looks], dim=1)


def fashion_inception(shape: tuple[int, ...], classes: int) -> nn.Module:
    """Inception's plan for small pictures: a stem, three mixed blocks, a mean over places, a head.

    Widths 64-128-160 after the stem's 32 (after Inception V3, Szegedy et al. 2016, which has eleven
    such blocks of up to 2,048 channels, and a helper head for training that is left out here).
    """
    channels, _, _ = _picture(shape, least=4)
    return nn.Sequential(
        OrderedDict(
            stem=_block(channels, 32, norm=True, pool=True),
            mixed1=Mixed(32, (16, 24, 12, 12)),
            pool=nn.MaxPool2d(2),
            mixed2=Mixed(64, (32, 48, 24, 24)),
            mixed3=Mixed(128, (40, 64, 32, 24)),
            mean=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            head=nn.Linear(160, classes),
        )
    )


def _block(
    channels: int, width: int, norm: bool = True, pool: bool = False, kernel: int = 3
) -> nn.Module:
    parts = OrderedDict(conv=nn.Conv2d(channels, width, kernel, padding=kernel // 2))
    if norm:
        parts["norm"] = nn.BatchNorm2d(width)
    if pool:
        parts["pool"] = nn.MaxPool2d(2)  # before the ReLU: the same values, a quarter of its work
    parts["relu"] = nn.ReLU()
    return nn.Sequential(parts)


def _picture(shape: tuple[int, ...], least: int) -> tuple[int, int, int]:
    if len(shape) != 3 or min(shape[1:]) < least:
        raise Refusal(
            f"inputs of shape {tuple(shape)}: a convolutional net expects (channels, height, "
            f"width) of at least {least}x{least}. For flat inputs take mlp-N."
        )
    return shape


# ---------------------------------------------------------------- texts: rows of word numbers

KNOWN, WIDE = 8_000, 32  # words that a student has a vector for, and numbers in each vector


class WordVectors(nn.Module):
    """Word numbers (batch, words) -> vectors (batch, words, width); padding becomes zeros.

    Numbers from `known` on, the rare words, share the vector of the unknown word.

    largest: the start, uniform in ±largest; None draws from a normal of deviation 1.
    """

    def __init__(self, known: int = KNOWN, width: int = WIDE, largest: float | None = None):
        super().__init__()
        self.known = known
        self.table = nn.Embedding(known, width, padding_idx=PAD)
        if largest is not None:
            nn.init.uniform_(self.table.weight.data[PAD + 1 :], -largest, largest)

    def forward(self, numbers: Tensor) -> Tensor:
        return self.table(numbers.long().where(numbers < self.known, UNKNOWN))


class TextCNN(nn.Module):
    """Filters over 3, 4 and 5 words in a row, the largest value of each, and a head (Kim 2014).

    (batch, words) -> logits (batch, classes). The paper has 100 filters of each width, over vectors
    of 300 numbers.
    """

    def __init__(self, classes: int, filters: int = 32):
        super().__init__()
        self.vectors = WordVectors(largest=0.25)  # as Kim: a short training hardly moves long ones
        self.filters = nn.ModuleList(
            nn.Conv1d(WIDE, filters, width, padding=width - 1) for width in (3, 4, 5)
        )  # padded by zeros, which is what a word of padding is, so that a short text fits
        self.features = nn.Identity()  # a name for what the head reads
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(3 * filters, classes)

    def forward(self, numbers: Tensor) -> Tensor:
        rows = self.vectors(numbers).transpose(1, 2)
        largest = [each(rows).relu().amax(2) for each in self.filters]
        return self.head(self.dropout(self.features(torch.cat(largest, 1))))


class TextBag(nn.Module):
    """The mean of a text's word vectors, and a head: the order of the words is lost."""

    def __init__(self, classes: int):
        super().__init__()
        self.vectors = WordVectors()
        self.features = nn.Identity()
        self.head = nn.Linear(WIDE, classes)

    def forward(self, numbers: Tensor) -> Tensor:
        count = (numbers != PAD).sum(1, keepdim=True).clamp(min=1)
        return self.head(self.features(self.vectors(numbers).sum(1) / count))


class TextRecurrent(nn.Module):
    """Word after word into a state, both ways; the largest value over the words, and a head.

    kind: nn.GRU or nn.LSTM. What stands at padding does not count.
    """

    def __init__(self, classes: int, kind: type = nn.GRU, width: int = 32):
        super().__init__()
        self.vectors = WordVectors()
        self.states = kind(WIDE, width, batch_first=True, bidirectional=True)
        self.features = nn.Identity()
        self.head = nn.Linear(2 * width, classes)

    def forward(self, numbers: Tensor) -> Tensor:
        lengths = (numbers != PAD).sum(1).clamp(min=1)
        packed = nn.utils.rnn.pack_padded_sequence(
            self.vectors(numbers), lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        states, _ = nn.utils.rnn.pad_packed_sequence(
            self.states(packed)[0], batch_first=True, padding_value=-torch.inf
        )
        return self.head(self.features(states.amax(1)))


def _text(make: Callable[[int], nn.Module]) -> Callable[[tuple[int, ...], int], nn.Module]:
    def made(shape: tuple[int, ...], classes: int) -> nn.Module:
        if len(shape) != 1:
            raise Refusal(
                f"inputs of shape {tuple(shape)}: a net for texts expects one row of word numbers "
                "for each, (words,), as Vocabulary.encode gives them."
            )
        return make(classes)

    return made


# Each entry makes a net for an input shape (without the batch) and a number of classes.
NETS: dict[str, Callable[[tuple[int, ...], int], nn.Module]] = {
    "cnn-small": lambda shape, classes: cnn(shape, classes, width=8),
    "cnn-medium": lambda shape, classes: cnn(shape, classes, width=16),
    "cnn-large": lambda shape, classes: cnn(shape, classes, width=32),
    "fashion-cnn": fashion_cnn,
    "fashion-vgg": fashion_vgg,
    "fashion-inception": fashion_inception,
    "textcnn": _text(TextCNN),
    "text-bag": _text(TextBag),
    "text-gru": _text(TextRecurrent),
    "text-lstm": _text(lambda classes: TextRecurrent(classes, nn.LSTM)),
}
