//! BART and mBART, and Marian, whose blocks are the original Transformer's: encoder and decoder with
//! cross-attention, post-norm (mBART: pre-norm).

use serde_json::Value as Json;

use super::names::{Row, find};
use super::settings::{Settings, wrong};
use super::{Family, Has};
use crate::error::Result;
use crate::spec::{
    Architecture, Head, LanguagePlace, Order, Positions, Slot, Spec, Stack, Template,
};
use crate::weights::Stored;

/// `model_type: "bart"`, `"mbart"`, `"marian"`.
pub const FAMILY: Family = Family {
    model_types: &[("bart", "BART"), ("mbart", "mBART"), ("marian", "Marian")],
    spec,
    stored,
    heads: None,
};

const NAMES: &[Row] = &[
    ("token", "model.shared"),
    ("token", "model.encoder.embed_tokens"),
    ("token", "model.decoder.embed_tokens"),
    ("encoder.position", "model.encoder.embed_positions"),
    ("encoder.embedding_norm", "model.encoder.layernorm_embedding"),
    ("encoder.layers.{}.attention.query", "model.encoder.layers.{}.self_attn.q_proj"),
    ("encoder.layers.{}.attention.key", "model.encoder.layers.{}.self_attn.k_proj"),
    ("encoder.layers.{}.attention.value", "model.encoder.layers.{}.self_attn.v_proj"),
    ("encoder.layers.{}.attention.output", "model.encoder.layers.{}.self_attn.out_proj"),
    ("encoder.layers.{}.attention.norm", "model.encoder.layers.{}.self_attn_layer_norm"),
    ("encoder.layers.{}.feed_forward.up", "model.encoder.layers.{}.fc1"),
    ("encoder.layers.{}.feed_forward.down", "model.encoder.layers.{}.fc2"),
    ("encoder.layers.{}.feed_forward.norm", "model.encoder.layers.{}.final_layer_norm"),
    ("encoder.norm", "model.encoder.layer_norm"),
    ("decoder.position", "model.decoder.embed_positions"),
    ("decoder.embedding_norm", "model.decoder.layernorm_embedding"),
    ("decoder.layers.{}.attention.query", "model.decoder.layers.{}.self_attn.q_proj"),
    ("decoder.layers.{}.attention.key", "model.decoder.layers.{}.self_attn.k_proj"),
    ("decoder.layers.{}.attention.value", "model.decoder.layers.{}.self_attn.v_proj"),
    ("decoder.layers.{}.attention.output", "model.decoder.layers.{}.self_attn.out_proj"),
    ("decoder.layers.{}.attention.norm", "model.decoder.layers.{}.self_attn_layer_norm"),
    ("decoder.layers.{}.cross.query", "model.decoder.layers.{}.encoder_attn.q_proj"),
    ("decoder.layers.{}.cross.key", "model.decoder.layers.{}.encoder_attn.k_proj"),
    ("decoder.layers.{}.cross.value", "model.decoder.layers.{}.encoder_attn.v_proj"),
    ("decoder.layers.{}.cross.output", "model.decoder.layers.{}.encoder_attn.out_proj"),
    ("decoder.layers.{}.cross.norm", "model.decoder.layers.{}.encoder_attn_layer_norm"),
    ("decoder.layers.{}.feed_forward.up", "model.decoder.layers.{}.fc1"),
    ("decoder.layers.{}.feed_forward.down", "model.decoder.layers.{}.fc2"),
    ("decoder.layers.{}.feed_forward.norm", "model.decoder.layers.{}.final_layer_norm"),
    ("decoder.norm", "model.decoder.layer_norm"),
    ("head.bias", "final_logits_bias"),
    ("head", "lm_head"),
];

const WITHOUT_EFFECT: &[(&str, &[&str])] =
    &[("encoder_layers again", &["num_hidden_layers"]), ("a note of one release", &["save_step"])];

