"""Layers: read by name from models of all kinds, made alike, compared; the models left as found."""

import copy
import importlib.util
import math

import pandas as pd
import pytest
import torch
from torch import nn

import kdlab
from kdlab import layers, models
from kdlab.errors import LayerNotFound, Refusal, UnknownName

FASHION = (1, 28, 28)


class Branching(nn.Module):
    """In the style of other people's code: a list of layers, a skip, a layer called twice."""

    def __init__(self, hidden=6, dropout=0.0):
        super().__init__()
        self.stem = nn.Linear(4, hidden)
        self.steps = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(2))
        self.shared = nn.Linear(hidden, hidden)
        self.act = nn.ReLU(inplace=True)
        self.drop = nn.Dropout(dropout)
        self.spare = nn.Linear(hidden, 99)  # never called
        self.head = nn.Linear(hidden, 3)

    def forward(self, inputs):
        features = self.act(self.stem(inputs))
        for step in self.steps:
            features = features + step(features)
        features = self.shared(features)
        return self.head(self.drop(self.shared(features)))


class Gives(nn.Module):
    """A body whose output is wrapped, and a head on its tensor."""

    def __init__(self, wrap, unwrap):
        super().__init__()
        self.body, self.head = Wrapping(wrap), nn.Linear(5, 2)
        self.unwrap = unwrap

    def forward(self, inputs):
        return self.head(self.unwrap(self.body(inputs)))


class Wrapping(nn.Module):
    def __init__(self, wrap):
        super().__init__()
        self.linear, self.wrap = nn.Linear(4, 5), wrap

    def forward(self, inputs):
        return self.wrap(self.linear(inputs))


class Keywords(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(10, 4), nn.Linear(4, 3)

    def forward(self, *, ids, mask):
        return {"logits": self.head((self.embed(ids) * mask.unsqueeze(2)).mean(1))}


def toy(rows=6, seed=0):
    return torch.randn(rows, 4, generator=torch.Generator().manual_seed(seed))


def hooks(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


# ---------------------------------------------------------------- tap


def test_a_tap_gives_each_layers_output_with_its_gradient():
    net = models.build("cnn-small", (1, 8, 8), 3)
    inputs = torch.randn(5, 1, 8, 8)
    with layers.tap(net, "block1", "block2.conv", "head") as features:
        logits = net(inputs)
    assert torch.equal(features["head"], logits)
    assert torch.equal(features["block1"], net.block1(inputs))
    assert torch.equal(features["block2.conv"], net.block2.conv(net.block1(inputs)))
    features["block1"].sum().backward()
    assert net.block1.conv.weight.grad.abs().sum() > 0
    assert net.block2.conv.weight.grad is None


def test_names_may_come_as_a_list():
    net = Branching()
    with layers.tap(net, ["stem", "head"]) as features:
        net(toy())
    assert list(features) == ["stem", "head"]


def test_a_layer_called_twice_gives_its_last_call():
    net = Branching()
    with layers.tap(net, "shared", "head") as features:
        net(toy())
    assert torch.equal(net.head(features["shared"]), features["head"])


def test_what_a_later_layer_does_in_place_does_not_reach_the_features():
    net = Branching()
    with layers.tap(net, "stem") as features:
        net(toy())
    assert torch.equal(features["stem"], net.stem(toy()))
    assert (features["stem"] < 0).any()


def test_a_layer_under_two_names_is_read_under_both():
    net = nn.Sequential()
    net.first = nn.Linear(4, 4)
    net.second = net.first
    with layers.tap(net, "first", "second") as features:
        net(toy())
    assert torch.equal(features["first"], features["second"])


@pytest.mark.parametrize(
    ("wrap", "unwrap"),
    [
        (lambda x: (x, "more"), lambda out: out[0]),
        (lambda x: [x], lambda out: out[0]),
        (lambda x: {"logits": x, "last_hidden_state": -x}, lambda out: out["logits"]),
        (lambda x: {"pooled": -x, "last_hidden_state": x}, lambda out: out["last_hidden_state"]),
    ],
)
def test_tuples_and_mappings_are_read_at_their_tensor(wrap, unwrap):
    net = Gives(wrap, unwrap)
    with layers.tap(net, "body") as features:
        net(toy())
    assert torch.equal(features["body"], net.body.linear(toy()))


@pytest.mark.parametrize(
    ("wrap", "told"),
    [
        (lambda x: {"scores": x}, r'"body" gave a dict with \[\'scores\'\].*"last_hidden_state"'),
        (lambda x: ("words", x), '"body" gave a tuple: expected a tensor'),
    ],
)
def test_other_outputs_are_refused_and_the_hooks_come_off(wrap, told):
    net = Gives(wrap, lambda out: list(out.values() if isinstance(out, dict) else out)[-1])
    with pytest.raises(Refusal, match=told), layers.tap(net, "body"):
        net(toy())
    assert not hooks(net)
    assert net(toy()).shape == (6, 2)  # the model itself is well


def test_a_layer_that_was_not_called_in_a_pass_never_gives_an_earlier_one():
    class Choosing(Branching):
        def forward(self, inputs, skip=False):
            return self.head(self.stem(inputs) if skip else self.shared(self.stem(inputs)))

    net = Choosing()
    with layers.tap(net, "shared", "spare") as features:
        with pytest.raises(Refusal, match=r'"shared" was not called .* or there was none yet'):
            features["shared"]
        net(toy())
        assert "shared" in features
        net(toy(), skip=True)
        with pytest.raises(Refusal, match='"shared" was not called in the latest pass'):
            features["shared"]
        with pytest.raises(UnknownName, match=r"no tapped layer 'stem'.*shared, spare"):
            features["stem"]


def test_the_last_pass_stays_readable_after_the_tap():
    net = Branching()
    with layers.tap(net, "stem") as features:
        net(toy())
    net(toy(seed=1))
    assert torch.equal(features["stem"], net.stem(toy()))


# ---------------------------------------------------------------- hooks come off


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, GeneratorExit])
def test_hooks_come_off_after_an_error(error):
    class Breaks(nn.Linear):
        def forward(self, inputs):
            raise error

    net = nn.Sequential(nn.Linear(4, 4), Breaks(4, 4))
    with pytest.raises(error), layers.tap(net, "0", "1"):
        net(toy())
    assert not hooks(net)


