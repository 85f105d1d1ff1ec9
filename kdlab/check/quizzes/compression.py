"""Lesson 5: four questions about compression."""

from kdlab.check.questions import Option, Question

LESSON = "05"

QUIZZES = (
    Question(
        LESSON,
        "compression 1",
        "A student has a tenth of the teacher's multiply-adds. With 64 pictures at once it is "
        "quicker, yet with one picture it is slower. How can that be?",
        (
            Option(
                "It cannot: fewer multiply-adds take less time. The timing is wrong.",
                "Multiply-adds are only part of the time. Each layer also costs a start, and "
                "weights must come from memory, however few numbers are then multiplied.",
            ),
            Option(
                "It has more layers, one after the other.",
                "At batch 1 a small layer's time is mostly its start, which does not shrink with "
                "its width. Ten thin layers start ten times, three wide ones three times. At batch "
                "64 the products weigh more, and there are fewer of them.",
                right=True,
            ),
            Option(
                "It was not distilled long enough.",
                "Distillation changes the values of weights. In a dense network time depends on "
                "shapes, types and machine, hardly on values: an untrained student is as quick.",
            ),
        ),
    ),
    Question(
        LESSON,
        "compression 2",
        "You set the smallest 90 % of a student's weights to zero, for good, and save it with "
        "safetensors as before. How large is the file?",
        (
            Option(
                "A tenth of what it was: zeros are not stored.",
                "A dense tensor stores every number, and a float32 zero takes four bytes like any "
                "other. To leave zeros out one needs a sparse format, or whole channels cut out.",
            ),
            Option(
                "As large as before, but a call now takes a tenth of the time.",
                "The size is right, the time is not: a dense product multiplies by the zeros too. "
                "Time falls where whole rows or channels are cut out, and matrices get smaller.",
            ),
            Option(
                "As large as before.",
                "Shape and type of each weight are what they were, and they decide about the "
                "bytes. Zip the file and it shrinks, for zeros pack well: on the wire, not in "
                "memory.",
                right=True,
            ),
            Option(
                "Larger, for the places of the zeros must be stored as well.",
                "So it is with a sparse format, or while torch's pruning keeps its masks. Here the "
                "zeros are ordinary numbers in an ordinary tensor.",
            ),
        ),
    ),
    Question(
        LESSON,
        "compression 3",
        "The weights of a float32 student are stored as int8, with one scale a layer. What surely "
        "falls, on every machine?",
        (
            Option(
                "All costs, to about a quarter: bytes, multiply-adds, latency.",
                "Only the bytes do. There are as many products as before; whether they are quicker "
                "depends on the processor, and on what it takes to convert to int8 and back.",
            ),
            Option(
                "The number of parameters, to about a quarter.",
                "Each parameter is still there, only coarser: 256 steps. Bytes are the number of "
                "parameters times the bytes of each, and it is the second factor that falls.",
            ),
            Option(
                "The bytes of these weights, to about a quarter.",
                "One byte a number instead of four. Biases often stay float32, and a small layer's "
                "scales weigh something too. Latency has to be measured: small layers may even "
                "get slower.",
                right=True,
            ),
        ),
    ),
    Question(
        LESSON,
        "compression 4",
        "A student is pruned. Its accuracy falls by 0.2 points, but its calibration error "
        "(ECE) rises from 1 to 5 points. What follows?",
        (
            Option(
                "A mistake in the measurement: with the same answers, ECE cannot change.",
                "Accuracy asks only which logit is largest. ECE asks how sure the student is, and "
                "confidence can move a long way while the largest logit stays the largest.",
            ),
            Option(
                "Nothing: only the answers count.",
                "Only where nobody looks at the confidence. Where unsure answers go to a person, "
                "or several models vote, a student that is too sure, or not sure enough, does "
                "harm at the same accuracy.",
            ),
            Option(
                "Divide its logits by the T of the distillation, for the student has learned "
                "soft answers.",
                "The T of training makes targets soft inside the loss. At use the student answers "
                "at T = 1, and another T has to be found on its own answers.",
            ),
            Option(
                "Its confidences have moved; one temperature, fitted on validation, may mend it.",
                "Dividing all logits by one number changes no answer and costs no bytes. Fit it on "
                "validation after the compression, and measure ECE on test: what was well "
                "calibrated before need not be so afterwards.",
                right=True,
            ),
        ),
    ),
)
