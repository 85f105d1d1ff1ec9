"""Lesson 7: three questions about distilling across data sets."""

from kdlab.check.questions import Option, Question

LESSON = "07"

QUIZZES = (
    Question(
        LESSON,
        "across 1",
        "Three colleagues have a record of the clean pictures, kept = kdlab.record(teacher, "
        "data.train). Ann shuffles: she draws rows at random and takes kept.look_up(data.train"
        "[rows]). Ben mixes each picture with a random other one and takes kept.look_up of the "
        "first. Cleo adds a little noise and takes kdlab.across(kept, data.train, noisy.train). "
        "Whose answers are stale?",
        (
            Option(
                "Those of Ann: after shuffling, answers and pictures stand in another order.",
                "look_up goes by the number of each example, not by its place. Had she written "
                "kept.logits[:128], the answers would belong to other pictures; here they do not.",
            ),
            Option(
                "Those of Ben: half of what the student sees is another picture.",
                "The kept answer says nothing about the second picture, which may be most of the "
                "mixture. The teacher has to be asked about the mixture itself.",
                right=True,
            ),
            Option(
                "Those of Cleo: the teacher never saw the noise.",
                "True, and that is why its answers are good: noise does not change what is in the "
                "picture, so what the teacher says of the clean one holds for its noisy twin.",
            ),
            Option(
                "Those of Ben and of Cleo: both change the pictures after they were recorded.",
                "Both change what is seen. What counts is whether the answer still holds. It does "
                "for a noisy coat; it does not for a coat that is two thirds boot.",
            ),
        ),
    ),
    Question(
        LESSON,
        "across 2",
        "Two of your three teachers are twins: one network under two names. What do their Shapley "
        "values look like?",
        (
            Option(
                "The first twin gets its full value, the second one gets 0.",
                "That is one order of joining. In as many orders the second twin comes first. "
                "Over all orders they are treated alike.",
            ),
            Option(
                "Both get what a single one of them would get.",
                "Then the values would add up to more than there is. All values together are what "
                "the three teachers gain over labels alone, so twins have to share.",
            ),
            Option(
                "Both get the same, and all three values add up to what the three gain.",
                "Whoever adds the same to every coalition gets the same, and nothing is left over: "
                "these are two of the rules from which the formula follows. What one of them would "
                "get without its twin, the two values do not say.",
                right=True,
            ),
            Option(
                "Both get 0, for each can be replaced by the other.",
                "That is what each adds to a coalition that holds the other one. But each also "
                "joins first in some orders, and then it brings what both know.",
            ),
        ),
    ),
    Question(
        LESSON,
        "across 3",
        "Your new camera gives darker pictures. You have a teacher for the old camera, 1,000 new "
        "pictures with labels and 20,000 without. What do you do first?",
        (
            Option(
                "Let the teacher mark all 21,000, and distil with a large weight.",
                "If the teacher falls on dark pictures as it fell on pale ones here, this costs "
                "tens of points, and the loss looks fine all the while.",
            ),
            Option(
                "Ask the teacher about the 1,000 pictures whose labels you have.",
                "A minute's work, and it says whether its answers about the other 20,000 are worth "
                "having. If not: start from its weights, or find twins that it can read.",
                right=True,
            ),
            Option(
                "Train on the labels alone: knowledge does not travel to another camera.",
                "Sometimes it does. Its weights were a good start here, and its answers about the "
                "clean twins were as good as ever. Measure before you throw it away.",
            ),
            Option(
                "Take several teachers of the old camera: their mean cannot be wrong.",
                "It can. Teachers that learned from the same pictures fall together on pictures "
                "that none of them has seen.",
            ),
        ),
    ),
)
