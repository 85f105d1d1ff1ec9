"""Lesson 4: two questions about feature distillation."""

from kdlab.check.questions import Option, Question

LESSON = "04"

QUIZZES = (
    Question(
        LESSON,
        "features 1",
        "Ten methods are each compared with one baseline, by a 95 % interval. Suppose that none of "
        "them changes anything. What will such a table look like?",
        (
            Option(
                "All ten say “no difference seen”: that is what a 95 % interval is for.",
                "Each single interval misses the truth about 1 time in 20. Ten of them have ten "
                "chances to miss.",
            ),
            Option(
                "In about four tables of ten, at least one method looks better or worse by chance.",
                "1 − 0.95¹⁰ is 0.40, if the ten were independent; here they share one baseline, "
                "which changes the number a little. One lone “better” among ten is no finding: "
                "run that method again on fresh seeds.",
                right=True,
            ),
            Option(
                "Five of the ten look better and five look worse.",
                "That is how the signs of the differences fall. An interval that leaves out zero "
                "is rarer: about 1 in 20.",
            ),
            Option(
                "Nobody can say, for the seeds are random.",
                "One table cannot be foretold, but how often chance alone says “better” can: it is "
                "what the 95 % mean.",
            ),
        ),
    ),
    Question(
        LESSON,
        "features 2",
        "With a match, the student's attention maps overlap with the teacher's by 0.9 instead of "
        "0.8. Its accuracy is not told from that of its twin. What follows?",
        (
            Option(
                "The match was ignored: a bug in the training.",
                "The maps did change, so the term was heard. A term can do what it asks and still "
                "not help with what you want.",
            ),
            Option(
                "The student now decides as the teacher does, and only the test set is too small.",
                "The maps say where activations are large, not what is made of them. Whether two "
                "networks decide alike is measured on their answers: look at agreement.",
            ),
            Option(
                "Attention maps have nothing to do with accuracy.",
                "That is more than one student at one budget can show. With another student or "
                "less training the same term may help.",
            ),
            Option(
                "The student can look where the teacher looks without answering better.",
                "A feature loss makes features alike: that is its only promise. Whether alike "
                "features help the answers is another question, and it needs its own measurement.",
                right=True,
            ),
        ),
    ),
)
