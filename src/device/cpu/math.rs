//! The functions that Transformers bend their values with, four lanes at a time.

use wide::f32x4;

use crate::graph::Activation;

/// `a b + sum`: rounded once where the target fuses it, twice where it does not. WebAssembly's relaxed SIMD leaves that
/// to the machine, which then does what is fastest.
#[inline(always)]
pub fn fused(a: f32x4, b: f32x4, sum: f32x4) -> f32x4 {
    #[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
    {
        use std::arch::wasm32::{f32x4_relaxed_madd, v128};
        let [a, b, sum] = [a, b, sum].map(bytemuck::cast::<f32x4, v128>);
        bytemuck::cast(f32x4_relaxed_madd(a, b, sum))
    }
    #[cfg(not(all(target_arch = "wasm32", target_feature = "relaxed-simd")))]
    a.mul_add(b, sum)
}

/// `Σ a_i b_i` for each `b`: lane `i % 4` takes `i`, ascending; the rest after the last whole four comes last.
#[inline(always)]
pub fn dots<const N: usize>(a: &[f32], b: [&[f32]; N]) -> [f32; N] {
    let (a, a_rest) = a.as_chunks::<4>();
    let parts = b.map(|b| &b.as_chunks::<4>().0[..a.len()]);
    let mut sums = [f32x4::ZERO; N];
    for (at, a) in a.iter().enumerate() {
        for (sum, b) in sums.iter_mut().zip(parts) {
            *sum = fused(f32x4::new(*a), f32x4::new(b[at]), *sum);
        }
    }
    let totals = totals(sums);
    std::array::from_fn(|n| {
        let b_rest = &b[n][a.len() * 4..];
        let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
        totals[n] + rest
    })
}

/// [`total`] of each; four of them are added up side by side, in the same order.
#[inline(always)]
fn totals<const N: usize>(sums: [f32x4; N]) -> [f32; N] {
    if N != 4 {
        return sums.map(total);
    }
    let [a, b, c, d] = f32x4::transpose(std::array::from_fn(|n| sums[n]));
    let four = ((a + b) + (c + d)).to_array();
    std::array::from_fn(|n| four[n])
}

/// The sum of the lanes, by pairs.
#[inline(always)]
pub fn total(lanes: f32x4) -> f32 {
    let [a, b, c, d] = lanes.to_array();
    (a + b) + (c + d)
}

/// `Σ f(x_i)`, in the order of [`dots`].
#[inline(always)]
pub fn sum(x: &[f32], f: impl Fn(f32x4) -> f32x4) -> f32 {
    let (x, rest) = x.as_chunks::<4>();
    let mut sums = f32x4::ZERO;
    for x in x {
        sums += f(f32x4::new(*x));
    }
    let mut last = 0.0;
    for x in rest {
        last += f(f32x4::splat(*x)).to_array()[0];
    }
    total(sums) + last
}

/// Writes `f(x)` to `to`.
#[inline(always)]
pub fn map(x: &[f32], to: &mut [f32], f: impl Fn(f32x4) -> f32x4) {
    let (x, x_rest) = x.as_chunks::<4>();
    let (to, to_rest) = to.as_chunks_mut::<4>();
    for (x, to) in x.iter().zip(to) {
        *to = f(f32x4::new(*x)).to_array();
    }
    for (x, to) in x_rest.iter().zip(to_rest) {
        *to = f(f32x4::splat(*x)).to_array()[0];
    }
}

