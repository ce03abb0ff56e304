"""The table of the pairs."""

from __future__ import annotations

from functools import partial

from benchmarks.deep.pairs import attention, convolutional, data, dense, recurrent, text
from benchmarks.deep.pairs.pair import Pair, draw

MLP = {"draw": draw, "apply": dense.apply, "train_apply": dense.train_apply}
CNN = {"draw": draw, "apply": convolutional.apply, "train_apply": convolutional.train_apply}
TEXT_CNN = {"draw": draw, "apply": text.apply, "train_apply": text.train_apply, "shapes": text.shapes}
LSTM = {"draw": draw, "apply": recurrent.apply, "train_apply": recurrent.train_apply, "shapes": recurrent.shapes}
ENCODER = {"draw": draw, "apply": attention.apply, "train_apply": attention.train_apply, "shapes": attention.shapes}
STORIES = {
    "draw": draw,
    "apply": attention.story_apply,
    "train_apply": attention.story_train_apply,
    "shapes": attention.story_shapes,
}
SMALL_CNN = partial(convolutional.shapes, filters=(16, 32), hidden=128)

PAIRS: dict[str, Pair] = {
    pair.name: pair
    for pair in (
        Pair(
            name="mlp-mnist",
            number=1,
            data="mnist10k",
            kind="image",
            gate=0.955,
            reference="98.4 at 60 000 rows (800 hidden units, Simard et al. 2003)",
            parts=partial(data.pooled_images, "mnist10k", "t10k", n_report=2000),
            shapes=partial(dense.shapes, hidden=(256, 128)),
            **MLP,
            epochs=20,
            rate=1e-3,
            weight_decay=1e-3,
        ),
        Pair(
            name="cnn-fashion",
            number=3,
            data="fashion_mnist20k",
            kind="image",
            gate=0.88,
            reference="87.6 to 92.5, networks of two convolutions at 60 000 rows (the list of the data set)",
            parts=partial(data.images, "fashion_mnist20k"),
            shapes=SMALL_CNN,
            **CNN,
            epochs=8,
            rate=2e-3,
            weight_decay=1e-3,
        ),
        Pair(
            name="textcnn-trec",
            number=8,
            data="trec",
            kind="text",
            gate=0.84,
            reference="91.2, CNN-rand with 300 dimensions and 3 x 100 filters (Kim 2014)",
            parts=partial(data.sentences, "trec", length=20, n_report=1000),
            official=partial(data.sentences, "trec", length=20),
            **TEXT_CNN,
            epochs=12,
            rate=2e-3,
            weight_decay=1e-3,
        ),
        Pair(
            name="lstm-sst2",
            number=10,
            data="sst2",
            kind="text",
            gate=0.78,
            reference="82.7 with phrases, CNN-rand (Kim 2014); these rows are sentences only",
            parts=partial(data.sentences, "sst2", length=32),
            **LSTM,
            epochs=12,
            rate=3e-3,
            weight_decay=1e-3,
        ),
        Pair(
            name="lstm-trec",
            number=11,
            data="trec",
            kind="text",
            gate=0.85,
            reference="none with word vectors from scratch",
            parts=partial(data.sentences, "trec", length=20, n_report=1000),
            official=partial(data.sentences, "trec", length=20),
            **LSTM,
            epochs=12,
            rate=3e-3,
            weight_decay=1e-3,
        ),
        Pair(
            name="transformer-babi1",
            number=14,
            data="babi_qa01",
            kind="reasoning",
            gate=0.99,
            reference="99.9, memory network at 10 000 rows (Sukhbaatar et al. 2015)",
            parts=partial(data.stories, (1,), n_sentences=12, n_words=6),
            **STORIES,
            epochs=16,
            rate=2e-3,
            weight_decay=1e-3,
        ),
    )
}
