import random

import pytest
import torch
from torch.nn import functional as F

import kdlab
from kdlab.explore.primer import CLASSES, LOGITS, PRIMERS, TRUTH, primer


@pytest.fixture(params=PRIMERS)
def name(request):
    return request.param


def expected(name, value):
    """What torch makes of a setting."""
    logits, p = torch.tensor(LOGITS).double(), torch.tensor(TRUTH).double()
    if name == "logit":
        return {"probabilities": torch.cat([torch.tensor([value]).double(), logits[1:]]).softmax(0)}
    if name == "softmax":
        return {"probabilities": (logits + value).softmax(0)}
    if name == "cross-entropy":
        rest = (1 - value) / 2
        log_shares = torch.tensor([[value, rest, rest]]).double().log()
        return {"loss": F.nll_loss(log_shares, torch.tensor([0]))}
    q = p + value * torch.tensor([0.0, -1.0, 1.0]).double()
    return {
        "forward": F.kl_div(q.log(), p, reduction="sum"),
        "backward": F.kl_div(p.log(), q, reduction="sum"),
    }


def test_every_setting_gives_what_torch_gives_and_says_so(name):
    panel = primer(name)
    low, high = panel.slider.min, panel.slider.max
    values = [low, panel.slider.value, high]
    values += random.Random(0).choices([*values, low + 0.1, high - 0.1], k=6)
    said = {}
    for value in values:
        panel.slider.value = value
        result = panel.wait()
        for field, number in expected(name, value).items():
            got = torch.tensor(getattr(result, field)).double()
            torch.testing.assert_close(got, number.double(), rtol=1e-5, atol=1e-6)
        assert said.setdefault(value, panel.picture.alt) == panel.picture.alt
        assert panel.picture.png.startswith(b"\x89PNG")
    assert len(set(said.values())) == len(said)
    assert panel.picture.alt in panel.picture.value.replace("&#x27;", "'")


def test_nothing_drawn_leaves_the_picture(name):
    panel = primer(name)
    figure = panel.picture.figure
    for value in (panel.slider.min, panel.slider.max):
        panel.slider.value = value
        for axes in figure.axes:
            for text in axes.texts:
                box = text.get_window_extent(panel.picture.canvas.get_renderer())
                assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1, text
                assert figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1, text


def test_the_probabilities_are_plain_numbers_and_share_one_whole():
    for name in ("logit", "softmax"):
        shares = primer(name).result.probabilities
        assert isinstance(shares, list) and len(shares) == len(CLASSES)
        assert sum(shares) == pytest.approx(1)


def test_kl_starts_at_zero_and_either_direction_can_be_the_larger():
    panel = primer("KL")
    assert panel.result.forward == panel.result.backward == 0
    panel.slider.value = 0.2
    assert panel.result.backward > panel.result.forward + 0.01
    panel.slider.value = 0.4
    assert panel.result.forward > panel.result.backward + 0.01


def test_the_slider_follows_the_drag_and_its_label_is_not_bare(name):
    panel = primer(name)
    assert panel.slider.continuous_update
    assert len(panel.slider.description.split()) > 1


def test_the_code_restores_the_slider(name):
    panel = primer(name)
    panel.slider.value = panel.slider.min + panel.slider.step * 7
    again = primer(name, code=panel.code)
    assert again.settings == panel.settings
    assert again.result == panel.result
    assert again.picture.alt == panel.picture.alt


def test_the_plain_text_never_changes(name):
    panel = primer(name)
    said = []
    for value in (panel.slider.min, panel.slider.max):
        panel.slider.value = value
        bundle, metadata = panel._repr_mimebundle_()
        said.append(bundle["text/plain"])
        assert metadata["image/png"]["alt"] == panel.picture.alt
    assert set(said) == {f"[interactive panel: {name}]"}


def test_an_unknown_name_is_told_the_near_one():
    with pytest.raises(LookupError, match="Did you mean 'softmax'"):
        kdlab.explore.primer("softmaks")
    with pytest.raises(LookupError, match="Did you mean 'KL'"):
        primer("kl")