def test_nested_taps_are_apart_and_leave_other_hooks_alone():
    net, seen = Branching(), []
    net.stem.register_forward_hook(lambda *_: seen.append(1))
    before = hooks(net)
    with layers.tap(net, "stem") as outer:
        with layers.tap(net, "stem", "head") as inner:
            net(toy())
        assert torch.equal(outer["stem"], inner["stem"])
        net(toy(seed=1))
        assert not torch.equal(outer["stem"], inner["stem"])
    assert hooks(net) == before
    assert len(seen) == 2


def test_a_generator_left_half_way_leaves_no_hooks():
    net = Branching()

    def passes():
        with layers.tap(net, "stem") as features:
            while True:
                net(toy())
                yield features["stem"]

    running = passes()
    next(running)
    assert hooks(net)
    del running
    assert not hooks(net)


def test_a_wrong_name_beside_a_right_one_leaves_no_hooks():
    net = Branching()
    with pytest.raises(LayerNotFound), layers.tap(net, "stem", "stam"):
        pass
    assert not hooks(net)


def test_a_copy_made_during_a_tap_writes_nothing_into_it():
    net = Branching()
    with layers.tap(net, "stem") as features:
        net(toy())
        copy.deepcopy(net)(toy(seed=1))
        assert torch.equal(features["stem"], net.stem(toy()))


# ---------------------------------------------------------------- torch.compile


def test_a_compiled_model_is_read_and_its_prefix_need_not_be_written():
    net = Branching(dropout=0.5).eval()
    compiled = torch.compile(net, backend="eager")
    expected = compiled(toy())  # compiled before the hooks: its code goes past them
    for name in "shared", "_orig_mod.shared":
        with layers.tap(compiled, name) as features:
            assert torch.allclose(compiled(toy()), expected)
        assert torch.allclose(net.head(features[name]), expected)
    assert list(layers.names(compiled, toy())["layer"]) == list(layers.names(net)["layer"])
    assert not hooks(compiled)
    assert torch._dynamo.eval_frame._stance.stance == "default"


