"""The table of the pairs.

References are published accuracies of networks of the same kind, on all rows of the full set, in per cent; these sets
have fewer rows, and the gates say what is enough here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from benchmarks.deep.pairs import attention, convolutional, data, dense, memory, recurrent, text, wide
from benchmarks.deep.pairs.pair import Pair, draw


class Architecture(NamedTuple):
    """The functions of a network."""

    shapes: Callable[..., Any]
    apply: Callable[..., Any]
    train_apply: Callable[..., Any]


MLP = Architecture(dense.shapes, dense.apply, dense.train_apply)
CNN = Architecture(convolutional.shapes, convolutional.apply, convolutional.train_apply)
MOVED_CNN = Architecture(convolutional.shapes, convolutional.apply, convolutional.train_apply_moved)
TEXT_CNN = Architecture(text.shapes, text.apply, text.train_apply)
ROLLED_CNN = Architecture(convolutional.shapes, convolutional.apply, convolutional.train_apply_rolled)
LSTM = Architecture(recurrent.shapes, recurrent.apply, recurrent.train_apply)
GRU = Architecture(recurrent.gru_shapes, recurrent.gru_apply, recurrent.gru_train_apply)
ENCODER = Architecture(attention.shapes, attention.apply, attention.train_apply)
STORIES = Architecture(attention.story_shapes, attention.story_apply, attention.story_train_apply)
SUMS = Architecture(attention.sum_shapes, attention.sum_apply, attention.sum_train_apply)
MEMORY = Architecture(memory.shapes, memory.apply, memory.train_apply)
WIDE = Architecture(wide.shapes, wide.apply, wide.train_apply)

SMALL = {"filters": (16, 32), "hidden": 128}
TASKS = (1, 2, 5, 6, 7, 9, 10, 11, 12, 13, 15, 18)


def _pair(name: str, number: int, of: Architecture, sizes: dict[str, Any] | None = None, **fields: Any) -> Pair:
    """Return a pair, trained with a weight decay of 0.001 where nothing else is said."""
    shapes = partial(of.shapes, **sizes) if sizes else of.shapes
    functions = {"draw": draw, "shapes": shapes, "apply": of.apply, "train_apply": of.train_apply}
    return Pair(name=name, number=number, **functions, **{"weight_decay": 1e-3, **fields})


IMAGES = (
    _pair(
        *("mlp-mnist", 1, MLP, {"hidden": (256, 128)}),
        data="mnist10k",
        kind="image",
        gate=0.955,
        reference="98.4 at 60 000 rows, 800 hidden units (Simard et al. 2003)",
        parts=partial(data.pooled_images, "mnist10k", "t10k", n_report=2000),
        epochs=20,
        rate=1e-3,
    ),
    _pair(
        *("cnn-mnist", 2, CNN, SMALL),
        data="mnist10k",
        kind="image",
        gate=0.975,
        reference="99.1 at 60 000 rows, LeNet-5 (LeCun et al. 1998)",
        parts=partial(data.pooled_images, "mnist10k", "t10k", n_report=2000),
        epochs=8,
        rate=2e-3,
    ),
    _pair(
        *("cnn-fashion", 3, CNN, SMALL),
        data="fashion_mnist20k",
        kind="image",
        gate=0.88,
        reference="87.6 to 92.5 at 60 000 rows, networks of two convolutions (the list of the data set)",
        parts=partial(data.images, "fashion_mnist20k"),
        epochs=8,
        rate=2e-3,
    ),
    _pair(
        *("cnn-usps", 4, CNN, SMALL),
        data="usps",
        kind="image",
        gate=0.95,
        reference="95.8, LeNet; 97.5, people",
        parts=partial(data.images, "usps"),
        epochs=8,
        rate=2e-3,
    ),
    _pair(
        *("cnn-cifar", 5, MOVED_CNN, {"filters": (32, 64, 64), "hidden": 128}),
        data="cifar10_4k",
        kind="image",
        gate=0.5,
        reference="about 50 to 55 at 3 000 rows; 81 at 50 000 rows",
        parts=partial(data.images, "cifar10_4k", guard=250),
        epochs=40,
        rate=2e-3,
    ),
    _pair(
        *("cnn-mnist1d", 6, ROLLED_CNN, {"filters": (32, 32, 32), "hidden": None, "windows": ((1, 5), (1, 3), (1, 3))}),
        data="mnist1d",
        kind="image",
        gate=0.95,
        reference="94, CNN; 91, GRU; 68, MLP; 32, logistic regression (Greydanus & Kobak 2020)",
        parts=data.signals,
        epochs=60,
        rate=5e-3,
    ),
    _pair(
        *("gru-mnist1d", 7, GRU, {"units": 48}),
        data="mnist1d",
        kind="image",
        gate=0.85,
        reference="91, GRU (Greydanus & Kobak 2020)",
        parts=data.signals,
        epochs=60,
        rate=5e-3,
    ),
    _pair(
        *("wide-usps", 21, WIDE),
        data="usps",
        kind="image",
        gate=0.95,
        reference="as of cnn-usps; ten thousand units, on which units are ranked and no more",
        parts=partial(data.images, "usps"),
        epochs=4,
        rate=1e-3,
        ranked=False,
    ),
)

TEXTS = (
    _pair(
        *("textcnn-trec", 8, TEXT_CNN),
        data="trec",
        kind="text",
        gate=0.84,
        reference="91.2, CNN-rand with 300 dimensions and 3 x 100 filters (Kim 2014)",
        parts=partial(data.sentences, "trec", length=20, n_report=1000),
        official=partial(data.sentences, "trec", length=20),
        epochs=12,
        rate=2e-3,
    ),
    _pair(
        *("textcnn-subj", 9, TEXT_CNN),
        data="subj",
        kind="text",
        gate=0.89,
        reference="89.6, CNN-rand (Kim 2014)",
        parts=partial(data.sentences, "subj", length=40, n_report=2000),
        epochs=8,
        rate=2e-3,
    ),
    _pair(
        *("lstm-sst2", 10, LSTM),
        data="sst2",
        kind="text",
        gate=0.78,
        reference="82.7 with phrases, CNN-rand (Kim 2014); here sentences alone",
        parts=partial(data.sentences, "sst2", length=32),
        epochs=8,
        rate=3e-3,
    ),
    _pair(
        *("lstm-trec", 11, LSTM),
        data="trec",
        kind="text",
        gate=0.85,
        reference="none with word vectors from scratch",
        parts=partial(data.sentences, "trec", length=20, n_report=1000),
        official=partial(data.sentences, "trec", length=20),
        epochs=12,
        rate=3e-3,
    ),
    _pair(
        *("transformer-subj", 12, ENCODER),
        data="subj",
        kind="text",
        gate=0.86,
        reference="as of textcnn-subj",
        parts=partial(data.sentences, "subj", length=40, n_report=2000),
        epochs=8,
        rate=2e-3,
    ),
    _pair(
        *("textcnn-banking77", 13, TEXT_CNN),
        data="banking77",
        kind="text",
        gate=0.8,
        reference="93.4, encoders that were trained before (Casanueva et al. 2020)",
        parts=partial(data.sentences, "banking77", length=24),
        epochs=16,
        rate=3e-3,
    ),
    _pair(
        *("mlp-reuters", 19, MLP, {"hidden": (512, 128)}),
        data="reuters_r8",
        kind="text",
        gate=0.92,
        reference="94.0, CNN-rand; 93.7, LSTM (Yao et al. 2019)",
        parts=partial(data.bags_of_words, "reuters_r8", n_words=2000),
        epochs=8,
        rate=1e-3,
    ),
    _pair(
        *("textcnn-reuters", 20, TEXT_CNN),
        data="reuters_r8",
        kind="text",
        gate=0.92,
        reference="94.0, CNN-rand; 93.7, LSTM (Yao et al. 2019)",
        parts=partial(data.sentences, "reuters_r8", length=80),
        epochs=6,
        rate=2e-3,
    ),
)

REASONING = (
    _pair(
        *("transformer-babi1", 14, STORIES),
        data="babi_qa01",
        kind="reasoning",
        gate=0.99,
        reference="99.9 at 10 000 rows, memory network (Sukhbaatar et al. 2015)",
        parts=partial(data.stories, (1,), n_sentences=12, n_words=6),
        epochs=16,
        rate=2e-3,
    ),
    _pair(
        *("memory-babi12", 15, MEMORY),
        data="babi",
        kind="reasoning",
        gate=0.85,
        reference="95.8 on all twenty tasks at 10 000 rows each, memory network (Sukhbaatar et al. 2015)",
        parts=partial(data.stories, TASKS, n_sentences=20, n_words=9),
        epochs=8,
        rate=3e-3,
    ),
    _pair(
        *("transformer-listops", 16, ENCODER),
        data="listops",
        kind="reasoning",
        gate=0.45,
        reference="71 to 74, LSTM; 98.7, tree LSTM, at 90 000 rows (Nangia & Bowman 2018)",
        parts=partial(data.list_operations, length=40, n_report=1500),
        epochs=12,
        rate=2e-3,
    ),
    _pair(
        *("transformer-sums", 17, SUMS, {"width": 128, "heads": 4, "hidden": 512, "blocks": 1}),
        data="sums modulo 97",
        kind="reasoning",
        gate=0.95,
        reference="100, long after the training rows are learned (Power et al. 2022)",
        parts=data.sums,
        epochs=300,
        rate=2e-3,
        weight_decay=1.0,
        batch_size=256,
    ),
    _pair(
        *("lstm-scan", 18, LSTM),
        data="scan",
        kind="reasoning",
        gate=0.95,
        reference="none: the number of actions of a command as the class",
        parts=partial(data.commands, length=9),
        epochs=12,
        rate=3e-3,
    ),
)

PAIRS: dict[str, Pair] = {pair.name: pair for pair in sorted((*IMAGES, *TEXTS, *REASONING), key=lambda p: p.number)}
