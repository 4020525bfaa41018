"""Questions of lesson 02."""

from vqtutor.checking import FreeText
from vqtutor.lessons.entries import question

q_beta_zero = question(
    "losses.q_beta_zero",
    "Training goes on with beta = 0. What do you expect?",
    best="b",
    choices={
        "The codes stop moving.": "The codebook loss moves them, and beta is not in it.",
        "The encoder's outputs may grow without bound, and the codes run after them.": (
            "Nothing asks the encoder to stay, and reconstruction may gain from larger outputs; the codebook loss "
            "chases. Distances can then grow faster than the codes catch up."
        ),
        "Nothing changes: the straight-through estimator keeps the encoder near its codes.": (
            "Straight-through hands a gradient over; it pulls nobody towards a code."
        ),
    },
)

q_perplexity = question(
    "losses.q_perplexity",
    "A codebook of 128 has a perplexity of 6, and 39 of its codes are used at least once. What does that say?",
    best="b",
    choices={
        "Six codes are used and the others never are.": "Thirty-nine are used; perplexity weighs each by how often.",
        "A few codes are used for most of the image and the rest rarely: as spread out as 6 codes used equally "
        "often.": (
            "In digits one code stands for empty background nearly everywhere; that alone pulls perplexity down."
        ),
        "The training is broken: perplexity should reach 128.": (
            "It would, if all codes were equally likely; pictures are mostly background, so they are not."
        ),
    },
)

q_constant = question(
    "losses.q_constant",
    "A uniform prior charges N log K nats for an image's codes. Why do most implementations leave that out?",
    best="b",
    choices={
        "It is too small to matter.": "For 49 codes out of 128 it is 238 nats an image, which is not small.",
        "It does not depend on any parameter, so its gradient is zero.": (
            "It is the same for every image and every network: worth knowing when losses are compared, useless to "
            "an optimizer."
        ),
        "It would make the codes less diverse.": (
            "A constant changes nothing in training, neither for better nor for worse."
        ),
    },
)

at_whose_cost = FreeText(
    "losses.at_whose_cost",
    "Train the toy with the broken layer in place of yours, and the reconstruction loss falls all the same, while the "
    "whole loss grows. Which part of the network makes it fall, and at whose cost? Three sentences are enough.",
    points=2,
)
