"""Questions of lesson 03."""

from vqtutor.checking import FreeText
from vqtutor.lessons.entries import question

q_discrete = question(
    "vqvae.q_discrete",
    "Why might discrete codes be a better summary of a picture than as many real numbers?",
    best="b",
    choices={
        "They always reconstruct with a smaller error.": (
            "Quantizing can only lose: the same network without a quantizer reconstructs better."
        ),
        "Much of the world comes in kinds (strokes, letters, objects), and a choice among kinds cannot be blurred or "
        "ignored.": (
            "A powerful decoder cannot talk its way around a code, and a prior over choices is a plain classification "
            "at each place."
        ),
        "They need no encoder.": "Something has to say which code is nearest to what.",
    },
)

q_shape = question(
    "vqvae.q_shape",
    "R3 sees images of 32 x 32 and has three layers of stride 2. What is its code map, and what is its price?",
    best="b",
    choices={
        "8 x 8, 256 bits.": "That is after two halvings.",
        "4 x 4, 64 bits.": "32 -> 16 -> 8 -> 4, and 16 codes of 4 bits each.",
        "4 x 4, 512 numbers.": "That is what the decoder sees; what has to be kept are the 16 indices.",
    },
)

q_codes = question(
    "vqvae.q_codes",
    "You train once with 4 codes and once with 4,096, and nothing else changed. What do you expect?",
    best="a",
    choices={
        "4: coarse, with the same strokes everywhere. 4,096: better, but most codes are never used and perplexity "
        "grows far less than K.": (
            "A code that is never nearest gets no gradient, so it stays where it started. Lesson 04 revives such codes."
        ),
        "With 4,096 the reconstruction is a thousand times better.": (
            "Error falls slowly with K: each doubling buys one bit a place."
        ),
        "With 4,096 training fails, because distances become too expensive.": (
            "It is one matrix product: [N, D] times [D, K]."
        ),
    },
)

q_use = question(
    "vqvae.q_use",
    "Where would such a discrete representation be of most use?",
    best="a",
    choices={
        "Where a model of sequences should work on sound or images as it does on words.": (
            "A code map is a short sequence over a small alphabet: what language models are made for."
        ),
        "Where every pixel has to come back exactly.": ("That is lossless compression; a VQ-VAE gives details up."),
        "Where gradients through the representation have to be exact.": (
            "Straight-through gradients are an estimate; continuous representations have exact ones."
        ),
    },
)

one_code = FreeText(
    "vqvae.one_code",
    "Look at the code maps again. How would you find out what one particular code stands for? Describe an experiment, "
    "and what you would expect to see. Four sentences are enough.",
    points=3,
)
