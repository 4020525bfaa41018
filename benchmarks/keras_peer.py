"""The Keras contender, run by speed.py with an interpreter that has TensorFlow and need not have vqtutor.

python keras_peer.py SYSTEM data.npy steps  ->  one line of JSON
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

BATCH = {"R3": 64, "R4": 64}  # of the others: 128


def look_up(codebook, z):
    """Return the vectors in a row, [N, D], the index of each one's nearest code, and the codes, shaped as z."""
    flat = tf.reshape(z, [-1, codebook.shape[1]])
    distances = tf.reduce_sum(codebook**2, 1) - 2 * tf.matmul(flat, codebook, transpose_b=True)
    indices = tf.argmin(distances, 1)
    return flat, indices, tf.reshape(tf.gather(codebook, indices), tf.shape(z))


class VectorQuantizer(layers.Layer):
    """A gradient codebook with both of its losses, as a Keras user would write it."""

    def __init__(self, num_codes: int, code_dim: int, beta: float = 0.25):
        super().__init__()
        self.num_codes, self.code_dim, self.beta = num_codes, code_dim, beta
        start = keras.initializers.RandomUniform(-0.05, 0.05)
        self.codebook = self.add_weight(shape=(num_codes, code_dim), initializer=start)

    def call(self, z):
        _, _, codes = look_up(self.codebook, z)
        self.add_loss(self.beta * tf.reduce_mean((tf.stop_gradient(codes) - z) ** 2))
        self.add_loss(tf.reduce_mean((codes - tf.stop_gradient(z)) ** 2))
        return z + tf.stop_gradient(codes - z)


class EMAVectorQuantizer(layers.Layer):
    """A codebook of moving averages, as a Keras user would write it."""

    def __init__(self, num_codes: int, code_dim: int, decay: float = 0.99):
        super().__init__()
        self.num_codes, self.code_dim, self.decay = num_codes, code_dim, decay
        kept = dict(initializer="random_uniform", trainable=False)
        self.codebook = self.add_weight(shape=(num_codes, code_dim), **kept)
        self.sums = self.add_weight(shape=(num_codes, code_dim), **kept)
        self.counts = self.add_weight(shape=(num_codes,), initializer="ones", trainable=False)

    def call(self, z, training=None):
        flat, indices, codes = look_up(self.codebook, z)
        if training:
            chosen = tf.one_hot(indices, self.num_codes)
            found = tf.matmul(tf.stop_gradient(flat), chosen, transpose_a=True)
            self.counts.assign(self.decay * self.counts + (1 - self.decay) * tf.reduce_sum(chosen, 0))
            self.sums.assign(self.decay * self.sums + (1 - self.decay) * tf.transpose(found))
            self.codebook.assign(self.sums / (self.counts[:, None] + 1e-5))
        self.add_loss(0.25 * tf.reduce_mean((tf.stop_gradient(codes) - z) ** 2))
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


def r4() -> keras.Model:
    same = dict(padding="same", activation="elu")
    x = h = keras.Input((28, 28, 1))
    for channels, stride in ((32, 1), (32, 2), (64, 1), (64, 2)):
        h = layers.Conv2D(channels, 5, strides=stride, **same)(h)
    h = layers.Dense(4, activation="elu")(layers.Flatten()(h))
    h = EMAVectorQuantizer(64, 16)(layers.Dense(16)(h))
    h = layers.Conv2DTranspose(64, 7, activation="elu")(layers.Reshape((1, 1, 16))(h))
    for channels, stride in ((64, 1), (64, 2), (32, 1), (32, 2), (32, 1)):
        h = layers.Conv2DTranspose(channels, 5, strides=stride, **same)(h)
    return keras.Model(x, layers.Conv2D(1, 5, padding="same")(h))


def gated_prior() -> keras.Model:
    """R2's prior: 12 gated blocks of 32 channels, kernels cut to the half that is used."""

    def before(x, size, kind, axis):
        """What lies above (axis 0) or to the left (axis 1) of each place, with itself for kind B."""
        half, own = size // 2, int(kind == "B")
        pads = [(half, 0), (half, half)] if axis == 0 else [(0, 0), (half, 0)]
        x = layers.ZeroPadding2D(pads)(x)
        if not own:
            x = layers.Cropping2D([(0, 1), (0, 0)] if axis == 0 else [(0, 0), (0, 1)])(x)
        return layers.Conv2D(64, (half + own, size) if axis == 0 else (1, half + own))(x)

    def gate(x):
        signal, opened = keras.ops.split(x, 2, axis=-1)
        return keras.ops.tanh(signal) * keras.ops.sigmoid(opened)

    codes = keras.Input((7, 7), dtype="int32")
    down = right = keras.ops.one_hot(codes, 10)
    for i in range(12):
        size, kind = (7, "A") if i == 0 else (3, "B")
        above = before(down, size, kind, 0)
        out = layers.Conv2D(32, 1)(gate(before(right, size, kind, 1) + layers.Conv2D(64, 1)(above)))
        down, right = gate(above), out if i == 0 else out + right
    h = layers.Conv2D(32, 1, activation="relu")(layers.ReLU()(right))
    return keras.Model(codes, layers.Conv2D(10, 1)(h))


def ink(true, logits):
    return 784 * tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(true, logits))


def main(system: str, file: str, steps: int) -> None:
    from keras_prior import prior

    batch = BATCH.get(system, 128)
    x = np.load(file)[: steps * batch]
    if system.endswith("prior"):
        loss, metrics = keras.losses.SparseCategoricalCrossentropy(from_logits=True), ["accuracy"]
    else:
        x, metrics = x.astype("float32") / 255, []
        x = x - 0.5 if system == "R1" else x
        if system == "R3":
            x = np.pad(2 * x - 1, ((0, 0), (2, 2), (2, 2), (0, 0)), constant_values=-1.0)
        variance = float(x.var())
        loss = ink if system == "R4" else lambda true, found: tf.reduce_mean((true - found) ** 2) / variance
    model = {"R1": r1, "R3": r3, "R4": r4, "R1-prior": prior, "R2-prior": gated_prior}[system]()
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=loss, metrics=metrics)
    start = time.perf_counter()
    model.fit(x[:batch], x[:batch], batch_size=batch, verbose=0)
    first = time.perf_counter() - start
    model.fit(x[: 4 * batch], x[: 4 * batch], batch_size=batch, verbose=0)  # the data pipeline warms up as well
    start = time.perf_counter()
    model.fit(x, x, batch_size=batch, verbose=0)
    took = time.perf_counter() - start
    seen = {"ms": 1e3 * took / (len(x) // batch), "first_s": first, "parameters": model.count_params()}
    print(json.dumps(seen | {"versions": f"Keras {keras.__version__}, TensorFlow {tf.__version__}"}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
