//! A checkpoint's matrices as packed int8, by the contract of model folders: tensor `X` as I8 `[out, in]` beside
//! `X.scale` as F32 `[out]`, so that a value is its integer times its row's scale.

use anyhow::{Context, Result, bail};
use half::f16;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};

/// The largest integer of a row stands for the largest value of it.
const LARGEST: f32 = 127.0;

/// The weights of a model folder, its matrices packed; vectors and tables of positions stay as they are.
pub fn pack_weights(bytes: &[u8]) -> Result<Vec<u8>> {
    let checkpoint = SafeTensors::deserialize(bytes).context("the weights could not be read")?;
    let mut tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
    for (name, tensor) in checkpoint.tensors() {
        let shape = tensor.shape().to_vec();
        let &[rows, width] = shape.as_slice() else {
            tensors.push((name, tensor.dtype(), shape, tensor.data().to_vec()));
            continue;
        };
        let is_packed = tensor.dtype() == Dtype::I8;
        if is_packed || width == 0 || name.ends_with("position.weight") {
            tensors.push((name, tensor.dtype(), shape, tensor.data().to_vec()));
            continue;
        }
        let values = floats(&name, &tensor)?;
        let (packed, scales) = pack(&values, width);
        let scales = scales.iter().flat_map(|scale| scale.to_le_bytes()).collect();
        tensors.push((format!("{name}.scale"), Dtype::F32, vec![rows], scales));
        tensors.push((name, Dtype::I8, shape, packed.iter().map(|value| *value as u8).collect()));
    }
    let views = tensors
        .iter()
        .map(|(name, dtype, shape, data)| {
            Ok((name.as_str(), TensorView::new(*dtype, shape.clone(), data)?))
        })
        .collect::<Result<Vec<_>>>()?;
    safetensors::serialize(views, None).context("the packed weights could not be written")
}

/// The configuration that goes with packed weights.
pub fn pack_config(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut config: Value = serde_json::from_slice(bytes).context("config.json is not JSON")?;
    config["quantization_config"] = json!({ "quant_method": "unmasked-int8" });
    Ok(serde_json::to_vec(&config)?)
}

fn floats(name: &str, tensor: &TensorView) -> Result<Vec<f32>> {
    let data = tensor.data();
    Ok(match tensor.dtype() {
        Dtype::F16 => {
            data.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect()
        }
        Dtype::F32 => data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        other => bail!("tensor `{name}`: expected F16 or F32, got {other:?}"),
    })
}

/// Each row by itself: its integers, and what one of them is worth.
fn pack(values: &[f32], width: usize) -> (Vec<i8>, Vec<f32>) {
    let mut packed = Vec::with_capacity(values.len());
    let mut scales = Vec::with_capacity(values.len() / width);
    for row in values.chunks_exact(width) {
        let largest = row.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        let scale = if largest > 0.0 { largest / LARGEST } else { 1.0 };
        packed.extend(row.iter().map(|value| (value / scale).round() as i8));
        scales.push(scale);
    }
    (packed, scales)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_within_half_a_step_of_its_row() {
        let values: Vec<f32> =
            (0..60_u32).map(|at| ((at * 37 % 61) as f32 - 30.0) * 0.013).collect();
        let (packed, scales) = pack(&values, 20);
        assert_eq!((packed.len(), scales.len()), (60, 3));
        for (at, value) in values.iter().enumerate() {
            let scale = scales[at / 20];
            assert!((f32::from(packed[at]) * scale - value).abs() <= scale * 0.5001, "{at}");
        }
        for row in packed.chunks(20) {
            assert_eq!(row.iter().map(|value| value.unsigned_abs()).max(), Some(127));
        }
    }

    #[test]
    fn a_row_of_zeros_stays_zero() {
        assert_eq!(pack(&[0.0; 4], 4), (vec![0; 4], vec![1.0]));
    }

    #[test]
    fn matrices_are_packed_and_nothing_else() {
        let matrix: Vec<u8> =
            [1.0, -0.5, 0.25, 2.0].iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect();
        let view = |shape: Vec<usize>| TensorView::new(Dtype::F16, shape, &matrix).unwrap();
        let stored = safetensors::serialize(
            [
                ("a.weight", view(vec![2, 2])),
                ("a.bias", view(vec![4])),
                ("x.position.weight", view(vec![2, 2])),
            ],
            None,
        )
        .unwrap();
        let packed = pack_weights(&stored).unwrap();
        let packed = SafeTensors::deserialize(&packed).unwrap();
        let mut names = packed.names();
        names.sort();
        assert_eq!(names, ["a.bias", "a.weight", "a.weight.scale", "x.position.weight"]);
        let weight = packed.tensor("a.weight").unwrap();
        assert_eq!((weight.dtype(), weight.shape()), (Dtype::I8, [2, 2].as_slice()));
        assert_eq!(weight.data(), [127, (-64_i8) as u8, 16, 127]);
        assert_eq!(packed.tensor("a.bias").unwrap().dtype(), Dtype::F16);
        assert_eq!(packed.tensor("x.position.weight").unwrap().data(), matrix);
    }
}
