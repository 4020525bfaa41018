"""Questions of lesson 06."""

from vqtutor.checking import FreeText
from vqtutor.lessons.entries import question

q_suspects = question(
    "gated.q_suspects",
    "Who has it right?",
    best="b",
    choices={
        "Dan": (
            "His question marks sit next to the cross: with the middle of a half kernel taken for the current row and "
            "place, the nearest neighbours are blanked. The loss still falls, only not as far."
        ),
        "Eva": "Nothing from her place on is seen, and all that comes before it is: no question mark, no leak.",
        "Finn": (
            "He sees his own place: the residual link of the first block hands the code through that is to be "
            "predicted. His loss falls to nearly 0, and what he draws is noise."
        ),
        "Gus, before he mended anything": (
            "He sees nothing that he must not, but only since his two slips cancel: blanked one place too far, read "
            "one place too late. He mends one, as he should, and his own place leaks. A probe of each piece finds "
            "both; a probe of the whole finds no leak."
        ),
    },
)

q_one_way = question(
    "gated.q_one_way",
    "Why must the horizontal stack not feed the vertical one?",
    best="b",
    choices={
        "It would double the number of parameters.": "A 1 x 1 layer is small; that is not the matter.",
        "What the vertical stack knows of a row reaches all places of that row, also those that come first.": (
            "A block of type B sees its own row of vertical features, to the right as well. If those had heard of "
            "codes in the row, a place would hear of codes to its right."
        ),
        "It may; both see only the past.": (
            "Each sees only the past of its own place. A neighbour to the right has more past, and would tell it."
        ),
    },
)

q_condition = question(
    "gated.q_condition",
    "The label is added at every gate, as one vector for the whole map. What can it not say?",
    best="a",
    choices={
        "Where in the map something should be.": (
            "The same push arrives at every place. A wish that depends on the place needs a map for a condition."
        ),
        "Which of ten digits is meant.": "That is just what it says.",
        "How likely each code is.": "Through the gates it changes every logit.",
    },
)

left_half = FreeText(
    "gated.left_half",
    "You want to complete the *left* half of a picture, with the right half known. `complete` runs, and the result is "
    "poor. Why, and what would you change? Four sentences are enough.",
    points=3,
)
