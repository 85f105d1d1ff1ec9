"""Answers to exercises, as learners write them, each with the name of its mistake."""


class Answers(list):
    """Rows (exercise, name of the mistake or "right", function), filled by two decorators."""

    def answer(self, exercise, mistake):
        def add(f):
            self.append((exercise, mistake, f))
            return f

        return add

    def right(self, exercise):
        return self.answer(exercise, "right")
