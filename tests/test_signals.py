"""A teacher is asked once, in eval mode, and left unchanged; its kept answers are never stale."""

import dataclasses
import hashlib

import pytest
import torch
from torch import nn

import kdlab
from kdlab import fingerprints, signals
from kdlab.data import Split
from kdlab.errors import Refusal


@pytest.fixture(autouse=True)
def nothing_kept():
    signals._kept.clear()


def toy(count=60, classes=3, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return kdlab.load_data((torch.randn(count, 4, generator=draw), torch.arange(count) % classes))


def split(count=20, seed=0):
    inputs = torch.randn(count, 4, generator=torch.Generator().manual_seed(seed))
    return Split(inputs, torch.zeros(count, dtype=torch.long), torch.arange(count))


class Asked(nn.Module):
    """A teacher with batch norm and dropout that keeps a list of what it was asked, and how."""

    def __init__(self, seed=0):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.body = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU())
            self.dropout = nn.Dropout(0.5)
            self.head = nn.Linear(8, 3)
        self.register_buffer("passing", torch.ones(3), persistent=False)
        self.scale = 1.0
        self.seen = []

    def forward(self, inputs):
        training = any(module.training for module in self.modules())
        self.seen.append((inputs.clone(), training, torch.is_grad_enabled()))
        return self.head(self.dropout(self.body(inputs))) * self.scale * self.passing

    @property
    def rows(self):
        return sum(len(inputs) for inputs, _, _ in self.seen)


def bytes_of(model):
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


# ---------------------------------------------------------------- once, and unchanged


def test_answers_are_computed_once():
    teacher, examples = Asked(), split()
    first = signals.answers(teacher, examples)
    assert teacher.rows == 20
    assert torch.equal(signals.answers(teacher, examples), first)
    # the same inputs in another tensor, the same weights in another module
    again = Split(examples.inputs.clone(), examples.labels, examples.indices)
    twin = Asked()
    assert torch.equal(signals.answers(twin, again), first)
    assert teacher.rows == 20 and twin.rows == 0


def test_answers_are_the_teachers_own():
    teacher, examples = Asked(), split()
    with torch.no_grad():
        expected = teacher.eval()(examples.inputs)
    assert torch.equal(signals.answers(teacher, examples), expected)


def test_a_distillation_asks_about_each_example_once():
    teacher, data = Asked(), toy()
    kdlab.distill("mlp-4", teacher, data, epochs=3, progress=False)
    tries = sum(len(inputs) for inputs, _, _ in teacher.seen if len(inputs) == 2)
    assert tries == 2  # two examples tried out before training
    assert teacher.rows == tries + len(data.train) + len(data.validation)
    before = teacher.rows
    kdlab.distill("mlp-8", teacher, data, epochs=3, seed=1, temperature=9, progress=False)
    assert teacher.rows == before + 2


def test_many_rows_are_asked_in_parts():
    teacher, examples = Asked(), split(2_500)
    answers = signals.ask(teacher, examples.inputs)
    assert max(len(inputs) for inputs, _, _ in teacher.seen) <= signals.FLAT_BATCH
    assert torch.allclose(answers, signals.ask(Asked(), examples.inputs[:2_500]))
    assert answers.shape == (2_500, 3)
    with_maps = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Flatten(), nn.Linear(4, 3))
    sizes = []
    with_maps.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    signals.ask(with_maps, torch.zeros(500, 1, 2, 2))
    assert max(sizes) == signals.BATCH


@pytest.mark.parametrize("augment", [None, lambda inputs: inputs + torch.randn_like(inputs)])
def test_the_teacher_is_in_eval_mode_without_gradients_and_unchanged(augment):
    teacher = Asked().train()
    teacher.body[1].eval()  # modes are put back one by one, not all at once
    teacher.body[0].weight.requires_grad_(False)
    modes = [module.training for module in teacher.modules()]
    wants = [weight.requires_grad for weight in teacher.parameters()]
    before = bytes_of(teacher)
    kdlab.distill("mlp-4", teacher, toy(), epochs=2, augment=augment, progress=False)
    assert teacher.rows > 0
    assert not any(training or gradients for _, training, gradients in teacher.seen)
    assert bytes_of(teacher) == before  # the running means of batch norm too
    assert [module.training for module in teacher.modules()] == modes
    assert [weight.requires_grad for weight in teacher.parameters()] == wants
    assert all(weight.grad is None for weight in teacher.parameters())


