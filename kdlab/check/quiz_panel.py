"""A quiz question on the screen: radio buttons, and an answer to each choice."""

import html

import ipywidgets

from kdlab.check import record
from kdlab.check.questions import Question
from kdlab.errors import unknown

# ipywidgets cuts an option off after one line and puts the button behind its text.
STYLE = """<style>
.kdlab-quiz .widget-radio { flex-direction: column; width: auto; height: auto; }
.kdlab-quiz .widget-radio-box { width: auto; height: auto; margin: 0; }
.kdlab-quiz .widget-radio-box label {
  display: flex; flex-direction: row-reverse; justify-content: flex-end; gap: 8px;
  width: auto; height: auto; margin: 3px 0; line-height: 1.4; white-space: normal;
}
.kdlab-quiz .widget-radio-box label input { flex: none; height: 1.4em; margin: 0; }
.kdlab-quiz .widget-html-content { line-height: 1.4; white-space: normal; }
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
            options=options,
            value=None,
            description="Your answer:",
            layout={"width": "auto"},
            style={"description_width": "initial"},
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
        # Always the unanswered question: a stored notebook is compared word for word.
        return bundle | {
            "text/plain": self.question.as_text(),
            "text/html": self.question.as_html(),
        }
