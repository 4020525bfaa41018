"""Lesson 01: the answers, as a student would write them."""

import haiku as hk
import jax
import jax.numpy as jnp


def squared_distances(z, codebook):
    """Return the squared distance from every vector z [N, D] to every code [K, D], as [N, K]."""
    # Write your answer below (three terms; keepdims=True helps one of them).
    ### BEGIN SOLUTION
    z_norms = jnp.sum(z**2, axis=1, keepdims=True)
    code_norms = jnp.sum(codebook**2, axis=1)
    return z_norms - 2 * z @ codebook.T + code_norms
    ### END SOLUTION


def nearest_code(z, codebook):
    """Return the index of the code nearest to each vector: [..., D] and [K, D] -> int32 [...]."""
    # Write your answer below. You have squared_distances for vectors [N, D].
    ### BEGIN SOLUTION
    flat = z.reshape(-1, z.shape[-1])
    indices = jnp.argmin(squared_distances(flat, codebook), axis=1)
    return indices.reshape(z.shape[:-1])
    ### END SOLUTION


def look_up(indices, codebook):
    """Return the codes that the indices name: int [...] and [K, D] -> [..., D]."""
    # Write your answer below (one line).
    ### BEGIN SOLUTION
    return codebook[indices]
    ### END SOLUTION


def straight_through(z_e, z_q):
    """Return z_q, but let gradients pass to z_e as if nothing had happened.

    Args:
      z_e: encoder output, [..., D].
      z_q: its nearest codes, [..., D].
    Returns: [..., D].
    """
    # Write your answer below (one line). You will need jax.lax.stop_gradient.
    ### BEGIN SOLUTION
    return z_e + jax.lax.stop_gradient(z_q - z_e)
    ### END SOLUTION


class VectorQuantizer(hk.Module):
    """A codebook learned by gradient."""

    def __init__(self, num_codes, code_dim):
        super().__init__()
        self.num_codes = num_codes
        self.code_dim = code_dim

    def __call__(self, z_e):
        """Quantize z_e [..., D]; return {"z_q": [..., D], "codes": [..., D], "indices": int32 [...]}."""
        # Write your answer below: get the codebook, then use your three functions.
        ### BEGIN SOLUTION
        init = hk.initializers.RandomUniform(-0.05, 0.05)
        codebook = hk.get_parameter("codebook", [self.num_codes, self.code_dim], init=init)
        indices = nearest_code(z_e, codebook)
        codes = look_up(indices, codebook)
        return {"z_q": straight_through(z_e, codes), "codes": codes, "indices": indices}
        ### END SOLUTION


def gradient_reach(layer, z_e, z_q):
    """Return whether a gradient of layer(z_e, z_q) reaches z_e, and whether one reaches z_q: two bools."""
    # Write your answer below. You will need jax.grad with argnums=(0, 1), of one number made from the output.
    ### BEGIN SOLUTION
    to_z_e, to_z_q = jax.grad(lambda z_e, z_q: jnp.sum(layer(z_e, z_q)), argnums=(0, 1))(z_e, z_q)
    return bool(jnp.any(to_z_e != 0)), bool(jnp.any(to_z_q != 0))
    ### END SOLUTION


def as_products(z, codebook):
    """Return (vectors [N, D + 1], rows [K, D + 1]): each vector's largest product is with its nearest code's row."""
    # Write your answer below.
    ### BEGIN SOLUTION
    halves = jnp.sum(codebook**2, axis=1, keepdims=True) / 2
    return jnp.pad(z, ((0, 0), (0, 1)), constant_values=1), jnp.concatenate([codebook, -halves], axis=1)
    ### END SOLUTION


def two_faced(shown, felt):
    """Return a function of x [...] with the values of shown(x) and the gradient of felt(x); both return [...]."""
    # Write your answer below.
    ### BEGIN SOLUTION
    return lambda x: felt(x) + jax.lax.stop_gradient(shown(x) - felt(x))
    ### END SOLUTION
