"""From vectors to codes and back (lesson 01): the nearest code, and a gradient through the choice of it."""

import haiku as hk
import jax
import jax.numpy as jnp
from jax import Array

_ROOM = 2**26  # distances held at a time: 256 MB in float32


def squared_distances(z: Array, codebook: Array) -> Array:
    """Return the squared Euclidean distance from every vector to every code.

    Expands |z - e|^2 = |z|^2 - 2 z.e + |e|^2, so the largest array made is [N, K], never [N, K, D].

    Args:
      z: vectors, [N, D].
      codebook: one code a row, [K, D].
    Returns: [N, K], in squared units of z.
    Raises:
      ValueError: z and codebook have different D.
    """
    if z.shape[-1] != codebook.shape[-1]:
        raise ValueError(
            f"z has vectors of {z.shape[-1]} numbers but the codes have {codebook.shape[-1]}: make D equal."
        )
    z_norms = jnp.sum(z**2, axis=1, keepdims=True)
    code_norms = jnp.sum(codebook**2, axis=1)
    return z_norms - 2 * z @ codebook.T + code_norms


def nearest_code(z: Array, codebook: Array) -> Array:
    """Return the index of the code nearest to each vector.

    Memory is bounded: where there are many vectors and codes, the codes are compared a block at a time.

    Args:
      z: vectors, [..., D].
      codebook: one code a row, [K, D].
    Returns: int32 [...]; the lowest index wins a tie.
    """
    flat = jax.lax.stop_gradient(z.reshape(-1, z.shape[-1]))  # a loop would keep what a gradient needs, and none is
    codebook = jax.lax.stop_gradient(codebook)
    size = max(1, _ROOM // max(1, len(flat)))

    def nearest(codes: Array) -> tuple[Array, Array]:
        distances = squared_distances(flat, codes)
        indices = jnp.argmin(distances, axis=1).astype(jnp.int32)
        return indices, jnp.take_along_axis(distances, indices[:, None], axis=1)[:, 0]

    def compare(best: tuple[Array, Array], block: tuple[Array, Array]) -> tuple[tuple[Array, Array], None]:
        (indices, distances), (first, codes) = best, block
        new, closer = nearest(codes)
        wins = (closer < distances) | (jnp.isnan(closer) & ~jnp.isnan(distances))  # as argmin does
        return (jnp.where(wins, first + new, indices), jnp.where(wins, closer, distances)), None

    best = nearest(codebook[:size])
    blocks, rest = divmod(max(0, len(codebook) - size), size)
    if blocks:
        firsts = size * jnp.arange(1, blocks + 1, dtype=jnp.int32)
        best, _ = jax.lax.scan(compare, best, (firsts, codebook[size : -rest or None].reshape(blocks, size, -1)))
    if rest:
        best, _ = compare(best, (len(codebook) - rest, codebook[-rest:]))
    return best[0].reshape(z.shape[:-1])


def look_up(indices: Array, codebook: Array) -> Array:
    """Return the code of each index: ints [...] and [K, D] -> [..., D]."""
    return jnp.take(codebook, indices, axis=0)


def straight_through(z_e: Array, z_q: Array) -> Array:
    """Return z_q, but let gradients pass to z_e unchanged.

    The straight-through estimator of Bengio et al. (2013), as used for codes by van den Oord et al. (2017).

    Args:
      z_e: encoder output, [..., D].
      z_q: its nearest codes, [..., D].
    Returns: [..., D]; its derivative is the identity towards z_e and zero towards z_q.
    """
    return z_e + jax.lax.stop_gradient(z_q - z_e)


class VectorQuantizer(hk.Module):
    """A codebook learned by gradient (van den Oord et al., "Neural Discrete Representation Learning", 2017).

    Args:
      num_codes: K, rows in the codebook.
      code_dim: D, numbers in a code.
    """

    def __init__(self, num_codes: int, code_dim: int, name: str | None = None):
        super().__init__(name=name)
        self.num_codes = num_codes
        self.code_dim = code_dim

    def __call__(self, z_e: Array) -> dict[str, Array]:
        """Quantize z_e [..., D]: {"z_q": [..., D] straight-through, "codes": [..., D] rows, "indices": int32 [...]}.

        Use `codes` in losses: its gradient reaches the codebook. Decode `z_q`: its gradient reaches z_e.
        """
        codebook = hk.get_parameter(
            "codebook", [self.num_codes, self.code_dim], z_e.dtype, init=hk.initializers.RandomUniform(-0.05, 0.05)
        )
        indices = nearest_code(z_e, codebook)
        codes = look_up(indices, codebook)
        return {"z_q": straight_through(z_e, codes), "codes": codes, "indices": indices}
