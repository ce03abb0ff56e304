# ruff: noqa: D101, D102
"""The architectures of `benchmarks.deep.zoo` as one writes them in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

VOCABULARY, CLASSES = 1000, 10


class Peer(NamedTuple):
    """A network with what its user has to say to Torch-Pruning.

    ``last`` are the layers that make the outputs: they are left alone. ``heads`` are the layers that project to heads,
    with their number of heads; they are given only where hints are. ``after`` sets what the modules know of their sizes
    once they are pruned, from the pruner's record of the heads.
    """

    model: nn.Module
    example: Tensor
    last: tuple[nn.Module, ...]
    heads: dict[nn.Module, int] = {}  # noqa: RUF012
    after: Callable[[dict[nn.Module, int]], None] | None = None


def images(n: int, channels: int = 3) -> Tensor:
    return torch.randn(2, channels, n, n)


def ids() -> Tensor:
    return torch.randint(VOCABULARY, (2, 32))


# --- dense and convolutional ------------------------------------------------------------------------------------------


def mlp() -> Peer:
    layers = [module for n, m in pairwise((784, 512, 256, CLASSES)) for module in (nn.Linear(n, m), nn.ReLU())]
    return Peer(nn.Sequential(*layers[:-1]), torch.randn(2, 784), (layers[-2],))


def lenet() -> Peer:
    model = nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, CLASSES)),
    )
    return Peer(model, images(28, 1), (model[-1],))


def conv_norm(n: int, m: int, size: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(n, m, size, stride, size // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(m))


class Residual(nn.Module):
    """A block of ResNet: two convolutions, or three with a bottleneck."""

    def __init__(self, n: int, m: int, stride: int, bottleneck: bool, projected: bool) -> None:
        super().__init__()
        if bottleneck:
            self.layers = nn.Sequential(
                *(conv_norm(n, m // 4, 1), nn.ReLU(), conv_norm(m // 4, m // 4, 3, stride), nn.ReLU()),
                conv_norm(m // 4, m, 1),
            )
        else:
            self.layers = nn.Sequential(conv_norm(n, m, 3, stride), nn.ReLU(), conv_norm(m, m, 3))
        self.shortcut = conv_norm(n, m, 1, stride) if projected else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.layers(x) + self.shortcut(x))


def resnet(blocks: Sequence[int], widths: Sequence[int], bottleneck: bool) -> Peer:
    layers: list[nn.Module] = [conv_norm(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    n = 64
    for stage, (depth, m) in enumerate(zip(blocks, widths, strict=True)):
        for i in range(depth):
            layers.append(Residual(n, m, 2 if stage and not i else 1, bottleneck, n != m))
            n = m
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(n, CLASSES)]
    return Peer(nn.Sequential(*layers), images(64), (layers[-1],))


def vgg() -> Peer:
    layers: list[nn.Module] = []
    n = 3
    for m, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(depth):
            layers += [nn.Conv2d(n, m, 3, padding=1), nn.ReLU()]
            n = m
        layers.append(nn.MaxPool2d(2))
    layers += [nn.Flatten(), nn.Linear(512, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU()]
    layers.append(nn.Linear(4096, CLASSES))
    return Peer(nn.Sequential(*layers), images(32), (layers[-1],))


def mobilenet() -> Peer:
    layers: list[nn.Module] = [conv_norm(3, 32, 3, 2), nn.ReLU()]
    n = 32
    strides = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
    for m, stride in zip((64, 128, 128, 256, 256, *[512] * 6, 1024, 1024), strides, strict=True):
        layers += [conv_norm(n, n, 3, stride, groups=n), nn.ReLU(), conv_norm(n, m, 1), nn.ReLU()]
        n = m
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(n, CLASSES)]
    return Peer(nn.Sequential(*layers), images(64), (layers[-1],))


class Dense(nn.Module):
    """A layer of DenseNet: what it makes is put beside what it reads."""

    def __init__(self, n: int, growth: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.BatchNorm2d(n), nn.ReLU(), nn.Conv2d(n, 4 * growth, 1, bias=False)),
            *(nn.BatchNorm2d(4 * growth), nn.ReLU(), nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.layers(x)], 1)


def densenet() -> Peer:
    layers: list[nn.Module] = [conv_norm(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    n = 64
    for i, depth in enumerate((6, 12, 24, 16)):
        if i:
            layers += [nn.BatchNorm2d(n), nn.ReLU(), nn.Conv2d(n, n // 2, 1, bias=False), nn.AvgPool2d(2)]
            n //= 2
        for _ in range(depth):
            layers.append(Dense(n, 32))
            n += 32
    layers += [nn.BatchNorm2d(n), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(n, CLASSES)]
    return Peer(nn.Sequential(*layers), images(64), (layers[-1],))


def twice(n: int, m: int) -> nn.Sequential:
    layers = [[nn.Conv2d(k, m, 3, padding=1), nn.GroupNorm(8, m), nn.ReLU()] for k in (n, m)]
    return nn.Sequential(*layers[0], *layers[1])


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList([twice(3, 64), twice(64, 128)])
        self.middle = twice(128, 256)
        self.up = nn.ModuleList([nn.ConvTranspose2d(256, 128, 2, 2), nn.ConvTranspose2d(128, 64, 2, 2)])
        self.join = nn.ModuleList([twice(256, 128), twice(128, 64)])
        self.head = nn.Conv2d(64, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for block in self.down:
            skips.append(block(x))
            x = F.max_pool2d(skips[-1], 2)
        x = self.middle(x)
        for up, join in zip(self.up, self.join, strict=True):
            x = join(torch.cat([up(x), skips.pop()], 1))
        return self.head(x)


def unet() -> Peer:
    model = UNet()
    return Peer(model, images(32)[:1], (model.head,))


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of an image."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNeXtBlock(nn.Module):
    def __init__(self, n: int) -> None:
        super().__init__()
        self.deep = nn.Conv2d(n, n, 7, padding=3, groups=n)
        self.norm = nn.LayerNorm(n)
        self.up, self.down = nn.Linear(n, 4 * n), nn.Linear(4 * n, n)
        self.scale = nn.Parameter(torch.ones(n))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.deep(x).permute(0, 2, 3, 1))
        return x + (self.down(F.gelu(self.up(y))) * self.scale).permute(0, 3, 1, 2)


def convnext() -> Peer:
    layers: list[nn.Module] = [nn.Conv2d(3, 96, 4, 4), ChannelNorm(96)]
    n = 96
    for m, depth in ((96, 3), (192, 3), (384, 9), (768, 3)):
        if m != n:
            layers += [ChannelNorm(n), nn.Conv2d(n, m, 2, 2)]
            n = m
        layers += [ConvNeXtBlock(n) for _ in range(depth)]
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(n), nn.Linear(n, CLASSES)]
    return Peer(nn.Sequential(*layers), images(64), (layers[-1],))


# --- transformers -----------------------------------------------------------------------------------------------------


def hidden(n: int, m: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n, m), nn.GELU(), nn.Linear(m, n))


class EncoderBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(256), nn.LayerNorm(256)
        self.attention = nn.MultiheadAttention(256, 8, batch_first=True)
        self.hidden = hidden(256, 1024)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return x + self.hidden(self.norm2(x))


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, 256)
        self.positions = nn.Parameter(torch.randn(1, 32, 256))
        self.blocks = nn.Sequential(*(EncoderBlock() for _ in range(4)))
        self.norm, self.head = nn.LayerNorm(256), nn.Linear(256, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.blocks(self.embed(x) + self.positions)).mean(1))


def encoder() -> Peer:
    model = Encoder()
    return Peer(model, ids(), (model.head,))


class Attention(nn.Module):
    """Query, key and value from one layer; the sizes of heads are attributes, as is common."""

    def __init__(self, n: int, heads: int) -> None:
        super().__init__()
        self.heads, self.dims = heads, n // heads
        self.qkv, self.out = nn.Linear(n, 3 * n), nn.Linear(n, n)

    def bias(self) -> Tensor | None:
        return None

    def forward(self, x: Tensor) -> Tensor:
        n, length, _ = x.shape
        q, k, v = self.qkv(x).reshape(n, length, 3, self.heads, self.dims).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v, self.bias())
        return self.out(mixed.transpose(1, 2).reshape(n, length, -1))


def resize_heads(attentions: Sequence[Attention]) -> Callable[[dict[nn.Module, int]], None]:
    """Return what sets the attributes of attention layers after pruning."""

    def after(heads: dict[nn.Module, int]) -> None:
        for attention in attentions:
            attention.heads = heads[attention.qkv]
            attention.dims = attention.qkv.out_features // (3 * attention.heads)

    return after


class ViTBlock(nn.Module):
    def __init__(self, n: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(n), Attention(n, heads)
        self.norm2, self.hidden = nn.LayerNorm(n), hidden(n, 4 * n)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.hidden(self.norm2(x))


class ViT(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 192, 8, 8)
        self.token = nn.Parameter(torch.randn(1, 1, 192))
        self.positions = nn.Parameter(torch.randn(1, 17, 192))
        self.blocks = nn.Sequential(*(ViTBlock(192, 3) for _ in range(12)))
        self.norm, self.head = nn.LayerNorm(192), nn.Linear(192, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.positions
        return self.head(self.norm(self.blocks(x))[:, 0])


def vit() -> Peer:
    model = ViT()
    attentions = [block.attention for block in model.blocks]
    return Peer(model, images(32), (model.head,), {a.qkv: a.heads for a in attentions}, resize_heads(attentions))


class RMSNorm(nn.Module):
    def __init__(self, n: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(n))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * self.scale


def rotary(x: Tensor, base: float = 10000.0) -> Tensor:
    """Turn pairs of head dimensions; x: f[n, heads, positions, dims]."""
    positions, dims = x.shape[2], x.shape[3]
    angles = torch.arange(positions)[:, None] * base ** (-torch.arange(0, dims, 2) / dims)
    cos, sin = angles.cos(), angles.sin()
    left, right = x.chunk(2, -1)
    return torch.cat([left * cos - right * sin, right * cos + left * sin], -1)


class GroupedAttention(nn.Module):
    """Eight heads of queries on two of keys and values."""

    def __init__(self, n: int, heads: int, kv_heads: int) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.dims = heads, kv_heads, n // heads
        self.q, self.o = nn.Linear(n, n, bias=False), nn.Linear(n, n, bias=False)
        self.k, self.v = (nn.Linear(n, kv_heads * self.dims, bias=False) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        n, length, _ = x.shape
        q = self.q(x).view(n, length, self.heads, self.dims).transpose(1, 2)
        k, v = (f(x).view(n, length, self.kv_heads, self.dims).transpose(1, 2) for f in (self.k, self.v))
        q, k = rotary(q), rotary(k)
        k, v = (a.repeat_interleave(self.heads // self.kv_heads, 1) for a in (k, v))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o(mixed.transpose(1, 2).reshape(n, length, -1))


class DecoderBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.attention, self.norm2 = RMSNorm(256), GroupedAttention(256, 8, 2), RMSNorm(256)
        self.gate, self.up = nn.Linear(256, 688, bias=False), nn.Linear(256, 688, bias=False)
        self.down = nn.Linear(688, 256, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        y = self.norm2(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


class Decoder(nn.Module):
    """The embedding is used again for the outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, 256)
        self.blocks = nn.Sequential(*(DecoderBlock() for _ in range(4)))
        self.norm, self.head = RMSNorm(256), nn.Linear(256, VOCABULARY, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.blocks(self.embed(x))))


