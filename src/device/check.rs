//! What every graph and every play must satisfy, on every device: checked before anything runs.

use crate::error::{Error, Result};
use crate::graph::{CacheInfo, Capacity, Extent, Graph, Index, Op, Play, Site, Value, What};
use crate::mask::Bits;

/// Refuses a graph that no device can play: empty shapes, and picked rows for an op that knows rows
/// by their slot or position.
pub fn graph(graph: &Graph) -> Result<()> {
    if let Some(value) = graph.values().iter().find(|value| value.width == 0) {
        return Err(Error::config("width of a value", "at least 1", format!("{value:?}")));
    }
    if let Some(weight) = graph.weights().iter().find(|weight| weight.out == 0 || weight.inner == 0)
    {
        let got = format!("[{}, {}]", weight.out, weight.inner);
        return Err(Error::config(format!("weight `{}`", weight.name), "at least [1, 1]", got));
    }
    for op in graph.ops() {
        let picked = |value: &Value| graph.info(*value).extent == Extent::Picked;
        let (what, wrong) = match op {
            Op::Pick { x, .. } => ("picking", picked(x)),
            Op::Rotate { x, .. } => ("rotation", picked(x)),
            Op::Store { keys, values, .. } => ("storing", picked(keys) || picked(values)),
            Op::Attend { queries, .. } => ("attention", picked(queries)),
            _ => continue,
        };
        if wrong {
            return Err(Error::config(what, "all rows", "picked rows"));
        }
    }
    Ok(())
}

/// Refuses a play that does not fit the graph or the capacity it was prepared for, in words that a
/// person can act on. A play that passes can be indexed without a further thought.
pub fn play(graph: &Graph, capacity: Capacity, play: &Play<'_>) -> Result<()> {
    let rows = play.slots.len();
    within("variants", capacity.variants, play.variants)?;
    within("rows", capacity.rows, rows)?;
    within("picked rows", capacity.rows, play.picked.len())?;
    if play.variants == 0 {
        return Err(Error::input("variants", "at least 1", "0"));
    }
    length("token ids", play.variants * rows, play.ids.len())?;
    if !play.segments.is_empty() {
        length("segments", play.variants * rows, play.segments.len())?;
    }
    if let Some(pair) = play.slots.windows(2).find(|pair| pair[0] >= pair[1]) {
        let got = format!("{} after {}", pair[1], pair[0]);
        return Err(Error::input("slots", "ascending numbers", got));
    }
    below("picked row", rows, play.picked)?;
    for op in graph.ops() {
        check_op(graph, capacity, play, op)?;
    }
    check_taps(graph, play)?;
    check_draws(graph, play)
}

