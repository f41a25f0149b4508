//! Buffers and textures that count themselves, and give their memory back as soon as nobody holds them.

use std::ops::{Deref, Range};
use std::sync::{Arc, Mutex};

use super::lock;
use crate::device::Usage;
use crate::device::kernels::ACROSS;

/// What a GPU's buffers and textures come to.
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
    _entry: Entry,
}

/// What stands in the ledger as long as the memory is there.
#[derive(Debug)]
struct Entry {
    bytes: u64,
    ledger: Arc<Mutex<Ledger>>,
}

impl Entry {
    fn new(ledger: &Arc<Mutex<Ledger>>, bytes: u64) -> Entry {
        let mut entries = lock(ledger);
        entries.now.buffers += 1;
        entries.now.bytes += bytes;
        entries.ever += bytes;
        drop(entries);
        Entry { bytes, ledger: ledger.clone() }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut entries = lock(&self.ledger);
        entries.now.buffers -= 1;
        entries.now.bytes -= self.bytes;
    }
}

impl Buffer {
    /// Makes a buffer and enters it.
    pub fn new(
        device: &wgpu::Device,
        ledger: &Arc<Mutex<Ledger>>,
        descriptor: &wgpu::BufferDescriptor<'_>,
    ) -> Buffer {
        let entry = Entry::new(ledger, descriptor.size);
        let held = Held { buffer: device.create_buffer(descriptor), _entry: entry };
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
    }
}

/// A weight that lies in a texture of four words a texel, one texel after the other in rows of [`ACROSS`]; held as a
/// [`Buffer`] is.
#[derive(Clone, Debug)]
pub(super) struct Texels(Arc<HeldTexels>);

#[derive(Debug)]
struct HeldTexels {
    texture: wgpu::Texture,
    view: wgpu::TextureView,
    _entry: Entry,
}

/// Bytes of a texel.
const TEXEL: u64 = 16;

impl Texels {
    /// Makes room for so many texels and enters it.
    pub fn new(
        device: &wgpu::Device,
        ledger: &Arc<Mutex<Ledger>>,
        label: &str,
        count: usize,
    ) -> Texels {
        let size = wgpu::Extent3d {
            width: count.clamp(1, ACROSS) as u32,
            height: count.div_ceil(ACROSS).max(1) as u32,
            depth_or_array_layers: 1,
        };
        let entry = Entry::new(ledger, TEXEL * size.width as u64 * size.height as u64);
        let texture = device.create_texture(&wgpu::TextureDescriptor {
            label: Some(label),
            size,
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::Rgba32Uint,
            usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        });
        let view = texture.create_view(&Default::default());
        // As with buffers.
        #[allow(clippy::arc_with_non_send_sync)]
        let held = Arc::new(HeldTexels { texture, view, _entry: entry });
        Texels(held)
    }

    /// What a bind group binds.
    pub fn view(&self) -> &wgpu::TextureView {
        &self.0.view
    }

    /// Bytes that it takes.
    pub fn size(&self) -> u64 {
        self.0._entry.bytes
    }

    /// Writes words from this texel on.
    pub fn write(&self, queue: &wgpu::Queue, first: usize, words: &[u32]) {
        for (texels, place, size) in rows(first, words.len() / 4) {
            let part = &words[4 * (texels.start - first)..4 * (texels.end - first)];
            let bytes_per_row = Some(TEXEL as u32 * size.width);
            let layout =
                wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row, rows_per_image: None };
            queue.write_texture(self.at(place), bytemuck::cast_slice(part), layout, size);
        }
    }

    /// Copies so many texels from a buffer.
    pub fn copy(&self, encoder: &mut wgpu::CommandEncoder, from: &wgpu::Buffer, count: usize) {
        for (texels, place, size) in rows(0, count) {
            let layout = wgpu::TexelCopyBufferLayout {
                offset: TEXEL * texels.start as u64,
                // One row needs none, and may be of any length.
                bytes_per_row: (size.height > 1).then_some(TEXEL as u32 * size.width),
                rows_per_image: None,
            };
            let from = wgpu::TexelCopyBufferInfo { buffer: from, layout };
            encoder.copy_buffer_to_texture(from, self.at(place), size);
        }
    }

    fn at(&self, origin: wgpu::Origin3d) -> wgpu::TexelCopyTextureInfo<'_> {
        let aspect = wgpu::TextureAspect::All;
        wgpu::TexelCopyTextureInfo { texture: &self.0.texture, mip_level: 0, origin, aspect }
    }
}

impl Drop for HeldTexels {
    fn drop(&mut self) {
        self.texture.destroy();
    }
}

/// Neighbouring texels as rectangles: the rest of a row, whole rows, a part of one.
fn rows(first: usize, count: usize) -> Vec<(Range<usize>, wgpu::Origin3d, wgpu::Extent3d)> {
    let (mut at, end) = (first, first + count);
    let mut parts = Vec::new();
    while at < end {
        let (x, left) = (at % ACROSS, end - at);
        let (width, height) = match x {
            0 if left >= ACROSS => (ACROSS, left / ACROSS),
            _ => (left.min(ACROSS - x), 1),
        };
        let origin = wgpu::Origin3d { x: x as u32, y: (at / ACROSS) as u32, z: 0 };
        let (across, down) = (width as u32, height as u32);
        let size = wgpu::Extent3d { width: across, height: down, depth_or_array_layers: 1 };
        parts.push((at..at + width * height, origin, size));
        at += width * height;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texels_are_whole_rows_and_what_is_left_of_others() {
        let shape = |first, count| -> Vec<_> {
            let each = rows(first, count).into_iter();
            each.map(|(texels, at, size)| (texels, at.x, at.y, size.width, size.height)).collect()
        };
        assert_eq!(shape(0, 0), []);
        assert_eq!(shape(0, 7), [(0..7, 0, 0, 7, 1)]);
        assert_eq!(shape(0, 2 * ACROSS), [(0..2 * ACROSS, 0, 0, ACROSS as u32, 2)]);
        let end = 5 * ACROSS + 3;
        assert_eq!(
            shape(ACROSS - 8, end - (ACROSS - 8)),
            [
                (ACROSS - 8..ACROSS, ACROSS as u32 - 8, 0, 8, 1),
                (ACROSS..5 * ACROSS, 0, 1, ACROSS as u32, 4),
                (5 * ACROSS..end, 0, 5, 3, 1),
            ]
        );
        assert_eq!(shape(ACROSS + 4, 8), [(ACROSS + 4..ACROSS + 12, 4, 1, 8, 1)]);
    }
}
