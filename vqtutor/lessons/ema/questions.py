"""Questions of lesson 04."""

from vqtutor.checking import FreeText
from vqtutor.lessons.entries import question

q_decay = question(
    "ema.q_decay",
    "A code follows vectors that suddenly move from 0 to 1. You compare a decay of 0.5 with one of 0.99. What do "
    "you expect?",
    best="b",
    choices={
        "0.99 arrives sooner, since it moves the code by 99 % of the way at each batch.": (
            "Decay is the share of the *past* that is kept. With 0.99 only 1 % of each batch comes in."
        ),
        "0.5 arrives sooner and then jitters from batch to batch; 0.99 takes long and moves smoothly.": (
            "Yes. With 0.5, half of a code comes from the last batch alone. 0.99 averages over about a hundred batches."
        ),
        "0.5 overshoots and swings back; 0.99 comes in smoothly.": (
            "A mean cannot overshoot: it always lies among the vectors that it averages. It only jitters as much "
            "as they do."
        ),
        "They arrive at the same time, and 0.5 ends half way, at 0.5.": (
            "Every decay below 1 forgets the past in the end, so each arrives at 1. Decay sets how soon."
        ),
    },
)

q_debias = question(
    "ema.q_debias",
    "Counts and sums of the running mean both start at 0. To make up for that, both are divided by 1 - decay^t "
    "after t steps, as Adam does. Where is a code that nobody has chosen yet, and where would it be without the "
    "division?",
    best="d",
    choices={
        "At its start with the division, at the origin without.": (
            "Neither its count nor its sum contains where it started: both were 0 and are 0. No factor can bring "
            "that back."
        ),
        "Far away with the division, because 1 - decay^t is small at first; at the origin without.": (
            "Counts and sums are divided by the same small number, so it cancels when one is divided by the other."
        ),
        "At the origin with the division, far away without.": (
            "A code goes far away if its sum starts at the codebook while its count starts at 0. Here both start at 0."
        ),
        "At the origin in both cases: the factor cancels when sums are divided by counts.": (
            "Yes. The division only changes how much epsilon matters. What helps is a start in which sums divided "
            "by counts *are* the codebook."
        ),
    },
)

q_line = question(
    "ema.q_line",
    "The first of the three starts, as it was published, with one step after it. Which single line do you change "
    "so that a code that no vector chooses stays where it is?",
    best="c",
    choices={
        "line 1: `codebook = codes`": (
            "Codes may begin anywhere: wherever this one is, it should stay there as long as no vector chooses it."
        ),
        "line 2: `sums = codebook`": (
            "With sums of zero the code would be put on the origin, as in the second start. What should they be "
            "divided by?"
        ),
        "line 3: `counts = jnp.zeros(len(codebook))`": (
            "Yes. The sums say that each code has one vector, and the counts say that it has none: sums over "
            "counts are the codebook divided by next to nothing."
        ),
        "line 4: `counts, sums, codebook = update_codebook(counts, sums, z_e, indices, 0.99, 1e-5)`": (
            "A larger epsilon would hide it, and pull every code towards the origin for ever. The step is right; "
            "what it begins with is not."
        ),
    },
)

q_one_latent = question(
    "ema.q_one_latent",
    "A picture is one of 64 codes here. In the next cell we draw 1,000 codes at random and decode each. How many "
    "different pictures will there be?",
    best="c",
    choices={
        "About 1,000: the decoder is a deep network, and interpolates between codes.": (
            "It never sees anything between two codes. Its input is one of 64 rows."
        ),
        "As many as there are training pictures that look different.": (
            "Training pictures that share a code share one reconstruction, so they cannot all come back."
        ),
        "At most 64, and the reconstructions are taken from the same 64.": (
            "Yes. One code gives one picture. For more pictures you need several codes side by side: with N "
            "places there are K to the power of N maps."
        ),
        "Ten: one for each letter.": (
            "Nobody told the codes about letters. Common letters get several codes each, one for each way to "
            "write them."
        ),
    },
)

ten_times = FreeText(
    "ema.ten_times",
    'A colleague reports: "We made the codebook ten times as large, and perplexity did not change." What would '
    "you look at first, and what would you try? Four sentences are enough.",
    points=3,
)
