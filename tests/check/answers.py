"""Answers to an exercise, as learners write them, each with the name of its mistake."""


class Answers(list):
    """Rows (name of the mistake or "right", function), filled by two decorators."""

    def right(self, f):
        self.append(("right", f))
        return f

    def wrong(self, mistake):
        def add(f):
            self.append((mistake, f))
            return f

        return add
