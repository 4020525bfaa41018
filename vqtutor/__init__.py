"""Learn vector-quantized autoencoders by building one."""
