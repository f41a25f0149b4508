//! candle as a peer of the engine: the random checkpoints of `tests/bench/models.py`, one thread, f32, for
//! `tests/bench/pages/candle.js`.

mod gpt2;

use candle_core::{D, DType, Device, Result, Tensor, bail, safetensors::load_buffer};
use candle_nn::VarBuilder;
use candle_transformers::models::{bert, t5};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use wasm_bindgen::prelude::*;

type Tensors = HashMap<String, Tensor>;
/// What JavaScript gets.
type Answer<T> = std::result::Result<T, JsError>;

/// A model with the state of its run.
#[wasm_bindgen]
pub struct Model {
    net: Net,
    /// what the next step goes on from
    last: u32,
}

enum Net {
    Gpt2(gpt2::Gpt2),
    Bert(Box<bert::BertForMaskedLM>),
    T5(Box<T5>),
}

/// As candle-transformers has it, which makes the memory's keys and values anew for every token.
struct T5 {
    encoder: t5::T5EncoderModel,
    decoder: t5::T5ForConditionalGeneration,
    first: u32,
    memory: Option<Tensor>,
}

#[wasm_bindgen]
impl Model {
    /// The model of a checkpoint: its `config.json` and the bytes of its `model.safetensors`.
    pub fn load(config: &str, weights: &[u8]) -> Answer<Model> {
        Ok(Self { net: Net::load(config, weights)?, last: 0 })
    }

    /// Forgets what was before; what is chosen after these ids. An encoder chooses at every row.
    pub fn start(&mut self, ids: &[u32]) -> Answer<Vec<u32>> {
        let logits = self.net.start(ids)?;
        let chosen = logits.argmax(D::Minus1)?.flatten_all()?.to_vec1()?;
        self.last = chosen.last().copied().unwrap_or_default();
        Ok(chosen)
    }

    /// What is chosen after the id that was chosen last.
    pub fn step(&mut self) -> Answer<u32> {
        let logits = self.net.step(self.last)?;
        self.last = logits.flatten_all()?.argmax(0)?.to_scalar()?;
        Ok(self.last)
    }
}

impl Net {
    fn load(config: &str, weights: &[u8]) -> Result<Self> {
        let config: Map<String, Value> = serde_json::from_str(config).map_err(wrong)?;
        let tensors = load_buffer(weights, &Device::Cpu)?;
        match config.get("model_type").and_then(Value::as_str) {
            Some("gpt2") => {
                gpt2::Gpt2::load(&builder(tensors), &read(config, json!({}))?).map(Self::Gpt2)
            }
            Some("bert") => load_bert(tensors, config).map(|net| Self::Bert(Box::new(net))),
            Some("t5") => T5::load(tensors, config).map(|net| Self::T5(Box::new(net))),
            other => bail!("expected a gpt2, bert or t5, got {other:?}"),
        }
    }

    fn start(&mut self, ids: &[u32]) -> Result<Tensor> {
        let ids = Tensor::new(ids, &Device::Cpu)?.unsqueeze(0)?;
        match self {
            Self::Gpt2(net) => {
                net.clear();
                net.forward(&ids)
            }
            Self::Bert(net) => net.forward(&ids, &ids.zeros_like()?, None),
            Self::T5(net) => {
                net.memory = Some(net.encoder.forward(&ids)?);
                net.decoder.clear_kv_cache();
                net.decode(net.first)
            }
        }
    }

    fn step(&mut self, id: u32) -> Result<Tensor> {
        match self {
            Self::Gpt2(net) => net.forward(&Tensor::new(&[[id]], &Device::Cpu)?),
            Self::Bert(_) => bail!("an encoder has no next token"),
            Self::T5(net) => net.decode(id),
        }
    }
}

fn load_bert(mut tensors: Tensors, config: Map<String, Value>) -> Result<bert::BertForMaskedLM> {
    // candle reads the head by a name of its own, which a checkpoint with a tied head has not.
    for (from, to) in [
        ("bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"),
        ("cls.predictions.bias", "cls.predictions.decoder.bias"),
    ] {
        if let Some(tensor) = tensors.get(from).cloned() {
            tensors.insert(to.into(), tensor);
        }
    }
    let config = read(config, json!({ "hidden_dropout_prob": 0.0, "initializer_range": 0.02 }))?;
    bert::BertForMaskedLM::load(builder(tensors), &config)
}

impl T5 {
    fn load(mut tensors: Tensors, config: Map<String, Value>) -> Result<Self> {
        let mut config: t5::Config =
            read(config, json!({ "dropout_rate": 0.0, "initializer_factor": 1.0 }))?;
        let encoder = t5::T5EncoderModel::load(builder(tensors.clone()), &config)?;
        // candle halves the decoder's buckets of distances too, one half for keys that come later, which no decoder
        // sees. Told of twice as many, with nothing in that half, it finds the buckets that were trained.
        config.relative_attention_num_buckets *= 2;
        for (name, tensor) in &mut tensors {
            if name.ends_with("relative_attention_bias.weight") {
                *tensor = Tensor::cat(&[&*tensor, &tensor.zeros_like()?], 0)?;
            }
        }
        let decoder = t5::T5ForConditionalGeneration::load(builder(tensors), &config)?;
        let first = config.decoder_start_token_id.unwrap_or(config.pad_token_id) as u32;
        Ok(Self { encoder, decoder, first, memory: None })
    }

    fn decode(&mut self, id: u32) -> Result<Tensor> {
        let Some(memory) = &self.memory else { bail!("a step before the start") };
        self.decoder.decode(&Tensor::new(&[[id]], &Device::Cpu)?, memory)
    }
}

fn builder(tensors: Tensors) -> VarBuilder<'static> {
    VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu)
}

/// A configuration as candle reads it, with what it asks for beyond what a checkpoint must say.
fn read<T: DeserializeOwned>(mut config: Map<String, Value>, beyond: Value) -> Result<T> {
    for (name, value) in beyond.as_object().into_iter().flatten() {
        config.entry(name).or_insert_with(|| value.clone());
    }
    serde_json::from_value(Value::Object(config)).map_err(wrong)
}

fn wrong(error: serde_json::Error) -> candle_core::Error {
    candle_core::Error::wrap(error)
}

/// Several products of the same rows.
#[wasm_bindgen]
pub struct Matmul {
    rows: Tensor,
    weights: Vec<Tensor>,
}

#[wasm_bindgen]
impl Matmul {
    /// `count` products `[rows, inner] x [inner, out]`.
    #[wasm_bindgen(constructor)]
    pub fn new(rows: usize, inner: usize, out: usize, count: usize) -> Answer<Matmul> {
        let random = |shape: (usize, usize)| Tensor::rand(-0.5f32, 0.5, shape, &Device::Cpu);
        let weights = (0..count).map(|_| random((inner, out))).collect::<Result<_>>()?;
        Ok(Self { rows: random((rows, inner))?, weights })
    }

    /// Makes each product; of each one row is brought back, as of the others.
    pub fn play(&self) -> Answer<Vec<f32>> {
        let mut found = Vec::new();
        for weight in &self.weights {
            found.extend(self.rows.matmul(weight)?.get(0)?.to_vec1::<f32>()?);
        }
        Ok(found)
    }
}
