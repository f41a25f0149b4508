//! Samples as tables: median and range of each group.

use super::Record;
use serde_json::Value;
use std::fmt::Write;

/// Every table that there are samples for.
pub fn all(records: &[Record]) -> String {
    let mut text = String::new();
    let mut add = |title: &str, rows: Vec<Vec<String>>, head: &[&str]| {
        if !rows.is_empty() {
            let _ = write!(text, "\n{title}\n\n{}", layout(head, &rows));
        }
    };
    let of = |case: &str| records.iter().filter(|r| r.case == case).collect::<Vec<_>>();
    add(
        "Models: the first token (an encoder: one pass over blanks) and those after it",
        groups(&of("model"), &["model", "place"])
            .into_iter()
            .map(|(names, group)| {
                let rate = numbers(&group, "tokens_per_s");
                let per_token: Vec<f64> = rate.iter().map(|rate| 1e3 / rate).collect();
                let mut row = names;
                row.push(spread(&numbers(&group, "first_ms")));
                row.push(spread(&per_token));
                row.push(spread(&rate));
                for number in ["dispatches", "submits", "readbacks", "tokens", "cpu_ms"] {
                    row.push(spread(&numbers(&group, number)));
                }
                row.push(format!("{}", group.len()));
                row
            })
            .collect(),
        &[
            "model",
            "place",
            "first, ms",
            "a token, ms",
            "tokens/s",
            "dispatches",
            "submits",
            "readbacks",
            "tokens",
            "processor, ms",
            "samples",
        ],
    );
    add(
        "Checkpoints of real sizes: the load, the first token and those after it, and the most memory",
        groups(&of("checkpoint"), &["model", "place"])
            .into_iter()
            .map(|(mut row, group)| {
                let scaled = |name: &str, by: f64| -> Vec<f64> {
                    numbers(&group, name).into_iter().map(|number| number / by).collect()
                };
                row.push(spread(&scaled("load_ms", 1e3)));
                row.push(spread(&numbers(&group, "first_ms")));
                row.push(spread(&numbers(&group, "tokens_per_s")));
                for memory in ["memory_bytes", "gpu_bytes"] {
                    row.push(spread(&scaled(memory, 1e6)));
                }
                row.push(format!("{}", group.len()));
                row
            })
            .collect(),
        &["model", "place", "load, s", "first, ms", "tokens/s", "memory, MB", "GPU, MB", "samples"],
    );
    add(
        "Matmul, GFLOP/s",
        groups(&of("matmul"), &["shape", "format", "place"])
            .into_iter()
            .map(|(mut row, group)| {
                row.push(spread(&numbers(&group, "gflops")));
                row
            })
            .collect(),
        &["shape", "weights", "place", "GFLOP/s"],
    );
    add(
        "From navigation to the first token, one machine",
        groups(&of("cold"), &["model", "place"])
            .into_iter()
            .map(|(mut row, group)| {
                row.push(spread(&numbers(&group, "first_ms")));
                row.push(spread(&numbers(&group, "bytes")));
                row.push(spread(&numbers(&group, "requests")));
                row
            })
            .collect(),
        &["model", "place", "ms", "bytes", "requests"],
    );
    add(
        "Sizes, bytes",
        of("size")
            .into_iter()
            .map(|record| {
                let mut row = vec![field(record, "file"), record.place.clone()];
                for size in ["raw", "gzip", "brotli"] {
                    row.push(field(record, size));
                }
                row
            })
            .collect(),
        &["file", "place", "raw", "gzip", "brotli"],
    );
    add(
        "Failed",
        of("failed")
            .iter()
            .map(|record| ["of", "place", "message"].map(|name| field(record, name)).to_vec())
            .collect(),
        &["what", "place", "why"],
    );
    add(
        "The same ids everywhere?",
        same_ids(&[of("model"), of("checkpoint")].concat()),
        &["model", "places", "ids that all agree on", "of"],
    );
    text
}

/// Times of dispatches.
pub fn kernels(records: &[Record]) -> String {
    let of: Vec<&Record> = records.iter().filter(|record| record.case == "kernel").collect();
    let rows: Vec<Vec<String>> = groups(&of, &["pass", "kernel", "workgroups"])
        .into_iter()
        .map(|(mut row, group)| {
            row.push(spread(&numbers(&group, "microseconds")));
            row.push(format!("{}", group.len()));
            row
        })
        .collect();
    layout(&["pass", "kernel", "workgroups", "microseconds", "samples"], &rows)
}

