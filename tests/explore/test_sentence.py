"""A typed text: what is read of it, who answers, and what is said where nobody can."""

import pytest
import torch

import kdlab
from kdlab.errors import Refusal
from kdlab.explore.sentence import TEACHER, Reader, remark, sentence, told
from kdlab.texts import Vocabulary

CLASSES = ["pet", "tool"]


@pytest.fixture
def panel(readers, vocabulary):
    return sentence(readers, vocabulary, CLASSES, text="a dog of iron")


@pytest.fixture
def record(vocabulary, readers):
    """A teacher's answers to two texts."""
    inputs = vocabulary.encode(["a cat", "a hammer of iron"])
    split = kdlab.data.Split(inputs, torch.zeros(2).long(), torch.tensor([7, 3]))
    return kdlab.record(readers["text-bag"], split, progress=False)


def test_the_answers_are_the_students_at_t(panel, readers, vocabulary):
    panel.temperature.value = 4
    panel.text.value = "A hammer"
    numbers = vocabulary.encode(["a hammer"])
    for name, net in readers.items():
        expected = (kdlab.signals.ask(net, numbers)[0] / 4).softmax(0)
        assert torch.allclose(panel.result.answers[name], expected)
    assert panel.result.words == ("a", "hammer") and not panel.result.unknown
    assert "“A hammer” at T=4" in panel.picture.alt


def test_unknown_words_are_pointed_out_once(panel):
    panel.text.value = "a zorgle eats a zorgle"
    assert panel.result.unknown == ("zorgle", "eats")
    assert told(panel.result) == "read: a [zorgle] [eats] a [zorgle]"
    assert "words that no student knows" in remark(panel.result)
    assert "Not known: zorgle, eats." in panel.picture.alt
    panel.text.value = "a dog"
    assert remark(panel.result) == " " and "Not known" not in panel.picture.alt


def test_a_rare_word_of_the_vocabulary_is_unknown_to_students_that_know_fewer():
    vocabulary = Vocabulary([f"w{number}" for number in range(9_000)])
    student = kdlab.models.build("text-bag", (24,), 2)
    reading = Reader({"bag": student}, vocabulary).read("w5 w8500", 1.0)
    assert reading.unknown == ("w8500",)
    alike = Reader({"bag": student}, vocabulary).read("w5 never", 1.0)
    assert torch.equal(reading.answers["bag"], alike.answers["bag"])


def test_words_after_the_last_that_is_read(panel):
    panel.text.value = "dog " * 30
    assert len(panel.result.words) == 24 and panel.result.left == 6
    assert "6 more at the end" in remark(panel.result)


def test_no_word_at_all(panel):
    panel.text.value = ""
    assert told(panel.result).startswith("no word yet")
    assert all(answer.isfinite().all() for answer in panel.result.answers.values())


def test_a_record_answers_to_its_own_texts_alone(readers, vocabulary, record):
    panel = sentence(readers, vocabulary, CLASSES, record, text="a hammer of iron")
    assert torch.allclose(panel.result.answers[TEACHER], panel.result.answers["text-bag"])
    panel.text.value = "a hammer of gold"
    assert panel.result.answers[TEACHER] is None
    assert "the teacher: not recorded for this text" in panel.picture.alt
    panel.text.value = "A  CAT"
    assert panel.result.answers[TEACHER] is not None


def test_a_living_teacher_answers_to_all(readers, vocabulary):
    panel = sentence(readers, vocabulary, CLASSES, readers["textcnn"], text="an unheard text")
    assert torch.equal(panel.result.answers[TEACHER], panel.result.answers["textcnn"])


def test_each_text_is_drawn(panel):
    seen = set()
    for text in ("a dog", "a cat", "iron"):
        panel.text.value = text
        seen.add(panel.picture.png)
    assert len(seen) == 3


def test_what_fits_nothing_is_refused(readers, vocabulary):
    with pytest.raises(Refusal, match="1 to 3 students"):
        sentence({}, vocabulary, CLASSES)
    with pytest.raises(Refusal, match=r"expected that of a data set of texts"):
        sentence(readers, ["a", "dog"], CLASSES)
    with pytest.raises(Refusal, match="textcnn gives 2 logits, and there are 3 classes"):
        sentence(readers, vocabulary, ["a", "b", "c"])
    with pytest.raises(Refusal, match="a teacher of type str"):
        sentence(readers, vocabulary, CLASSES, "glosses-minilm")


def test_typing_redraws_at_each_letter(panel):
    """Each letter that is typed is one quick call of compute, in the thread that typed it."""
    assert panel._job is None and panel.text.continuous_update
    drawn = 0
    for end in range(1, 11):
        before = panel.picture.png
        panel.text.value = "a dog of iron"[:end]
        drawn += panel.picture.png is not before
    assert drawn == 10
