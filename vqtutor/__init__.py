"""Learn vector-quantized autoencoders by building one.

vqtutor.check("quantizer.nearest_code", nearest_code)   # judge your answer and show its card
vqtutor.hint("quantizer.nearest_code")                  # show the next hint
vqtutor.glossary("nats")                                # say what a word of the course means
vqtutor.compare("distortion", 0.3, distortion)          # put a guess beside the result
vqtutor.load_dataset("mnist")                           # images to learn from; or the path of a folder of your own
vqtutor.ledger.show(data)                               # bits and distortion of what you built so far
vqtutor.fit(step, state, images, epochs=5)              # train any compiled step
vqtutor.quick_jit(network.init)(key, x)                 # jax.jit with fast compilation
vqtutor.train_codec(images)                             # images to code maps and back
vqtutor.train_reader(images, labels)                    # a network that reads drawn digits
vqtutor.trained_codec(data), vqtutor.trained_prior(data)  # what a longer training gives, with layers of your own
vqtutor.RangeWriter(), vqtutor.RangeReader(payload)     # codes and their frequencies as bytes, and back
vqtutor.report_page("codec_report.html", ...)           # a page about what you built, to show to someone
vqtutor.Conv2D, vqtutor.Conv2DTranspose                 # Haiku's layers, also fast on a CPU
vqtutor.convolve(x, w)                                  # the same with weights of your own
"""

import sys
from importlib import import_module

_HOME = {
    "check": "tutor",
    "judge": "tutor",
    "hint": "tutor",
    "progress": "tutor",
    "glossary": "terms",
    "answer": "tutor",
    "compare": "tutor",
    "recall": "tutor",
    "CheckFailed": "checking",
    "Verdict": "checking",
    "ledger": "ledger",
    "load_dataset": "data",
    "Dataset": "data",
    "fit": "training",
    "quick_jit": "compiling",
    "Run": "training",
    "Codec": "codec",
    "train_codec": "codec",
    "train_reader": "reader",
    "trained_codec": "checkpoints",
    "trained_prior": "checkpoints",
    "RangeReader": "models.coding",
    "RangeWriter": "models.coding",
    "report_page": "report",
    "Conv2D": "models.convolutions",
    "Conv2DTranspose": "models.convolutions",
    "convolve": "models.convolutions",
}

__all__ = [
    "CheckFailed",
    "Codec",
    "Conv2D",
    "Conv2DTranspose",
    "Dataset",
    "RangeReader",
    "RangeWriter",
    "Run",
    "Verdict",
    "answer",
    "check",
    "compare",
    "convolve",
    "fit",
    "glossary",
    "hint",
    "judge",
    "ledger",
    "load_dataset",
    "progress",
    "quick_jit",
    "recall",
    "report_page",
    "train_codec",
    "train_reader",
    "trained_codec",
    "trained_prior",
]


def __getattr__(name: str):
    """Import each part when it is first used, so that `import vqtutor` is fast."""
    if name not in _HOME:
        raise AttributeError(f"vqtutor has no {name!r}; it has {', '.join(__all__)}.")
    home = import_module(f"vqtutor.{_HOME[name]}")
    value = home if _HOME[name] == name else getattr(home, name)  # `ledger` is a module
    globals()[name] = value  # `vqtutor.progress` must stay the function after later imports
    return value


def __dir__() -> list[str]:
    return __all__


if "IPython" in sys.modules:
    import_module("vqtutor.stopped").watch()
