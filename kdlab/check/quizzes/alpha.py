"""Lesson 3: two questions about alpha."""

from kdlab.check.questions import Option, Question

LESSON = "03"

QUIZZES = (
    Question(
        LESSON,
        "alpha 1",
        "A wide network is trained on 2,000 noisy labels until it knows most of them by heart. "
        "Then it teaches a small student on the same 2,000 pictures. What does the student gain "
        "over learning from the noisy labels alone?",
        (
            Option(
                "Much: a large network is always a good teacher.",
                "Size is not what helps. A teacher helps where it knows something that the labels "
                "do not: cleaner labels, or more pictures. This one knows the same 2,000 labels, "
                "wrong ones included, by heart.",
            ),
            Option(
                "Nothing: what it knows by heart are the same wrong labels.",
                "Its answers on these pictures repeat the labels, wrong ones included, and say "
                "nothing better. The teacher of 20,000 pictures saw as much noise, but it could "
                "not learn so many labels by heart in its few epochs.",
                right=True,
            ),
            Option(
                "Much: soft answers average the noise away.",
                "Softness alone averages nothing. Noise averages out over many pictures: a teacher "
                "that saw ten times as many has done so; one that knows its few labels by heart "
                "has not.",
            ),
            Option(
                "It loses, for a student must never learn from a teacher that errs.",
                "It may lose, but not for this reason. Every teacher errs, and the one of 20,000 "
                "noisy labels helped a lot. What counts is whether the teacher errs less than the "
                "labels do. This one errs just where the labels err.",
            ),
        ),
    ),
    Question(
        LESSON,
        "alpha 2",
        "Your colleague trains 21 settings with 5 seeds each, scores all 105 students on a test "
        "set of 300 pictures and reports the best one: 85.7 %. The best setting's mean there is "
        "83.2 %. What would that student score on 10,000 new pictures?",
        (
            Option(
                "85.7 %: it was measured on a test set.",
                "It was *chosen* on that test set. Among 105 students some are lucky on just these "
                "300 pictures, and the best of 105 is mostly the luckiest.",
            ),
            Option(
                "More: with more pictures the score gets more exact.",
                "It does get more exact, but exact is not higher. Luck on 300 pictures is no luck "
                "on 10,000 others.",
            ),
            Option(
                "Nothing can be said about it.",
                "Something can. That it was the best of 105 on few pictures tells that part of "
                "its score is luck. The lesson's table shows how large that part is.",
            ),
            Option(
                "Less, perhaps by two points: part of 85.7 is luck on these 300 pictures.",
                "The best of many is chosen for skill and luck together. On new pictures the skill "
                "stays and the luck goes. So choose on validation, and ask test once.",
                right=True,
            ),
        ),
    ),
)
