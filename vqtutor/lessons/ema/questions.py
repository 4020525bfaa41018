"""Questions of lesson 04."""

from vqtutor.checking import FreeText
from vqtutor.lessons.entries import question

q_decay = question(
    "ema.q_decay",
    "You lower the decay from 0.99 to 0.5. What changes?",
    best="a",
    choices={
        "Codes follow the encoder faster, and jump about with every batch.": (
            "Half of what a code is comes from the last batch alone. While the encoder moves fast that helps; later it "
            "is noise. 0.99 averages over about a hundred batches."
        ),
        "The codebook gets a larger learning rate, and the loss may diverge.": (
            "A running mean has no loss and cannot overshoot: it stays among the vectors it averages."
        ),
        "Codes die less often, since the past counts less.": (
            "The opposite: a count fades by half at each batch without a vector, so a rare code is dead sooner."
        ),
    },
)

q_debias = question(
    "ema.q_debias",
    "An average that starts at 0 is often debiased: divided by 1 - decay^t after t steps. Counts and sums both start "
    "at 0, and both are debiased. What becomes of the codebook?",
    best="b",
    choices={
        "It is larger in the first steps than without debiasing.": "Each of the two is; their ratio is not.",
        "Nothing, but for epsilon: the same factor stands above and below the fraction line.": (
            "So debiasing cannot tell where a code is that no vector has chosen: 0 over 0 stays 0 over 0. A consistent "
            "start can."
        ),
        "Codes that nobody chose stay where they were.": (
            "They had no weight in the averages to begin with, so nothing remembers where they were."
        ),
    },
)

q_one_latent = question(
    "ema.q_one_latent",
    "An image is one of 64 codes, and every code has its picture. You draw 10,000 images from random codes. How many "
    "different ones do you get?",
    best="b",
    choices={
        "About 10,000: the decoder is a deep network and interpolates.": (
            "It never sees anything between two codes: its input is one of 64 rows."
        ),
        "At most 64, the same that reconstructions are made of.": (
            "Random images and reconstructions come from one set. Many images need many codes side by side: K to the "
            "power of N code maps."
        ),
        "As many as there were in training.": "Training images that share a code share one reconstruction.",
    },
)

ten_times = FreeText(
    "ema.ten_times",
    'A colleague reports: "We made the codebook ten times as large, and perplexity did not change." What would you '
    "look at first, and what would you try? Four sentences are enough.",
    points=3,
)