def test_models_compiled_in_place_or_in_part_are_read():
    in_place = Branching()
    in_place.compile(backend="eager")
    in_part = Branching()
    in_part.stem = torch.compile(in_part.stem, backend="eager")

    class Decorated(Branching):
        @torch.compile(backend="eager")
        def forward(self, inputs):
            return super().forward(inputs)

    for net in in_place, in_part, Decorated():
        net(toy())
        with layers.tap(net, "stem", "head") as features:
            logits = net(toy())
        assert torch.equal(features["head"], logits)
        assert torch.allclose(features["stem"], net.stem(toy()))


# ---------------------------------------------------------------- names that are not there


def test_the_sentence_names_role_asker_layers_and_the_near_one():
    teacher = models.build("fashion-cnn", FASHION, 10)
    with pytest.raises(LayerNotFound) as told:
        layers.find(teacher, "layer3", role="teacher", asked_by='the match "hidden"')
    said = str(told.value)
    assert said.startswith(
        'the teacher has no layer "layer3" (asked for by the match "hidden"). Its layers: block1, '
    )
    assert said.endswith('head. Did you mean "block3"?')
    assert isinstance(told.value, Refusal) and isinstance(told.value, UnknownName)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("stemm", 'the model Branching has no layer "stemm".*mean "stem"'),
        ("", 'no layer ""'),
        ("steps.7", r"steps\.0, steps\.1"),
        (3, 'no layer "3"'),
    ],
)
def test_wrong_names(name, said):
    with pytest.raises(LayerNotFound, match=said):
        layers.find(Branching(), name)


def test_a_large_model_does_not_fill_the_screen():
    with pytest.raises(LayerNotFound, match=r"38, 39, and 60 more\.$"):
        layers.find(nn.Sequential(*(nn.ReLU() for _ in range(100))), "zzz")


def test_only_modules_have_layers():
    with pytest.raises(Refusal, match="the teacher is a str: only a torch module has layers"):
        layers.find("fashion-cnn", "head", role="teacher")


# ---------------------------------------------------------------- read


def test_features_of_all_rows_are_those_of_the_model(monkeypatch):
    monkeypatch.setattr(layers, "BATCH", 4)
    net, inputs = Branching(), toy(rows=10)
    read = layers.read(net, inputs, ["stem", "head"])
    assert torch.allclose(read["head"], net(inputs))
    assert torch.allclose(read["stem"], net.stem(inputs))
    assert not any(own.requires_grad for own in read.values())


def test_inputs_may_be_a_data_set_a_split_a_pair_or_keywords():
    data = kdlab.load_data((toy(50), torch.arange(50) % 2))
    net = Branching()
    expected = net.stem(data.validation.inputs)
    for given in data, data.validation, (data.validation.inputs, data.validation.labels):
        assert torch.equal(layers.read(net, given, "stem")["stem"], expected)
    words = {"ids": torch.arange(12).reshape(4, 3) % 10, "mask": torch.ones(4, 3)}
    assert layers.read(Keywords(), words, "embed")["embed"].shape == (4, 3, 4)


