//! How fast this machine multiplies: `cargo run --release --example matmul_speed [cpu|gpu]`.
//!
//! Plays a graph of several matmuls over the same rows and prints the best and the median of many
//! plays. On a shared machine only the best says something about the code.

use std::time::Instant;

use half::f16;
use unmasked::device::{Choice, Device, Matrix};
use unmasked::error::Result;
use unmasked::graph::{Capacity, Graph, Index, Lookup, Play, Source};

fn main() -> Result<()> {
    let gpu = std::env::args().nth(1).is_some_and(|device| device == "gpu");
    let choice = if gpu { Choice::Gpu } else { Choice::Cpu };
    let device = pollster::block_on(Device::open(choice))?;
    println!("{}", device.report().adapter);
    for (rows, inner, out, count) in
        [(64, 256, 1024, 4), (1, 256, 1024, 16), (128, 768, 3072, 1), (512, 512, 512, 1)]
    {
        for format in ["f32", "f16", "int8"] {
            let mut seconds = measure(&device, [rows, inner, out], count, format)?;
            seconds.sort_by(f64::total_cmp);
            let work = 2.0 * (rows * inner * out * count) as f64 / 1e9;
            println!(
                "[{rows}x{inner}x{out}] {format:4}  best {:6.1}  median {:6.1} GFLOP/s",
                work / seconds[0],
                work / seconds[seconds.len() / 2],
            );
        }
    }
    Ok(())
}

/// Seconds of each of many plays.
fn measure(
    device: &Device,
    [rows, inner, out]: [usize; 3],
    count: usize,
    format: &str,
) -> Result<Vec<f64>> {
    let mut graph = Graph::new();
    let mut weights = device.weights();
    let number = |cell: usize| (cell * 7919 % 2003) as f32 / 2003.0 - 0.5;

    let source = Source::Stored(Vec::new());
    let table = graph.weight("table", rows, inner, source.clone())?;
    weights.upload("table", rows, inner, Matrix::F32((0..rows * inner).map(number).collect()))?;
    let x = graph.embed(vec![Lookup { table, index: Index::Token, scale: 1.0 }])?;
    for index in 0..count {
        let name = format!("weight {index}");
        let weight = graph.weight(&name, out, inner, source.clone())?;
        let cells = (0..out * inner).map(number);
        let matrix = match format {
            "f32" => Matrix::F32(cells.collect()),
            "f16" => Matrix::F16(cells.map(f16::from_f32).collect()),
            _ => Matrix::Int8 {
                values: cells.map(|cell| (cell * 254.0) as i8).collect(),
                scales: vec![1.0 / 254.0; out],
            },
        };
        weights.upload(&name, out, inner, matrix)?;
        graph.matmul(x, weight, None, 1.0)?;
    }

    let capacity = Capacity { rows, keys: [0; 3], variants: 1 };
    let mut prepared = pollster::block_on(device.prepare(&weights, &graph, capacity))?;
    let mut caches = pollster::block_on(device.caches(&[], capacity))?;
    let ids: Vec<u32> = (0..rows as u32).collect();
    let play = Play {
        variants: 1,
        ids: &ids,
        segments: &[],
        positions: &[],
        slots: &ids,
        keys: [0; 3],
        picked: &[],
        masks: [None; 3],
        gates: [&[]; 3],
        taps: &[],
        draws: &[],
        candidates: 0,
    };
    let mut seconds = Vec::new();
    for _ in 0..if rows == 1 { 500 } else { 30 } {
        let start = Instant::now();
        pollster::block_on(device.play(&mut prepared, &mut caches, &play))?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    Ok(seconds)
}
