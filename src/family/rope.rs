//! Rotary positions as configs describe them, in the old spelling (`rope_theta`, `rope_scaling`) and
//! the new (`rope_parameters`).

use std::f64::consts::PI;

use serde_json::Value as Json;

use super::settings::{Settings, wrong};
use crate::error::{Error, Result};
use crate::graph::Pairing;
use crate::spec::Rotary;

/// The rotation of a stack's heads, and the factor that it gives every score (YaRN's temperature).
pub struct Rope {
    /// The rotation.
    pub rotary: Rotary,
    /// Of a score.
    pub factor: f32,
}

/// No head is wider; the frequencies of one must fit in memory before a spec is checked.
const WIDEST: usize = 4096;

/// Reads the settings. `share` is the part of a head's columns that turn where no setting says it;
/// `trained` is the longest sequence of the model.
pub fn rope(
    settings: &Settings<'_>,
    head_width: usize,
    trained: usize,
    theta: f64,
    share: f64,
) -> Result<Rope> {
    let theta = settings.number_or("rope_theta", theta)?;
    let share = settings.number_or("partial_rotary_factor", share)?;
    let read = |name: &str| -> Result<Option<(f64, f64, Scaling)>> {
        let Some(group) = settings.group(name)? else { return Ok(None) };
        let theta = group.number_or("rope_theta", theta)?;
        let share = group.number_or("partial_rotary_factor", share)?;
        let scaling = Scaling::read(&group, trained)?;
        group.finish(&[])?;
        Ok(Some((theta, share, scaling)))
    };
    let (old, new) = (read("rope_scaling")?, read("rope_parameters")?);
    if old.is_some() && new.is_some() && old != new {
        let got = settings.get("rope_scaling").unwrap_or(&Json::Null);
        return Err(wrong("rope_scaling", "what `rope_parameters` says, or one of the two", got));
    }
    let (theta, share, scaling) = new.or(old).unwrap_or((theta, share, Scaling::None));
    let dims = (head_width.min(WIDEST) as f64 * share) as usize;
    if theta.is_nan()
        || theta <= 1.0
        || dims == 0
        || dims % 2 == 1
        || dims > head_width
        || head_width > WIDEST
    {
        let expected = format!("a base above 1 and an even number of the {head_width} columns");
        let got = format!("base {theta}, {dims} columns");
        return Err(Error::config("setting `rope_parameters`", expected, got));
    }
    let mut frequencies: Vec<f64> =
        (0..dims / 2).map(|pair| theta.powf(-2.0 * pair as f64 / dims as f64)).collect();
    let factor = scaling.apply(&mut frequencies, theta);
    if factor != 1.0 && dims != head_width {
        let got = format!("{dims} of {head_width}");
        return Err(Error::config("rotary columns under YaRN", "all of a head's", got));
    }
    let frequencies = frequencies.into_iter().map(|frequency| frequency as f32).collect();
    let rotary = Rotary { dims, pairing: Pairing::Halves, frequencies, parts: 1 };
    Ok(Rope { rotary, factor: (factor * factor) as f32 })
}

/// How a rotation is stretched to more positions than it was trained with.
#[derive(PartialEq)]
enum Scaling {
    None,
    Linear { factor: f64 },
    Llama3 { factor: f64, low: f64, high: f64, trained: f64 },
    Yarn { factor: f64, fast: f64, slow: f64, trained: f64, truncate: bool, temperature: f64 },
}

impl Scaling {
    fn read(group: &Settings<'_>, positions: usize) -> Result<Scaling> {
        let old = group.word("type")?;
        let kind = group.word("rope_type")?.or(old).unwrap_or("default");
        let factor = |least: f64| -> Result<f64> {
            let factor = group.number_or("factor", 1.0)?;
            match factor >= least {
                true => Ok(factor),
                false => Err(wrong("factor", &format!("at least {least}"), &factor.into())),
            }
        };
        let trained = |group: &Settings<'_>| {
            let name = "original_max_position_embeddings";
            group.count_or(name, positions).map(|trained| trained as f64)
        };
        match kind {
            "default" => Ok(Scaling::None),
            // It stretches only past the trained positions, and those are all that there are here.
            "dynamic" => {
                factor(1.0)?;
                // The reference measures from `max_position_embeddings` and never reads this one.
                group.only("original_max_position_embeddings", positions)?;
                Ok(Scaling::None)
            }
            "linear" => Ok(Scaling::Linear { factor: factor(1.0)? }),
            "llama3" => Ok(Scaling::Llama3 {
                factor: factor(1.0)?,
                low: group.number_or("low_freq_factor", 1.0)?,
                high: group.number_or("high_freq_factor", 4.0)?,
                trained: trained(group)?,
            }),
            "yarn" => {
                let (factor, trained) = (factor(1.0)?, trained(group)?);
                let warmer = |by: f64| 0.1 * by * factor.ln() + 1.0;
                let scales =
                    (group.optional_number("mscale")?, group.optional_number("mscale_all_dim")?);
                let implied = match scales {
                    (Some(one), Some(all)) if one != 0.0 && all != 0.0 => warmer(one) / warmer(all),
                    _ => warmer(1.0),
                };
                Ok(Scaling::Yarn {
                    factor,
                    fast: group.number_or("beta_fast", 32.0)?,
                    slow: group.number_or("beta_slow", 1.0)?,
                    trained,
                    truncate: group.flag_or("truncate", true)?,
                    temperature: group.number_or("attention_factor", implied)?,
                })
            }
            other => {
                Err(wrong("rope_type", "default, linear, dynamic, llama3 or yarn", &other.into()))
            }
        }
    }

    /// Changes the frequencies; gives the factor of the turned columns.
    fn apply(&self, frequencies: &mut [f64], theta: f64) -> f64 {
        match *self {
            Scaling::None => 1.0,
            Scaling::Linear { factor } => {
                frequencies.iter_mut().for_each(|frequency| *frequency /= factor);
                1.0
            }
            // Long waves are stretched, short ones stay, those between are blended.
            Scaling::Llama3 { factor, low, high, trained } => {
                for frequency in frequencies {
                    let turns = trained * *frequency / (2.0 * PI);
                    let smooth = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                    *frequency = (1.0 - smooth) * *frequency / factor + smooth * *frequency;
                }
                1.0
            }
            // The same by columns (Peng et al. 2023).
            Scaling::Yarn { factor, fast, slow, trained, truncate, temperature } => {
                let dims = 2.0 * frequencies.len() as f64;
                let column =
                    |turns: f64| dims * (trained / (turns * 2.0 * PI)).ln() / (2.0 * theta.ln());
                let (mut from, mut to) = (column(fast), column(slow));
                if truncate {
                    (from, to) = (from.floor(), to.ceil());
                }
                (from, to) = (from.max(0.0), to.min(dims - 1.0));
                if from == to {
                    to += 0.001;
                }
                for (column, frequency) in frequencies.iter_mut().enumerate() {
                    let stretched = ((column as f64 - from) / (to - from)).clamp(0.0, 1.0);
                    *frequency = *frequency / factor * stretched + *frequency * (1.0 - stretched);
                }
                temperature
            }
        }
    }
}
