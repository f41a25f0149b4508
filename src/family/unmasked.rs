//! Our own quartet: one pre-norm block, learned positions, four wirings.

use serde::Deserialize;
use serde_json::Value as Json;

use super::Family;
use crate::error::{Error, Result};
use crate::graph::{Activation, NormKind};
use crate::spec::{
    Architecture, Biases, Head, Norm, Order, OutputHead, Positions, Slot, Spec, SpecialTokens,
    Stack, Template,
};
use crate::weights::Stored;

/// `model_type: "unmasked"`.
pub const FAMILY: Family = Family {
    model_types: &[("unmasked", "Unmasked")],
    spec,
    // Its tensors have our names; only the pair head stands at the top.
    stored: |_, name, _| Stored::plain(name.strip_prefix("output.").unwrap_or(name)),
    heads: None,
};

/// Every setting is read; an unknown one is refused by serde with its name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(rename = "model_type")]
    _model_type: String,
    version: u32,
    architecture: ConfigArchitecture,
    vocab_size: usize,
    width: usize,
    attention_heads: usize,
    feed_forward_width: usize,
    encoder_layers: usize,
    decoder_layers: usize,
    max_positions: usize,
    activation: ConfigActivation,
    norm: ConfigNorm,
    norm_epsilon: f32,
    tie_embeddings: bool,
    output_bias: bool,
    output_heads: Vec<ConfigHead>,
    special_tokens: ConfigSpecial,
    template: ConfigTemplate,
    objective: Option<ConfigObjective>,
    languages: Option<ConfigLanguages>,
    quantization_config: Option<ConfigQuantization>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ConfigArchitecture {
    Encoder,
    Causal,
    Prefix,
    EncoderDecoder,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ConfigActivation {
    Gelu,
    GeluTanh,
    Relu,
    Silu,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum ConfigNorm {
    Layer,
    Rms,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum ConfigHead {
    Pair,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigSpecial {
    pad: u32,
    bos: u32,
    sep: u32,
    eos: u32,
    mask: u32,
    cls: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigTemplate {
    single: Option<Vec<String>>,
    pair: Option<Vec<String>>,
    source: Option<Vec<String>>,
    start: Option<Vec<String>>,
    /// What the answer looked like in training; generation stops at `[EOS]`.
    #[serde(rename = "answer")]
    _answer: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigObjective {
    name: String,
    #[serde(rename = "supervised")]
    _supervised: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigLanguages {
    source: String,
    target: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigQuantization {
    quant_method: String,
}

fn spec(json: &Json) -> Result<Spec> {
    let config = Config::deserialize(json).map_err(|error| {
        Error::config("`config.json`", "the settings of an unmasked model", error.to_string())
    })?;
    if config.version != 1 {
        return Err(Error::config("setting `version`", "1", config.version.to_string()));
    }
    if let Some(quantization) = &config.quantization_config
        && quantization.quant_method != "unmasked-int8"
    {
        let got = format!("`{}`", quantization.quant_method.escape_debug());
        return Err(Error::config("setting `quant_method`", "`unmasked-int8`", got));
    }
    if config.attention_heads == 0 || !config.width.is_multiple_of(config.attention_heads) {
        let expected = format!("a divisor of the width {}", config.width);
        let got = config.attention_heads.to_string();
        return Err(Error::config("setting `attention_heads`", expected, got));
    }
    let architecture = match config.architecture {
        ConfigArchitecture::Encoder => Architecture::Encoder,
        ConfigArchitecture::Causal => Architecture::Causal,
        ConfigArchitecture::Prefix => Architecture::Prefix,
        ConfigArchitecture::EncoderDecoder => Architecture::EncoderDecoder,
    };
    let special = &config.special_tokens;
    let slots = |slots: &Option<Vec<String>>| -> Result<Vec<Slot>> {
        slots.iter().flatten().map(|slot| template_slot(slot, special)).collect()
    };
    let read = if architecture == Architecture::Encoder {
        slots(&config.template.single)?
    } else {
        slots(&config.template.source)?
    };
    if !read.contains(&Slot::Source) {
        return Err(Error::config("setting `template`", "a place for `$source`", "none"));
    }
    let start = slots(&config.template.start)?
        .into_iter()
        .map(|slot| match slot {
            Slot::Token(id) => Ok(id),
            _ => Err(Error::config("setting `template.start`", "special tokens only", "text")),
        })
        .collect::<Result<Vec<u32>>>()?;
    if architecture == Architecture::EncoderDecoder && start.is_empty() {
        return Err(Error::config("setting `template.start`", "a first token", "none"));
    }
    let stack = |layers: usize| match layers {
        0 => Stack::absent(),
        layers => Stack {
            layers,
            distinct_layers: layers,
            heads: config.attention_heads,
            kv_heads: config.attention_heads,
            head_width: config.width / config.attention_heads,
            scale: ((config.width / config.attention_heads) as f32).sqrt().recip(),
            scale_by_depth: false,
            query_key_norm: false,
            feed_forward_width: config.feed_forward_width,
            activation: match config.activation {
                ConfigActivation::Gelu => Activation::Gelu,
                ConfigActivation::GeluTanh => Activation::GeluTanh,
                ConfigActivation::Relu => Activation::Relu,
                ConfigActivation::Silu => Activation::Silu,
            },
            gated: false,
            positions: Positions::Learned { offset: 0, streams: 1 },
            norm: match config.norm {
                ConfigNorm::Layer => Norm {
                    kind: NormKind::Layer,
                    epsilon: config.norm_epsilon,
                    offset: 0.0,
                    bias: true,
                },
                ConfigNorm::Rms => Norm {
                    kind: NormKind::Rms,
                    epsilon: config.norm_epsilon,
                    offset: 0.0,
                    bias: false,
                },
            },
            order: Order::Pre,
            residual_scale: 1.0,
            final_norm: true,
            embedding_norm: false,
            biases: Biases { query_key_value: true, attention_output: true, feed_forward: true },
        },
    };
    Ok(Spec {
        family: "unmasked".into(),
        architecture,
        vocabulary: config.vocab_size,
        width: config.width,
        embedding_width: config.width,
        embedding_scale: 1.0,
        segments: 0,
        max_positions: config.max_positions,
        encoder: stack(config.encoder_layers),
        decoder: stack(config.decoder_layers),
        head: Some(Head {
            tied: config.tie_embeddings,
            bias: config.output_bias,
            scale: 1.0,
            transform: None,
        }),
        output_heads: config
            .output_heads
            .iter()
            .map(|ConfigHead::Pair| OutputHead::Pair { pool: None })
            .collect(),
        special: SpecialTokens {
            pad: Some(special.pad),
            bos: Some(special.bos),
            sep: Some(special.sep),
            eos: Some(special.eos),
            mask: Some(special.mask),
            cls: Some(special.cls),
        },
        template: Template {
            source: read,
            pair: slots(&config.template.pair)?,
            start,
            ..Template::default()
        },
        name: String::new(),
        labels: Vec::new(),
        pretrained_as: None,
        objective: config.objective.map(|objective| objective.name),
        languages: config.languages.map(|languages| (languages.source, languages.target)),
    })
}

fn template_slot(slot: &str, special: &ConfigSpecial) -> Result<Slot> {
    Ok(match slot {
        "$source" => Slot::Source,
        "$target" => Slot::Target,
        "[PAD]" => Slot::Token(special.pad),
        "[BOS]" => Slot::Token(special.bos),
        "[SEP]" => Slot::Token(special.sep),
        "[EOS]" => Slot::Token(special.eos),
        "[MASK]" => Slot::Token(special.mask),
        "[CLS]" => Slot::Token(special.cls),
        other => {
            let got = format!("`{}`", other.escape_debug());
            let expected = "$source, $target or a special token in brackets";
            return Err(Error::config("setting `template`", expected, got));
        }
    })
}
