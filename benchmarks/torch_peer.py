"""The PyTorch contenders, run by speed.py with an interpreter that has PyTorch and need not have vqtutor.

python torch_peer.py SYSTEM data.npy steps [compiled]  ->  one line of JSON
"""

import json
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

BATCH = {"R3": 64, "R4": 64}  # of the others: 128


class VectorQuantizer(nn.Module):
    """A codebook with its losses, learned by gradient or as moving averages, as a PyTorch user would write it."""

    def __init__(self, num_codes: int, code_dim: int, decay: float | None = None):
        super().__init__()
        self.decay, start = decay, torch.empty(num_codes, code_dim).uniform_(-0.05, 0.05)
        self.codebook = nn.Parameter(start, requires_grad=decay is None)
        if decay is not None:
            self.register_buffer("sums", start.clone())
            self.register_buffer("counts", torch.ones(num_codes))

    def forward(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """[B, D, H, W] -> the same, and the loss."""
        last = z.permute(0, 2, 3, 1)
        flat = last.reshape(-1, last.shape[-1])
        indices = ((self.codebook**2).sum(1) - 2 * flat @ self.codebook.T).argmin(1)
        codes = F.embedding(indices, self.codebook)
        loss = 0.25 * F.mse_loss(flat, codes.detach())
        if self.decay is None:
            loss = loss + F.mse_loss(codes, flat.detach())
        else:
            with torch.no_grad():
                chosen = F.one_hot(indices, len(self.codebook)).to(flat.dtype)
                self.counts.mul_(self.decay).add_(chosen.sum(0), alpha=1 - self.decay)
                self.sums.mul_(self.decay).add_(chosen.T @ flat, alpha=1 - self.decay)
                self.codebook.copy_(self.sums / (self.counts[:, None] + 1e-5))
        quantized = (flat + (codes - flat).detach()).reshape(last.shape).permute(0, 3, 1, 2)
        return quantized, loss


class Autoencoder(nn.Module):
    def __init__(self, encoder: nn.Module, quantizer: VectorQuantizer, decoder: nn.Module):
        super().__init__()
        self.encoder, self.quantizer, self.decoder = encoder, quantizer, decoder

    def forward(self, x):
        quantized, loss = self.quantizer(self.encoder(x))
        return self.decoder(quantized), loss


def down(before: int, after: int, size: int, padding: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, size, 2, padding)


def up(before: int, after: int, size: int, padding: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(before, after, size, 2, padding, output_padding=size % 2)


def r1() -> nn.Module:
    encoder = nn.Sequential(down(1, 32, 3, 1), nn.ReLU(), down(32, 64, 3, 1), nn.ReLU(), nn.Conv2d(64, 16, 1))
    decoder = nn.Sequential(
        up(16, 64, 3, 1), nn.ReLU(), up(64, 32, 3, 1), nn.ReLU(), nn.ConvTranspose2d(32, 1, 3, 1, 1)
    )
    return Autoencoder(encoder, VectorQuantizer(128, 16), decoder)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Conv2d(64, 32, 3, 1, 1), nn.Conv2d(32, 64, 1)

    def forward(self, x):
        return x + self.outer(F.relu(self.inner(F.relu(x))))


def r3() -> nn.Module:
    stack = lambda: (Residual(), Residual(), nn.ReLU())  # noqa: E731
    wide = [layer for ends in ((1, 32), (32, 64), (64, 64)) for layer in (down(*ends, 4, 1), nn.ReLU())]
    encoder = nn.Sequential(*wide, *stack(), nn.Conv2d(64, 32, 1))
    decoder = nn.Sequential(up(32, 64, 4, 1), *stack(), up(64, 32, 4, 1), nn.ReLU(), up(32, 1, 4, 1))
    return Autoencoder(encoder, VectorQuantizer(16, 32), decoder)


def r4() -> nn.Module:
    same = lambda *ends: nn.Conv2d(*ends, 5, 1, 2)  # noqa: E731
    back = lambda *ends: nn.ConvTranspose2d(*ends, 5, 1, 2)  # noqa: E731
    narrow = (same(1, 32), down(32, 32, 5, 2), same(32, 64), down(64, 64, 5, 2))
    narrow = [layer for conv in narrow for layer in (conv, nn.ELU())]
    encoder = nn.Sequential(
        *narrow, nn.Flatten(), nn.Linear(3136, 4), nn.ELU(), nn.Linear(4, 16), nn.Unflatten(1, (16, 1, 1))
    )
    wide = (nn.ConvTranspose2d(16, 64, 7), back(64, 64), up(64, 64, 5, 2), back(64, 32), up(32, 32, 5, 2), back(32, 32))
    decoder = nn.Sequential(*[layer for conv in wide for layer in (conv, nn.ELU())], same(32, 1))
    return Autoencoder(encoder, VectorQuantizer(64, 16, decay=0.99), decoder)


class MaskedConv(nn.Conv2d):
    """A convolution whose kernel is masked at every use."""

    def __init__(self, before: int, after: int, size: int, kind: str):
        super().__init__(before, after, size, padding=size // 2)
        order = torch.arange(size * size).reshape(size, size)
        self.register_buffer("mask", (order < size * size // 2 + (kind == "B")).float())

    def forward(self, x):
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.narrow, self.masked, self.widen = (
            nn.Conv2d(128, 128, 1),
            MaskedConv(128, 64, 3, "B"),
            nn.Conv2d(64, 128, 1),
        )

    def forward(self, x):
        return x + F.relu(self.widen(F.relu(self.masked(F.relu(self.narrow(x))))))


class Prior(nn.Module):
    def __init__(self):
        super().__init__()
        layers = [layer for _ in range(2) for layer in (nn.Conv2d(128, 128, 1), nn.ReLU())]
        self.layers = nn.Sequential(
            MaskedConv(128, 128, 7, "A"), nn.ReLU(), Block(), Block(), *layers, nn.Conv2d(128, 128, 1)
        )

    def forward(self, codes):
        return self.layers(F.one_hot(codes, 128).permute(0, 3, 1, 2).float())


class GatedBlock(nn.Module):
    """A gated block, kernels cut to the half that is used."""

    def __init__(self, channels: int, size: int, kind: str):
        super().__init__()
        self.half, self.own = size // 2, int(kind == "B")
        self.above = nn.Conv2d(channels, 64, (self.half + self.own, size))
        self.left = nn.Conv2d(channels, 64, (1, self.half + self.own))
        self.across, self.out = nn.Conv2d(64, 64, 1), nn.Conv2d(32, 32, 1)

    def forward(self, vertical, horizontal):
        half = self.half
        height, width = vertical.shape[2:]
        above = self.above(F.pad(vertical, (half, half, half, 0))[:, :, : height + half + self.own - 1])
        left = self.left(F.pad(horizontal, (half, 0))[..., : width + half + self.own - 1])
        gate = lambda x: torch.tanh(x[:, :32]) * torch.sigmoid(x[:, 32:])  # noqa: E731
        out = self.out(gate(left + self.across(above)))
        return gate(above), out + horizontal if self.own else out


class GatedPrior(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([GatedBlock(10, 7, "A"), *(GatedBlock(32, 3, "B") for _ in range(11))])
        self.read_out = nn.Sequential(nn.ReLU(), nn.Conv2d(32, 32, 1), nn.ReLU(), nn.Conv2d(32, 10, 1))

    def forward(self, codes):
        vertical = horizontal = F.one_hot(codes, 10).permute(0, 3, 1, 2).float()
        for block in self.blocks:
            vertical, horizontal = block(vertical, horizontal)
        return self.read_out(horizontal)


def main(system: str, file: str, steps: int, is_compiled: bool) -> None:
    batch = BATCH.get(system, 128)
    x = np.load(file)[: steps * batch]
    if system.endswith("prior"):
        x = torch.from_numpy(x.astype("int64"))
    else:
        x = torch.from_numpy(x.astype("float32").transpose(0, 3, 1, 2) / 255)
        x = x - 0.5 if system == "R1" else F.pad(2 * x - 1, (2, 2, 2, 2), value=-1.0) if system == "R3" else x
    variance = float(x.float().var())
    model = {"R1": r1, "R3": r3, "R4": r4, "R1-prior": Prior, "R2-prior": GatedPrior}[system]()
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 1e-3)

    def loss_of(x):
        if system.endswith("prior"):
            logits = model(x)
            return F.cross_entropy(logits, x), (logits.argmax(1) == x).float().mean()
        found, loss = model(x)
        if system == "R4":
            return 784 * F.binary_cross_entropy_with_logits(found, x) + loss, loss
        reconstruction = F.mse_loss(found, x) / variance
        return reconstruction + loss, reconstruction

    loss_of = torch.compile(loss_of) if is_compiled else loss_of

    def train(x):
        shown = 0.0
        for rows in torch.randperm(len(x)).split(batch):
            optimizer.zero_grad()
            loss, metric = loss_of(x[rows])
            loss.backward()
            optimizer.step()
            shown += loss.item() + metric.item()  # both are shown, as in the other contenders
        return shown

    start = time.perf_counter()
    train(x[:batch])
    first = time.perf_counter() - start
    train(x[: 4 * batch])
    start = time.perf_counter()
    train(x)
    seen = {"ms": 1e3 * (time.perf_counter() - start) / (len(x) // batch), "first_s": first}
    seen["parameters"] = sum(p.numel() for p in model.parameters()) + sum(
        b.numel() for name, b in model.named_buffers() if "mask" not in name
    )
    print(json.dumps(seen | {"versions": f"PyTorch {torch.__version__.split('+')[0]}"}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), "compiled" in sys.argv)