def test_modes_are_put_back_after_an_error_too():
    class Broken(Asked):
        def forward(self, inputs):
            raise RuntimeError("broken on purpose")

    teacher = Broken().train()
    with pytest.raises(RuntimeError, match="on purpose"):
        signals.ask(teacher, split().inputs)
    assert all(module.training for module in teacher.modules())


# ---------------------------------------------------------------- never stale


def weights_change(teacher):
    with torch.no_grad():
        teacher.head.bias += 1


def a_buffer_changes(teacher):
    teacher.body[1].running_mean += 1


def an_unsaved_buffer_changes(teacher):
    teacher.passing *= 2


def a_plain_attribute_changes(teacher):
    teacher.scale = 2.0


def a_layers_setting_changes(teacher):
    teacher.body[1].eps = 1.0


def a_plain_tensor_comes(teacher):
    teacher.scale = torch.full((3,), 2.0)


def a_layer_is_exchanged(teacher):
    teacher.body[2] = nn.Tanh()


@pytest.mark.parametrize(
    "change",
    [
        weights_change,
        a_buffer_changes,
        an_unsaved_buffer_changes,
        a_plain_attribute_changes,
        a_layers_setting_changes,
        a_plain_tensor_comes,
        a_layer_is_exchanged,
    ],
)
def test_a_changed_teacher_is_asked_anew(change):
    teacher, examples = Asked(), split()
    before = signals.answers(teacher, examples)
    change(teacher)
    after = signals.answers(teacher, examples)
    assert not torch.equal(before, after)
    assert torch.equal(after, signals.ask(teacher, examples.inputs))


def test_a_plain_tensor_that_changes_is_noticed():
    teacher, examples = Asked(), split()
    teacher.scale = torch.ones(3)
    before = signals.answers(teacher, examples)
    teacher.scale += 1
    assert torch.allclose(signals.answers(teacher, examples), 2 * before)


def test_a_class_written_again_under_its_name_is_another_teacher():
    def write(factor):
        class Sharper(nn.Module):
            def __init__(self, inner):
                super().__init__()
                self.inner = inner

            def forward(self, inputs):
                return factor * self.inner(inputs)

        return Sharper

    inner, examples = nn.Linear(4, 3), split()
    once = signals.answers(write(1)(inner), examples)
    assert torch.allclose(signals.answers(write(3)(inner), examples), 3 * once)


def test_functions_held_as_attributes_count():
    class Apply(nn.Module):
        def __init__(self, function):
            super().__init__()
            self.function = function

        def forward(self, inputs):
            return self.function(inputs)

    examples = split()
    one = signals.answers(Apply(lambda inputs: inputs[:, :3]), examples)
    two = signals.answers(Apply(lambda inputs: inputs[:, 1:]), examples)
    assert not torch.equal(one, two)


def test_changed_inputs_are_asked_anew():
    teacher, examples = Asked(), split()
    before = signals.answers(teacher, examples)
    examples.inputs[3] += 1  # in place: the very same tensor
    after = signals.answers(teacher, examples)
    assert (before != after).any(1).nonzero().flatten().tolist() == [3]
    as_other_shape = fingerprints.input_fingerprint(examples.inputs.reshape(10, 8))
    assert as_other_shape != fingerprints.input_fingerprint(examples.inputs)


def test_train_or_eval_mode_is_no_change():
    teacher = Asked()
    assert fingerprints.fingerprint(teacher.train()) == fingerprints.fingerprint(teacher.eval())


def test_the_oldest_answers_are_dropped_once_they_fill_the_memory_given(monkeypatch):
    teacher = Asked()
    first = split(2, seed=0)
    monkeypatch.setattr(signals, "KEPT", 5 * signals.answers(teacher, first).nbytes)
    for seed in range(5):
        signals.answers(teacher, split(2, seed=seed + 1))
    assert len(signals._kept) == 5
    before = teacher.rows
    signals.answers(teacher, split(2, seed=5))  # the newest is still there
    assert teacher.rows == before
    signals.answers(teacher, first)
    assert teacher.rows == before + 2


# ---------------------------------------------------------------- what a model may give


