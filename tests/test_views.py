"""Another view changes what is seen and keeps what it is: indices, labels, the random state."""

import pytest
import torch

import kdlab
from kdlab import views
from kdlab.errors import Refusal, UnknownName


def pictures(count=6, channels=2, side=8, seed=0):
    return torch.randn(count, channels, side, side, generator=torch.Generator().manual_seed(seed))


def toy(count=60, classes=3, **options):
    labels = torch.arange(count) % classes
    names = [f"class {number}" for number in range(classes)]
    return kdlab.load_data((pictures(count, 1), labels), classes=names, **options)


# ---------------------------------------------------------------- on pictures


@pytest.mark.parametrize(
    "view",
    [
        lambda x: views.noise(x, 0.5),
        lambda x: views.blur(x, 1.2),
        lambda x: views.contrast(x, 0.3),
        lambda x: views.resize(x, 5),
    ],
    ids=["noise", "blur", "contrast", "resize"],
)
def test_a_view_is_repeatable_and_leaves_its_inputs_and_the_random_state_alone(view):
    inputs, before = pictures(), torch.get_rng_state()
    copy = inputs.clone()
    first = view(inputs)
    torch.manual_seed(123)
    assert torch.equal(view(inputs), first)
    torch.set_rng_state(before)
    view(inputs)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(inputs, copy)
    assert first.dtype == inputs.dtype and first.shape[:2] == inputs.shape[:2]
    assert not torch.equal(first, inputs)
    # each picture by itself: what stands beside it does not matter
    assert torch.allclose(view(inputs[2:4]), first[2:4], atol=1e-6)


def test_noise_has_the_strength_asked_for_and_differs_by_picture_and_seed():
    inputs = pictures(50, 1, 20)
    added = views.noise(inputs, 0.5) - inputs
    assert added.std().item() == pytest.approx(0.5, rel=0.03)
    assert added.mean().item() == pytest.approx(0, abs=0.02)
    assert not torch.allclose(added[0], added[1])
    other = views.noise(inputs, 0.5, seed=1) - inputs
    assert abs(torch.corrcoef(torch.stack([added.flatten(), other.flatten()]))[0, 1]) < 0.05
    assert torch.equal(views.noise(inputs, 0), inputs)


def test_a_picture_has_the_same_noise_in_every_draw():
    inputs = pictures(10)
    shuffled = torch.tensor([3, 1, 4, 0, 5])
    assert torch.equal(views.noise(inputs, 1.0)[shuffled], views.noise(inputs[shuffled], 1.0))


def test_blur_keeps_an_even_picture_and_spreads_a_point_like_a_gaussian():
    even = torch.full((1, 3, 9, 9), 0.7)
    assert torch.allclose(views.blur(even, 2.0), even, atol=1e-6)
    point = torch.zeros(1, 1, 41, 41)
    point[0, 0, 20, 20] = 1
    spread = views.blur(point, 2.0)[0, 0]
    assert spread.sum().item() == pytest.approx(1, abs=1e-5)
    along = spread.sum(0)
    places = torch.arange(41) - 20.0
    assert (along * places**2).sum().item() ** 0.5 == pytest.approx(2.0, rel=0.02)
    assert torch.allclose(spread, spread.T, atol=1e-7)
    upright = torch.zeros(1, 1, 12, 7)
    upright[0, 0, :, 0] = 1  # a line at the edge goes on beyond it
    blurred = views.blur(upright, 1.0)[0, 0]
    assert torch.allclose(blurred, blurred[:1].expand(12, 7), atol=1e-6) and blurred[0, 0] > 0.5
    assert torch.equal(views.blur(point, 0), point)


def test_contrast_scales_around_each_pictures_own_mean():
    inputs = pictures()
    pale = views.contrast(inputs, 0.25)
    assert torch.allclose(pale.mean((1, 2, 3)), inputs.mean((1, 2, 3)), atol=1e-6)
    deviations = [picture.flatten(1).std(1) for picture in (pale, inputs)]
    assert torch.allclose(deviations[0], 0.25 * deviations[1], rtol=1e-4)
    assert views.contrast(inputs, 0)[0].unique().numel() == 1


