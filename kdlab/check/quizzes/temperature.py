"""Lesson 2: two questions about the temperature."""

from kdlab.check.questions import Option, Question

LESSON = "02"

QUIZZES = (
    Question(
        LESSON,
        "temperature 1",
        "A program distils with T = 4 and equal weights of one half, but its loss lacks the T². "
        "Which alpha trains nearly the same student with kdlab's own loss at T = 4, and Adam?",
        (
            Option(
                "alpha = 0.5: the weights are what they are.",
                "In that program the teacher's term is 16 times smaller than in kdlab's. One half "
                "of something 16 times smaller is not one half.",
            ),
            Option(
                "alpha = 0.06: the teacher has to count more.",
                "That is the other direction. Without T² the teacher counts less; to do the same, "
                "kdlab's loss has to trust the labels more.",
            ),
            Option(
                "alpha = 0.94: nearly all weight on the labels.",
                "Labels and teacher stand as 1/2 to 1/32, which is 16 to 1, and 16/17 is 0.94. "
                "Adam does not see the size of the whole loss, only this balance.",
                right=True,
            ),
            Option(
                "None: without T² the targets have another shape.",
                "The shape comes from the T inside the two softmaxes, and that is still 4. The "
                "factor only sets a weight, and so does alpha.",
            ),
        ),
    ),
    Question(
        LESSON,
        "temperature 2",
        "A paper says: “At T = 8 our new loss beats plain distillation by 0.8 points, 95 % "
        "interval +0.4 to +1.2.” What do you ask first?",
        (
            Option(
                "Nothing: the interval does not hold zero, so the new loss is better.",
                "It is better at T = 8. In this lesson T = 8 was a poor choice for plain "
                "distillation, and nobody has to choose it.",
            ),
            Option(
                "How large the gain is at T = 20.",
                "Probably larger still, since plain distillation gets worse there. But a gain over "
                "a poorly set baseline says little about the new loss.",
            ),
            Option(
                "How good plain distillation is at its own best T.",
                "Each method deserves its own best setting, chosen on validation. Here the "
                "standardised loss won at T = 8, but not against plain distillation at T = 1.",
                right=True,
            ),
            Option(
                "Whether they used more than five seeds.",
                "The interval answers that already: fewer seeds make it wider. It holds only "
                "values above zero. What it cannot tell is whether the baseline was well set.",
            ),
        ),
    ),
)