@pytest.mark.parametrize(
    "wrap",
    [
        lambda logits: {"logits": logits, "hidden": None},
        lambda logits: (logits, "hidden"),
        lambda logits: [logits],
    ],
)
def test_logits_are_found_in_mappings_and_tuples(wrap):
    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Linear(4, 3)

        def forward(self, inputs):
            return wrap(self.net(inputs))

    model, examples = Wrapped(), split()
    assert torch.equal(signals.ask(model, examples.inputs), model.net(examples.inputs).detach())
    run = kdlab.distill(model, model, toy(), epochs=1, progress=False)
    assert run.scores["accuracy"] >= 0


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"scores": 1, "hidden": 2}, r"dict with \['hidden', 'scores'\].*\"logits\""),
        ((), "gave a tuple"),
        (("logits",), "gave a tuple"),
        (None, "gave a NoneType"),
    ],
)
def test_other_outputs_are_refused(given, expected):
    with pytest.raises(Refusal, match=expected):
        signals.logits_of(given)

    class Other(nn.Linear):
        def forward(self, inputs):
            return given

    with pytest.raises(Refusal, match=f"the teacher Other: .*{expected}"):
        kdlab.distill("mlp-4", Other(4, 3), toy())


# ---------------------------------------------------------------- records


def test_a_record_stands_in_for_its_teacher():
    teacher, data = Asked(), toy()
    record = kdlab.record(teacher, data.train, name="asked")
    live = kdlab.distill("mlp-4", teacher, data, epochs=2, progress=False)
    recorded = kdlab.distill("mlp-4", record, data, epochs=2, progress=False)
    assert torch.equal(live.logits(), recorded.logits())
    assert recorded.settings["teacher"] == "asked"
    # this record says nothing of validation: no agreement, rather than a wrong one
    assert recorded.scores["agreement"] != recorded.scores["agreement"]


def test_a_record_answers_in_the_order_asked():
    teacher, examples = Asked(), split()
    record = kdlab.record(teacher, examples)
    rows = torch.tensor([7, 3, 3, 19, 0])
    assert torch.equal(record.look_up(examples[rows]), record.logits[rows])
    back = Split(examples.inputs.flip(0), examples.labels, examples.indices.flip(0))
    mixed = kdlab.record(teacher, back)
    assert torch.allclose(mixed.look_up(examples), record.logits, atol=1e-6)


def test_a_record_of_a_whole_data_set_measures_agreement_too():
    teacher, data = Asked(), toy()
    record = kdlab.record(teacher, data)
    live = kdlab.distill("mlp-4", teacher, data, epochs=2, progress=False)
    recorded = kdlab.distill("mlp-4", record, data, epochs=2, progress=False)
    assert recorded.scores == live.scores and 0 <= recorded.scores["agreement"] <= 1
    assert recorded.score("test")["agreement"] == live.score("test")["agreement"]


def test_one_index_for_two_inputs_is_refused():
    data, teacher = toy(), Asked()
    renumbered = Split(data.test.inputs, data.test.labels, data.train.indices[: len(data.test)])
    with pytest.raises(Refusal, match=r"the index \d+ stands for more than one input"):
        kdlab.record(teacher, dataclasses.replace(data, test=renumbered))
    assert teacher.rows == 0
    twice = split()[torch.tensor([4, 4, 1])]  # the same example twice is no clash
    assert torch.equal(kdlab.record(teacher, twice).indices, torch.tensor([4, 4, 1]))


def test_what_cannot_be_asked_is_not_recorded():
    with pytest.raises(Refusal, match="a teacher of type Signal: expected a name or a torch"):
        kdlab.record(kdlab.record(Asked(), split()), split())
    with pytest.raises(Refusal, match="no examples"):
        kdlab.record(Asked(), split(0))


def test_examples_that_are_not_recorded_are_refused():
    record = kdlab.record(Asked(), split()[:15], name="asked")
    with pytest.raises(Refusal, match=r"'asked' has no answer for 5 of these 20.*example 15"):
        record.look_up(split())
    nothing = kdlab.Signal("none", "", record.logits[:0], record.indices[:0], record.rows[:0])
    with pytest.raises(Refusal, match="record 'none' is empty"):
        nothing.look_up(split())
    data = toy()
    with pytest.raises(Refusal, match="has no answer for"):
        kdlab.distill("mlp-4", kdlab.record(Asked(), data.train[:9]), data)


def test_changed_inputs_are_refused():
    data = toy()
    record = kdlab.record(Asked(), data.train, name="asked")
    data.train.inputs[4, 0] += 1e-6
    with pytest.raises(Refusal, match=rf"other inputs: example {int(data.train.indices[4])} "):
        kdlab.distill("mlp-4", record, data)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.int64, torch.float64])