/// `e^x` within 2 units in the last place; 0 below -86.9, infinite above 88.7.
///
/// `x = n ln 2 + r`; a polynomial gives `e^r` (Cephes), and `n` goes straight into the exponent.
#[inline(always)]
pub fn exp(x: f32x4) -> f32x4 {
    /// Adding it rounds to an integer, which then lies in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    /// What makes the exponent's bits of `n - 1`: those of `ROUND` above them are shifted out.
    const BIAS: i32 = 126 << 23;
    let log2_e = f32x4::splat(std::f32::consts::LOG2_E);
    let shifted = fused(x.fast_min(f32x4::splat(89.0)), log2_e, f32x4::splat(ROUND));
    let n = shifted - f32x4::splat(ROUND);
    let r = fused(n, f32x4::splat(-0.693_359_4), x);
    let r = fused(n, f32x4::splat(2.121_944_4e-4), r);
    let mut p = f32x4::splat(1.987_569_2e-4);
    for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5, 1.0, 1.0] {
        p = fused(p, r, f32x4::splat(coefficient));
    }
    // Half of the power, and the rest doubled: the power itself may lie past the largest exponent.
    let bits: wide::i32x4 = bytemuck::cast(shifted);
    let half: f32x4 = bytemuck::cast((bits << 23) + wide::i32x4::splat(BIAS));
    let y = (p + p) * half;
    x.simd_lt(f32x4::splat(-86.9)).select(f32x4::ZERO, y)
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
fn sigmoid(x: f32x4) -> f32x4 {
    f32x4::splat(1.0) / (f32x4::splat(1.0) + exp(-x))
}

/// The error function within 1.5e-7 (Abramowitz & Stegun 7.1.26).
#[inline(always)]
fn erf(x: f32x4) -> f32x4 {
    let size = x.abs();
    let t = f32x4::splat(1.0) / fused(f32x4::splat(0.327_591_1), size, f32x4::splat(1.0));
    let mut p = f32x4::splat(1.061_405_4);
    for coefficient in [-1.453_152_1, 1.421_413_8, -0.284_496_72, 0.254_829_6] {
        p = fused(p, t, f32x4::splat(coefficient));
    }
    let y = f32x4::splat(1.0) - p * t * exp(-(size * size));
    x.simd_lt(f32x4::ZERO).select(-y, y)
}

/// Writes `activation(x)` to `to`.
pub fn activate(activation: Activation, x: &[f32], to: &mut [f32]) {
    let half = f32x4::splat(0.5);
    let one = f32x4::splat(1.0);
    match activation {
        Activation::Relu => {
            map(x, to, |x| x.simd_gt(f32x4::ZERO).select(x, f32x4::ZERO));
        }
        Activation::Gelu => {
            map(x, to, |x| half * x * (one + erf(x * std::f32::consts::FRAC_1_SQRT_2)));
        }
        // 0.5 (1 + tanh u) is sigmoid(2 u).
        Activation::GeluTanh => map(x, to, |x| {
            let u = fused(x * x * x, f32x4::splat(0.044_715), x);
            x * sigmoid(u * 1.595_769)
        }),
        Activation::QuickGelu => map(x, to, |x| x * sigmoid(x * 1.702)),
        Activation::Silu => map(x, to, |x| x * sigmoid(x)),
        // Rare (poolers), and exact near 0 as no formula with `exp` is.
        Activation::Tanh => {
            for (x, to) in x.iter().zip(to) {
                *to = x.tanh();
            }
        }
        Activation::Sigmoid => map(x, to, sigmoid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Distance in units in the last place of the right answer.
    fn ulps(got: f32, right: f64) -> f64 {
        let unit = f32::from_bits((right as f32).to_bits() + 1) - right as f32;
        (f64::from(got) - right).abs() / f64::from(unit)
    }

    #[test]
    fn exp_is_right_to_two_units_in_the_last_place() {
        for step in -86_000..=88_000 {
            let x = step as f32 / 1000.0;
            let got = exp(f32x4::splat(x)).to_array()[2];
            assert!(ulps(got, f64::from(x).exp()) <= 2.0, "exp({x}) = {got}");
        }
    }

    #[test]
    fn exp_of_the_ends() {
        let ends = [f32::NEG_INFINITY, -1e30, f32::INFINITY, 1e30];
        assert_eq!(exp(f32x4::new(ends)).to_array(), [0.0, 0.0, f32::INFINITY, f32::INFINITY]);
        let [nan, one, low, high] = exp(f32x4::new([f32::NAN, 0.0, -87.5, 88.7])).to_array();
        assert!(nan.is_nan() && one == 1.0 && low == 0.0 && high.is_finite() && high > 3.3e38);
    }
}
