"""A quiz question on the screen: radio buttons, and an answer to each choice."""

import html

import ipywidgets

from kdlab.check import record
from kdlab.check.questions import Question
from kdlab.errors import unknown

# Radio buttons cut long texts off at one line; ours wrap.
STYLE = """<style>
.kdlab-quiz .widget-radio, .kdlab-quiz .widget-radio-box { width: auto; height: auto; }
.kdlab-quiz .widget-radio-box label {
  display: flex; align-items: baseline; gap: 6px; width: auto; height: auto; max-width: none;
  margin: 3px 0; line-height: 1.45; white-space: normal; overflow: visible;
}
.kdlab-quiz .widget-radio-box input { flex: none; margin: 0; }
.kdlab-quiz .widget-html-content { line-height: 1.45; white-space: normal; }
</style>"""


class QuizPanel(ipywidgets.VBox):
    """A question to answer by a click, or from code: `panel.answer = "b"`.

    `answer` is a letter, or None as long as nothing is chosen. Each answer is noted in the record.
    """

    def __init__(self, question: Question):
        super().__init__(layout={"max_width": "720px"})
        self.question = question
        options = [(f"{letter}. {option.text}", letter) for letter, option in self._options.items()]
        self._buttons = ipywidgets.RadioButtons(
            options=options, value=None, layout={"width": "auto"}
        )
        self._feedback = ipywidgets.HTML()
        asked = f"{STYLE}<b>{html.escape(question.question)}</b>"
        self.children = [ipywidgets.HTML(asked), self._buttons, self._feedback]
        self.add_class("kdlab-quiz")
        self._say("no answer yet")
        self._buttons.observe(lambda _: self._answered(), "value")

    @property
    def answer(self) -> str | None:
        """The letter of the chosen option; None for no answer yet."""
        return self._buttons.value

    @answer.setter
    def answer(self, letter: str | None) -> None:
        if letter is not None and letter not in self._options:
            raise unknown("option", letter, self._options)
        self._buttons.value = letter

    @property
    def feedback(self) -> str:
        """What is said about the chosen option, as plain text."""
        if self.answer is None:
            return "no answer yet"
        option = self._options[self.answer]
        return f"{'Right' if option.right else 'Not this one'}. {option.explanation}"

    @property
    def _options(self) -> dict:
        return self.question.letters

    def _answered(self) -> None:
        trouble = ""
        if self.answer is not None:
            right = self._options[self.answer].right
            result, mistake = (record.RIGHT, "") if right else (record.NOT_RIGHT, self.answer)
            trouble = record.note(self.question.lesson, self.question.name, result, mistake)
        self._say(f"{self.feedback} {trouble}".strip())

    def _say(self, text: str) -> None:
        self._feedback.value = f'<div role="status" aria-live="polite">{html.escape(text)}</div>'

    def _repr_mimebundle_(self, **kwargs):
        bundle = super()._repr_mimebundle_(**kwargs)
        # The same in every state, for stored notebooks are compared: it is the question, unanswered.
        return bundle | {
            "text/plain": self.question.as_text(),
            "text/html": self.question.as_html(),
        }