def test_half_the_side_keeps_the_mean_and_does_not_skip_pixels():
    inputs = torch.zeros(1, 1, 8, 8)
    inputs[..., ::2] = 1  # stripes: every second column, lost or kept whole without smoothing
    small = views.resize(inputs, 4)
    assert small.shape == (1, 1, 4, 4)
    assert torch.allclose(small[..., 1:3], torch.full((1, 1, 4, 2), 0.5), atol=0.01)
    assert views.resize(pictures(2, 3, 8), 28).shape == (2, 3, 28, 28)


@pytest.mark.parametrize(
    "call",
    [
        lambda: views.noise(torch.zeros(2, 5), 1.0),
        lambda: views.blur(torch.zeros(2, 1, 4, 4, dtype=torch.long), 1.0),
        lambda: views.noise(pictures(), -1),
        lambda: views.blur(pictures(), float("nan")),
        lambda: views.contrast(pictures(), "half"),
        lambda: views.resize(pictures(), 0),
        lambda: views.resize(pictures(), 2.5),
    ],
)
def test_what_is_no_picture_or_no_amount_is_refused(call):
    with pytest.raises(Refusal, match=r"expected|is for pictures"):
        call()


# ---------------------------------------------------------------- on data sets


def test_a_changed_data_set_differs_in_its_inputs_alone():
    data = toy(train=20, unlabelled=5)
    pale = views.changed(data, lambda x: views.contrast(x, 0.5), "pale")
    for part in ("train", "validation", "test", "transfer"):
        one, other = getattr(data, part), getattr(pale, part)
        assert torch.equal(one.indices, other.indices) and torch.equal(one.labels, other.labels)
        assert torch.equal(other.inputs, views.contrast(one.inputs, 0.5))
    assert pale.name == "your data, pale" and pale.settings["view"] == "pale"
    assert pale.classes == data.classes and "view" not in data.settings
    again = views.changed(pale, lambda x: views.resize(x, 4), "small")
    assert again.settings["view"] == "pale, small"
    run = kdlab.train("mlp-4", again, epochs=1, device="cpu", progress=False)
    assert run.settings["data_view"] == "pale, small"


def test_an_empty_split_has_the_views_shape_too():
    small = views.changed(toy(), lambda x: views.resize(x, 3))
    assert small.transfer.inputs.shape == (0, 1, 3, 3)
    assert small.settings["view"] == "another view"


@pytest.mark.parametrize(
    "view, said",
    [
        (lambda x: x[:1], "rows, the same examples"),
        (lambda x: x.tolist(), "list"),
        (lambda x: x / 0, "NaN or infinity"),
    ],
)
def test_a_view_that_loses_examples_is_refused(view, said):
    with pytest.raises(Refusal, match=said):
        views.changed(toy(), view)


def test_only_keeps_the_rows_of_its_classes_and_numbers_them_anew():
    data = toy(train=30, unlabelled=6)
    few = views.only(data, ["class 2", "class 0"])
    assert few.classes == ("class 2", "class 0") and few.settings["only"] == ["class 2", "class 0"]
    for part in ("train", "validation", "test"):
        one, other = getattr(data, part), getattr(few, part)
        old = {int(i): int(label) for i, label in zip(one.indices, one.labels, strict=True)}
        assert [old[int(i)] for i in other.indices] == [
            {0: 2, 1: 0}[int(label)] for label in other.labels
        ]
        assert len(other) == (one.labels != 1).sum()
    assert torch.equal(few.transfer.indices, data.transfer.indices)
    assert few.settings["train"] == len(few.train) == 20
    assert len(views.only(data, [0, 1]).train) == 20


def test_classes_that_make_no_task_are_refused():
    data = toy()
    with pytest.raises(UnknownName, match="class 2"):
        views.only(data, ["class 0", "clas 2"])
    for classes in ("class 0", [0], [0, 0]):
        with pytest.raises(Refusal, match="at least two"):
            views.only(data, classes)
    with pytest.raises(Refusal, match="train has no example of class 1"):
        views.only(toy(leave_out="class 1"), [0, 1])
