"""Quiz questions as data: every option, right or wrong, comes with its own explanation."""

import html
from dataclasses import dataclass
from string import ascii_lowercase


@dataclass(frozen=True)
class Option:
    """An answer to choose, and what is said once it is chosen."""

    text: str
    explanation: str
    right: bool = False


@dataclass(frozen=True)
class Question:
    """A question with its options, which are called a, b, c … in their order."""

    lesson: str
    name: str
    question: str
    options: tuple[Option, ...]

    @property
    def letters(self) -> dict[str, Option]:
        """Each option under its letter."""
        return dict(zip(ascii_lowercase, self.options, strict=False))

    def as_text(self) -> str:
        """The question and its options for readers without a running kernel."""
        options = [f"  {letter}. {option.text}" for letter, option in self.letters.items()]
        return "\n".join([f"[quiz: {self.name}]", self.question, *options])

    def as_html(self) -> str:
        """The same as HTML."""
        options = [
            f"<br>{letter}. {html.escape(option.text)}" for letter, option in self.letters.items()
        ]
        return f"<p><b>{html.escape(self.question)}</b>{''.join(options)}</p>"
