"""`fit` on several devices and in several processes: the numbers of one device, to rounding."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

# A small convolutional network with an EMA codebook, whose dead codes are restarted.
SCRIPT = """
import json, sys
import jax

steps, batch_size, checkpoint, port, rank = sys.argv[1:]
if port != "-":
    jax.distributed.initialize(f"127.0.0.1:{port}", num_processes=2, process_id=int(rank))

import haiku as hk
import jax.numpy as jnp
import numpy as np
import optax
from vqtutor import Conv2D, fit
from vqtutor.models import ema

images = np.random.default_rng(0).normal(size=(320, 6, 6, 1)).astype(np.float32)

def forward(x, training):
    z_e = Conv2D(3, 3, stride=2)(x)
    out = ema.EMAVectorQuantizer(16, 3, decay=0.9)(z_e, training)
    return hk.Linear(36)(hk.Flatten()(out["z_q"])).reshape(x.shape), z_e, out["codes"]

network = hk.without_apply_rng(hk.transform_with_state(forward))
optimizer = optax.adam(1e-2)

def step(params, state, opt_state, key, x):
    def loss(params):
        (x_hat, z_e, codes), after = network.apply(params, state, x, True)
        commitment = jnp.mean((z_e - jax.lax.stop_gradient(codes)) ** 2)
        return jnp.mean((x - x_hat) ** 2) + commitment, (after, z_e)

    (loss, (state, z_e)), gradient = jax.value_and_grad(loss, has_aux=True)(params)
    updates, opt_state = optimizer.update(gradient, opt_state)
    key, now = jax.random.split(key)
    ((name, own),) = state.items()
    counts, sums, codebook = ema.restart_dead_codes(now, *(own[n] for n in ("counts", "sums", "codebook")), z_e, 3.0)
    state = {name: {"counts": counts, "sums": sums, "codebook": codebook}}
    return optax.apply_updates(params, updates), state, opt_state, key, {"loss": loss, "kept": jnp.sum(counts > 1)}

params, state = network.init(jax.random.key(0), images[:1], True)
start = params, state, optimizer.init(params), jax.random.key(1)
run = fit(step, start, images, steps=int(steps), batch_size=int(batch_size), progress=False,
          checkpoint=None if checkpoint == "-" else checkpoint)
once_more = network.apply(*run.state[:2], images[:8], False)[0][0]  # the result can be used as it is
print(json.dumps({
    "devices": jax.device_count(),
    "loss": run.history["loss"].tolist(),
    "kept": run.history["kept"].tolist(),
    "codebook": np.asarray(run.state[1]["ema_vector_quantizer"]["codebook"]).ravel().tolist(),
    "x_hat": np.asarray(once_more).ravel().tolist(),
}))
"""


def start(steps, batch_size=32, checkpoint="-", port="-", rank=0, devices=1):
    environment = os.environ | {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
    environment["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
    command = [sys.executable, "-c", SCRIPT, *map(str, (steps, batch_size, checkpoint, port, rank))]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def result(process):
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors[-2000:]
    return json.loads(out.splitlines()[-1]), out


def same(one, other):
    assert one["kept"] == other["kept"] and len(one["loss"]) == len(other["loss"])
    for name in ("loss", "codebook", "x_hat"):
        assert np.allclose(one[name], other[name], rtol=1e-3, atol=1e-4), name


@pytest.mark.proof
def test_eight_devices_two_processes_and_one_device_train_alike(tmp_path: Path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    single, _ = result(start(30))
    assert single["devices"] == 1 and min(single["kept"]) < max(single["kept"]) <= 16  # some are restarted
    assert np.mean(single["loss"][-5:]) < 0.9 * single["loss"][0]

    eight, _ = result(start(30, devices=8))
    assert eight["devices"] == 8
    same(eight, single)

    both = [start(15, checkpoint=tmp_path / "two.npz", port=port, rank=rank) for rank in range(2)]
    first, second = (result(process)[0] for process in both)
    assert first["devices"] == 2 and first == second
    same(first, {name: value[:15] if name in ("loss", "kept") else first[name] for name, value in single.items()})
    resumed, _ = result(start(30, checkpoint=tmp_path / "two.npz"))  # on one device, what two processes began
    same(resumed, single)


def test_a_batch_that_does_not_divide_gets_a_sentence():
    run, out = result(start(3, batch_size=20, devices=8))
    assert re.search(r"uses 5 of 8 devices, because 8 does not divide 20: take a batch_size that 8 divides\.", out)
    assert np.all(np.isfinite(run["loss"]))
