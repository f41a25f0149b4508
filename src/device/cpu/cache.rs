//! Keys and values as the CPU holds them.

use super::rows::Rows;
use super::{MOST, megabytes};
use crate::device::check;
use crate::error::{Error, Kind, Result};
use crate::graph::{CacheInfo, Capacity, Graph, Play, Site};

/// Keys and values of one session.
#[derive(Debug)]
pub struct Caches {
    sites: Vec<SiteCache>,
}

/// Keys and values of one site, `[layer][key|value][variant][kv_head][slot][head_width]`.
#[derive(Debug)]
pub struct SiteCache {
    info: CacheInfo,
    variants: usize,
    slots: usize,
    cells: Vec<f32>,
}

impl Caches {
    /// Caches of these shapes, all zeros. Those of one variant are made wherever memory has room for them, like the
    /// weights: a model that runs needs them.
    pub fn new(shapes: &[CacheInfo], capacity: Capacity) -> Result<Caches> {
        let bytes = |info: &CacheInfo| {
            let line = 4 * info.layers as u64 * 2 * info.kv_heads as u64 * info.head_width as u64;
            let keys = capacity.keys[info.site as usize] as u64;
            line.saturating_mul(keys).saturating_mul(capacity.variants as u64)
        };
        let all: u64 = shapes.iter().map(bytes).sum();
        if capacity.variants > 1 && all > MOST {
            let what = format!("caches of {} variants", capacity.variants);
            let expected = format!("at most {} (fewer at a time)", megabytes(MOST));
            return Err(Error::limit(what, expected, megabytes(all)));
        }
        let cache = |info: &CacheInfo| {
            let slots = capacity.keys[info.site as usize];
            let cells = zeros(bytes(info) / 4).ok_or_else(|| {
                let what = format!("keys and values of {slots} tokens");
                let got = "not so much; take a shorter text, or a smaller model";
                Error::new(Kind::Memory, what, format!("room for {}", megabytes(bytes(info))), got)
            })?;
            Ok(SiteCache { info: *info, variants: capacity.variants, slots, cells })
        };
        Ok(Caches { sites: shapes.iter().map(cache).collect::<Result<_>>()? })
    }

    /// That these caches have the graph's shapes and room for the play.
    pub fn check(&self, graph: &Graph, play: &Play<'_>) -> Result<()> {
        check::caches(graph, play, |site| {
            let cache = self.sites.iter().find(|cache| cache.info.site == site)?;
            Some((cache.info, cache.variants, cache.slots))
        })
    }

    /// The cache of a site that [`Caches::check`] has seen.
    pub fn site(&mut self, site: Site) -> &mut SiteCache {
        let cache = self.sites.iter_mut().find(|cache| cache.info.site == site);
        cache.expect("caches were checked against the graph")
    }
}

impl SiteCache {
    /// Keys of a layer, variant and head, `[slot][head_width]`.
    pub fn keys(&self, layer: usize, variant: usize, kv_head: usize) -> &[f32] {
        &self.cells[self.start(layer, 0, variant, kv_head)..][..self.slots * self.info.head_width]
    }

    /// Values of a layer, variant and head, `[slot][head_width]`.
    pub fn values(&self, layer: usize, variant: usize, kv_head: usize) -> &[f32] {
        &self.cells[self.start(layer, 1, variant, kv_head)..][..self.slots * self.info.head_width]
    }

    fn start(&self, layer: usize, part: usize, variant: usize, kv_head: usize) -> usize {
        let line = (layer * 2 + part) * self.variants + variant;
        (line * self.info.kv_heads + kv_head) * self.slots * self.info.head_width
    }
}

/// So many zeros, where memory has room for them: WebAssembly's ends at 4 GB, and a run that passes it must not end the
/// other models of the page.
fn zeros(count: u64) -> Option<Vec<f32>> {
    let count = usize::try_from(count).ok()?;
    let mut cells = Vec::new();
    cells.try_reserve_exact(count).ok()?;
    cells.resize(count, 0.0);
    Some(cells)
}

/// Puts keys and values into the rows' slots.
pub fn store(parts: [Rows<'_>; 2], cache: &mut SiteCache, layer: usize, play: &Play<'_>) {
    let rows = play.slots.len();
    let width = cache.info.head_width;
    for (part, x) in parts.into_iter().enumerate() {
        for variant in 0..play.variants {
            for (row, slot) in play.slots.iter().enumerate() {
                let x = x.row(variant * rows + row);
                for (kv_head, x) in x.chunks_exact(width).enumerate() {
                    let start = cache.start(layer, part, variant, kv_head) + *slot as usize * width;
                    cache.cells[start..start + width].copy_from_slice(x);
                }
            }
        }
    }
}
