//! What a stack reads, as a play has it.

use super::{Stage, keys_of, mask_of};
use crate::error::Result;
use crate::graph::{Draw, Play, Played, Site, Tap};
use crate::mask::Bits;
use crate::request::StackInput;
use crate::spec::{Positions, Spec};

/// What one play is about, beside its inputs.
#[derive(Debug)]
pub struct Playing<'a> {
    /// Rows to compute, ascending.
    pub rows: &'a [usize],
    /// Which of them are picked.
    pub picked: &'a [u32],
    /// What to bring back.
    pub taps: &'a [Tap],
    /// `[variant][picked]` or none.
    pub draws: &'a [Draw],
    /// Candidates a choice.
    pub candidates: usize,
}

/// Some rows of several variants of equal shape, laid out for a play.
#[derive(Debug)]
pub(super) struct Inputs {
    variants: usize,
    ids: Vec<u32>,
    segments: Vec<u32>,
    slots: Vec<u32>,
    positions: Vec<Vec<u32>>,
    keys: [usize; 3],
    bits: [Option<Bits>; 3],
    gates: [Vec<f32>; 3],
}

impl Inputs {
    /// These rows of the variants, of which there is at least one.
    pub fn new(spec: &Spec, site: Site, variants: &[&StackInput], rows: &[usize]) -> Inputs {
        let stack = spec.stack(site);
        let first = variants[0];
        let of_rows = |all: fn(&StackInput) -> &Vec<u32>| -> Vec<u32> {
            if variants.iter().all(|input| all(input).is_empty()) {
                return Vec::new();
            }
            // Of a text there are segments, of ids there are none: they are 0.
            let of = |input: &StackInput, row: usize| all(input).get(row).copied().unwrap_or(0);
            variants.iter().flat_map(|input| rows.iter().map(|row| of(input, *row))).collect()
        };
        let offset = match &stack.positions {
            Positions::Learned { offset, .. } => *offset,
            _ => 0,
        };
        let position = |row: &usize, stream: usize| match first.blank {
            Some(blank) => (blank.position(*row, stream) + offset) as u32,
            None => (row + offset) as u32,
        };
        let mut inputs = Inputs {
            variants: variants.len(),
            ids: of_rows(|input| &input.ids),
            segments: of_rows(|input| &input.segments),
            slots: rows.iter().map(|row| *row as u32).collect(),
            positions: (0..stack.positions.streams())
                .map(|stream| rows.iter().map(|row| position(row, stream)).collect())
                .collect(),
            keys: [0; 3],
            bits: [None, None, None],
            gates: Default::default(),
        };
        inputs.bind(spec, site, site, variants, rows);
        if first.cross.is_some() {
            inputs.bind(spec, site, Site::Cross, variants, rows);
        }
        inputs
    }

    /// Mask and gates of one site of a stack.
    fn bind(
        &mut self,
        spec: &Spec,
        stack: Site,
        site: Site,
        variants: &[&StackInput],
        rows: &[usize],
    ) {
        let stack = spec.stack(stack);
        let index = site as usize;
        self.keys[index] = keys_of(site, variants[0]);
        let each: Vec<Bits> = variants
            .iter()
            .map(|input| {
                let keys = keys_of(site, input);
                mask_of(site, input).bits(rows, keys, stack.layers, stack.heads)
            })
            .collect();
        self.bits[index] = Bits::stack(&each);
        let given = |input: &StackInput| match site {
            Site::Cross => input.cross_gates.clone(),
            _ => input.gates.clone(),
        };
        if variants.iter().any(|input| !given(input).is_empty()) {
            let ones = || vec![1.0; stack.layers * stack.heads];
            self.gates[index] = variants
                .iter()
                .flat_map(|input| Some(given(input)).filter(|g| !g.is_empty()).unwrap_or_else(ones))
                .collect();
        }
    }

    pub fn play<'a>(&'a self, playing: &Playing<'a>) -> Play<'a> {
        let [encoder, decoder, cross] = &self.bits;
        Play {
            variants: self.variants,
            ids: &self.ids,
            segments: &self.segments,
            positions: &self.positions,
            slots: &self.slots,
            keys: self.keys,
            picked: playing.picked,
            masks: [encoder.as_ref(), decoder.as_ref(), cross.as_ref()],
            gates: [&self.gates[0], &self.gates[1], &self.gates[2]],
            taps: playing.taps,
            draws: playing.draws,
            candidates: playing.candidates,
        }
    }
}

/// Plays a stack's graph for the rows of several variants of equal shape.
pub async fn play(
    stage: &mut Stage<'_>,
    site: Site,
    variants: &[&StackInput],
    playing: &Playing<'_>,
) -> Result<Played> {
    if variants.is_empty() {
        return Ok(Played::default());
    }
    let inputs = Inputs::new(stage.spec, site, variants, playing.rows);
    stage.device.play(stage.prepared, stage.caches, &inputs.play(playing)).await
}