def test_a_model_is_as_before_after_every_question():
    net = nn.Sequential(
        nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Linear(6, 6), nn.ReLU()
    )
    net[1].eval()  # modes of its own
    modes = [module.training for module in net.modules()]
    weights = copy.deepcopy(net.state_dict())
    torch.manual_seed(0)
    state = torch.get_rng_state()
    layers.names(net, toy())
    layers.similarity(net, net, toy())
    layers.read(net, toy(), "2")
    assert modes == [module.training for module in net.modules()]
    assert all(torch.equal(value, weights[name]) for name, value in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert not hooks(net)
    assert net(toy()).requires_grad


def test_a_model_that_draws_in_eval_mode_leaves_the_random_state_too():
    class Noisy(nn.Linear):
        def forward(self, inputs):
            return super().forward(inputs) + torch.randn(3)

    net = nn.Sequential(Noisy(4, 3))
    state = torch.get_rng_state()
    layers.read(net, toy(), "0")
    assert torch.equal(torch.get_rng_state(), state)


def test_a_layer_without_a_row_for_each_example_is_refused():
    class Turned(nn.Module):
        def __init__(self):
            super().__init__()
            self.turn, self.head = nn.Flatten(0), nn.Linear(4, 3)

        def forward(self, inputs):
            self.turn(inputs)
            return self.head(inputs)

    with pytest.raises(Refusal, match=r'"turn" gave shape \(24,\) for 6 examples'):
        layers.read(Turned(), toy(), "turn")
    table = layers.names(Turned(), toy()).set_index("layer")
    assert table["shape"]["turn"] == "no row for each example"
    assert layers.outline(Turned(), toy()) == ["head"]


@pytest.mark.parametrize("given", [None, "digits", torch.empty(0, 4), {}, {"ids": [1, 2]}, ()])
def test_other_inputs_are_refused(given):
    with pytest.raises(Refusal, match="expected a tensor of examples"):
        layers.read(Branching(), given, "stem")


# ---------------------------------------------------------------- names and outline


def test_names_of_a_net_made_by_name_need_no_inputs():
    table = layers.names(kdlab.load_teacher("fashion-cnn"))
    assert list(table) == ["layer", "kind", "shape", "numbers", "parameters"]
    row = table.set_index("layer").loc["block2"]
    assert list(row) == ["Sequential", "64 × 7 × 7", 3_136, 32 * 9 * 64 + 64 + 128]
    assert table.set_index("layer")["kind"]["block2.conv"] == "Conv2d"
    double = models.build("mlp-8", (5,), 2).double()
    assert list(layers.names(double)["shape"]) == ["5", "8", "8", "2"]


def test_a_run_keeps_its_students_input_shape(tmp_path):
    data = kdlab.load_data((toy(50), torch.arange(50) % 2))
    run = kdlab.train("mlp-3", data, epochs=1, progress=False)
    run.save(tmp_path / "run")
    for student in run.student, kdlab.load_run(tmp_path / "run").student:
        assert list(layers.names(student)["shape"]) == ["4", "3", "3", "2"]


def test_names_of_a_module_from_outside():
    without = layers.names(Branching()).set_index("layer")
    assert set(without["shape"]) == {"-"} and without["numbers"].isna().all()
    table = layers.names(Branching(), toy()).set_index("layer")
    assert table["shape"]["stem"] == "6" and table["numbers"]["stem"] == 6
    assert table["shape"]["spare"] == table["shape"]["steps"] == "not called"
    assert table["numbers"]["spare"] is pd.NA
    assert table["parameters"]["steps"] == 2 * (6 * 6 + 6)
    assert list(table.index)[:4] == ["stem", "steps", "steps.0", "steps.1"]


def test_names_where_a_layer_gives_no_tensor():
    net = Gives(lambda x: {"scores": x}, lambda out: out["scores"])
    assert list(layers.names(net, toy())["shape"]) == ["no row for each example", "5", "2"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mlp-32", ["hidden", "head"]),
        ("cnn-small", ["block1", "block2", "head"]),
        ("fashion-cnn", ["block1", "block2", "block3", "head"]),
    ],
)
def test_the_outline_of_the_zoo(name, expected):
    assert layers.outline(models.build(name, FASHION, 10)) == expected


def test_the_outline_looks_into_wrappers_and_lists_and_leaves_out_what_is_not_called():
    assert layers.outline(Branching(), toy()) == ["stem", "steps.0", "steps.1", "shared", "head"]
    wrapped = nn.Sequential(nn.Sequential(Branching()), nn.Flatten())
    assert layers.outline(wrapped, toy()) == [
        f"0.0.{name}" for name in ("stem", "steps.0", "steps.1", "shared", "head")
    ]
    assert layers.outline(nn.Sequential(nn.ReLU()), toy()) == []
    with pytest.raises(Refusal, match="only a net made by name knows its inputs"):
        layers.outline(Branching())


# ---------------------------------------------------------------- projectors


