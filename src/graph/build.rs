//! Building a graph: every op's shapes are checked as it is added.

use super::{
    Activation, CacheInfo, Extent, Graph, Heads, Label, Lookup, NormKind, Op, Rotation, Site,
    Source, Value, ValueInfo, Weight, WeightInfo, What,
};
use crate::error::{Error, Result};

impl Graph {
    /// Declares a weight, or finds the one of that name.
    pub fn weight(
        &mut self,
        name: &str,
        out: usize,
        inner: usize,
        source: Source,
    ) -> Result<Weight> {
        if let Some(index) = self.weights.iter().position(|weight| weight.name == name) {
            let have = &self.weights[index];
            if (have.out, have.inner) != (out, inner) {
                return Err(shape_error(
                    &format!("weight `{name}`"),
                    format!("[{}, {}]", have.out, have.inner),
                    format!("[{out}, {inner}]"),
                ));
            }
            return Ok(Weight(index as u32));
        }
        self.weights.push(WeightInfo { name: name.into(), out, inner, source });
        Ok(Weight(self.weights.len() as u32 - 1))
    }

    /// Names a value, so that a watch can ask for it.
    pub fn label(&mut self, what: What, site: Site, layer: usize, value: Value) {
        self.labels.push((Label { what, site, layer }, value));
    }

    /// A view of `width` columns of `x`.
    pub fn columns(&mut self, x: Value, start: usize, width: usize) -> Result<Value> {
        let info = self.info(x);
        if start + width > info.width {
            let got = format!("columns {start}..{}", start + width);
            return Err(shape_error("view", format!("at most {} columns", info.width), got));
        }
        let extent = info.extent;
        Ok(self.push_value(extent, width, Some((x, start))))
    }

    /// See [`Op::Embed`].
    pub fn embed(&mut self, lookups: Vec<Lookup>) -> Result<Value> {
        let width = match lookups.first() {
            Some(first) if lookups.len() <= 4 => self.weight_info(first.table).inner,
            _ => {
                let got = lookups.len().to_string();
                return Err(shape_error("embedding tables", "1 to 4".into(), got));
            }
        };
        for lookup in &lookups {
            let table = self.weight_info(lookup.table);
            expect(&format!("width of `{}`", table.name), width, table.inner)?;
        }
        let out = self.push_value(Extent::Rows, width, None);
        self.ops.push(Op::Embed { lookups, out });
        Ok(out)
    }

    /// See [`Op::Pick`].
    pub fn pick(&mut self, x: Value) -> Value {
        let out = self.push_value(Extent::Picked, self.info(x).width, None);
        self.ops.push(Op::Pick { x, out });
        out
    }

    /// See [`Op::Norm`].
    #[allow(clippy::too_many_arguments)]
    pub fn norm(
        &mut self,
        x: Value,
        kind: NormKind,
        groups: usize,
        epsilon: f32,
        offset: f32,
        weight: Option<Weight>,
        bias: Option<Weight>,
    ) -> Result<Value> {
        let (extent, width) = (self.info(x).extent, self.info(x).width);
        if groups == 0 || !width.is_multiple_of(groups) {
            let got = format!("{groups} groups");
            return Err(shape_error("norm", format!("a divisor of {width}"), got));
        }
        for weight in [weight, bias].into_iter().flatten() {
            let info = self.weight_info(weight);
            expect(&format!("length of `{}`", info.name), width / groups, info.inner)?;
        }
        let out = self.push_value(extent, width, None);
        self.ops.push(Op::Norm { x, kind, groups, epsilon, offset, weight, bias, out });
        Ok(out)
    }

    /// See [`Op::Matmul`].
    pub fn matmul(
        &mut self,
        x: Value,
        weight: Weight,
        bias: Option<Weight>,
        scale: f32,
    ) -> Result<Value> {
        let (extent, width) = (self.info(x).extent, self.info(x).width);
        let info = self.weight_info(weight);
        expect(&format!("inputs of `{}`", info.name), width, info.inner)?;
        let outputs = info.out;
        if let Some(bias) = bias {
            let info = self.weight_info(bias);
            expect(&format!("length of `{}`", info.name), outputs, info.inner)?;
        }
        let out = self.push_value(extent, outputs, None);
        self.ops.push(Op::Matmul { x, weight, bias, scale, out });
        Ok(out)
    }

    /// See [`Op::Activate`].
    pub fn activate(&mut self, x: Value, activation: Activation) -> Value {
        let out = self.push_value(self.info(x).extent, self.info(x).width, None);
        self.ops.push(Op::Activate { x, activation, out });
        out
    }

    /// See [`Op::Add`].
    pub fn add(&mut self, a: Value, b: Value) -> Result<Value> {
        self.add_scaled(a, b, 1.0)
    }

    /// See [`Op::Add`].
    pub fn add_scaled(&mut self, a: Value, b: Value, scale: f32) -> Result<Value> {
        let out = self.push_pair("sum", a, b)?;
        self.ops.push(Op::Add { a, b, scale, out });
        Ok(out)
    }

