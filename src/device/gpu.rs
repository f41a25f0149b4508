//! The GPU device (being written).
use super::{Matrix, Report};
use crate::error::{Error, Result};
use crate::graph::{CacheInfo, Capacity, Graph, Play, Played};

/// An open GPU.
#[derive(Debug)]
pub struct Gpu {
    report: Report,
}
/// Weights.
#[derive(Debug)]
pub struct Weights {}
/// Caches.
#[derive(Debug)]
pub struct Caches {}
/// A prepared graph.
#[derive(Debug)]
pub struct Prepared {}

impl Gpu {
    /// Opens it.
    pub async fn open() -> Result<Gpu> {
        Err(Error::device("WebGPU", "an adapter", "none"))
    }
    /// What it is.
    pub fn report(&self) -> &Report {
        &self.report
    }
    /// Empty.
    pub fn weights(&self) -> Weights {
        Weights {}
    }
    /// Caches.
    pub async fn caches(&self, _shapes: &[CacheInfo], _capacity: Capacity) -> Result<Caches> {
        Ok(Caches {})
    }
    /// Prepare.
    pub async fn prepare(&self, _w: &Weights, _graph: &Graph, _c: Capacity) -> Result<Prepared> {
        Ok(Prepared {})
    }
    /// Play.
    pub async fn play(
        &self,
        _p: &mut Prepared,
        _c: &mut Caches,
        _play: &Play<'_>,
    ) -> Result<Played> {
        Ok(Played::default())
    }
}
impl Weights {
    /// Upload.
    pub fn upload(&mut self, _name: &str, _out: usize, _inner: usize, _m: Matrix) -> Result<()> {
        Ok(())
    }
}