@pytest.mark.parametrize(
    ("own", "wanted", "said"),
    [
        ((32,), (128,), "a linear map from 32 to 128 numbers (4,224 weights)"),
        (
            (16, 14, 14),
            (64, 7, 7),
            "a 1x1 convolution from 16 to 64 channels and a resize from 14 × 14 to 7 × 7 "
            "(1,088 weights)",
        ),
        ((2, 4, 4), (3, 4, 4), "a 1x1 convolution from 2 to 3 channels (9 weights)"),
        ((2, 3, 4), (2, 6, 2), "a resize from 3 × 4 to 6 × 2 (no weights)"),
        ((7, 4), (7, 6), "a linear map from 4 to 6 numbers (30 weights)"),
        (
            (5, 4),
            (9, 6),
            "a linear map from 4 to 6 numbers and a resize from 5 to 9 tokens (30 weights)",
        ),
        ((9, 4), (5, 4), "a resize from 9 to 5 tokens (no weights)"),
        ((3,), (2, 2, 2), "a linear map from 3 to 2 × 2 × 2 numbers (32 weights)"),
        ((2, 3, 3), (5,), "a linear map from 2 × 3 × 3 to 5 numbers (95 weights)"),
        ((3, 2), (4,), "a linear map from 3 × 2 to 4 numbers (28 weights)"),
        ((3, 2), (3, 2), "nothing to do, the shapes agree (no weights)"),
    ],
)
def test_a_projector_fits_and_says_what_it_does(own, wanted, said):
    made = layers.projector(own, wanted)
    assert made.said == said
    assert made(torch.randn(2, *own)).shape == (2, *wanted)


def test_a_convolution_stands_on_the_smaller_side_which_changes_nothing_but_the_cost():
    for own, wanted, first in ((2, 8, 8), (3, 4, 4), 0), ((2, 4, 4), (3, 8, 8), 1):
        made = layers.projector(own, wanted)
        kinds = [type(part) for part in made]
        assert kinds.index(nn.Conv2d) == 1 - first
        features = torch.randn(5, *own)
        assert torch.allclose(made(features), made[0](made[1](features)), atol=1e-6)


def test_a_resize_keeps_what_is_constant_averages_down_and_interpolates_up():
    for own, wanted in ((2, 8, 8), (2, 4, 4)), ((2, 3, 3), (2, 7, 7)), ((5, 4), (9, 4)):
        assert torch.allclose(
            layers.projector(own, wanted)(torch.ones(1, *own)), torch.ones(1, *wanted)
        )
    features = torch.randn(3, 2, 8, 8)
    expected = nn.functional.avg_pool2d(features, 2)
    assert torch.allclose(layers.projector((2, 8, 8), (2, 4, 4))(features), expected)
    expected = nn.functional.interpolate(features, (16, 12), mode="bilinear")
    assert torch.allclose(layers.projector((2, 8, 8), (2, 16, 12))(features), expected)
    tokens = torch.randn(3, 6, 4)
    expected = tokens.unflatten(1, (3, 2)).mean(2)
    assert torch.allclose(layers.projector((6, 4), (3, 4))(tokens), expected)


def test_the_weights_come_from_torchs_random_state():
    torch.manual_seed(3)
    one = layers.projector((4,), (5,))
    torch.manual_seed(3)
    assert torch.equal(one[0].weight, layers.projector((4,), (5,))[0].weight)
    assert not torch.equal(one[0].weight, layers.projector((4,), (5,))[0].weight)


@pytest.mark.parametrize("shape", [(), (1, 2, 3, 4), (0, 3)])
def test_shapes_without_a_projector_are_refused(shape):
    with pytest.raises(Refusal, match="a projector of your own"):
        layers.projector((4,), shape)


# ---------------------------------------------------------------- CKA


def features(rows, width, seed):
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(seed))


def by_the_formula(a, b):
    """Kornblith et al.: HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) with the centring matrix."""
    n = len(a)
    centring = torch.eye(n, dtype=torch.float64) - 1 / n
    k, m = (x.double() @ x.double().T for x in (a, b))

    def hsic(one, other):
        return torch.trace(one @ centring @ other @ centring)

    return float(hsic(k, m) / (hsic(k, k) * hsic(m, m)).sqrt())


@pytest.mark.parametrize(("rows", "one", "other"), [(30, 4, 7), (30, 50, 7), (8, 50, 40)])
def test_cka_is_the_formula_whichever_products_are_cheaper(rows, one, other):
    a, b = features(rows, one, 0) + 3, features(rows, other, 1)
    b[:, 0] += a[:, 0]
    assert layers.cka(a, b) == pytest.approx(by_the_formula(a, b), rel=1e-9)
    assert layers.cka(b, a) == pytest.approx(layers.cka(a, b), rel=1e-9)
    assert 0 < layers.cka(a, b) < 1
    assert layers.cka(a, a) == pytest.approx(1)


