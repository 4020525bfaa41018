"""The reference answers, one idea a file, in lesson order: pure JAX and Haiku."""