    /// See [`Op::Multiply`].
    pub fn multiply(&mut self, a: Value, b: Value) -> Result<Value> {
        let out = self.push_pair("product", a, b)?;
        self.ops.push(Op::Multiply { a, b, out });
        Ok(out)
    }

    /// See [`Op::Rotate`].
    pub fn rotate(
        &mut self,
        x: Value,
        heads: usize,
        head_width: usize,
        rotation: Rotation,
        frequencies: Weight,
    ) -> Result<Value> {
        let (extent, width) = (self.info(x).extent, self.info(x).width);
        expect("columns of all heads", width, heads * head_width)?;
        if rotation.dims % 2 == 1 || rotation.start + rotation.dims > head_width {
            return Err(shape_error(
                "rotary columns",
                format!("an even number within {head_width}"),
                format!("{} from {}", rotation.dims, rotation.start),
            ));
        }
        expect("rotary frequencies", rotation.dims / 2, self.weight_info(frequencies).inner)?;
        let out = self.push_value(extent, width, None);
        self.ops.push(Op::Rotate { x, heads, head_width, rotation, frequencies, out });
        Ok(out)
    }

    /// Declares the cache of a site, or checks that it has this shape.
    pub fn cache(&mut self, cache: CacheInfo) -> Result<()> {
        match self.caches.iter().find(|have| have.site == cache.site) {
            None => self.caches.push(cache),
            Some(have) if *have == cache => {}
            Some(have) => {
                let what = format!("{} cache", cache.site.name());
                return Err(shape_error(&what, format!("{have:?}"), format!("{cache:?}")));
            }
        }
        Ok(())
    }

    /// See [`Op::Store`].
    pub fn store(&mut self, keys: Value, values: Value, site: Site, layer: usize) -> Result<()> {
        let cache = self.cache_of(site, layer)?;
        for value in [keys, values] {
            expect(
                "columns of keys and values",
                cache.kv_heads * cache.head_width,
                self.info(value).width,
            )?;
        }
        self.ops.push(Op::Store { keys, values, site, layer });
        Ok(())
    }

    /// See [`Op::Attend`].
    pub fn attend(
        &mut self,
        queries: Value,
        site: Site,
        layer: usize,
        heads: Heads,
        bias: Option<Weight>,
    ) -> Result<Value> {
        let cache = self.cache_of(site, layer)?;
        expect("columns of the queries", heads.heads * heads.head_width, self.info(queries).width)?;
        expect("key/value heads", cache.kv_heads, heads.kv_heads)?;
        expect("head width", cache.head_width, heads.head_width)?;
        if heads.kv_heads == 0 || !heads.heads.is_multiple_of(heads.kv_heads) {
            return Err(shape_error(
                "key/value heads",
                format!("a divisor of {}", heads.heads),
                heads.kv_heads.to_string(),
            ));
        }
        if let Some(bias) = bias {
            expect("rows of the attention bias", heads.heads, self.weight_info(bias).out)?;
        }
        let out = self.push_value(Extent::Rows, heads.heads * heads.head_width, None);
        self.ops.push(Op::Attend { queries, site, layer, heads, bias, out });
        Ok(out)
    }

    /// See [`Op::Sample`].
    pub fn sample(&mut self, logits: Value) -> Result<()> {
        if self.info(logits).extent != Extent::Picked {
            return Err(shape_error("sampling", "picked rows".into(), "all rows".into()));
        }
        self.ops.push(Op::Sample { logits });
        Ok(())
    }

    fn cache_of(&self, site: Site, layer: usize) -> Result<CacheInfo> {
        match self.caches.iter().find(|cache| cache.site == site) {
            Some(cache) if layer < cache.layers => Ok(*cache),
            Some(cache) => {
                let what = format!("layer of the {} cache", site.name());
                Err(shape_error(&what, format!("below {}", cache.layers), layer.to_string()))
            }
            None => {
                let what = format!("{} cache", site.name());
                Err(shape_error(&what, "declared before its use".into(), "no cache".into()))
            }
        }
    }

    fn push_pair(&mut self, what: &str, a: Value, b: Value) -> Result<Value> {
        let (left, right) = (self.info(a), self.info(b));
        if (left.extent, left.width) != (right.extent, right.width) {
            let show = |info: &ValueInfo| format!("[{:?}, {}]", info.extent, info.width);
            return Err(shape_error(what, show(left), show(right)));
        }
        Ok(self.push_value(left.extent, left.width, None))
    }

    fn push_value(&mut self, extent: Extent, width: usize, view: Option<(Value, usize)>) -> Value {
        self.values.push(ValueInfo { extent, width, view });
        Value(self.values.len() as u32 - 1)
    }
}

fn expect(what: &str, expected: usize, got: usize) -> Result<()> {
    if expected == got {
        return Ok(());
    }
    Err(shape_error(what, expected.to_string(), got.to_string()))
}

/// A shape that does not fit is a setting of the config that cannot be.
fn shape_error(what: &str, expected: String, got: String) -> Error {
    Error::config(what, expected, got)
}
