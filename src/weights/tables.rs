//! Tables that no checkpoint stores: they are computed.

/// Vaswani et al. 2017, sines in the first half of the columns, cosines in the second.
pub fn sinusoids(positions: usize, width: usize) -> Vec<f32> {
    let half = width.div_ceil(2);
    let mut table = vec![0.0; positions * width];
    for position in 0..positions {
        for column in 0..width {
            let pair = column % half;
            let angle = position as f64 / 10_000f64.powf(2.0 * pair as f64 / width as f64);
            let value = if column < half { angle.sin() } else { angle.cos() };
            table[position * width + column] = value as f32;
        }
    }
    table
}

/// ALiBi (Press et al. 2022): `-slope * |distance|`, slopes a geometric row for powers of two.
pub fn slopes(heads: usize, columns: usize) -> Vec<f32> {
    let powers = |count: usize| {
        let base = 2f64.powf(-8.0 / count as f64);
        (1..=count).map(move |head| base.powi(head as i32)).collect::<Vec<f64>>()
    };
    let closest = if heads.is_power_of_two() { heads } else { heads.next_power_of_two() / 2 };
    let mut all = powers(closest);
    all.extend(powers(2 * closest).into_iter().step_by(2).take(heads - closest));
    let reach = columns.div_ceil(2);
    let mut table = Vec::with_capacity(heads * columns);
    for slope in all {
        table.extend((0..columns).map(|c| (-slope * (c as f64 + 1.0 - reach as f64).abs()) as f32));
    }
    table
}

/// T5's bucket of a distance `key - row`: exact up to half of them, then logarithmic.
pub fn bucket(distance: i64, buckets: usize, max_distance: usize, bidirectional: bool) -> usize {
    let (mut first, mut buckets) = (0, buckets);
    let far = if bidirectional {
        buckets /= 2;
        if distance > 0 {
            first = buckets;
        }
        distance.unsigned_abs() as usize
    } else {
        (-distance).max(0) as usize
    };
    let exact = buckets / 2;
    if far < exact || exact == 0 {
        return first + far.min(buckets.saturating_sub(1));
    }
    // The reference computes this logarithm in f32.
    let ratio = (far as f32 / exact as f32).ln() / (max_distance as f32 / exact as f32).ln();
    let log = exact + (ratio * (buckets - exact) as f32) as usize;
    first + log.min(buckets - 1)
}

/// A bias for every distance from a table `[bucket][head]`: `[head][distance]`, the distance 0 in the middle.
pub fn spread(
    table: &[f32],
    heads: usize,
    columns: usize,
    bucket: impl Fn(i64) -> usize,
) -> Vec<f32> {
    let reach = columns.div_ceil(2) as i64;
    let mut spread = vec![0.0; heads * columns];
    for column in 0..columns {
        let bucket = bucket(column as i64 - (reach - 1));
        for head in 0..heads {
            spread[head * columns + column] = table[bucket * heads + head];
        }
    }
    spread
}
