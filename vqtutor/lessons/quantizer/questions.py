"""Questions of lesson 01."""

from vqtutor.checking import FreeText
from vqtutor.lessons.entries import question

q_leak = question(
    "quantizer.q_leak",
    "Three layers gave the same picture. What would the leaky one do to a codebook in training?",
    best="c",
    choices={
        "Nothing: the values are the same, so the training is.": (
            "Training follows gradients, not values, and the gradients differ."
        ),
        "The codebook would never move.": "The opposite: it is moved by one loss more than intended.",
        "The reconstruction loss would push the codes too, not only the encoder.": (
            "Yes. Codes are then pulled by what the decoder wants as well as by the vectors they stand for."
        ),
    },
)

q_flat = question(
    "quantizer.q_flat",
    "Why does no gradient come through argmin by itself?",
    best="b",
    choices={
        "JAX has not implemented its derivative.": (
            "JAX has: it is zero. No library can do better, because the function is flat."
        ),
        "Move z_e a little and the index stays the same: the function is flat almost everywhere.": (
            "Yes. A step function has slope zero wherever it has a slope, so nothing tells z_e which way to go."
        ),
        "The index is too large a number for float32.": (
            "Indices are small whole numbers; precision is not the matter."
        ),
        "The codebook is random at the start.": (
            "A trained codebook has the same trouble: it lies in the choosing, not in what is chosen from."
        ),
    },
)

q_distance = question(
    "quantizer.q_distance",
    "Training moves all codes away from the origin until they are ten times as long as before, and z_e too. "
    "Which quantity decides which code is nearest?",
    best="b",
    choices={
        "The dot product z.e alone.": (
            "Then the longest code would win nearly always; its own |e|^2 is what holds it back."
        ),
        "|e|^2 - 2 z.e": (
            "Yes. |z|^2 is the same for every code, so it cannot change which one wins, and may be dropped."
        ),
        "|z|^2 - 2 z.e": (
            "|z|^2 is the same for all codes and decides nothing; without |e|^2 long codes win unfairly."
        ),
    },
)

borders = FreeText(
    "quantizer.borders",
    "Two encoders feed the same codebook. One puts its vectors right at the borders between cells, the other close to "
    "the codes. Whose gradients does the straight-through estimator distort more, and why? Three sentences are "
    "enough.",
    points=2,
)
