"""Questions of lesson 01."""

from vqtutor.checking import FreeText
from vqtutor.lessons.entries import question

q_flat = question(
    "quantizer.q_flat",
    "You are about to slide z along a line with four codes, quantize it, and ask JAX for the slope. What do you "
    "expect JAX to say?",
    best="b",
    choices={
        "An error: argmin has no derivative.": (
            "JAX differentiates through argmin without complaint. A function that is flat has a derivative: zero."
        ),
        "Zero everywhere: a small move of z leaves the index, and so the code, as they are.": (
            "Yes. Between two borders nothing changes, so the slope is zero, and at a border the function jumps. "
            "Nothing tells z which way to go."
        ),
        "One everywhere: the output follows z, as the nearest code is always close by.": (
            "From far away the staircase does follow the diagonal. But each step is flat, and a slope is about a "
            "single point. (Still, pretending that the slope is one is a good idea: wait for the next exercise.)"
        ),
        "Zero inside a cell, and very large at the borders.": (
            "You are thinking of a steep ramp. At a border the function jumps: there is no slope there at all, "
            "and JAX reports that of one side, which is zero."
        ),
    },
)

q_leak = question(
    "quantizer.q_leak",
    "The three layers give the same output. You train with the leaky one instead of yours. What changes for the "
    "codebook?",
    best="d",
    choices={
        "Nothing. The outputs are the same, so the losses are the same, so the training is the same.": (
            "The losses are the same in the first step. Training follows gradients, and those differ."
        ),
        "It stops moving, because the gradient goes to the encoder and not to the codes.": (
            "The leak does not take the gradient away from the encoder: it sends a copy to the codes as well."
        ),
        "It is only noisier: on average the leaked gradient is zero.": (
            "It is not noise. It points where the codes would help the decoder more, and it keeps pointing there "
            "in every step."
        ),
        "The reconstruction loss pushes the codes too, away from where their vectors are.": (
            "Yes. A code should stand for the vectors that chose it. Now it is also pulled to wherever it would "
            "help the decoder, and one parameter has to serve both aims."
        ),
    },
)

q_distance = question(
    "quantizer.q_distance",
    "Somebody saves time and computes only part of |z - e|^2 = |z|^2 - 2 z.e + |e|^2 for each code e. Which part "
    "still finds the nearest code?",
    best="c",
    choices={
        "-2 z.e, since the code that points the same way as z is the nearest.": (
            "Only if all codes are equally long. A long code wins by its length alone, however far away its tip is."
        ),
        "|z|^2 - 2 z.e, since only what contains z can depend on z.": (
            "|z|^2 is the same for all codes and decides nothing. What is missing is |e|^2, without which long "
            "codes win unfairly."
        ),
        "|e|^2 - 2 z.e, since |z|^2 is the same for every code.": (
            "Yes. A number that is added to all candidates cannot change who wins. The distances are off, but the "
            "order is right."
        ),
        "None: leave out any term and the order can change.": (
            "Try |z|^2: it is added to the distances of all codes alike, so leaving it out shifts all of them alike."
        ),
    },
)

borders = FreeText(
    "quantizer.borders",
    "Two encoders feed the same codebook. One puts its vectors right at the borders between cells, the other "
    "close to the codes. Whose gradients does the straight-through estimator distort more, and why? Three "
    "sentences are enough.",
    points=2,
)
