"""The words, symbols and systems of the course: what `vqtutor.glossary` shows, and docs/glossary.md.

Run `python -m vqtutor.terms > docs/glossary.md` after a change.
"""

from difflib import get_close_matches

from vqtutor.checking import card

# word: (what it means here, the lesson where it first matters)
TERMS: dict[str, tuple[str, str]] = {
    "ancestral sampling": (
        "Drawing one code after the other, each from its probabilities given the codes that are already drawn.",
        "05",
    ),
    "argmin": ("The index of the smallest number. It has no useful gradient: it is flat, and then it jumps.", "01"),
    "arithmetic coder": (
        "Writes each symbol in as many bits as it surprises a model that sender and receiver share.",
        "05",
    ),
    "autoencoder": ("An encoder and a decoder that are trained together to give a picture back.", "00"),
    "autoregressive": (
        "Describes a model that predicts each element from the elements before it.",
        "05",
    ),
    "beta": ("The weight of the commitment loss: how strongly the encoder is held near the codes it chose.", "02"),
    "bit": ("The surprise of one toss of a fair coin: a logarithm to base 2. One nat is 1.44 bits.", "02"),
    "blind spot": ("Earlier places that a stack of masked convolutions never sees, however deep it is.", "05"),
    "causal": ("Describes a network in which no output depends on its own place or on a later one.", "05"),
    "cell": ("All vectors that are nearer to one code than to any other.", "01"),
    "code": ("A row of the codebook: a vector of D numbers that stands for all vectors in its cell.", "01"),
    "code map": ("The indices of a picture's codes, a small picture of whole numbers such as 7 x 7.", "03"),
    "codebook": ("The table of all codes, [K, D], a code in each row.", "01"),
    "codebook collapse": ("A few codes are used for everything, and the others are never chosen.", "03"),
    "codebook loss": ("The mean squared difference between vectors and codes; only the codes get its gradient.", "02"),
    "commitment loss": ("The same difference as in the codebook loss; only the encoder gets its gradient.", "02"),
    "condition": ("A vector, such as a label, that a prior gets in addition to the codes.", "06"),
    "convolution": ("A small window of weights slides over a map; at each place products are added up.", "00b"),
    "cross-entropy": ("The mean surprise of a forecast about what happens: the mean of -log p.", "00b"),
    "dead code": ("A code that no vector has chosen for a while.", "04"),
    "decay": ("The share of the past that a running mean keeps at each batch, such as 0.99.", "04"),
    "decoder": ("The network that turns codes into a picture.", "00"),
    "distortion": ("The mean squared distance from a vector to its code: what quantizing costs.", "01"),
    "ELBO": (
        "Evidence lower bound: a lower bound on log p(picture) that can be computed, log p(x | codes) minus the "
        "divergence of the posterior from the prior. With one-hot posteriors and a uniform prior the divergence is "
        "N log K.",
        "02",
    ),
    "EMA": ("Exponential moving average: a mean that forgets old values little by little.", "04"),
    "encoder": ("The network that turns a picture into vectors, one for each place of the code map.", "00"),
    "fingerprint": ("A short number made of a model's weights: two models hardly ever have the same.", "08"),
    "finite scalar quantization": (
        "A quantizer without a codebook: each of a few numbers is bounded and rounded to one of its levels.",
        "07",
    ),
    "gate": (
        "A signal between -1 and 1, multiplied by a number between 0 and 1 that says how much of it passes.",
        "06",
    ),
    "held out": ("Describes data that was not used for training.", "00b"),
    "jit": ("Just-in-time compilation: JAX runs a function once without values and compiles what it does.", "00b"),
    "k-means": ("Choose the nearest code, then move each code to the mean of its vectors; again and again.", "01"),
    "key": ("Where JAX's random numbers come from. The same key gives the same numbers; split it for others.", "00b"),
    "latent": ("Describes something that explains a picture but is not seen in it: here, its codes.", "02"),
    "likelihood": ("The probability that a model gives to what was observed.", "02"),
    "logit": ("A number that a sigmoid or softmax turns into a probability.", "02"),
    "mask A, mask B": (
        "Zeros in a kernel for all places from the middle on; B lets the middle itself through. A is for the first "
        "layer, B for the others.",
        "05",
    ),
    "nat": (
        "The unit of surprise with natural logarithms: -log p. Something with probability 1/2 costs 0.69 nats.",
        "00b",
    ),
    "one-hot": ("A vector of zeros with a single 1, at the index that it stands for.", "04"),
    "parameter": ("An array that an optimizer trains.", "00b"),
    "perplexity": (
        "How many codes, used equally often, would be as spread out: exp of the entropy of their shares.",
        "02",
    ),
    "posterior": (
        "The probability of the codes once the picture is seen; here one code has all of it.",
        "02",
    ),
    "prior": ("The probability of each code map before a picture is seen.", "02"),
    "quantize": ("Replace a vector by its nearest code.", "01"),
    "range coder": ("An arithmetic coder that computes with whole numbers, and writes a few bytes at a time.", "08"),
    "raster order": ("Row by row from the top, each row from left to right.", "05"),
    "receptive field": ("The places of the input on which one output depends.", "05"),
    "reconstruction loss": ("How far the picture that comes back is from the one that went in.", "02"),
    "residual connection": ("The input of a layer is added to its output, so that the layer learns a change.", "06"),
    "residual quantization": ("Codes in stages: each describes what the stages before it left over.", "07"),
    "revival": ("Putting a dead code on a vector of the batch, where it will be chosen.", "04"),
    "rotation trick": ("The gradient of a code goes to its vector turned and stretched as the vector would be.", "07"),
    "softmax": ("Turns logits into probabilities: exp of each, divided by their sum.", "00b"),
    "state": ("What a layer remembers from call to call and no optimizer trains.", "00b"),
    "stop_gradient": ("Has the value of what it is given, and counts as a constant in every gradient.", "00b"),
    "straight-through estimator": (
        "The code goes forward; the gradient comes back as if nothing were quantized.",
        "01",
    ),
    "stride": ("By how many places a window moves on; stride 2 halves the sides of a map.", "00b"),
    "temperature": (
        "Logits are divided by it before drawing: below 1 gives safer drawings, above 1 more daring ones.",
        "05",
    ),
    "transposed convolution": ("Spreads each place over a window; with stride 2 it doubles the sides of a map.", "03"),
    "uniform prior": ("Every code map is as likely as any other. Naming one costs N log K nats.", "02"),
    "vertical and horizontal stack": (
        "Two streams of a gated PixelCNN: one sees the rows above, the other the places to the left.",
        "06",
    ),
}

