//! Waiting for a buffer to be readable, in both worlds: natively the device is polled until it is,
//! in a browser the event loop wakes a future.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use super::{Shared, lock};
use crate::error::{Error, Result};

/// The outcome of a mapping, when it comes.
#[derive(Default)]
struct State {
    outcome: Option<std::result::Result<(), String>>,
    waker: Option<Waker>,
}

struct Mapping(Arc<Mutex<State>>);

impl Future for Mapping {
    type Output = std::result::Result<(), String>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = lock(&self.0);
        match state.outcome.take() {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Maps the first `bytes` of a buffer for reading and waits until a submission has written them.
pub(super) async fn map(
    shared: &Shared,
    buffer: &wgpu::Buffer,
    bytes: u64,
    submission: &wgpu::SubmissionIndex,
) -> Result<()> {
    let state = Arc::new(Mutex::new(State::default()));
    let told = state.clone();
    buffer.map_async(wgpu::MapMode::Read, ..bytes, move |outcome| {
        let mut state = lock(&told);
        state.outcome = Some(outcome.map_err(|error| error.to_string()));
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    });
    push(shared, submission)?;
    match Mapping(state).await {
        Ok(()) => shared.healthy(),
        Err(error) => {
            shared.healthy()?;
            Err(Error::device("readback", "what the GPU computed", error))
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn push(shared: &Shared, submission: &wgpu::SubmissionIndex) -> Result<()> {
    // Not for whatever was submitted since: the next step may already be on its way.
    let submission_index = Some(submission.clone());
    let waited = shared.device.poll(wgpu::PollType::Wait { submission_index, timeout: None });
    if waited.is_err() {
        // A lost device does not know what it was given last; of its loss it tells in a poll of everything.
        let _ = shared.device.poll(wgpu::PollType::Poll);
    }
    shared.healthy()?;
    match waited {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::device("GPU", "to finish", error.to_string())),
    }
}

/// Firefox finishes a mapping only when something else is submitted.
#[cfg(target_arch = "wasm32")]
fn push(shared: &Shared, _: &wgpu::SubmissionIndex) -> Result<()> {
    shared.queue.submit([]);
    Ok(())
}
