//! Buffers that count themselves, and give their memory back as soon as nobody holds them.

use std::ops::Deref;
use std::sync::{Arc, Mutex};

use super::lock;
use crate::device::Usage;

/// What a GPU's buffers come to.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Those that are there.
    pub now: Usage,
    /// Bytes of all that were ever made: what lies between two readings was made between them.
    pub ever: u64,
}

/// A buffer, held by all who may still use it. When the last one lets go it is destroyed: a browser
/// would keep its memory until it happens to collect garbage, of which it sees next to nothing.
#[derive(Clone, Debug)]
pub(super) struct Buffer(Arc<Held>);

#[derive(Debug)]
struct Held {
    buffer: wgpu::Buffer,
    ledger: Arc<Mutex<Ledger>>,
}

impl Buffer {
    /// Makes a buffer and enters it.
    pub fn new(
        device: &wgpu::Device,
        ledger: &Arc<Mutex<Ledger>>,
        descriptor: &wgpu::BufferDescriptor<'_>,
    ) -> Buffer {
        let mut entries = lock(ledger);
        entries.now.buffers += 1;
        entries.now.bytes += descriptor.size;
        entries.ever += descriptor.size;
        drop(entries);
        let held = Held { buffer: device.create_buffer(descriptor), ledger: ledger.clone() };
        // Natively wgpu's handles may cross threads, and so may this; on the web nothing does.
        #[allow(clippy::arc_with_non_send_sync)]
        let held = Arc::new(held);
        Buffer(held)
    }
}

impl Deref for Buffer {
    type Target = wgpu::Buffer;

    fn deref(&self) -> &wgpu::Buffer {
        &self.0.buffer
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // What was submitted and reads it still runs to its end.
        self.buffer.destroy();
        let mut entries = lock(&self.ledger);
        entries.now.buffers -= 1;
        entries.now.bytes -= self.buffer.size();
    }
}
