"""Questions of lesson 06."""

from vqtutor.checking import FreeText
from vqtutor.lessons.entries import question

q_suspects = question(
    "gated.q_suspects",
    "Who has it right?",
    best="b",
    choices={
        "Dan": (
            "There are question marks next to his cross: he took the middle of a half kernel for the current row and "
            "place, so the nearest neighbours are blanked. His loss still falls, only not as far."
        ),
        "Eva": "Yes. She sees everything before her place and nothing from it on: no question mark, no leak.",
        "Finn": (
            "He sees his own place: the residual link of the first block hands on the code that is to be predicted. "
            "His loss falls to nearly 0, and what he draws is noise."
        ),
        "Gus, before he repaired anything": (
            "He sees nothing that he must not see, but only because his two slips cancel: blanked one place too far, "
            "read "
            "one place too late. When he repairs one, as he should, his own place leaks. Probing each piece finds "
            "both; "
            "probing the whole finds no leak."
        ),
    },
)

q_one_way = question(
    "gated.q_one_way",
    "The vertical stack sees the rows above, the horizontal one the places to the left. What they know must be "
    "joined. In which "
    "direction may features pass between them?",
    best="c",
    choices={
        "Both ways: each stack sees the past only, so nothing can leak.": (
            "Each sees the past of its *own* place. A place further right in the row has more past, and the vertical "
            "stack would carry it to the left."
        ),
        "From the horizontal stack to the vertical one, so that the rows below hear of this row.": (
            "Rows below hear of this row anyway, through the vertical kernel. But vertical features of a row also "
            "reach all "
            "places of that row, and those to the left must not hear of it."
        ),
        "From the vertical stack to the horizontal one only.": (
            "Yes. What is above is past for every place of the row. What is on the left of one place is future for "
            "those "
            "before it, so it must stay in the horizontal stack."
        ),
        "Neither way until the last layer, where the two are added.": (
            "It would not leak, but until then the horizontal stack would know nothing of the rows above, and the "
            "logits "
            "would be made of two views that never met."
        ),
    },
)

q_condition = question(
    "gated.q_condition",
    "The label is one vector, and is added at every gate of every place. What can a label alone not ask for?",
    best="a",
    choices={
        "That something be on the left side of the picture": (
            "Yes. Every place gets the same push. A wish that depends on the place needs a condition that is a map."
        ),
        "A digit that it has seen rarely in training": (
            "It can ask: the rare digit has its vector like the others. The answer may be poor, as it is poorly "
            "learned."
        ),
        "Codes that occur only in one digit": (
            "Through the gates the label changes the logits of all codes, so it can favour those."
        ),
        "A thing that takes up the whole picture": (
            "That is what it does well: all places hear the same label, and agree by way of the codes before them."
        ),
    },
)

q_equal_time = question(
    "gated.q_equal_time",
    "Plain and gated priors train on the same maps for the same time. Which one predicts held-out maps better?",
    best="c",
    choices={
        "The plain one: it takes more steps in that time.": (
            "A quarter more steps buys little here; what its network cannot see it never learns."
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
    "A prior that is told the digit saves nats on each picture. At most how many, on average, for ten equally frequent digits?",
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

left_half = FreeText(
    "gated.left_half",
    "You want to complete the *left* half of a picture, with the right half known. `complete` runs, and the result is "
    "poor. Why, and what would you change? Four sentences are enough.",
    points=3,
)
