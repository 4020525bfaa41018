"""Questions of lesson 02."""

from vqtutor.checking import FreeText
from vqtutor.lessons.entries import question

q_line = question(
    "losses.q_line",
    "One line of this layer comes too early. If it came last, right before the return, all the others would do "
    "what they should. Which one? (Line 1 is the one with `def`.)",
    best="b",
    choices={
        "line 2: `z_q = look_up(nearest_code(z_e, codebook), codebook)`": (
            "This finds the codes, and a gradient to z_q can still reach the codebook here. What cuts that off?"
        ),
        "line 3: `z_q = z_e + jax.lax.stop_gradient(z_q - z_e)`": (
            "Yes. From here on z_q has the codes' values and the encoder's gradient, so the losses below it have "
            "a gradient for the encoder only. Computed above it, they are right."
        ),
        "line 4: `loss = jnp.mean((jax.lax.stop_gradient(z_e) - z_q) ** 2)`": (
            "This is the codebook loss as the paper has it, as long as z_q is what was looked up. Here it no longer is."
        ),
        "line 5: `loss = loss + beta * jnp.mean((z_e - jax.lax.stop_gradient(z_q)) ** 2)`": (
            "The commitment loss holds z_q still, so it does not matter to it what z_q is to a gradient."
        ),
    },
)

q_beta_zero = question(
    "losses.q_beta_zero",
    "The toy of lesson 01 is about to be trained with different values of beta. What do you expect of beta = 0, "
    "compared with 0.25?",
    best="d",
    choices={
        "The codes stay where they are.": (
            "The codebook loss moves the codes, and it does not contain beta. Beta weighs only the pull on the encoder."
        ),
        "Nothing changes: straight-through keeps each vector near its code.": (
            "Straight-through only passes a gradient on. It does not pull any vector towards its code; only the "
            "commitment loss does that."
        ),
        "The vectors collapse onto their codes, as nothing holds them apart.": (
            "The pull towards the codes is exactly what beta = 0 switches off. It is a large beta that pulls "
            "vectors and codes together."
        ),
        "The vectors spread out farther, and the codes follow them.": (
            "Yes. Nothing asks the encoder to stay close, and larger outputs do not harm the reconstruction. The "
            "codebook loss makes the codes follow. Compare the spread of z_e below."
        ),
    },
)

q_perplexity = question(
    "losses.q_perplexity",
    "A codebook has 128 codes. On a thousand images 39 of them occur, and the perplexity is 6. What does that say?",
    best="a",
    choices={
        "A few codes fill most places, and the others are rare: as spread out as 6 codes used equally often.": (
            "Yes. Perplexity weighs codes by how often they occur. In digits, one code for empty background fills "
            "most places, and that alone pulls perplexity down."
        ),
        "Six codes are in use, and the other 33 occur by mistake.": (
            "All 39 are in use. Perplexity is not a count: it weighs each code by its share, and rare ones weigh "
            "little."
        ),
        "On average a code occurs 6 times in an image.": (
            "Perplexity is not about how often, but about how evenly. It is between 1 and K, and has no unit."
        ),
        "The training failed: a healthy codebook has a perplexity near 128.": (
            "It would be 128 if all codes were equally frequent. Pictures are mostly background, so even a good "
            "codebook stays far below that."
        ),
    },
)

q_constant = question(
    "losses.q_constant",
    "A uniform prior charges N log K nats for an image's codes. Most implementations leave this term out of the "
    "loss. Why can they?",
    best="b",
    choices={
        "Because it is small beside the reconstruction.": (
            "For 49 codes out of 128 it is 238 nats an image, which is far from small."
        ),
        "Because it does not depend on any parameter, so its gradient is zero.": (
            "Yes. It is the same for every image and every network with these N and K. It matters when you "
            "compare systems, and never when you train one."
        ),
        "Because codes are not random: the encoder determines them, so they cost nothing.": (
            "The encoder does determine them. But someone who only has the decoder still has to be told which "
            "codes they are, and that is what the nats pay for."
        ),
        "Because the commitment loss already pays for the codes.": (
            "The commitment loss says how far vectors are from their codes. It has nothing to do with the cost of "
            "naming a code."
        ),
    },
)

two_measures = FreeText(
    "losses.two_measures",
    'A colleague trains a layer that you have not seen, shows you a falling reconstruction loss, and says: "You '
    'see, the codebook learns." Which two things would you measure before you believe it, and what would the '
    "broken layer of this lesson show in each? Three sentences are enough.",
    points=2,
)
