"""Write 1,000 held-out pictures as files of lesson 08's format, read them back, and hold them against other formats.

python benchmarks/picture_files.py [mnist]      # `VQTUTOR_DATA` names the folder that has MNIST
"""

import sys
import time
from collections import Counter

import jax
import numpy as np

import vqtutor
from vqtutor.models import coding

COUNT, BATCH, ALONE, MARGIN = 1000, 250, 100, 2e-5


def main(name: str) -> None:
    data = vqtutor.load_dataset(name)
    codec, (apply, weights) = vqtutor.trained_codec(data), vqtutor.trained_prior(data)
    pictures, labels = data.test_images[:COUNT], data.test_labels[:COUNT]
    run = jax.jit(lambda maps, told: apply(weights, maps, told))
    batches = [slice(start, start + BATCH) for start in range(0, COUNT, BATCH)]
    maps = codec.encode(pictures)
    model = coding.fingerprint(weights)
    prior_of = lambda at: lambda maps: run(maps, labels[at])  # noqa: E731
    logits = np.concatenate([prior_of(at)(maps[at]) for at in batches])  # which compiles

    start, clock = time.process_time(), time.perf_counter()
    files = [coding.save_maps(prior_of(at), maps[at], model) for at in batches]
    writing = time.process_time() - start, time.perf_counter() - clock
    start, clock = time.process_time(), time.perf_counter()
    read = [coding.load_maps(prior_of(at), file, model) for at, file in zip(batches, files, strict=True)]
    reading = time.process_time() - start, time.perf_counter() - clock
    exact = int(np.all(np.concatenate(read) == maps, axis=(1, 2)).sum())

    logs = np.asarray(jax.nn.log_softmax(logits))
    nats = float(-np.take_along_axis(logs, maps[..., None], axis=-1).mean())
    stream = sum(len(file) - coding.HEADER for file in files)
    rebuilt = np.clip(np.concatenate([codec.decode(maps[at]) for at in batches]), 0, 1)
    lost = np.mean((rebuilt - pictures / 255) ** 2) / np.var(data.train_images / 255)
    print(f"{data.title}: {exact} of {COUNT} maps came back exactly; distortion {lost:.4f}")
    print(f"the prior: {nats:.4f} nats a code, {49 * nats / np.log(2) / 8:.3f} bytes a picture")
    print(f"streams: {stream / COUNT:.3f} bytes a picture, {coding.overhead(stream, nats, maps.shape):+.2%}; ", end="")
    print(f"files of {BATCH}: {sum(map(len, files)) / COUNT:.3f}")
    single = [len(coding.save_maps(prior_of(slice(i, i + 1)), maps[i : i + 1], model)) for i in range(ALONE)]
    print(f"a file each: {np.mean(single):.1f} bytes (a label takes {np.log2(10) / 8:.2f} more, in any of them)")
    for what, (processor, wall) in (("written", writing), ("read", reading)):
        print(f"{what}: {1e3 * processor / COUNT:.1f} ms of processor a picture, {1e3 * wall / COUNT:.1f} on the clock")

    alone = np.concatenate([prior_of(slice(i, i + 1))(maps[i : i + 1]) for i in range(BATCH)])
    first = logits[:BATCH]
    unrounded = lambda x: np.round(2**24 * np.asarray(jax.nn.softmax(x), np.float64))  # noqa: E731
    shifts = np.array([coding.safe_shift(one, margin=MARGIN) for one in first])
    moved = lambda x: coding.frequencies(x + shifts[:, None, None, None] * coding.STEP / 16)  # noqa: E731
    print(f"logits of a batch of {BATCH}, and of single maps: {abs(alone - first).max():.1e} apart at most")
    for what, make in (("unrounded", unrounded), ("rounded", coding.frequencies), ("with a safe shift", moved)):
        astray = np.any(make(alone) != make(first), axis=(1, 2, 3))
        if make is moved:
            astray = astray[shifts >= 0]
        print(f"  maps that then go astray, {what}: {astray.sum()} of {len(astray)}")
    print("damaged:", dict(damaged(prior_of(slice(0, 8)), maps[:8], model)))

    measured = vqtutor.ledger.formats(data) + vqtutor.ledger.as_good_as(data, lost)
    for row in measured:
        print(f"{row['system']}: {row['bits'] / 8:.1f} bytes a picture, distortion {row['distortion']:.4f}")


def damaged(run: coding.Logits, maps: np.ndarray, model: int) -> Counter:
    """Count how a file ends whose bytes are changed or missing, each in turn."""
    file, ends = coding.save_maps(run, maps, model), Counter()
    changed = [file[:i] + bytes([file[i] ^ 4]) + file[i + 1 :] for i in range(len(file))]
    for one in changed + [file[:i] for i in range(len(file))]:
        try:
            ends["right" if np.array_equal(coding.load_maps(run, one, model), maps) else "silently wrong"] += 1
        except ValueError:
            ends["refused in a sentence"] += 1
    return ends


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "strokes")