fn spec(json: &Json) -> Result<Spec> {
    let settings = Settings::new(json)?;
    settings.class(&[
        "BartForConditionalGeneration",
        // Its output matrix is the token table: the model is whole without the head's class.
        "BartModel",
        "MBartForConditionalGeneration",
        "MarianMTModel",
    ])?;
    let family = json["model_type"].as_str().unwrap_or_default();
    let (is_mbart, is_marian) = (family == "mbart", family == "marian");
    settings.only("is_encoder_decoder", true)?;
    settings.only("is_decoder", false)?;
    settings.only("add_cross_attention", false)?;
    // Older files spell out what the family is.
    settings.only("normalize_before", is_mbart)?;
    settings.only("add_final_layer_norm", is_mbart)?;
    settings.only("normalize_embedding", !is_marian)?;
    settings.only("static_position_embeddings", is_marian)?;
    settings.only("add_bias_logits", false)?;
    settings.only("do_blenderbot_90_layernorm", false)?;
    settings.only("extra_pos_embeddings", 2)?;
    settings.only("share_encoder_decoder_embeddings", true)?;
    let vocabulary = settings.count("vocab_size")?;
    settings.only("decoder_vocab_size", vocabulary)?;
    let width = settings.count("d_model")?;
    let activation = settings.activation("activation_function", "gelu")?;
    let stack = |site: &str| -> Result<Stack> {
        let name = format!("{site}_attention_heads");
        let heads = settings.count(&name)?;
        let head_width = settings.head_width(&name, heads, width)?;
        let layers = settings.count(&format!("{site}_layers"))?;
        let inner = settings.count(&format!("{site}_ffn_dim"))?;
        Ok(Stack {
            activation,
            positions: match is_marian {
                true => Positions::Sinusoidal,
                false => Positions::Learned { offset: 2, streams: 1 },
            },
            order: if is_mbart { Order::Pre } else { Order::Post },
            final_norm: is_mbart,
            embedding_norm: !is_marian,
            ..Stack::plain(layers, heads, head_width, inner)
        })
    };
    let (encoder, decoder) = (stack("encoder")?, stack("decoder")?);
    // Another name of `encoder_layers`.
    settings.only("num_hidden_layers", encoder.layers)?;
    let tied = settings.flag_or("tie_word_embeddings", true)?;
    if !tied {
        // The reference ties its embeddings under every value of this setting but one nobody ships.
        return Err(wrong("tie_word_embeddings", "true", &tied.into()));
    }
    let (special, ends) = settings.special()?;
    let first = settings.id("decoder_start_token_id")?.or(special.eos);
    // Some models were trained to say this first; a run begins after it.
    let forced = settings.id("forced_bos_token_id")?;
    let forces = settings.flag_or("force_bos_token_to_be_generated", false)?;
    let forced = forced.or(special.bos.filter(|_| forces));
    let source = match special.eos {
        Some(eos) if is_marian => vec![Slot::Source, Slot::Token(eos)],
        _ => Vec::new(),
    };
    let spec = Spec {
        vocabulary,
        max_positions: settings.count_or("max_position_embeddings", 1024)?,
        encoder,
        decoder,
        embedding_scale: match settings.flag_or("scale_embedding", false)? {
            true => (width as f32).sqrt(),
            false => 1.0,
        },
        head: Some(Head { bias: true, ..Head::plain(true) }),
        special,
        template: Template {
            source,
            start: first.into_iter().chain(forced).collect(),
            ends,
            language: match family {
                "mbart" => Some(LanguagePlace::Start),
                "marian" => Some(LanguagePlace::Source),
                _ => None,
            },
            ..Template::default()
        },
        objective: Some(if family == "bart" { "denoising" } else { "translation" }.into()),
        ..Spec::plain(family, Architecture::EncoderDecoder, width)
    };
    if spec.template.start.is_empty() {
        return Err(wrong("decoder_start_token_id", "a token id", &Json::Null));
    }
    settings.finish(WITHOUT_EFFECT)?;
    Ok(spec)
}

fn stored(_: &Spec, name: &str, has: Has<'_>) -> Stored {
    // The bias is all zeros in the released models, and some files leave it out.
    Stored { or_zeros: name == "head.bias", ..Stored::plain(find(NAMES, "model.", name, has)) }
}
