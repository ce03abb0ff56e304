"""Networks that others wrote and packages ship: widths as published, images of 32 to 96 pixels, random values."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.deep.networks import (
    Entry,
    Network,
    from_equinox,
    from_haiku,
    from_keras,
    from_linen,
    from_nnx,
    from_stateful_equinox,
    shape,
    tokens,
)

CLASSES = 10
IMAGE, CHANNELS_FIRST = shape(2, 64, 64, 3), shape(2, 3, 64, 64)


# --- dm-haiku ---------------------------------------------------------------------------------------------------------


def haiku(kind: str, **options: Any) -> Network:
    """A network of `haiku.nets`."""
    import haiku as hk

    make = getattr(hk.nets, kind)
    return from_haiku(lambda training, x: make(num_classes=CLASSES, **options)(x, training), IMAGE)


# --- flaxmodels -------------------------------------------------------------------------------------------------------


def flaxmodels_resnet() -> Network:
    import flaxmodels

    module = flaxmodels.ResNet18(output="logits", pretrained=None, num_classes=CLASSES)
    return from_linen(module, IMAGE, train=False)


def flaxmodels_vgg() -> Network:
    """Without its dense layers, which want images of 224 pixels."""
    import flaxmodels

    module = flaxmodels.VGG16(output="activations", pretrained=None, include_head=False)
    network = from_linen(module, shape(2, 32, 32, 3), train=False)
    return network._replace(apply=lambda params, x: network.apply(params, x)["relu5_3"])


def flaxmodels_gpt2() -> Network:
    """Four blocks of the smallest published one; its output is the stream (its model with a head fails when made)."""
    from flaxmodels.gpt2.gpt2 import GPT2Model

    config = SimpleNamespace(
        **{"vocab_size": 1000, "n_positions": 64, "n_ctx": 64, "n_embd": 768, "n_layer": 4, "n_head": 12},
        **{"embd_pdrop": 0.0, "attn_pdrop": 0.0, "resid_pdrop": 0.0, "layer_norm_epsilon": 1e-5},
        **{"activation_function": "gelu_new", "initializer_range": 0.02, "n_inner": None, "scale_attn_weights": True},
    )
    network = from_linen(GPT2Model(config=config), tokens(1, 16))
    return network._replace(apply=lambda params, x: network.apply(params, x)["last_hidden_state"])


# --- equimo, jaxonmodels ----------------------------------------------------------------------------------------------


def equimo(module: str, kind: str, example: Any = CHANNELS_FIRST, **options: Any) -> Network:
    """A model of `equimo.models`, without dropout."""
    make = getattr(importlib.import_module(f"equimo.models.{module}"), kind)
    return from_equinox(
        lambda: make(in_channels=3, num_classes=CLASSES, key=jax.random.PRNGKey(0), **options),
        lambda model, x: model(x, jax.random.PRNGKey(0), inference=True),
        example,
    )


def equimo_vit() -> Network:
    options = {"img_size": 32, "dim": 192, "patch_size": 8, "num_heads": [3], "depths": [12], "reg_tokens": 0}
    return equimo("vit", "VisionTransformer", shape(2, 3, 32, 32), **options)


def jaxonmodels_vit() -> Network:
    from jaxonmodels.models.vit import VisionTransformer

    return from_equinox(
        lambda: VisionTransformer(32, 8, 192, 6, 3, CLASSES, key=jax.random.key(0), dtype=jnp.float32),
        lambda model, x: model(x, inference=True),
        shape(2, 3, 32, 32),
    )


def jaxonmodels_mamba() -> Network:
    from jaxonmodels.models.mamba import Mamba

    # Its second argument is the number of tokens, in spite of its name.
    make = lambda: Mamba(128, 1000, n_layers=4, key=jax.random.key(0))  # noqa: E731
    return from_equinox(make, lambda model, x: model(x), tokens(2, 16))


def jaxonmodels(module: str, kind: str, *options: Any, **more: Any) -> Network:
    """A model of `jaxonmodels.models` with a state, in inference mode."""
    import equinox as eqx

    load = getattr(importlib.import_module(f"jaxonmodels.models.{module}"), f"load_{kind}")

    def make() -> Any:
        model, state = load(*options, **more)
        return eqx.nn.inference_mode(model), state

    def call(model: Any, state: Any, x: Any) -> Any:
        if module == "resnet":
            return model(x, state, inference=True)[0]
        return model(x, state, jax.random.key(0))[0]

    return from_stateful_equinox(make, call, CHANNELS_FIRST)


# --- attnax, mamba2-jax -----------------------------------------------------------------------------------------------


def attnax(kind: str, **options: Any) -> Network:
    """A transformer of four blocks, of attnax."""
    import attnax as package

    config = package.TransformerConfig(
        vocab_size=1000, d_model=256, num_heads=8, num_layers=4, d_ff=1024, dropout_rate=0.0, max_len=32, **options
    )
    make = getattr(package, kind)
    return from_nnx(lambda rngs: make(rngs, config), tokens(2, 16), deterministic=True)


def attnax_vit() -> Network:
    import attnax as package

    config = package.VisionTransformerConfig(
        image_size=32, patch_size=8, num_classes=CLASSES, d_model=192, num_heads=3, num_layers=6, d_ff=768
    )
    return from_nnx(lambda rngs: package.VisionTransformer(rngs, config), shape(2, 32, 32, 3), deterministic=True)


def mamba2() -> Network:
    import mamba2_jax

    config = mamba2_jax.Mamba2Config(
        vocab_size=1000, hidden_size=256, state_size=64, head_dim=32, num_hidden_layers=4, chunk_size=16
    )
    network = from_nnx(lambda rngs: mamba2_jax.Mamba2ForCausalLM(config, rngs=rngs), tokens(2, 16))
    return network._replace(apply=lambda params, x: network.apply(params, x)["logits"])


# --- jax-models, Keras ------------------------------------------------------------------------------------------------


def jax_models(module: str, kind: str, **options: Any) -> Network:
    """A model of `jax_models.models`, without dropout."""
    make = getattr(importlib.import_module(f"jax_models.models.{module}"), kind)
    return from_linen(make(num_classes=CLASSES, attach_head=True, **options), IMAGE, deterministic=True)


def keras(kind: str, size: int = 64) -> Network:
    """A model of `keras.applications`."""

    def make() -> Any:
        import keras

        model = getattr(keras.applications, kind)
        return model(weights=None, input_shape=(size, size, 3), classes=CLASSES, classifier_activation=None)

    return from_keras(make, shape(2, size, size, 3))


SHIPPED = (
    Entry("ResNet-18", lambda: haiku("ResNet18"), "ResNet-18", "haiku"),
    Entry("ResNet-50", lambda: haiku("ResNet50"), "ResNet-50", "haiku"),
    Entry("ResNet-50 v2", lambda: haiku("ResNet50", resnet_v2=True), None, "haiku"),
    Entry("MobileNet v1", lambda: haiku("MobileNetV1"), "MobileNet v1", "haiku"),
    Entry("ResNet-18", flaxmodels_resnet, "ResNet-18", "flaxmodels"),
    Entry("VGG-16, convolutions", flaxmodels_vgg, None, "flaxmodels"),
    Entry("GPT-2, 4 blocks", flaxmodels_gpt2, None, "flaxmodels"),
    Entry("VGG-16", lambda: keras("VGG16", 32), "VGG-16", "keras"),
    Entry("DenseNet-121", lambda: keras("DenseNet121"), "DenseNet-121", "keras"),
    Entry("MobileNet v2", lambda: keras("MobileNetV2"), None, "keras"),
    Entry("EfficientNet-B0", lambda: keras("EfficientNetB0"), None, "keras"),
    Entry("Xception", lambda: keras("Xception", 96), None, "keras"),
    Entry("ConvNeXt-T", lambda: equimo("convnext", "ConvNeXt"), "ConvNeXt-T", "equimo"),
    Entry("MobileNet v3, small", lambda: equimo("mobilenet", "mobilenetv3_small"), None, "equimo"),
    Entry("ViT-Ti", equimo_vit, "ViT-Ti", "equimo"),
    Entry("linear attention (MLLA)", lambda: equimo("mlla", "Mlla", img_size=64), None, "equimo"),
    Entry("ReduceFormer-B1", lambda: equimo("reduceformer", "reduceformer_backbone_b1"), None, "equimo"),
    Entry("iFormer-T", lambda: equimo("iformer", "iformer_t"), None, "equimo"),
    Entry("ViT", jaxonmodels_vit, None, "jaxonmodels"),
    Entry("Mamba", jaxonmodels_mamba, None, "jaxonmodels"),
    Entry("ResNet-18", lambda: jaxonmodels("resnet", "resnet", "resnet18"), "ResNet-18", "jaxonmodels", ("torch",)),
    Entry(
        "EfficientNet-B0",
        lambda: jaxonmodels("efficientnet", "efficientnet", "efficientnet_b0"),
        None,
        "jaxonmodels",
        ("torch",),
    ),
    Entry(
        "Swin-T",
        lambda: jaxonmodels("swin_transformer", "swin_transformer", "swin_t", inference=True),
        None,
        "jaxonmodels",
        ("torch",),
    ),
    Entry("encoder", lambda: attnax("TransformerEncoder"), None, "attnax"),
    Entry("decoder", lambda: attnax("TransformerDecoder"), None, "attnax"),
    Entry("ViT", attnax_vit, None, "attnax"),
    Entry("Mamba-2", mamba2, None, "mamba2_jax"),
    Entry("MLP-Mixer", lambda: jax_models("mlp_mixer", "MLPMixer", patch_size=8), None, "jax_models"),
    Entry(
        "ConvMixer", lambda: jax_models("conv_mixer", "ConvMixer", features=256, num_mixer_layers=8), None, "jax_models"
    ),
    Entry(
        "CaiT",
        lambda: jax_models("cait", "CaiT", patch_size=8, embed_dim=192, depth=6, num_heads=4),
        None,
        "jax_models",
    ),
    Entry("PoolFormer-S12", lambda: jax_models("poolformer", "S12", dropout=0.0), None, "jax_models"),
    Entry("PatchConvNet", lambda: jax_models("patchconvnet", "PatchConvNet", depth=4, dim=384), None, "jax_models"),
    Entry("ConvNeXt-T", lambda: jax_models("convnext", "ConvNeXt"), None, "jax_models"),
)