def test_cka_ignores_rotation_scale_and_shift_but_not_stretching():
    a, b = features(40, 6, 0), features(40, 5, 1)
    b[:, :3] += a[:, :3]
    plain = layers.cka(a, b)
    turn, _ = torch.linalg.qr(features(6, 6, 2))
    assert layers.cka(7 * a @ turn - 2, b) == pytest.approx(plain, rel=1e-5)
    stretched = a * torch.tensor([30.0, 1, 1, 1, 1, 1])
    assert abs(layers.cka(stretched, b) - plain) > 0.05
    assert layers.cka(a, stretched) < 0.95


def test_cka_of_maps_and_of_features_that_never_change():
    maps = torch.randn(9, 2, 3, 3)
    assert layers.cka(maps, maps.flatten(1)) == pytest.approx(1)
    for width in 4, 400:  # the mean of equal numbers is not always just that number
        same = (features(1, width, 5).double() / 3).expand(9, width)
        assert layers.cka(maps, same) == layers.cka(same, maps) == 0.0
    assert math.isnan(layers.cka(maps, maps * math.nan))


@pytest.mark.parametrize(("one", "other"), [(5, 6), (2, 2)])
def test_cka_refuses_unequal_or_too_few_examples(one, other):
    with pytest.raises(Refusal, match=f"features of {one} and of {other} examples"):
        layers.cka(features(one, 3, 0), features(other, 3, 0))


def test_similarity_is_cka_of_each_pair_of_layers():
    student, teacher = models.build("mlp-5", (4,), 3, seed=1), Branching()
    inputs = toy(rows=20)
    table = layers.similarity(student, teacher, inputs)
    assert list(table.index) == ["hidden", "head"] and table.index.name == "student layer"
    assert list(table) == layers.outline(teacher, inputs)
    own, other = layers.read(student, inputs, "hidden"), layers.read(teacher, inputs, "shared")
    expected = layers.cka(own["hidden"], other["shared"])
    assert table["shared"]["hidden"] == pytest.approx(expected, rel=1e-9)
    chosen = layers.similarity(student, teacher, inputs, ["relu"], ["head", "stem"], examples=10)
    assert chosen.shape == (1, 2)
    first = layers.read(student, inputs[:10], "relu"), layers.read(teacher, inputs[:10], "stem")
    expected = layers.cka(first[0]["relu"], first[1]["stem"])
    assert chosen["stem"]["relu"] == pytest.approx(expected, rel=1e-9)


def test_similarity_of_a_model_with_itself_is_one_on_the_diagonal():
    net = Branching()
    table = layers.similarity(net, net, toy(rows=12))
    assert [table[name][name] for name in table] == pytest.approx([1] * 5)


# ---------------------------------------------------------------- a model from outside


def test_a_hugging_face_model():
    if importlib.util.find_spec("transformers") is None:
        pytest.skip("transformers is not installed")
    from transformers import BertConfig, BertForSequenceClassification

    shape = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = BertConfig(vocab_size=50, intermediate_size=16, num_labels=3, **shape)
    model = BertForSequenceClassification(config)
    words = {"input_ids": torch.arange(35).reshape(5, 7), "attention_mask": torch.ones(5, 7)}
    table = layers.names(model, words).set_index("layer")
    assert table["shape"]["bert.encoder.layer.1"] == "7 × 8"
    assert table["shape"]["bert"] == "7 × 8"  # a mapping, read at last_hidden_state
    assert table["shape"]["bert.encoder.layer"] == "not called"
    read = layers.read(model, words, ["bert", "bert.encoder.layer.1", "classifier"])
    assert torch.equal(read["bert"], read["bert.encoder.layer.1"])
    assert torch.allclose(read["classifier"], model.eval()(**words).logits)
    assert layers.outline(model, words)[-1] == "classifier"
    student = models.build("mlp-6", (7,), 3)
    with layers.tap(model, "bert.pooler") as features:
        model(words["input_ids"]).logits.sum().backward()  # as a teacher or student is called
    assert features["bert.pooler"].requires_grad
    own = layers.read(student, words["input_ids"].float(), "hidden")["hidden"]
    assert 0 <= layers.cka(own, read["bert"]) <= 1
    assert not hooks(model)
