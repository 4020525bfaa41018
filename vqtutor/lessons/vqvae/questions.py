"""Questions of lesson 03."""

from vqtutor.checking import FreeText
from vqtutor.lessons.entries import question

q_shape = question(
    "vqvae.q_shape",
    "Later in this lesson, a deeper network sees images of 32 x 32 through three layers of stride 2 and has 16 "
    "codes of 32 numbers. What is its code map, and how many bits does an image take?",
    best="b",
    choices={
        "8 x 8 places, 256 bits": ("That is after two of the three layers: 32, 16, 8. One more halving is to come."),
        "4 x 4 places, 64 bits": ("Yes. 32, 16, 8, 4; and each of the 16 places is one of 16 codes, which is 4 bits."),
        "4 x 4 places, 512 numbers": (
            "The decoder does see 4 x 4 vectors of 32 numbers. They are rows of a codebook that it has already, "
            "so only the indices have to be kept."
        ),
        "4 x 4 places, 256 bits": (
            "16 places with 16 codes each is 16 x 4 bits: a choice out of 16 takes log2(16) bits, not 16."
        ),
    },
)

q_codes = question(
    "vqvae.q_codes",
    "This network has 128 codes, which all begin close together. Somebody trains it with 4 and with 512 instead, "
    "and changes nothing else. What do you expect?",
    best="c",
    choices={
        "Each doubling helps equally: there are five doublings from 4 to 128, and two more from 128 to 512.": (
            "That might hold if all codes were used. A code that is never nearest never gets a gradient."
        ),
        "512 codes reconstruct clearly better, and perplexity rises to some hundreds.": (
            "That is what the extra bits are for. But look at how many of the 128 codes were in use before."
        ),
        "4 codes are clearly worse than 128; 512 are hardly better, because most of them are never used.": (
            "Yes. Codes that are never the nearest stay where they started, so most of 512 are dead from the "
            "beginning. Lesson 04 revives such codes."
        ),
        "512 codes are worse: the network cannot learn so many in so few steps.": (
            "What is not used does no harm. The few codes in use learn as fast as they did among 128."
        ),
    },
)

q_discrete = question(
    "vqvae.q_discrete",
    "A picture is 49 codes out of 128 here. The same network without its quantizer would have 49 vectors of 16 "
    "real numbers. What is the advantage of the codes?",
    best="d",
    choices={
        "They reconstruct better, since the codes keep what matters and drop the noise.": (
            "Quantizing can only lose: whatever the decoder makes of codes, it could make of the vectors as well."
        ),
        "They train faster, since there is less to learn about 49 choices than about 784 numbers.": (
            "There is more to learn, a codebook, and the encoder's gradient is only an estimate. Training gets harder."
        ),
        "They are shorter, and nothing else: 343 bits in place of 25,088.": (
            "They are shorter. But if length were all that mattered, rounding the real numbers would do. Think of "
            "what can be built on top of codes."
        ),
        "Each is a choice among kinds, so a model that predicts choices, as of the next word, can learn which "
        "maps occur.": (
            "Yes. Predicting the next code is then a classification, and lesson 05 does just that. For real "
            "vectors you would first have to assume the shape of their distribution."
        ),
    },
)

q_use = question(
    "vqvae.q_use",
    "For which of these tasks would you reach for such a code map first?",
    best="a",
    choices={
        "To train a sequence model, of the kind made for words, on sound or images.": (
            "Yes. A code map is a short sequence over a small alphabet, which is what such models are made for."
        ),
        "To store X-ray pictures so that every pixel comes back exactly.": (
            "A VQ-VAE loses details. For exact copies use lossless compression, or store the error as well."
        ),
        "To find the picture whose brightness is closest to a given one.": (
            "A code says which kind of patch is there, and two kinds may be equally bright. Compare pixels for that."
        ),
        "To change the slant of a digit smoothly, a little at a time.": (
            "Codes jump from one kind to the next. Smooth changes are what continuous representations are good at."
        ),
    },
)

one_code = FreeText(
    "vqvae.one_code",
    "Look at the code maps again. How would you find out what one particular code stands for? Describe an "
    "experiment, and what you would expect to see. Four sentences are enough.",
    points=3,
)
