"""Train R1's autoencoder in Keras as published, and keep its code maps, for a prior to be compared on the same codes.

    python keras_codes.py train.npy test.npy codes.npz [epochs]

Runs with an interpreter that has TensorFlow and need not have vqtutor; the images are uint8 [N, 28, 28, 1].
`reproduce.py R1-prior --codes codes.npz` then trains our prior on them.
"""

import json
import sys

import keras
import numpy as np
import tensorflow as tf
from keras_peer import VectorQuantizer, r1


def main(train: str, test: str, out: str, epochs: str = "30") -> None:
    train, test = (np.load(file).astype("float32") / 255 - 0.5 for file in (train, test))
    variance = float((train.astype("float64") ** 2).mean() - train.astype("float64").mean() ** 2)
    model = r1()
    mse = lambda true, found: tf.reduce_mean((true - found) ** 2) / variance  # noqa: E731
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=mse, metrics=[mse])
    history = model.fit(train, train, batch_size=128, epochs=int(epochs), verbose=2).history
    at = next(i for i, layer in enumerate(model.layers) if isinstance(layer, VectorQuantizer))
    encoder, codebook = keras.Model(model.input, model.layers[at - 1].output), model.layers[at].codebook.numpy()

    def indices(images):
        flat = encoder.predict(images, batch_size=500, verbose=0).reshape(-1, codebook.shape[1])
        nearest = [np.argmin((codebook**2).sum(1) - 2 * part @ codebook.T, 1) for part in np.array_split(flat, 100)]
        return np.concatenate(nearest).reshape(len(images), 7, 7).astype(np.int32)

    codes = {"train": indices(train), "test": indices(test)}
    np.savez_compressed(out, **codes)
    usage = np.bincount(codes["train"].ravel(), minlength=len(codebook)) / codes["train"].size
    usage = usage[usage > 0]
    figures = {name: values[-1] for name, values in history.items()}
    print(
        json.dumps({**figures, "perplexity": float(np.exp(-(usage * np.log(usage)).sum())), "codes_used": usage.size})
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