# symbol here, meaning, shape, in (1), in (2), in (3); "-" where a paper has none
PAPERS = (
    "van den Oord, Vinyals and Kavukcuoglu, *Neural Discrete Representation Learning* (2017)",
    "van den Oord, Kalchbrenner and Kavukcuoglu, *Pixel Recurrent Neural Networks* (2016)",
    "van den Oord and others, *Conditional Image Generation with PixelCNN Decoders* (2016)",
)
SYMBOLS = (
    ("`x`", "pictures", "`[B, H, W, C]`", "$x$", "$\\mathbf{x}$, pixels $x_i$", "$\\mathbf{x}$, pixels $x_i$"),
    ("`x_hat`", "reconstructions", "`[B, H, W, C]`", "mean of $p(x \\mid z_q(x))$", "-", "-"),
    ("`z_e`", "the encoder's output", "`[B, h, w, D]`", "$z_e(x)$", "-", "-"),
    ("`codebook`, $e$", "the codes", "`[K, D]`", "$e_1, \\dots, e_K$", "-", "-"),
    ("`indices`, $c_i$", "the code map, which the prior models", "`[B, h, w]`", "$z$", "pixels $x_i$", "pixels $x_i$"),
    ("`codes`", "the looked-up rows", "`[B, h, w, D]`", "$e_k$", "-", "-"),
    ("`z_q`", "what the decoder gets", "`[B, h, w, D]`", "$z_q(x)$", "-", "-"),
    ("`stop_gradient`", "a constant to the gradient", "", "$\\mathrm{sg}[\\cdot]$", "-", "-"),
    ("`beta`", "weight of the commitment loss", "", "$\\beta$", "-", "-"),
    ("$n$, `counts` of a batch", "vectors that chose each code", "`[K]`", "$n_i^{(t)}$", "-", "-"),
    ("$N$, `counts`", "their running mean", "`[K]`", "$N_i^{(t)}$", "-", "-"),
    ("$m$, `sums`", "running mean of their sums", "`[K, D]`", "$m_i^{(t)}$", "-", "-"),
    ("$\\gamma$, `decay`", "the share of the past", "", "$\\gamma$", "-", "-"),
    ("$p(c_i \\mid c_1, \\dots)$", "the prior's forecast", "`[B, h, w, K]`", "$p(z)$",
     "$p(x_i \\mid x_1, \\dots, x_{i-1})$",
     "$p(x_i \\mid x_1, \\dots, x_{i-1})$"),
    ('mask `"A"`, `"B"`', "taps that are read", "`[kh, kw]`", "-", "mask A, mask B", "-"),
    ("`gate`", "tanh times sigmoid", "`[..., C]`", "-", "-", "$\\tanh(W_f * x) \\odot \\sigma(W_g * x)$"),
    ("`condition`", "what is asked for", "`[B, E]`", "-", "-", "$\\mathbf{h}$"),
)  # fmt: skip

