"""Questions of lesson 07."""

from vqtutor.checking import FreeText
from vqtutor.lessons.entries import question

q_opposite = question(
    "beyond.q_opposite",
    "Two vectors of one cell lie on opposite sides of their code, and the decoder sends the code one gradient. With "
    "straight-through both vectors get this gradient. What can they get with `rotate_to`?",
    best="c",
    choices={
        "The same for both, only longer or shorter.": (
            "The length changes with |codes| / |z_e|, but so does the direction: each vector has a rotation of its own."
        ),
        "Nothing, where gradient and code are at a right angle.": (
            "A rotation loses nothing: a gradient across the code becomes one across the vector."
        ),
        "Two gradients in different directions, each at the angle to its vector that the first had to the code.": (
            "Yes. A rotation keeps angles, so vectors on two sides of a code can be driven apart or together, which "
            "straight-through never does."
        ),
        "Two gradients that both point at the code.": (
            "That is what the commitment loss does. The rotation only passes on what the decoder sends."
        ),
    },
)

q_line = question(
    "beyond.q_line",
    "All values of the function above are right. Which line cuts z off from the losses of the second and later stages?",
    best="d",
    choices={
        "line 3: `codes = look_up(nearest_code(rest, stage), stage)`": (
            "An index has no gradient, and needs none: the codes get theirs through the loss."
        ),
        "line 4: `cost = cost + vq_loss(rest, codes, beta)`": (
            "The loss itself passes its gradient on to `rest`. How does it go on from there to z?"
        ),
        "line 6: `total = total + through`": (
            "Here the sum gets one gradient from the first stage and none from the others: the sum is right by luck."
        ),
        "line 7: `rest = rest - through`": (
            "Yes. `through` has the gradient of `rest`, and the two cancel: what is left over counts as a constant."
        ),
    },
)

q_bits = question(
    "beyond.q_bits",
    "A residual code of 8 stages has 1,024 codes in each. How many different vectors can it describe, and how many "
    "rows have to be stored and searched?",
    best="a",
    choices={
        "2 to the power of 80 vectors, with 8,192 rows.": (
            "Yes. The choices multiply, and the rows add up. One codebook with as many vectors could never be stored."
        ),
        "8,192 vectors, with 8,192 rows.": (
            "Every row of one stage can be joined with every row of another: the choices multiply."
        ),
        "2 to the power of 80 vectors, with as many rows.": (
            "That would be one large codebook. Here each stage searches only its own rows."
        ),
        "1,024 vectors, 8 times as exactly.": (
            "Every stage adds 10 bits, and each bit doubles the number of vectors that can be told apart."
        ),
    },
)

q_spread = question(
    "beyond.q_spread",
    "Two quantizers lose 0.060 and 0.064 of the variance in the mean of three seeds. The seeds of the first lie "
    "between 0.055 and 0.066, those of the second between 0.059 and 0.069. What do you report?",
    best="b",
    choices={
        "The first one is better, by 6 %.": (
            "With another three seeds it might be the other way round: the spread is larger than the difference."
        ),
        "Both means and both spreads, and that three seeds do not tell them apart.": (
            "Yes. It takes more seeds, or pairs of runs that share all but the quantizer, to say more."
        ),
        "The best seed of each: what the method can do.": (
            "The best of three is mostly luck, and more of it for the method that varies more."
        ),
        "Nothing: an experiment without a winner has failed.": (
            "That the choice hardly matters here is worth knowing: take the simpler one."
        ),
    },
)

which_one = FreeText(
    "beyond.which_one",
    "You are to make a tokenizer for pictures of 256 x 256, for a prior that you will train afterwards. Which "
    "quantizer of this lesson would you try first, and what would make you change your mind? Five sentences are "
    "enough.",
    points=3,
)
