"""The Keras contender, run by speed.py with an interpreter that has TensorFlow and need not have vqtutor.

python keras_peer.py SYSTEM images.npy steps  ->  one line of JSON
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

BATCH = {"R1": 128, "R3": 64}


class VectorQuantizer(layers.Layer):
    """A gradient codebook with both of its losses, as a Keras user would write it."""

    def __init__(self, num_codes: int, code_dim: int, beta: float = 0.25):
        super().__init__()
        self.num_codes, self.code_dim, self.beta = num_codes, code_dim, beta
        start = keras.initializers.RandomUniform(-0.05, 0.05)
        self.codebook = self.add_weight(shape=(num_codes, code_dim), initializer=start)

    def call(self, z):
        flat = tf.reshape(z, [-1, self.code_dim])
        distances = tf.reduce_sum(self.codebook**2, 1) - 2 * tf.matmul(flat, self.codebook, transpose_b=True)
        codes = tf.reshape(tf.gather(self.codebook, tf.argmin(distances, 1)), tf.shape(z))
        self.add_loss(self.beta * tf.reduce_mean((tf.stop_gradient(codes) - z) ** 2))
        self.add_loss(tf.reduce_mean((codes - tf.stop_gradient(z)) ** 2))
        return z + tf.stop_gradient(codes - z)


def r1() -> keras.Model:
    down = dict(strides=2, padding="same", activation="relu")
    x = keras.Input((28, 28, 1))
    h = layers.Conv2D(32, 3, **down)(x)
    h = layers.Conv2D(64, 3, **down)(h)
    h = VectorQuantizer(128, 16)(layers.Conv2D(16, 1, padding="same")(h))
    h = layers.Conv2DTranspose(64, 3, **down)(h)
    h = layers.Conv2DTranspose(32, 3, **down)(h)
    return keras.Model(x, layers.Conv2DTranspose(1, 3, padding="same")(h))


def residual_stack(h):
    for _ in range(2):
        inner = layers.Conv2D(32, 3, padding="same", activation="relu")(layers.ReLU()(h))
        h = layers.Add()([h, layers.Conv2D(64, 1)(inner)])
    return layers.ReLU()(h)


def r3() -> keras.Model:
    half = dict(strides=2, padding="same")
    x = h = keras.Input((32, 32, 1))
    for channels in (32, 64, 64):
        h = layers.Conv2D(channels, 4, activation="relu", **half)(h)
    h = VectorQuantizer(16, 32)(layers.Conv2D(32, 1)(residual_stack(h)))
    h = residual_stack(layers.Conv2DTranspose(64, 4, **half)(h))
    h = layers.Conv2DTranspose(32, 4, activation="relu", **half)(h)
    return keras.Model(x, layers.Conv2DTranspose(1, 4, **half)(h))


def main(system: str, images: str, steps: int) -> None:
    batch = BATCH[system]
    x = np.load(images)[: steps * batch].astype("float32") / 255 - 0.5
    if system == "R3":
        x = np.pad(2 * x, ((0, 0), (2, 2), (2, 2), (0, 0)), constant_values=-1.0)
    variance = float(x.var())
    model = {"R1": r1, "R3": r3}[system]()
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3), loss=lambda true, found: tf.reduce_mean((true - found) ** 2) / variance
    )
    start = time.perf_counter()
    model.fit(x[:batch], x[:batch], batch_size=batch, verbose=0)
    first = time.perf_counter() - start
    model.fit(x, x, batch_size=batch, verbose=0)  # the data pipeline warms up as well
    start = time.perf_counter()
    model.fit(x, x, batch_size=batch, verbose=0)
    took = time.perf_counter() - start
    versions = f"Keras {keras.__version__}, TensorFlow {tf.__version__}"
    print(json.dumps({"ms": 1e3 * took / (len(x) // batch), "first_s": first, "versions": versions}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
