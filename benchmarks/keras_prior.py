"""Keras's contender for R1's prior, run by priors.py with an interpreter that has TensorFlow and need not have vqtutor.

python keras_prior.py codes.npy steps          ->  one line of JSON: how fast
python keras_prior.py codes.npz epochs learn   ->  the same: how well, on the code maps that keras_codes.py wrote
"""

import json
import os
import sys
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf
from keras import layers

K, BATCH = 128, 128


class MaskedConv(layers.Layer):
    """A convolution whose kernel is masked at every use, as a Keras user would write it."""

    def __init__(self, filters: int, size: int, kind: str):
        super().__init__()
        self.filters, self.size = filters, size
        order = np.arange(size * size).reshape(size, size, 1, 1)
        self.mask = (order < size * size // 2 + (kind == "B")).astype("float32")

    def build(self, shape):
        self.kernel = self.add_weight(shape=(self.size, self.size, shape[-1], self.filters))
        self.bias = self.add_weight(shape=(self.filters,), initializer="zeros")

    def call(self, x):
        return tf.nn.conv2d(x, self.kernel * self.mask, 1, "SAME") + self.bias


def prior() -> keras.Model:
    codes = keras.Input((7, 7), dtype="int32")
    x = layers.ReLU()(MaskedConv(128, 7, "A")(keras.ops.one_hot(codes, K)))
    for _ in range(2):
        h = layers.Conv2D(128, 1, activation="relu")(x)
        h = layers.ReLU()(MaskedConv(64, 3, "B")(h))
        x = x + layers.Conv2D(128, 1, activation="relu")(h)
    for _ in range(2):
        x = layers.Conv2D(128, 1, activation="relu")(x)
    return keras.Model(codes, layers.Conv2D(K, 1)(x))


def draw(model: keras.Model, count: int) -> np.ndarray:
    codes, rng = np.zeros((count, 7, 7), "int32"), np.random.default_rng(0)
    for row in range(7):
        for column in range(7):
            logits = model.predict(codes, verbose=0)[:, row, column]
            codes[:, row, column] = np.argmax(logits + rng.gumbel(size=logits.shape), axis=-1)
    return codes


def compiled() -> keras.Model:
    model, loss = prior(), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(3e-4), loss=loss, metrics=["accuracy"])
    return model


def learn(file: str, epochs: int) -> None:
    """Train as published, with the first tenth held out, as in reproduce.py."""
    codes = np.load(file)["train"]
    held_out, codes = codes[: len(codes) // 10], codes[len(codes) // 10 :]
    fit = dict(batch_size=BATCH, epochs=epochs, validation_data=(held_out, held_out), verbose=2)
    history = compiled().fit(codes, codes, **fit).history
    print(json.dumps({name: values[-1] for name, values in history.items()}))


def main(file: str, steps: int) -> None:
    codes = np.load(file)[: steps * BATCH].astype("int32")
    model = compiled()
    model.fit(codes[: 4 * BATCH], codes[: 4 * BATCH], batch_size=BATCH, verbose=0)
    start = time.perf_counter()
    model.fit(codes, codes, batch_size=BATCH, verbose=0)
    seen = {"step, ms": 1e3 * (time.perf_counter() - start) / (len(codes) // BATCH)}
    model.predict(codes[:10], verbose=0)
    for count in (10, 1000):
        start = time.perf_counter()
        draw(model, count)
        seen[f"{count} images, s"] = time.perf_counter() - start
    versions = f"Keras {keras.__version__}, TensorFlow {tf.__version__}"
    print(json.dumps(seen | {"parameters": model.count_params(), "versions": versions}))


if __name__ == "__main__":
    (learn if "learn" in sys.argv else main)(sys.argv[1], int(sys.argv[2]))
