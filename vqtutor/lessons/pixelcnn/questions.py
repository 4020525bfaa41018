"""Questions of lesson 05."""

from vqtutor.lessons.entries import question

q_suspects = question(
    "pixelcnn.q_suspects",
    "Which of the three sees the future?",
    best="b",
    choices={
        "Ada": "Everything she sees comes before the cross. The question marks are the blind spot, and no leak.",
        "Ben": (
            "There are dots after the cross: to its right, and below. His mask was put on when the weights were made, "
            "and an optimizer has moved the weights since."
        ),
        "Cleo": "She sees too little, not too much: with mask A in every layer even the nearest neighbours are lost.",
    },
)

q_once = question(
    "pixelcnn.q_once",
    "The mask is multiplied into the weights when they are made, and not later. What happens in training?",
    best="b",
    choices={
        "Nothing: masked weights are zero and stay zero.": (
            "Their gradient is not zero, and an optimizer moves whatever has a gradient."
        ),
        "The loss falls far too well, and what is drawn is rubbish.": (
            "The network learns to read the future from the map it is given. When drawing there is no future yet, and "
            "the network reads noise."
        ),
        "The loss becomes NaN.": "Nothing is out of range; it only learns what it should not.",
    },
)

q_blind = question(
    "pixelcnn.q_blind",
    "A stack of masked convolutions has a blind spot. Can more layers close it?",
    best="c",
    choices={
        "Yes: every layer widens what is seen.": (
            "It widens along the same staircase. What lies behind its edge stays there, however many steps it has."
        ),
        "Yes, with mask A in every layer.": "That would lose more: each layer would forget its own place.",
        "No: up and to the right, one row up is at most half a kernel to the right, in every layer.": (
            "Each row climbed buys at most half a kernel to the right, so what is farther right on the rows just above "
            "is never seen. The next lesson needs two stacks to see it."
        ),
    },
)

q_edges = question(
    "pixelcnn.q_edges",
    "Layers of 3 x 3, as many as you like. Where is the largest share of what comes before a place never seen?",
    best="a",
    choices={
        "At the left edge.": (
            "The blind spot lies up and to the right, and there the most places are up and to the right. Nothing of "
            "the zeros beyond the rim helps."
        ),
        "At the right edge.": (
            "There the slope leaves the map after a place: nothing is farther right. What is seen is all that there is."
        ),
        "Nowhere: with enough layers all is seen everywhere.": (
            "One row up is still one place to the right, after any number of layers."
        ),
    },
)

q_depth = question(
    "pixelcnn.q_depth",
    "A prior sees four rows up and no more. What does it get wrong in a map of seven rows?",
    best="b",
    choices={
        "The first rows, which it draws with nothing to go by.": (
            "There it sees the rim above, and knows just where it is: digits begin with background."
        ),
        "The last rows: it cannot tell the sixth from the seventh.": (
            "From both it sees four rows of codes and no rim, so it cannot know that the map ends here. Digits leave "
            "the last row empty; this prior puts strokes there now and then, and in the corners."
        ),
        "Nothing: four rows are more than any stroke needs.": (
            "A stroke may not need more. But to know when to stop you have to know where you are."
        ),
    },
)

q_temperature = question(
    "pixelcnn.q_temperature",
    "You draw with a temperature of 0.1. What do you expect?",
    best="a",
    choices={
        "Cleaner pictures, of fewer kinds.": (
            "Near 0 the likeliest code wins nearly always. Each step is safe, and variety goes."
        ),
        "Noise.": "That is what a high temperature brings: all codes become alike.",
        "The same distribution, drawn more slowly.": (
            "Dividing the logits changes the distribution; it costs no time at all."
        ),
    },
)