fn check_op(graph: &Graph, capacity: Capacity, play: &Play<'_>, op: &Op) -> Result<()> {
    match op {
        Op::Embed { lookups, .. } => {
            for lookup in lookups {
                let entries = graph.weight_info(lookup.table).out;
                match lookup.index {
                    Index::Token => below("token id", entries, play.ids)?,
                    Index::Segment if play.segments.is_empty() => below("segment", entries, &[0])?,
                    Index::Segment => below("segment", entries, play.segments)?,
                    Index::Position(stream) => {
                        let positions = positions(play, stream)?;
                        if let Some(far) = positions.iter().find(|p| **p as usize >= entries) {
                            let expected = format!("below {entries}, what the model has learned");
                            return Err(Error::limit("position", expected, far.to_string()));
                        }
                    }
                }
            }
        }
        Op::Rotate { rotation, .. } => {
            positions(play, rotation.stream)?;
        }
        Op::Store { site, .. } => {
            if let Some(last) = play.slots.last() {
                let slots = capacity.keys[*site as usize];
                if *last as usize >= slots {
                    let what = format!("slot of the {} cache", site.name());
                    return Err(Error::limit(what, format!("below {slots}"), last.to_string()));
                }
            }
        }
        Op::Attend { site, heads, .. } => {
            let keys = play.keys[*site as usize];
            within(&format!("{} keys", site.name()), capacity.keys[*site as usize], keys)?;
            let layers = layers_of(graph, *site);
            check_mask(play, *site, keys, layers, heads.heads)?;
            let gates = play.gates[*site as usize];
            if !gates.is_empty() {
                let cells = play.variants * layers * heads.heads;
                length(&format!("{} gates", site.name()), cells, gates.len())?;
                if let Some(gate) = gates.iter().find(|gate| !gate.is_finite()) {
                    let what = format!("{} gate", site.name());
                    return Err(Error::input(what, "a finite number", gate.to_string()));
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// Refuses caches of other shapes than the graph's, or with too little room for the play. `have` tells of a site's
/// cache its shape, its variants and its slots.
pub fn caches(
    graph: &Graph,
    play: &Play<'_>,
    have: impl Fn(Site) -> Option<(CacheInfo, usize, usize)>,
) -> Result<()> {
    let last = play.slots.last().map_or(0, |last| *last as usize + 1);
    for info in graph.caches() {
        let what = format!("{} cache", info.site.name());
        // A decoder's rows are no slots of the memory that it only reads.
        let stores = |op: &Op| matches!(op, Op::Store { site, .. } if *site == info.site);
        let need = if graph.ops().iter().any(stores) { last } else { 0 };
        let need = need.max(play.keys[info.site as usize]);
        let show = |info: CacheInfo, variants: usize, slots: usize| {
            format!("{info:?}, {variants} variants, {slots} slots")
        };
        let Some((have, variants, slots)) = have(info.site) else {
            return Err(Error::device(what, format!("{info:?}"), "no such cache"));
        };
        if have != *info || variants < play.variants || slots < need {
            let expected = show(*info, play.variants, need);
            return Err(Error::limit(what, expected, show(have, variants, slots)));
        }
    }
    Ok(())
}

fn positions<'a>(play: &Play<'a>, stream: usize) -> Result<&'a [u32]> {
    let Some(positions) = play.positions.get(stream) else {
        let got = play.positions.len().to_string();
        return Err(Error::input("position streams", format!("at least {}", stream + 1), got));
    };
    length(&format!("positions of stream {stream}"), play.slots.len(), positions.len())?;
    Ok(positions)
}

/// Layers of the cache of a site, which are the layers of its mask and gates.
fn layers_of(graph: &Graph, site: Site) -> usize {
    graph.caches().iter().find(|cache| cache.site == site).map_or(0, |cache| cache.layers)
}

fn check_mask(play: &Play<'_>, site: Site, keys: usize, layers: usize, heads: usize) -> Result<()> {
    let what = format!("{} mask", site.name());
    let Some(bits) = play.masks[site as usize] else {
        return Err(Error::input(what, "bits for every row", "no mask"));
    };
    let rows = play.slots.len();
    let Bits { plane, planes, .. } = bits;
    let shape = |rows, keys, layers, heads| {
        format!("{rows} rows, {keys} keys, {layers} layers, {heads} heads")
    };
    if (bits.rows, bits.keys, bits.layers, bits.heads) != (rows, keys, layers, heads) {
        let got = shape(bits.rows, bits.keys, bits.layers, bits.heads);
        return Err(Error::input(what, shape(rows, keys, layers, heads), got));
    }
    length(&format!("words a row of the {what}"), keys.div_ceil(32), bits.words)?;
    length(&format!("planes named by the {what}"), play.variants * layers * heads, plane.len())?;
    let words = rows * bits.words;
    let highest = plane.iter().max().map_or(0, |highest| *highest as usize + 1);
    if planes.len() < highest * words {
        let got = format!("{} words", planes.len());
        return Err(Error::input(what, format!("{highest} planes of {words} words"), got));
    }
    Ok(())
}

fn check_taps(graph: &Graph, play: &Play<'_>) -> Result<()> {
    for tap in play.taps {
        let label = tap.label;
        let name =
            format!("watched {:?} of {} layer {}", label.what, label.site.name(), label.layer);
        let missing =
            || Error::input(name.clone(), "something this graph computes", "no such thing");
        let rows = match label.what {
            What::Attention | What::Scores => {
                let Some(Op::Attend { heads, .. }) = graph.attention(label.site, label.layer)
                else {
                    return Err(missing());
                };
                below(&format!("head of {name}"), heads.heads, &tap.heads)?;
                play.slots.len()
            }
            _ => match graph.info(graph.labelled(label).ok_or_else(missing)?).extent {
                Extent::Rows => play.slots.len(),
                Extent::Picked => play.picked.len(),
            },
        };
        below(&format!("row of {name}"), rows, &tap.rows)?;
    }
    Ok(())
}

fn check_draws(graph: &Graph, play: &Play<'_>) -> Result<()> {
    if play.draws.is_empty() {
        return Ok(());
    }
    if !graph.ops().iter().any(|op| matches!(op, Op::Sample { .. })) {
        return Err(Error::input("draws", "a graph that samples", "one that does not"));
    }
    length("draws", play.variants * play.picked.len(), play.draws.len())?;
    for draw in play.draws {
        if !(draw.temperature >= 0.0 && draw.temperature.is_finite()) {
            let got = draw.temperature.to_string();
            return Err(Error::input("temperature", "0 or more", got));
        }
        if draw.top_p.is_nan() {
            return Err(Error::input("top-p", "0 to 1", "not a number"));
        }
        if !(0.0..1.0).contains(&draw.uniform) {
            let got = draw.uniform.to_string();
            return Err(Error::input("random number", "0 or more, below 1", got));
        }
    }
    Ok(())
}

fn within(what: &str, most: usize, got: usize) -> Result<()> {
    if got <= most {
        return Ok(());
    }
    Err(Error::limit(what, format!("at most {most}"), got.to_string()))
}

fn below(what: &str, bound: usize, numbers: &[u32]) -> Result<()> {
    match numbers.iter().find(|number| **number as usize >= bound) {
        None => Ok(()),
        Some(number) => Err(Error::input(what, format!("below {bound}"), number.to_string())),
    }
}

fn length(what: &str, expected: usize, got: usize) -> Result<()> {
    if expected == got {
        return Ok(());
    }
    Err(Error::input(format!("number of {what}"), expected.to_string(), got.to_string()))
}
