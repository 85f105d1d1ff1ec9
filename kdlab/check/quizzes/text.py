"""Lesson 6: two questions about distilling texts."""

from kdlab.check.questions import Option, Question

LESSON = "06"

QUIZZES = (
    Question(
        LESSON,
        "text 1",
        "Two students make the same number of steps. One sees 1,000 labelled texts twelve times. "
        "The other sees these and 5,000 unlabelled ones, each twice, with the teacher's answers. "
        "The second one is better. What has helped it?",
        (
            Option(
                "It was trained for longer.",
                "Both made as many steps, with batches of the same size. What differs is how often "
                "they saw the same text.",
            ),
            Option(
                "New texts: words and phrases that the 1,000 do not hold, with an answer each.",
                "A word that stands in no training text keeps the vector that it was drawn with. "
                "Six times as many texts hold far more words, and the teacher says what they mean.",
                right=True,
            ),
            Option(
                "The labels of the 5,000 texts.",
                "There are none: load_data takes them away. All that the student gets is what the "
                "teacher says.",
            ),
            Option(
                "Twelve passes over the labels are too many; two would have been better.",
                "Perhaps there are better ones than twelve. But two passes over 1,000 texts are a "
                "sixth of the steps, and the word vectors would hardly have moved.",
            ),
        ),
    ),
    Question(
        LESSON,
        "text 2",
        "A student gets the teacher's answers for texts that have no labels, and learns from "
        "nothing else. The teacher is wrong about one text in eight. What does the student learn?",
        (
            Option(
                "Nothing, for without labels there is nothing to learn.",
                "The teacher's answers are something to learn from, and the lesson measured what.",
            ),
            Option(
                "It is wrong about at least as many texts as its teacher, by necessity.",
                "In most cases it is. But a student that averages over many answers may smooth out "
                "some of the teacher's slips: it is no necessity.",
            ),
            Option(
                "What the teacher says, slips included: mostly right, and soft where it was in "
                "doubt.",
                "A slip is often a doubtful answer, and a soft target says so. That is one reason "
                "for soft targets where labels are missing.",
                right=True,
            ),
            Option(
                "All classes equally, for wrong answers cancel right ones.",
                "Seven of eight are right. They would cancel only if the teacher guessed.",
            ),
        ),
    ),
)
