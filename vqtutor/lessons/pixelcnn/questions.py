"""Questions of lesson 05."""

from vqtutor.checking import FreeText
from vqtutor.lessons.entries import question

q_once = question(
    "pixelcnn.q_once",
    "Somebody multiplies the mask into the weights once, when they are made, and then trains as usual. What happens?",
    best="c",
    choices={
        "Nothing: the masked weights are zero, and zero weights get no gradient.": (
            "The gradient of a weight depends on the input that it is multiplied by, not on the weight itself. It "
            "is not zero."
        ),
        "The loss stays high: half of the weights are missing.": (
            "They come back. An optimizer moves every weight that has a gradient, and moving these lowers the "
            "loss a lot."
        ),
        "The loss falls too low, and what you draw with the network is rubbish.": (
            "Yes. It learns to read the answer off the map that it is given. When you draw, there is no answer "
            "there yet."
        ),
        "The loss falls as it should, only the first steps are a little off.": (
            "It would, if the weights stayed masked. They do not, and a loss that is too good is the only sign."
        ),
    },
)

q_blind = question(
    "pixelcnn.q_blind",
    "You are about to see what one, two and seven masked layers of 3 x 3 can see. Will every earlier place be "
    "seen, if there are enough layers?",
    best="a",
    choices={
        "No: some places on the rows above, to the right, are never seen.": (
            "Yes, that is the blind spot. Each row up leads at most one place to the right, in any layer, so what "
            "lies farther right on the rows just above stays out of reach."
        ),
        "Yes: each layer sees one place farther in every direction.": (
            "In every direction that the mask allows. To the right in its own row it allows none, and that is "
            "what is missing."
        ),
        "No: a place sees only as many rows up as there are layers, and seven rows are never enough.": (
            "Rows add up: with seven layers all seven rows of this map are within reach. The trouble is at the side."
        ),
        "Yes, but only with mask A in all layers, which looks at earlier places alone.": (
            "Mask A in every layer loses more: each layer then forgets its own place, and with it its nearest "
            "neighbours."
        ),
    },
)

q_edges = question(
    "pixelcnn.q_edges",
    "Layers of 3 x 3, as many as you like. Where on the map is the largest share of the earlier places never seen?",
    best="a",
    choices={
        "At the left edge": (
            "Yes. The blind spot is up and to the right, and from the left edge most earlier places are there."
        ),
        "At the right edge": (
            "From there nothing on the map is farther right, so nothing is hidden. What is above and to the left "
            "is seen."
        ),
        "In the middle, which is farthest from every edge": (
            "The middle misses what is up and to the right. The farther left a place is, the more of that there is."
        ),
        "Nowhere: with enough layers everything earlier is seen": (
            "One row up is still only one place to the right, after any number of layers."
        ),
    },
)

q_suspects = question(
    "pixelcnn.q_suspects",
    "Whose network sees the future?",
    best="b",
    choices={
        "Ada's, because it has question marks": (
            "A question mark is an earlier place that her network does not see: the blind spot. Missing the past "
            "is no leak."
        ),
        "Ben's": (
            "Yes. There are dots after the cross, to its right and below. His mask was applied once, when the "
            "weights were made, and the optimizer has changed the weights since."
        ),
        "Cleo's, because it misses the nearest neighbours": (
            "Her network sees too little: with mask A in every layer, what is near is lost. It sees nothing that "
            "comes later."
        ),
        "None of them: white places without a dot are the future, and all have some": (
            "White and empty is how the future should look. Look for a dot after the cross."
        ),
    },
)

q_temperature = question(
    "pixelcnn.q_temperature",
    "The logits are divided by the temperature before a code is drawn. You are about to draw with 0.1, 0.7, 1 and "
    "1.5. What do you expect of 0.1?",
    best="d",
    choices={
        "Noise: dividing by a small number makes the logits huge.": (
            "It makes them differ hugely, so the likeliest code wins nearly always. Noise comes with a high "
            "temperature."
        ),
        "Faint pictures: everything is scaled down.": (
            "What you draw are codes, not pixels, and a code cannot be faint. Only the probabilities change."
        ),
        "The same kind of pictures as at 1, since softmax makes probabilities of any logits.": (
            "The result of a softmax stays the same when you *add* a number to all logits. It changes when you "
            "divide them."
        ),
        "Clean pictures, of few kinds.": (
            "Yes. Nearly every choice is the safest one. You lose variety, and with it most of the ways to write "
            "a digit."
        ),
    },
)

q_depth = question(
    "pixelcnn.q_depth",
    "A prior sees four rows up and no more. What does it get wrong in a map of seven rows?",
    best="d",
    choices={
        "The first rows: it draws them with nothing to go by.": (
            "There it sees the edge of the map above, so it knows exactly where it is: digits begin with background."
        ),
        "The left and right edges: four places are too few to find them.": (
            "It sees four places to either side on the rows above, and from anywhere in seven columns one of the "
            "edges is near."
        ),
        "Nothing: four rows are more than any stroke needs.": (
            "A stroke may not need more. But to know when to stop, the network has to know where it is."
        ),
        "The last rows: it cannot tell the sixth from the seventh.": (
            "Yes. From both it sees four rows of codes and no edge, so it cannot know that the map ends here. "
            "Digits leave the last row empty; this prior sometimes puts strokes there, and in the corners."
        ),
    },
)

never_a_nine = FreeText(
    "pixelcnn.never_a_nine",
    "Suppose the prior were trained on code maps of digits 0 to 8 only, and you drew a thousand maps. Would you "
    "ever see a 9? How would you find out, without looking at a thousand pictures? Four sentences are enough.",
    points=3,
)
