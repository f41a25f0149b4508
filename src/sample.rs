//! How the next token is drawn. The drawing itself is an op of the graph; here is what a person
//! sets, and the one number in [0, 1) that each step needs.

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::graph::Draw;
use crate::object::objects;

objects!(Sampling);

/// Greedy unless a temperature is given.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Sampling {
    /// Logits are divided by it; 0 is greedy.
    pub temperature: f32,
    /// Only the `top_k` largest; 0 keeps all.
    pub top_k: u32,
    /// Only the smallest set of the largest whose probabilities reach this; 1 keeps all.
    pub top_p: f32,
    /// Equal seeds draw equal tokens from equal probabilities.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Sampling {
        Sampling { temperature: 0.0, top_k: 0, top_p: 1.0, seed: 0 }
    }
}

impl Sampling {
    /// Refuses what has no meaning.
    pub fn check(&self) -> Result<()> {
        if !(self.temperature >= 0.0 && self.temperature <= 100.0) {
            let got = self.temperature.to_string();
            return Err(Error::input("temperature", "0 (greedy) to 100", got));
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return Err(Error::input("top-p", "above 0, at most 1", self.top_p.to_string()));
        }
        Ok(())
    }

    /// The draw of the token after `row`. It depends on the seed and the row alone, so stepping back
    /// and forcing a token leave the luck of the other steps as it was.
    pub fn draw(&self, row: usize) -> Draw {
        Draw {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            uniform: uniform(self.seed, row as u64),
        }
    }
}

/// SplitMix64 (Steele et al. 2014) of seed and counter, as the 24 bits that an f32 holds.
fn uniform(seed: u64, counter: u64) -> f32 {
    let mut z = seed
        .wrapping_mul(0xd134_2543_de82_ef95)
        .wrapping_add(counter.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 40) as f32 / (1u32 << 24) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uniforms_lie_in_the_unit_interval_and_spread() {
        let draws: Vec<f32> = (0..10_000).map(|row| uniform(7, row)).collect();
        assert!(draws.iter().all(|draw| (0.0..1.0).contains(draw)));
        let mean = draws.iter().sum::<f32>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.02, "mean {mean}");
        assert_ne!(uniform(7, 3), uniform(8, 3));
    }

    #[test]
    fn meaningless_settings_are_refused() {
        for sampling in [
            Sampling { temperature: -1.0, ..Sampling::default() },
            Sampling { temperature: f32::NAN, ..Sampling::default() },
            Sampling { top_p: 0.0, ..Sampling::default() },
            Sampling { top_p: 1.5, ..Sampling::default() },
        ] {
            assert!(sampling.check().is_err(), "{sampling:?}");
        }
    }
}
