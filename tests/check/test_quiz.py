"""Quiz questions: what is shown, what an answer says, and what is stored in a notebook."""

import pytest

import kdlab
from kdlab.check import lessons, record

QUIZZES = [question.name for question in lessons.QUIZZES]


@pytest.fixture(autouse=True)
def own_progress(tmp_path, monkeypatch):
    monkeypatch.setenv("KDLAB_PROGRESS", str(tmp_path / "progress.csv"))


@pytest.mark.parametrize("question", lessons.QUIZZES, ids=QUIZZES)
def test_every_option_explains_itself(question):
    assert sum(option.right for option in question.options) == 1
    texts = [option.text for option in question.options]
    explanations = [option.explanation for option in question.options]
    assert len(set(texts)) == len(set(explanations)) == len(question.options) >= 3
    assert all(text.endswith((".", ".)")) for text in texts + explanations)
    assert all(len(explanation) > 60 for explanation in explanations)


def test_nothing_is_chosen_and_nothing_noted_at_first():
    panel = kdlab.check.quiz("soft targets 1")
    assert panel.answer is None
    assert panel.feedback == "no answer yet"
    assert record.lines() == []


@pytest.mark.parametrize("name", QUIZZES)
def test_every_answer_is_told_and_noted(name):
    panel = kdlab.check.quiz(name)
    for letter, option in panel.question.letters.items():
        panel.answer = letter
        assert panel.answer == letter
        assert option.explanation in panel.feedback
        assert panel.feedback.startswith("Right." if option.right else "Not this one.")
        noted = record.lines()[-1]
        assert (noted["exercise"], noted["result"]) == (
            name,
            "right" if option.right else "not right yet",
        )
        assert noted["mistake"] == ("" if option.right else letter)
    assert len(record.lines()) == len(panel.question.options)


def test_an_answer_can_be_taken_back():
    panel = kdlab.check.quiz("soft targets 1")
    panel.answer = "a"
    panel.answer = None
    assert panel.feedback == "no answer yet"
    assert len(record.lines()) == 1


def test_the_feedback_is_announced_to_screen_readers():
    panel = kdlab.check.quiz("soft targets 1")
    panel.answer = "b"
    said = panel.children[-1].value
    assert 'role="status"' in said
    assert 'aria-live="polite"' in said
    assert "The teacher errs too." in said


def test_progress_lists_the_quiz():
    kdlab.check.quiz("soft targets 1").answer = "b"
    row = kdlab.check.progress().set_index("exercise").loc["soft targets 1"]
    assert (row["state"], row["tries"], row["last mistake"]) == ("not right yet", 1, "b")


def test_what_cannot_be_noted_is_said_in_the_feedback(monkeypatch, tmp_path):
    monkeypatch.setenv("KDLAB_PROGRESS", str(tmp_path / "missing" / "progress.csv"))
    panel = kdlab.check.quiz("soft targets 1")
    panel.answer = "b"
    assert "(Progress was not noted: " in panel.children[-1].value


@pytest.mark.parametrize("name", QUIZZES)
def test_what_a_notebook_stores_is_always_the_unanswered_question(name):
    panel = kdlab.check.quiz(name)
    before = panel._repr_mimebundle_()
    panel.answer = "a"
    after = panel._repr_mimebundle_()
    assert before == after
    assert "application/vnd.jupyter.widget-view+json" in before
    assert before["text/plain"].splitlines()[0] == f"[quiz: {name}]"
    for option in panel.question.options:
        assert option.text in before["text/plain"]
        assert option.text in before["text/html"]
        assert option.explanation not in before["text/html"]


def test_texts_are_escaped():
    from kdlab.check.questions import Option, Question

    question = Question("01", "x", "Is 1 < 2?", (Option("1 < 2 & so", "Yes.", right=True),))
    assert "Is 1 &lt; 2?" in question.as_html()
    assert "1 &lt; 2 &amp; so" in question.as_html()


def test_unknown_names_are_refused_with_the_near_one():
    with pytest.raises(LookupError, match="Did you mean 'soft targets 1'"):
        kdlab.check.quiz("soft target 1")
    with pytest.raises(LookupError, match="there is no option 'z'"):
        kdlab.check.quiz("soft targets 1").answer = "z"
