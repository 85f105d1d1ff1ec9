"""Lesson 1: two questions about soft targets."""

from kdlab.check.questions import Option, Question

LESSON = "01"

QUIZZES = (
    Question(
        LESSON,
        "soft targets 1",
        "A soft target tells more about a picture than its label does. Why?",
        (
            Option(
                "Because its probabilities add up to one.",
                "A label's do too: written as probabilities it is a one and nothing but zeros. "
                "Compare these zeros with what the teacher puts in their place.",
            ),
            Option(
                "Because the teacher is always right.",
                "The teacher errs too. Its soft target tells more even there: a label is never in "
                "doubt, a soft target also says how unsure the teacher was.",
            ),
            Option(
                "Because it makes the training data larger.",
                "The number of pictures stays the same; each one says more. (A teacher can also "
                "mark pictures that have no label. That is another gain: see “Unlabelled data”.)",
            ),
            Option(
                "Because its small probabilities say which other classes the picture resembles.",
                "A shirt with a little “coat” in it is another shirt than one with a little "
                "“T-shirt”. The label is the same for both; the soft target tells them apart.",
                right=True,
            ),
        ),
    ),
    Question(
        LESSON,
        "soft targets 2",
        "Suppose that soft targets gain +1.1 points over labels with 1,000 pictures (95 % interval "
        "+0.8 to +1.4), and +0.1 points with 12,000 pictures (95 % interval −0.2 to +0.4). What do "
        "the two intervals tell together?",
        (
            Option(
                "With 12,000 pictures soft targets gain 0.1 points: little, but certain.",
                "It is not certain. The interval also holds 0 and −0.2: chance alone, such as "
                "another seed, could have made this 0.1.",
            ),
            Option(
                "With 12,000 pictures the gain is smaller; these runs cannot tell it from zero.",
                "The intervals do not overlap, so the gain has shrunk. The second one contains "
                "zero, so a small gain, a small loss and no difference all fit these runs.",
                right=True,
            ),
            Option(
                "With 12,000 pictures both ways are proved to be equally good.",
                "Not to see a difference is not to show that there is none: everything from −0.2 "
                "to +0.4 fits. “The same” needs a margin, chosen before the runs, and an "
                "interval that lies inside it.",
            ),
            Option(
                "With 12,000 pictures 95 % of the students gain between −0.2 and +0.4 points.",
                "The interval is about the mean gain over many students. The gains of single "
                "students scatter more widely, from seed to seed.",
            ),
        ),
    ),
)