def test_every_kind_of_input_has_row_fingerprints(dtype):
    inputs = (torch.arange(30) - 15 * (dtype != torch.uint8)).reshape(10, 3).to(dtype)
    prints = fingerprints.row_fingerprints(inputs)
    assert len(prints.unique()) == 10
    other = inputs.clone()
    other[2, 1] += 1
    assert (prints != fingerprints.row_fingerprints(other)).nonzero().flatten().tolist() == [2]
    # a row's print does not depend on its neighbours; two exchanged columns change it
    assert torch.equal(fingerprints.row_fingerprints(inputs[3:5]), prints[3:5])
    assert not torch.equal(fingerprints.row_fingerprints(inputs.flip(1)), prints)
    if dtype != torch.uint8:
        assert (fingerprints.row_fingerprints(-inputs) != prints).all()


def test_a_record_under_augmentation_is_refused_with_the_reason():
    data = toy()
    record = kdlab.record(Asked(), data.train, name="asked")
    with pytest.raises(Refusal, match=r"'asked' cannot be used with augment=.*one view"):
        kdlab.distill("mlp-4", record, data, augment=lambda inputs: inputs)


def test_a_record_of_other_classes_is_refused():
    data = toy()
    record = kdlab.record(nn.Linear(4, 5), data.train)
    with pytest.raises(Refusal, match="teacher gives 5 classes, the data set has 3"):
        kdlab.distill("mlp-4", record, data)


# ---------------------------------------------------------------- under augmentation