def decoder() -> Peer:
    model = Decoder()
    attentions = [block.attention for block in model.blocks]
    heads = {layer: n for a in attentions for layer, n in ((a.q, a.heads), (a.k, a.kv_heads), (a.v, a.kv_heads))}

    def after(left: dict[nn.Module, int]) -> None:
        for attention in attentions:
            attention.heads, attention.kv_heads = left[attention.q], left[attention.k]
            attention.dims = attention.q.out_features // attention.heads

    return Peer(model, ids(), (model.head,), heads, after)


class WindowAttention(Attention):
    """Attention in a window of 4 × 4, with a table of biases for distances."""

    def __init__(self, n: int, heads: int) -> None:
        super().__init__(n, heads)
        corners = torch.cartesian_prod(torch.arange(4), torch.arange(4))
        apart = corners[:, None] - corners + 3
        self.register_buffer("index", apart[..., 0] * 7 + apart[..., 1])
        self.table = nn.Parameter(torch.randn(49, heads))

    def bias(self) -> Tensor:
        return self.table[self.index].permute(2, 0, 1)[None]


class SwinBlock(nn.Module):
    def __init__(self, n: int, heads: int, shift: int) -> None:
        super().__init__()
        self.shift, self.attention, self.hidden = shift, WindowAttention(n, heads), hidden(n, 4 * n)
        self.norm1, self.norm2 = nn.LayerNorm(n), nn.LayerNorm(n)

    def forward(self, x: Tensor) -> Tensor:
        n, h, w, d = x.shape
        y = torch.roll(self.norm1(x), (-self.shift, -self.shift), (1, 2))
        y = y.reshape(n, h // 4, 4, w // 4, 4, d).permute(0, 1, 3, 2, 4, 5).reshape(-1, 16, d)
        y = self.attention(y).reshape(n, h // 4, w // 4, 4, 4, d).permute(0, 1, 3, 2, 4, 5).reshape(n, h, w, d)
        x = x + torch.roll(y, (self.shift, self.shift), (1, 2))
        return x + self.hidden(self.norm2(x))


class Swin(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 96, 2, 2)
        self.first = nn.Sequential(SwinBlock(96, 3, 0), SwinBlock(96, 3, 2))
        self.norm, self.merge = nn.LayerNorm(4 * 96), nn.Linear(4 * 96, 2 * 96, bias=False)
        self.second = nn.Sequential(SwinBlock(192, 6, 0), SwinBlock(192, 6, 2))
        self.last, self.head = nn.LayerNorm(192), nn.Linear(192, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(self.embed(x).permute(0, 2, 3, 1))
        x = torch.cat([x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)], -1)
        x = self.second(self.merge(self.norm(x)))
        return self.head(self.last(x).mean((1, 2)))


def swin() -> Peer:
    model = Swin()
    attentions = [block.attention for stage in (model.first, model.second) for block in stage]
    return Peer(model, images(32), (model.head,), {a.qkv: a.heads for a in attentions}, resize_heads(attentions))


# --- recurrent --------------------------------------------------------------------------------------------------------


class Recurrent(nn.Module):
    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers, self.head = layers, nn.Linear(128, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layers(x)[0][:, -1])


def recurrent(layers: nn.Module) -> Peer:
    model = Recurrent(layers)
    return Peer(model, torch.randn(2, 20, 32), (model.head,))


PEERS: dict[str, Callable[[], Any]] = {
    "MLP": mlp,
    "LeNet-5": lenet,
    "ResNet-18": lambda: resnet((2, 2, 2, 2), (64, 128, 256, 512), False),
    "ResNet-50": lambda: resnet((3, 4, 6, 3), (256, 512, 1024, 2048), True),
    "VGG-16": vgg,
    "MobileNet v1": mobilenet,
    "DenseNet-121": densenet,
    "U-Net, GroupNorm": unet,
    "ConvNeXt-T": convnext,
    "encoder": encoder,
    "ViT-Ti": vit,
    "decoder, grouped queries": decoder,
    "Swin": swin,
    "LSTM, 2 layers": lambda: recurrent(nn.LSTM(32, 128, 2, batch_first=True)),
    "GRU": lambda: recurrent(nn.GRU(32, 128, batch_first=True)),
}
