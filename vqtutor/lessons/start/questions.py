"""Questions of lesson 00."""

from vqtutor.lessons.entries import question

q_fewer = question(
    "start.q_fewer",
    "With 784 numbers a linear autoencoder could return every picture exactly. Why ask for fewer?",
    best="b",
    choices={
        "784 numbers do not fit into memory.": "They fit easily: a picture is 3 kilobytes.",
        "Only a list too short for everything forces it to find what pictures have in common.": (
            "Yes. With room for every pixel it may copy; with little room it has to learn which pictures occur."
        ),
        "Fewer numbers give a smaller error.": (
            "The other way round, as the printed errors show: fewer numbers, larger error."
        ),
    },
)

q_discrete = question(
    "start.q_discrete",
    "Sixteen real numbers already give digits one can read. What can codes do that real numbers make hard?",
    best="c",
    choices={
        "They can be stored in a file.": "Real numbers can be stored too, only in more bits.",
        "They always give a smaller reconstruction error.": (
            "They do not: a choice among few codes says less than a real number, so the error is rarely smaller."
        ),
        "A network can give each possible code a probability, so new pictures can be drawn code by code.": (
            "Yes. With 128 choices a softmax states any distribution at all; real numbers need an assumed shape."
        ),
    },
)