# In files and commands the systems have short names.
SYSTEMS = {
    "R1": ("the Keras VQ-VAE", "convolutional, 7 x 7 places of 128 codes, with a plain PixelCNN for a prior"),
    "R2": ("the Keras VQ-VAE with a gated prior", "7 x 7 places of 10 codes, and a gated PixelCNN"),
    "R3": ("the residual VQ-VAE", "from a summer school's practical in Haiku; 4 x 4 places of 16 codes"),
    "R4": ("the one-code VQ-VAE", "one of 64 codes for a whole letter, with an EMA codebook"),
}


def _find(word: str) -> str:
    """Return the entry that a word means: its own, its singular's, or the one that contains it."""
    words = {term.casefold(): term for term in TERMS}
    asked = word.casefold().strip()
    for form in (asked, asked.removesuffix("s"), asked.replace(" ", "-"), asked.replace(" ", "_")):
        if form in words:
            return words[form]
    parts = [term for term in TERMS if asked and asked in term.casefold()]
    if len(parts) == 1:
        return parts[0]
    close = parts or [words[one] for one in get_close_matches(asked, words, 3, cutoff=0.4)]
    hint = f" Did you mean {' or '.join(close)}?" if close else " vqtutor.glossary() lists all words."
    raise KeyError(f"The glossary has no {word!r}.{hint}")


def glossary(word: str | None = None) -> None:
    """Show what a word of the course means; all words without one.

    Args:
      word: such as "nats" or "commitment loss".
    Raises:
      KeyError: there is no such word; the message names similar ones.
    """
    if word is None:
        rows = tuple((term, says, lesson) for term, (says, lesson) in TERMS.items())
        card.show(
            card.Note("glossary", tables=(card.Table("All words", (("word", "meaning", "lesson"), *rows), True),))
        )
        return
    term = _find(word)
    says, lesson = TERMS[term]
    card.show(card.Note(term, (says, f"First in lesson {lesson}.")))


def page() -> str:
    """Return docs/glossary.md."""
    lines = ["# Words, symbols and systems", "", '`vqtutor.glossary("nats")` shows an entry in a notebook.', ""]
    lines += ["## Words", "", "| word | meaning | lesson |", "|---|---|---|"]
    lines += [f"| **{term}** | {says} | {lesson} |" for term, (says, lesson) in TERMS.items()]
    lines += ["", "## Symbols, here and in the papers", ""]
    lines += [f"({n}) {paper}." + ("  " if n < len(PAPERS) else "") for n, paper in enumerate(PAPERS, start=1)]
    lines += ["", "| here | meaning | shape | in (1) | in (2) | in (3) |", "|---|---|---|---|---|---|"]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in SYMBOLS]
    lines += [
        "",
        "B: pictures in a batch. K: codes. D: their dimension. N: places of a code map. h, w: its rows and columns.",
        "",
    ]
    lines += ["## Systems", "", "| name | what it is | in files and commands |", "|---|---|---|"]
    lines += [f"| {name} | {what} | {short} |" for short, (name, what) in SYSTEMS.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
