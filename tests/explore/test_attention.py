import pytest
import torch
import torch.nn.functional as F

import kdlab
from kdlab.errors import Refusal
from kdlab.explore.attention import Gaze, attention, laid_over, some_of_each, square_mean


@pytest.fixture
def panel(cnn_students, cnn_teacher, data):
    return attention(*cnn_students, cnn_teacher, data, student_layer="block2")


def test_pictures_of_every_class_in_their_order(data):
    some = some_of_each(data.validation, 10, each=3)
    assert some.labels.tolist() == [number for number in range(10) for _ in range(3)]


def test_the_map_is_that_of_the_paper():
    features = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    maps = square_mean(features)
    by_hand = torch.stack([(picture**2).sum(0).flatten() for picture in features])
    assert torch.allclose(maps, by_hand / by_hand.norm(dim=1, keepdim=True))
    other = torch.randn(4, 8, 5, 5, generator=torch.Generator().manual_seed(1))
    loss = kdlab.losses.attention_transfer(features, other)
    assert torch.allclose(F.mse_loss(maps, square_mean(other)), loss)


def test_overlaps_are_inner_products_of_the_two_maps(panel, cnn_students, cnn_teacher, data):
    some = some_of_each(data.validation, 10)
    panel.example.value = 17
    teacher, *students = (
        square_mean(kdlab.layers.read(net, some, "block2")["block2"])
        for net in (cnn_teacher, *(run.student for run in cnn_students))
    )
    overlaps = [(teacher * student).sum(1) for student in students]
    for who, overlap in zip(("before", "after"), overlaps, strict=True):
        assert panel.result.overlap[who] == pytest.approx(overlap[16].item(), abs=1e-5)
        assert panel.result.mean_overlap[who] == pytest.approx(overlap.mean().item(), abs=1e-5)
    assert panel.result.label == data.classes[1]
    assert torch.allclose(panel.result.maps["teacher"].flatten(), teacher[16], atol=1e-6)


def test_a_match_on_attention_makes_them_look_alike(panel):
    mean = panel.result.mean_overlap
    assert mean["after"] > mean["before"]
    assert f"{mean['before']:.2f} and {mean['after']:.2f}" in panel.picture.alt


def test_maps_of_different_sizes_are_pooled_to_the_smaller(panel):
    panel.teacher_layer.value = "block1"
    assert panel.result.maps["teacher"].shape == (4, 4)
    assert panel.result.maps["after"].shape == (2, 2)
    assert all(0 <= overlap <= 1 for overlap in panel.result.overlap.values())


def test_each_picture_and_layer_is_drawn(panel):
    seen = set()
    for example, layer in ((1, "block2"), (2, "block2"), (2, "block1")):
        panel.example.value, panel.student_layer.value = example, layer
        seen.add(panel.picture.png)
        assert f"the student's ({layer})" in panel.picture.alt
    assert len(seen) == 3


def test_a_learners_own_map_is_used(cnn_students, cnn_teacher, data):
    def one_place(features):
        strongest = features.abs().mean(1).flatten(1).argmax(1)
        return F.one_hot(strongest, features[0, 0].numel()).float()

    panel = attention(*cnn_students, cnn_teacher, data, look=one_place)
    assert panel.result.maps["teacher"].sum() == 1
    assert panel.result.overlap["before"] in (0.0, 1.0)


def test_only_layers_that_give_maps_are_offered(panel):
    for control in (panel.student_layer, panel.teacher_layer):
        assert [name for _, name in control.options] == ["block1", "block2"]


def test_what_fits_nothing_is_refused(cnn_students, cnn_teacher, data, teacher):
    with pytest.raises(Refusal, match="the teacher has no layer that gives maps"):
        attention(*cnn_students, teacher, data)
    with pytest.raises(
        Refusal, match=r"look gave shape \(100,\).*expected a tensor of shape \(100, 4\)"
    ):
        attention(*cnn_students, cnn_teacher, data, look=lambda f: f.mean((1, 2, 3)))
    with pytest.raises(LookupError, match="block3"):
        attention(*cnn_students, cnn_teacher, data, teacher_layer="block3")


def test_a_strong_place_is_coloured_and_a_weak_one_pale():
    white = torch.ones(8, 8, 3).numpy()
    shown = laid_over(white, torch.tensor([[0.0, 1.0], [0.0, 0.0]]))
    assert shown.shape == (8, 8, 3) and shown.min() >= 0 and shown.max() <= 1
    assert shown[0, 7, 2] < 0.3 < 0.9 < shown[7, 0, 2]  # blue leaves where the map is strong
    assert laid_over(white, torch.zeros(2, 2)).min() == pytest.approx(1)


def test_nothing_is_computed_twice(cnn_students, cnn_teacher, data):
    asked = []

    def look(features):
        asked.append(1)
        return square_mean(features)

    nets = {"teacher": cnn_teacher}
    nets |= {who: run.student for who, run in zip(("before", "after"), cnn_students, strict=True)}
    gaze = Gaze(nets, some_of_each(data.validation, 10), data.classes, look)
    for example in (1, 5, 9):
        gaze.at(example, "block2", "block2")
    assert len(asked) == 3
