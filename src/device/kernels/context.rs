//! What launches are made from: where things lie in a graph, and how numbers and flags are handed to a shader.

use std::ops::Range;

use super::{Format, Laid, Operand, Tuning, stride};
use crate::device::fuse::Rows;
use crate::error::{Error, Result};
use crate::graph::{Activation, Extent, Graph, NormKind, Site, Value, Weight};

/// What a launch needs to know beside its step.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The graph of the step.
    pub graph: &'a Graph,
    /// How each of its weights lies.
    pub laid: &'a [Laid],
    /// What kernels are made for.
    pub tuning: Tuning,
    /// Which list of steps it is in.
    pub rows: Rows,
    /// Rows that a play can have at most, all variants counted.
    pub most_rows: usize,
    /// How many attentions came before.
    pub attention: usize,
}

/// Where a value or a view lies in memory.
pub(super) struct Place {
    pub stride: usize,
    pub start: usize,
}

impl Context<'_> {
    pub(super) fn place(&self, value: Value) -> Place {
        let (root, start) = self.graph.root(value);
        Place { stride: stride(self.graph.info(root).width), start }
    }

    pub(super) fn place_or_none(&self, value: Option<Value>) -> Place {
        value.map_or(Place { stride: 0, start: 0 }, |value| self.place(value))
    }

    /// Width and stride of a value that a step writes.
    pub(super) fn shape(&self, value: Value) -> (usize, usize) {
        let width = self.graph.info(value).width;
        (width, stride(width))
    }

    pub(super) fn picked(&self, value: Value) -> usize {
        (self.graph.info(value).extent == Extent::Picked) as usize
    }

    pub(super) fn format(&self, weight: Weight) -> Format {
        self.laid[weight.0 as usize].format
    }

    /// The rows of each part of a weight.
    pub(super) fn parts(&self, weight: Weight) -> impl Iterator<Item = Range<usize>> {
        let info = self.graph.weight_info(weight);
        self.laid[weight.0 as usize].parts(info.out)
    }

    /// Columns of all keys, or of all values, of a row in a cache.
    pub(super) fn kv_width(&self, site: Site) -> usize {
        let cache = self.graph.caches().iter().find(|cache| cache.site == site);
        cache.map_or(0, |cache| cache.kv_heads * cache.head_width)
    }

    /// A weight that is read as one.
    pub(super) fn whole(&self, weight: Weight) -> Result<Operand> {
        match self.parts(weight).count() {
            1 => Ok(Operand::Weight(weight, 0)),
            parts => {
                let what = format!("weight `{}`", self.graph.weight_info(weight).name);
                let got = format!("{parts} buffers; take a smaller model, or the CPU");
                Err(Error::limit(what, "one buffer on this GPU", got))
            }
        }
    }
}

pub(super) fn words(numbers: &[usize]) -> Vec<u32> {
    numbers.iter().map(|number| *number as u32).collect()
}

/// Vectors gathered into one binding.
#[derive(Default)]
pub(super) struct Vectors {
    weights: Vec<Weight>,
    length: usize,
}

impl Vectors {
    /// Where the vector begins.
    pub fn push(&mut self, context: &Context<'_>, weight: Option<Weight>) -> usize {
        let start = self.length;
        if let Some(weight) = weight {
            self.weights.push(weight);
            self.length += stride(context.graph.weight_info(weight).inner);
        }
        start
    }

    pub fn operand(self) -> Operand {
        if self.weights.is_empty() { Operand::Nothing } else { Operand::Vectors(self.weights) }
    }
}

pub(super) fn kind(kind: NormKind) -> f64 {
    match kind {
        NormKind::Layer => 1.0,
        NormKind::Rms => 2.0,
    }
}

pub(super) fn flag(is: bool) -> f64 {
    is as u32 as f64
}

pub(super) fn number(activation: Option<Activation>) -> usize {
    match activation {
        None => 0,
        Some(Activation::Relu) => 1,
        Some(Activation::Gelu) => 2,
        Some(Activation::GeluTanh) => 3,
        Some(Activation::QuickGelu) => 4,
        Some(Activation::Silu) => 5,
        Some(Activation::Tanh) => 6,
        Some(Activation::Sigmoid) => 7,
    }
}
