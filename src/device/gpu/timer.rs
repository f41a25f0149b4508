//! Times of single dispatches by the GPU's own clock, for whoever works on a kernel. Off unless asked for.

use std::sync::Mutex;

use super::{Shared, lock, wait};
use crate::error::{Error, Result};

/// What one dispatch took.
#[derive(Clone, Debug, PartialEq)]
pub struct DispatchTime {
    /// The name of its shader.
    pub kernel: &'static str,
    /// Its workgroups.
    pub workgroups: [u32; 3],
    /// Its time.
    pub microseconds: f64,
}

/// Whether dispatches are timed, and what those of the last play took.
#[derive(Debug, Default)]
pub(super) struct Timing {
    pub on: bool,
    pub last: Vec<DispatchTime>,
}

/// Two stamps a dispatch.
#[derive(Debug)]
pub(super) struct Timer {
    stamps: wgpu::QuerySet,
    count: u32,
    resolved: wgpu::Buffer,
    staging: wgpu::Buffer,
    noted: Mutex<Vec<(usize, &'static str, [u32; 3])>>,
}

impl Timer {
    /// A timer for a play of at most so many dispatches, where they are to be timed.
    pub fn new(shared: &Shared, dispatches: usize) -> Option<Timer> {
        if !lock(&shared.timing).on {
            return None;
        }
        let count = 2 * dispatches as u32;
        let buffer = |usage| {
            shared.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("stamps"),
                size: 8 * u64::from(count),
                usage,
                mapped_at_creation: false,
            })
        };
        Some(Timer {
            stamps: shared.device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("stamps"),
                ty: wgpu::QueryType::Timestamp,
                count,
            }),
            count,
            resolved: buffer(wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC),
            staging: buffer(wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ),
            noted: Mutex::default(),
        })
    }

    /// The stamps of the pass that holds one dispatch.
    pub fn writes(&self, run: usize) -> wgpu::ComputePassTimestampWrites<'_> {
        wgpu::ComputePassTimestampWrites {
            query_set: &self.stamps,
            beginning_of_pass_write_index: Some(2 * run as u32),
            end_of_pass_write_index: Some(2 * run as u32 + 1),
        }
    }

    /// Remembers what a dispatch is.
    pub fn note(&self, run: usize, kernel: &'static str, workgroups: [u32; 3]) {
        lock(&self.noted).push((run, kernel, workgroups));
    }

    pub fn resolve(&self, encoder: &mut wgpu::CommandEncoder) {
        encoder.resolve_query_set(&self.stamps, 0..self.count, &self.resolved, 0);
        let bytes = self.resolved.size();
        encoder.copy_buffer_to_buffer(&self.resolved, 0, &self.staging, 0, bytes);
    }

    /// Reads the stamps; they are the times of the last play.
    pub async fn read(self, shared: &Shared, submission: &wgpu::SubmissionIndex) -> Result<()> {
        wait::map(shared, &self.staging, self.staging.size(), submission).await?;
        let view = self.staging.get_mapped_range(..).map_err(|error| {
            Error::device("timestamps", "what the GPU wrote", error.to_string())
        })?;
        let stamps: Vec<u64> = bytemuck::pod_collect_to_vec(&view);
        let period = f64::from(shared.queue.get_timestamp_period());
        let noted = lock(&self.noted);
        let times = noted.iter().map(|(run, kernel, workgroups)| {
            let ticks = stamps[2 * run + 1].saturating_sub(stamps[2 * run]);
            let microseconds = ticks as f64 * period / 1e3;
            DispatchTime { kernel, workgroups: *workgroups, microseconds }
        });
        lock(&shared.timing).last = times.collect();
        Ok(())
    }
}
