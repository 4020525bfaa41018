"""Questions of lesson 06."""

from vqtutor.checking import FreeText
from vqtutor.lessons.entries import question

q_one_way = question(
    "gated.q_one_way",
    "The vertical stack sees the rows above, the horizontal one the places to the left. Their features have to be "
    "combined. In which direction may features pass between them?",
    best="c",
    choices={
        "Both ways: each stack sees the past only, so nothing can leak.": (
            "Each sees the past of its *own* place. A place further right in the row has more past, and the "
            "vertical stack would carry it to the left."
        ),
        "From the horizontal stack to the vertical one, so that the rows below learn about this row.": (
            "Rows below learn about this row anyway, through the vertical kernel. But the vertical features of a "
            "row also reach all places of that row, and a place must not learn what is on its right."
        ),
        "From the vertical stack to the horizontal one only.": (
            "Yes. What is above comes before every place of the row. What is to the left of one place comes after "
            "the places that are even further left, so it must stay in the horizontal stack."
        ),
        "Neither way until the last layer, where the two are added.": (
            "It would not leak, but until then the horizontal stack would know nothing of the rows above, and no "
            "layer could combine the two."
        ),
    },
)

q_suspects = question(
    "gated.q_suspects",
    "Whose network is right?",
    best="b",
    choices={
        "Dan": (
            "There are question marks next to his cross: he took the middle of a half kernel for the current row "
            "and place, so the nearest neighbours are masked. His loss still falls, but not as far."
        ),
        "Eva": ("Yes. It sees everything before its place and nothing after it: no question mark, no leak."),
        "Finn": (
            "It sees its own place: the residual connection of the first block passes on the very code that is to "
            "be predicted. His loss falls to nearly 0, and what he draws is noise."
        ),
        "Gus, before he fixed anything": (
            "It sees nothing that it must not see, but only because two mistakes cancel: the masks remove one "
            "place too many, and the map is shifted by one place. When he fixes one, as he should, its own place "
            "leaks. Probing each part finds both mistakes; probing the whole network finds no leak."
        ),
    },
)

q_equal_time = question(
    "gated.q_equal_time",
    "Plain and gated priors train on the same maps for the same time. Which one predicts held-out maps better?",
    best="d",
    choices={
        "The plain one: its steps are cheaper, so it takes more of them.": (
            "A quarter more steps gain little here, and it never learns from what it cannot see."
        ),
        "They end up equal: what the plain one does not see is far away, and does not matter.": (
            "Far away in the map there is often more of the same stroke, and adding layers does not bring it into view."
        ),
        "The plain one at first, and the gated one after hours of training.": (
            "With larger networks and a smaller learning rate the gated one is behind for some minutes, not for "
            "hours (see docs/measurements.md)."
        ),
        "The gated one: it sees all that comes before.": (
            "Yes. Its steps cost more time, and it still gets further. Run it: the difference is small, and on a "
            "machine with other step times it may be the other way round."
        ),
    },
)

q_labels = question(
    "gated.q_labels",
    "A prior is told which of ten equally frequent digits to expect. How many nats can that save at most, on average?",
    best="a",
    choices={
        "2.3 nats a picture, which is 0.047 a code": (
            "Yes. It takes ln 10 = 2.3 nats to say which of ten digits it is, and no more than that can be saved: "
            "a perfect prior that is not told the digit pays just that to find it out from the codes."
        ),
        "2.3 nats a code, since the label is known at every code": (
            "It is known at every code, but it is news only once. After the first strokes the codes themselves "
            "show which digit it is."
        ),
        "0.1 nats a picture, since a label is right once in ten times": (
            "The label is always right. What it saves is the surprise about which digit it turns out to be: ln 10."
        ),
        "There is no limit: it depends on how well the network uses it": (
            "A network that learns badly may gain more for a while. A perfect one cannot."
        ),
    },
)

q_condition = question(
    "gated.q_condition",
    "The label is one vector, and is added at every gate of every place. What can a label alone not ask for?",
    best="a",
    choices={
        "That something is on the left side of the picture": (
            "Yes. Every place gets the same vector. To ask for something at a certain place you need a condition "
            "that is a map."
        ),
        "A digit that was rare in training": (
            "It can: a rare digit has its vector like the others. The drawing may be poor, because the digit was "
            "learned poorly."
        ),
        "Codes that occur only in one digit": (
            "Through the gates the label changes the logits of all codes, so it can favour those."
        ),
        "Something that fills the whole picture": (
            "That is what it does well: all places get the same label, and each one sees the codes that were "
            "drawn before it."
        ),
    },
)

left_half = FreeText(
    "gated.left_half",
    "You want to complete the *left* half of a picture, with the right half known. `complete` runs, and the "
    "result is poor. Why, and what would you change? Four sentences are enough.",
    points=3,
)