def test_under_augmentation_the_teacher_sees_the_students_very_view():
    views = []

    def augment(inputs):
        views.append(inputs + torch.randn_like(inputs))
        return views[-1]

    teacher, data = Asked(), toy()
    student_saw = []

    def student():
        net = nn.Linear(4, 3)
        net.register_forward_pre_hook(
            lambda module, given: student_saw.append(given[0]) if module.training else None
        )
        return net

    kdlab.distill(student, teacher, data, epochs=2, batch_size=10, augment=augment, watch=0)
    steps = 2 * -(-len(data.train) // 10)
    assert len(views) == len(student_saw) == steps
    asked = [inputs for inputs, _, _ in teacher.seen[1 : 1 + steps]]  # after the two tried out
    for view, saw, said in zip(views, student_saw, asked, strict=True):
        assert torch.equal(view, saw) and torch.equal(view, said)


def test_under_augmentation_tokens_stay_whole_numbers():
    tokens = torch.randint(0, 9, (60, 5), generator=torch.Generator().manual_seed(0))
    data = kdlab.load_data((tokens, torch.arange(60) % 3))

    class Bag(nn.Module):
        def __init__(self):
            super().__init__()
            self.bag, self.head = nn.EmbeddingBag(9, 4), nn.Linear(4, 3)

        def forward(self, inputs):
            return self.head(self.bag(inputs))

    said = []

    def loss(student_logits, teacher_logits, labels, temperature, alpha):
        said.append(teacher_logits)
        return kdlab.losses.kd_loss(student_logits, teacher_logits, labels, temperature, alpha)

    kdlab.distill(Bag, Bag(), data, epochs=1, loss=loss, augment=lambda batch: batch.flip(1))
    assert all(answer.is_floating_point() and (answer % 1).any() for answer in said)


# ---------------------------------------------------------------- answers that ship


def test_shipped_answers_are_taken_and_a_damaged_file_is_not(tmp_path, monkeypatch):
    teacher, examples = Asked(), split()
    folder = tmp_path / "answers"
    folder.mkdir()
    monkeypatch.setenv("KDLAB_DATA", str(tmp_path))
    record = kdlab.record(teacher, examples)
    path = folder / f"{fingerprints.fingerprint(teacher)[:16]}.safetensors"
    record.save(path, precision="float32")
    signals._kept.clear()
    asked = teacher.rows
    assert torch.equal(signals.answers(teacher, examples), record.logits)
    assert teacher.rows == asked  # read, not computed
    other = split(seed=1)
    assert torch.equal(signals.answers(teacher, other), signals.ask(Asked(), other.inputs))
    signals._kept.clear()
    path.write_bytes(path.read_bytes()[:-3])
    assert torch.equal(signals.answers(teacher, examples), record.logits)
    assert teacher.rows > asked


def test_the_answers_that_ship_are_the_shipped_teachers(monkeypatch):
    teacher = kdlab.load_teacher("fashion-cnn")
    data = kdlab.load_data("fashion-mnist", train=200, unlabelled=200)
    kept = f"{fingerprints.fingerprint(teacher)[:16]}.safetensors"
    path = kdlab.files.folder() / "answers" / kept
    record = kdlab.Signal.load(path)
    assert torch.equal(record.indices.sort().values, torch.arange(70_000))
    examples = [data.train, data.transfer, data.validation[:200], data.test[:200]]
    expected = [signals.ask(teacher, part.inputs) for part in examples]
    monkeypatch.setattr(signals, "ask", lambda *_: pytest.fail("asked, though it is recorded"))
    for part, logits in zip(examples, expected, strict=True):
        assert torch.allclose(signals.answers(teacher, part), logits, atol=1e-3)


def test_a_split_without_examples_is_refused():
    with pytest.raises(Refusal, match="no examples"):
        signals.answers(Asked(), split(0))


def test_fingerprints_are_remembered_until_a_tensor_changes():
    inputs = split().inputs
    prints = fingerprints.row_fingerprints(inputs), fingerprints.input_fingerprint(inputs)
    assert fingerprints.row_fingerprints(inputs) is prints[0]  # not computed again
    inputs[3] += 1
    assert (fingerprints.row_fingerprints(inputs) != prints[0]).nonzero().flatten().tolist() == [3]
    assert fingerprints.input_fingerprint(inputs) != prints[1]
    with torch.inference_mode():
        told_nothing = inputs.clone()
        first = fingerprints.row_fingerprints(told_nothing)
        told_nothing[3] -= 1
        assert (fingerprints.row_fingerprints(told_nothing) != first).any()


# ---------------------------------------------------------------- across views


def double(inputs):
    return 2 * inputs


def test_across_gives_the_answers_about_one_view_to_the_other():
    teacher, seen = Asked(), toy()
    shown = kdlab.views.changed(seen, double)
    record = kdlab.across(teacher, seen, shown)
    for part in ("train", "validation", "test"):
        clean, other = getattr(seen, part), getattr(shown, part)
        assert torch.equal(record.look_up(other), signals.ask(Asked(), clean.inputs))
        with pytest.raises(Refusal, match="has changed since"):
            record.look_up(clean)  # it is addressed to the other view alone
    assert record.teacher == fingerprints.fingerprint(teacher)
    run = kdlab.distill("mlp-4", record, shown, epochs=1, device="cpu", progress=False)
    assert run.scores["agreement"] >= 0


def test_across_finds_the_twins_by_index_wherever_they_stand():
    teacher, whole = Asked(), toy()
    few = kdlab.views.changed(whole, double).train[torch.tensor([7, 2, 11])]
    record = kdlab.across(teacher, whole, few)
    at = torch.tensor([7, 2, 11])
    assert torch.equal(record.look_up(few), signals.ask(Asked(), whole.train.inputs)[at])
    assert teacher.rows == len(whole.train)  # the splits that nobody needs are not asked about
    again = kdlab.across(kdlab.record(Asked(), whole), whole, few)
    assert torch.equal(again.logits, record.logits)


def test_across_keeps_the_classes_of_a_smaller_task():
    teacher, seen = Asked(), toy(classes=3)
    shown = kdlab.views.only(kdlab.views.changed(seen, double), ["2", "0"])
    record = kdlab.across(teacher, seen, shown)
    twins = torch.isin(seen.train.indices, shown.train.indices)
    expected = signals.ask(Asked(), seen.train.inputs)[twins][:, [2, 0]]
    assert torch.allclose(record.look_up(shown.train), expected)
    named = kdlab.across(teacher, seen, shown, classes=["2", "0"])
    numbered = kdlab.across(teacher, seen.train, shown.train, classes=[2, 0])
    assert torch.equal(named.logits, record.logits)
    assert torch.equal(numbered.logits, record.look_up(shown.train))
    with pytest.raises(kdlab.UnknownName, match="no class 'three'"):
        kdlab.across(teacher, seen, shown, classes=["three"])
    with pytest.raises(Refusal, match="teacher gives 3 classes, the data set that it sees has 4"):
        kdlab.across(teacher, toy(classes=4), toy(classes=4), classes=["1"])


def test_across_refuses_what_has_no_twin():
    seen = toy()
    with pytest.raises(Refusal, match=r"20 of the 20 examples shown have no twin.*example 60"):
        other = split()
        kdlab.across(Asked(), seen, dataclasses.replace(other, indices=other.indices + 60))
    with pytest.raises(Refusal, match="no twin"):
        kdlab.across(Asked(), seen.train, seen)
    with pytest.raises(Refusal, match=r"across\(teacher, seen, shown\)"):
        kdlab.across(seen, Asked(), seen)
    with pytest.raises(Refusal, match="expected a data set"):
        kdlab.across(Asked(), seen, seen.train.inputs)
