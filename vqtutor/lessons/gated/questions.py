"""Questions of lesson 06."""

from vqtutor.checking import FreeText
from vqtutor.lessons.entries import question

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

q_equal_time = question(
    "gated.q_equal_time",
    "Plain and gated priors train on the same maps for the same time. Which one predicts held-out maps better?",
    best="d",
    choices={
        "The plain one: its steps are cheaper, so it takes more of them.": (
            "A quarter more steps buy little here, and what its network cannot see it never learns."
        ),
        "They end alike: what the plain one does not see is far away, and does not matter.": (
            "Far away in the map is often the same stroke, and no further layer brings it near."
        ),
        "The plain one at first, and the gated one after hours of training.": (
            "With larger networks and smaller steps it is behind for some minutes (docs/measurements.md), not for hours."
        ),
        "The gated one: it sees all that comes before.": (
            "Yes. Its steps are dearer, and still it gets further. Run it: the difference is small, and on another "
            "machine, "
            "where steps cost something else, it may come out otherwise."
        ),
    },
)

q_labels = question(
    "gated.q_labels",
    "A prior is told which of ten equally frequent digits it is. How many nats can that save, on average, at most?",
    best="a",
    choices={
        "2.3 nats a picture, which is 0.047 a code": (
            "Yes. To say which of ten takes ln 10 = 2.3 nats, and no more can be saved: without being told, the "
            "digit must "
            "be learned from the codes, and costs just that."
        ),
        "2.3 nats a code, since every code hears the label": (
            "Every code hears it, but it is news only once. After the first strokes the codes themselves tell the "
            "digit."
        ),
        "0.1 nats a picture, since a label is right once in ten times": (
            "The label is always right. What it saves is the surprise at which digit it turns out to be: ln 10."
        ),
        "There is no limit: it depends on how much the network makes of it": (
            "A network that learns badly may gain more for a while. A perfect one cannot."
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

left_half = FreeText(
    "gated.left_half",
    "You want to complete the *left* half of a picture, with the right half known. `complete` runs, and the result is "
    "poor. Why, and what would you change? Four sentences are enough.",
    points=3,
)
