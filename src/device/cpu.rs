//! The CPU device (being written).
use super::{Matrix, Report};
use crate::error::Result;
use crate::graph::{CacheInfo, Capacity, Graph, Play, Played};

/// The CPU.
#[derive(Debug)]
pub struct Cpu {
    report: Report,
}
/// Weights.
#[derive(Debug, Default)]
pub struct Weights {}
/// Caches.
#[derive(Debug)]
pub struct Caches {}
/// A prepared graph.
#[derive(Debug)]
pub struct Prepared {}
impl Cpu {
    /// Opens it.
    pub fn new(reason: String) -> Cpu {
        Cpu { report: Report { backend: "cpu", adapter: "Rust".into(), software: false, reason } }
    }
    /// What it is.
    pub fn report(&self) -> &Report {
        &self.report
    }
    /// Prepare.
    pub fn prepare(&self, _w: &Weights, _graph: &Graph, _c: Capacity) -> Result<Prepared> {
        Ok(Prepared {})
    }
    /// Play.
    pub fn play(&self, _p: &mut Prepared, _c: &mut Caches, _play: &Play<'_>) -> Result<Played> {
        Ok(Played::default())
    }
}
impl Caches {
    /// Empty caches.
    pub fn new(_shapes: &[CacheInfo], _capacity: Capacity) -> Caches {
        Caches {}
    }
}
impl Weights {
    /// Upload.
    pub fn upload(&mut self, _name: &str, _out: usize, _inner: usize, _m: Matrix) -> Result<()> {
        Ok(())
    }
}