/// Of models that several engines ran: how many of the first ids all of them chose.
fn same_ids(records: &[&Record]) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for (mut row, group) in groups(records, &["model"]) {
        let ids = |record: &Record| record.rest.get("ids").and_then(Value::as_array).cloned();
        let mut places: Vec<&str> = group.iter().map(|record| record.place.as_str()).collect();
        places.dedup();
        let lists: Vec<Vec<Value>> = group.iter().filter_map(|record| ids(record)).collect();
        let shortest = lists.iter().map(Vec::len).min().unwrap_or(0);
        let same =
            (0..shortest).take_while(|at| lists.iter().all(|list| list[*at] == lists[0][*at]));
        places.sort_unstable();
        places.dedup();
        row.extend([places.len().to_string(), same.count().to_string(), shortest.to_string()]);
        rows.push(row);
    }
    rows
}

/// Records with the same values of some fields, in the order in which they came.
fn groups<'a>(records: &[&'a Record], by: &[&str]) -> Vec<(Vec<String>, Vec<&'a Record>)> {
    let mut groups: Vec<(Vec<String>, Vec<&Record>)> = Vec::new();
    for record in records {
        let key: Vec<String> = by.iter().map(|name| field(record, name)).collect();
        match groups.iter_mut().find(|(have, _)| *have == key) {
            Some((_, group)) => group.push(record),
            None => groups.push((key, vec![record])),
        }
    }
    groups
}

fn field(record: &Record, name: &str) -> String {
    match (name, record.rest.get(name)) {
        ("place", _) => record.place.clone(),
        (_, Some(Value::String(text))) => text.clone(),
        (_, Some(value)) => value.to_string(),
        (_, None) => String::new(),
    }
}

fn numbers(records: &[&Record], name: &str) -> Vec<f64> {
    records.iter().filter_map(|record| record.rest.get(name)?.as_f64()).collect()
}

/// `median (least-most)`, in three figures.
fn spread(numbers: &[f64]) -> String {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (Some(least), Some(most)) = (sorted.first(), sorted.last()) else { return String::new() };
    let middle = (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]) / 2.0;
    match least == most {
        true => figures(middle),
        false => format!("{} ({}-{})", figures(middle), figures(*least), figures(*most)),
    }
}

fn figures(number: f64) -> String {
    match number.abs() {
        size if size >= 100.0 || number.fract() == 0.0 => format!("{number:.0}"),
        size if size >= 10.0 => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}

/// Columns as wide as what is in them.
fn layout(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_string() + "\n"
    };
    let mut text = line(&mut head.iter().copied());
    for row in rows {
        text += &line(&mut row.iter().map(String::as_str));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn record(place: &str, rest: Value) -> Record {
        let mut record = rest;
        record["place"] = json!(place);
        record["case"] = json!("model");
        serde_json::from_value(record).unwrap()
    }

    #[test]
    fn samples_become_median_and_range() {
        assert_eq!(spread(&[3.0, 1.0, 2.0]), "2 (1-3)");
        assert_eq!(spread(&[1.25, 1.75]), "1.50 (1.25-1.75)");
        assert_eq!(spread(&[]), "");
    }

    #[test]
    fn a_checkpoint_tells_of_its_load_and_memory() {
        let mut one = record(
            "a",
            json!({
                "model": "gpt2-124m", "load_ms": 5200.0, "first_ms": 90.0, "tokens_per_s": 8.0,
                "memory_bytes": 567_000_000, "gpu_bytes": null, "ids": [1, 2],
            }),
        );
        one.case = "checkpoint".into();
        let text = all(&[one]);
        let line = text.lines().find(|line| line.starts_with("gpt2-124m  a")).unwrap();
        assert_eq!(
            line.split_whitespace().collect::<Vec<_>>(),
            ["gpt2-124m", "a", "5.20", "90", "8", "567", "1"],
            "{text}"
        );
    }

    #[test]
    fn a_table_has_a_row_a_model_and_place() {
        let records = [
            record(
                "a",
                json!({ "model": "m", "first_ms": 2.0, "tokens_per_s": 100.0, "ids": [1, 2] }),
            ),
            record(
                "b",
                json!({ "model": "m", "first_ms": 4.0, "tokens_per_s": 50.0, "ids": [1, 3] }),
            ),
            record(
                "a",
                json!({ "model": "m", "first_ms": 4.0, "tokens_per_s": 100.0, "ids": [1, 2] }),
            ),
        ];
        let text = all(&records);
        let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap();
        assert!(line("m      a").contains("3 (2-4)") && line("m      a").contains("100"), "{text}");
        assert_eq!(line("m      2").split_whitespace().collect::<Vec<_>>(), ["m", "2", "1", "2"]);
    }
}
