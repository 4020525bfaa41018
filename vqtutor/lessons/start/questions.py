"""Questions of lesson 00."""

from vqtutor.lessons.entries import question

q_discrete = question(
    "start.q_discrete",
    "Sixteen real numbers already give digits that you can read. What is easy with a choice out of 128 codes, and "
    "hard with a real number?",
    best="a",
    choices={
        "Giving every possibility a probability, so that new pictures can be drawn choice by choice.": (
            "Yes. 128 probabilities that add up to 1 can describe any distribution of a code. For a real number "
            "you must first assume a shape, such as a bell curve, and the truth may have two peaks."
        ),
        "Storing it in a file: a real number would need endlessly many digits.": (
            "Real numbers are stored too, at 32 bits each or less. Codes are cheaper to store, at 7 bits each, "
            "but real numbers can be stored as well."
        ),
        "Bringing the picture back with a smaller error, since a choice is never slightly off.": (
            "A choice out of 128 says less than a real number does, so the error rarely gets smaller. The gain is "
            "somewhere else."
        ),
        "Learning it by gradient descent, which does not work for real numbers.": (
            "The other way round: a real number has a gradient, and a choice has none. That is the price of codes."
        ),
    },
)

q_fewer = question(
    "start.q_fewer",
    "With 784 numbers a linear autoencoder could return every picture exactly. Why ask for fewer?",
    best="c",
    choices={
        "So that it runs faster: 784 numbers are slow to compute.": (
            "It would run faster, but 784 numbers are nothing to a computer. Speed is not what the short list is for."
        ),
        "So that the reconstructions get better: fewer numbers leave less room for noise.": (
            "The printed errors say the opposite: 64 numbers lose less than 16. A short list costs quality."
        ),
        "So that it cannot simply copy, and has to find what pictures have in common.": (
            "Yes. With room for every pixel, copying is a perfect answer and teaches nothing. With little room, "
            "the numbers have to go to what differs from picture to picture."
        ),
        "So that it cannot overfit: with 784 numbers it would only work on the training pictures.": (
            "A copier works on any picture, seen or not. It does not overfit; it just has not learned anything."
        ),
    },
)
