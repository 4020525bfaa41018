"""Questions of lesson 06."""

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

q_equal_time = question(
    "gated.q_equal_time",
    "Plain and gated priors train on the same maps for the same time. Which one predicts held-out maps better?",
    best="c",
    choices={
        "The plain one: it takes more steps in that time.": (
            "A quarter more steps buy little here, and what its network cannot see it never learns."
        ),
        "They end alike: what the plain one does not see is far away.": (
            "Far away in the map is often the same stroke, and no other network layer brings it near."
        ),
        "The gated one: it sees all that comes before, and gates multiply.": (
            "Steps are dearer, and still it gets further. Run it: the difference is in the third figure or so, and "
            "on another machine, where steps cost something else, it may come out otherwise."
        ),
    },
)

q_labels = question(
    "gated.q_labels",
    "A prior is told which of ten equally frequent digits it is. How many nats can that save, on average, at most?",
    best="b",
    choices={
        "2.3 nats a code: ln 10.": "It is told once a picture, not once a code.",
        "2.3 nats a picture, that is 0.047 a code.": (
            "To say which of ten takes ln 10 nats, 2.3, and no more can be saved: what is not told must be learned "
            "from the codes, and then costs just that."
        ),
        "There is no limit: it depends on the network.": (
            "A network that learns badly may gain more for a while. A perfect one cannot."
        ),
    },
)
