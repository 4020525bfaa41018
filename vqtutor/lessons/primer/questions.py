"""Questions of lesson 00b: the self-test. A comment on a wrong choice says which part of the lesson to do."""

from vqtutor.lessons.entries import question

q_shapes = question(
    "primer.q_shapes",
    "`a` has the shape [5, 3] and `b` the shape [4, 3]. What is the shape of `a[:, None] - b`?",
    best="a",
    choices={
        "[5, 4, 3]": (
            "Yes. a[:, None] is [5, 1, 3]; from the right, 3 meets 3, the 1 is repeated 4 times, and 5 meets nothing."
        ),
        "[5, 3], as long as 5 and 4 are equal; here it is an error.": (
            "That holds for a - b. The new axis is what lets every row of a meet every row of b. Do part 1."
        ),
        "[4, 5, 3]": ("The new axis sits behind the 5, so the 5 stays first. Do part 1."),
        "[20, 3]": ("Broadcasting never joins two axes into one; a reshape would. Do part 1."),
    },
)

q_gradient = question(
    "primer.q_gradient",
    "f(x) = x * stop_gradient(x). What is jax.grad(f) at x = 3?",
    best="c",
    choices={
        "6": ("That is the slope of x * x, where both factors move. One of them is held still here. Do part 2."),
        "0": ("The result would have to be held still as a whole; the first factor is free. Do part 2."),
        "3": ("Yes. For the gradient the second factor is a constant, 3, so f counts as 3 x."),
        "9": ("9 is the value of f. stop_gradient leaves the value alone and changes the slope. Do part 2."),
    },
)

q_jit = question(
    "primer.q_jit",
    "Which of these lines works inside a function under jax.jit, where x is an array that you pass in?",
    best="d",
    choices={
        "`if x.sum() > 0: x = -x`": (
            "While it compiles, JAX knows the shape of x and no value, so an `if` has nothing to decide by. Do part 3."
        ),
        "`x = x[x > 0]`": ("How long that is depends on values, and under jit every shape must be known. Do part 3."),
        "`x = np.abs(x)`": ("NumPy wants the values now, and there are none yet; jnp.abs would do. Do part 3."),
        "`x = jnp.where(x > 0, x, 0)`": ("Yes. Both sides are computed, the shape is known, and no `if` is needed."),
    },
)

q_key = question(
    "primer.q_key",
    "You call `jax.random.normal(key, (3,))` twice, with the same key. What do you get?",
    best="b",
    choices={
        "Six different numbers: the key moves on with each call.": (
            "NumPy's generators move on; a JAX key is a value, and stays what it is. Do part 3."
        ),
        "The same three numbers twice.": ("Yes. If you want other numbers, split the key and use each part once."),
        "An error: a key can be used only once.": (
            "It should be used only once, but nothing stops you, and that is how you get the same noise twice. Do "
            "part 3."
        ),
        "The same numbers on one machine, others on the next.": (
            "The numbers follow from the key alone, on every machine. Do part 3."
        ),
    },
)

q_convolution = question(
    "primer.q_convolution",
    "An image of 28 x 28 with one channel goes through a convolution with 32 kernels of 3 x 3, stride 2 and "
    "padding SAME. What comes out?",
    best="a",
    choices={
        "14 x 14, 32 channels": (
            "Yes. SAME adds what is missing at the border, so the stride alone halves the sides, and each kernel "
            "makes one channel."
        ),
        "13 x 13, 32 channels": (
            "That would be right without padding (VALID), where the window stays inside. Do part 4."
        ),
        "28 x 28, 32 channels": (
            "SAME keeps the size only with stride 1. With stride 2 every other place is left out. Do part 4."
        ),
        "14 x 14, 1 channel": ("Each kernel makes a channel of its own, and there are 32 of them. Do part 4."),
    },
)

q_nats = question(
    "primer.q_nats",
    "A forecast gave probability 1/8 to what then happened. How large is its surprise, in nats?",
    best="b",
    choices={
        "3": ("That is the surprise in bits: log2 of 8. Do part 5."),
        "2.08": ("Yes: -log(1/8), with the natural logarithm. Three bits, of 0.69 nats each."),
        "0.125": ("That is the probability. Surprise is minus its logarithm, and grows as it falls. Do part 5."),
        "0.875": ("1 - p is not a surprise: it never grows beyond 1, even where the impossible happens. Do part 5."),
    },
)

q_transform = question(
    "primer.q_transform",
    "`network = hk.transform(f)`, where f calls layers. Where are the layers' parameters afterwards?",
    best="c",
    choices={
        "Inside `network`, which updates them in training.": (
            "That is how PyTorch and Keras work. A Haiku network holds nothing. Do part 6."
        ),
        "Inside the layers, as attributes.": (
            "Layers are made anew at every call; what they hold is gone after it. Do part 6."
        ),
        "Nowhere: `network.init` makes them, and `network.apply` takes them.": (
            "Yes. Both are pure functions, which is what jax.grad and jax.jit want."
        ),
        "Inside Haiku, under the layers' names.": (
            "Haiku keeps nothing: the parameters have names, but you keep the dict that holds them. Do part 6."
        ),
    },
)

q_step = question(
    "primer.q_step",
    "`updates, opt_state = adam.update(gradients, opt_state)`. By mistake the new opt_state is thrown away at "
    "each step. What happens?",
    best="d",
    choices={
        "An error: Adam's state is missing.": (
            "The old state is still there, and it fits. Nothing complains. Do part 7."
        ),
        "The parameters stand still.": ("`updates` are made all the same, and they move the parameters. Do part 7."),
        "Nothing: the state is only for the records.": (
            "Adam computes its steps from the averages in that state. Do part 7."
        ),
        "Each step is made as if it were the first: its averages never build up.": (
            "Yes. A first step of Adam goes the same way for any slope, large or small: only the sign counts."
        ),
    },
)
