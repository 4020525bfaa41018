"""Questions of lesson 08."""

from vqtutor.checking import FreeText
from vqtutor.lessons.entries import question

q_zero = question(
    "codec.q_zero",
    "A prior gives a code the probability 0, and a test picture has this code. What does a coder that works with these "
    "probabilities do?",
    best="c",
    choices={
        "It spends a great many bits, as many as a float32 can express.": (
            "The price is minus the logarithm of the probability. That of 0 has no number of bits, not even a large "
            "one."
        ),
        "It writes the likeliest code in its place, which loses a little more of the picture.": (
            "A coder does not choose. It writes exactly what it is given, or nothing."
        ),
        "It cannot write the picture.": (
            "Yes. A code that is never expected has no place among the numbers that a coder writes. So every code "
            "gets a "
            "frequency of 1 at least, which costs the others next to nothing if the total is large."
        ),
        "It writes the code with as many bits as it would take without a prior.": (
            "A coder that has an escape for the unexpected could do that. But the escape itself needs a probability."
        ),
    },
)

q_order = question(
    "codec.q_order",
    "Writing takes one run of the prior, and reading 49. Why?",
    best="b",
    choices={
        "The writer could do with less than one, since it knows the codes.": (
            "It knows the codes, and needs to know how probable each is. For that the prior has to run."
        ),
        "All codes are known to the writer, so one run gives all logits. A reader has a code only after its logits.": (
            "Yes. The masks make sure that the logits of a place depend only on codes before it, so both sides get "
            "the same."
        ),
        "A range coder reads more slowly than it writes.": (
            "Both take a microsecond a code. It is the prior that takes time."
        ),
        "Reading has to try all codes of a place until one fits.": (
            "It does not: the coder looks up in which code's interval the number lies. For that it needs the "
            "frequencies."
        ),
    },
)

q_digits = question(
    "codec.q_digits",
    "The same weights and the same maps, once in batches of 250 and once one at a time: the logits differ by 0.00001 "
    "at most. "
    "You write files with the logits of the one and read them with those of the other, as they are, without "
    "rounding. What comes "
    "back?",
    best="d",
    choices={
        "The same pictures: 0.00002 is far less than what a probability is off by anyway.": (
            "A coder does not know what a probability is worth. It compares numbers, and a number is equal or it is "
            "not."
        ),
        "The same pictures, with a code here and there that is its neighbour in the codebook.": (
            "Codes have no neighbours in a codebook. And a mistake does not stay where it is."
        ),
        "An error from the coder, as soon as something is wrong.": (
            "It has no way to know: any bytes can be read with any frequencies. Something has to tell it, such as a "
            "checksum."
        ),
        "For nearly every picture the first codes, and then others.": (
            "Yes. At the first place where an interval lies differently and the number is near its end, another code "
            "is "
            "read; and all logits after it are those of another map."
        ),
    },
)

q_label = question(
    "codec.q_label",
    "The prior is told which digit to expect, and a file for a picture with an unknown label is to be written. What "
    "would you do?",
    best="a",
    choices={
        "Try all ten labels, and write the one that makes the file shortest.": (
            "Yes. The label need not be true, only useful: it has to be in the file anyway, for whoever reads. It "
            "takes ten "
            "runs of the prior."
        ),
        "Use any label: it has no influence on the length.": (
            "You saw in lesson 06 that the wrong label costs many nats."
        ),
        "Average the logits of all ten, so that no label need be stored.": (
            "That saves 3.3 bits and costs more: the average of ten opinions on one place forgets what the places "
            "before "
            "said about the label."
        ),
        "Let a reader guess the label, and store nothing.": (
            "It needs the picture to guess, and whoever reads the file has none yet."
        ),
    },
)

verdict = FreeText(
    "codec.verdict",
    "Your files are many times smaller than the smallest PNG, and smaller than WebP. Would you put a photo album "
    "into your "
    "format? Give one reason for it and two against it, each with a number from this lesson.",
    points=3,
)

own_choice = FreeText(
    "codec.own_choice",
    "What did you choose for your own pictures, and why? Say what you expected of one choice before you ran it, what "
    "came out, "
    "and what you would try next.",
    points=3,
)
