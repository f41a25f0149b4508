//! The table: step -> shader, overrides, bindings, parameters, workgroups.
//!
//! Every shader is one file of `shaders/`, as it stands. Its `@group(0)` holds parameters (a
//! uniform), the play and its operands; where it touches a cache, `@group(1)` holds that layer's
//! cache and its shape. `tests/shaders.rs` reads the shaders and holds this table to them.

mod context;
mod launch;
mod matmul;

use std::ops::Range;

pub use context::Context;
pub use launch::{launch, parts};

use super::{Format, ROWS_TOGETHER};
use crate::graph::{Extent, Site, Value, Weight};

/// Words at the head of a play's buffer, as shaders name them: `const PLAY_ROWS = 0u;`.
pub mod header {
    /// Rows of the play.
    pub const ROWS: usize = 0;
    /// Variants of the play.
    pub const VARIANTS: usize = 1;
    /// Picked rows.
    pub const PICKED: usize = 2;
    /// Candidates of each choice.
    pub const CANDIDATES: usize = 3;
    /// Keys of each site.
    pub const KEYS: usize = 4;
    /// Where `[variant][row]` ids begin.
    pub const IDS: usize = 7;
    /// Where `[variant][row]` segments begin.
    pub const SEGMENTS: usize = 8;
    /// Where the slots of the rows begin.
    pub const SLOTS: usize = 9;
    /// Where the picked rows begin.
    pub const PICKS: usize = 10;
    /// Where `[stream][row]` positions begin.
    pub const POSITIONS: usize = 11;
    /// Where `[variant][picked]` draws begin, four words each.
    pub const DRAWS: usize = 12;
    /// Of each site: where `[variant][layer][head]` gates begin, or [`NONE`].
    pub const GATES: usize = 13;
    /// Of each site: where `[plane][row][word]` mask words begin.
    pub const PLANES: usize = 16;
    /// Of each site: where `[variant][layer][head]` -> plane begins.
    pub const TABLE: usize = 19;
    /// Of each site: words of a mask row.
    pub const WORDS: usize = 22;
    /// Where the watch table begins: for each attention, where its records begin, or 0.
    pub const WATCH: usize = 25;
    /// Length.
    pub const LENGTH: usize = 32;
    /// Stands for nothing.
    pub const NONE: u32 = u32::MAX;
    /// Name in the shaders and value of each.
    pub const ALL: [(&str, usize); 17] = [
        ("PLAY_ROWS", ROWS),
        ("PLAY_VARIANTS", VARIANTS),
        ("PLAY_PICKED", PICKED),
        ("PLAY_CANDIDATES", CANDIDATES),
        ("PLAY_KEYS", KEYS),
        ("PLAY_IDS", IDS),
        ("PLAY_SEGMENTS", SEGMENTS),
        ("PLAY_SLOTS", SLOTS),
        ("PLAY_PICKS", PICKS),
        ("PLAY_POSITIONS", POSITIONS),
        ("PLAY_DRAWS", DRAWS),
        ("PLAY_GATES", GATES),
        ("PLAY_PLANES", PLANES),
        ("PLAY_TABLE", TABLE),
        ("PLAY_WORDS", WORDS),
        ("PLAY_WATCH", WATCH),
        ("NONE", NONE as usize),
    ];
}

/// How a shader uses a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A uniform.
    Uniform,
    /// Read-only storage.
    Read,
    /// Storage that is written.
    Write,
    /// A texture of four words a texel, texel by texel in rows of [`ACROSS`].
    Texels,
}

/// A shader and what it binds.
#[derive(Debug)]
pub struct Kernel {
    /// Name of its file in `shaders/`, without `.wgsl`.
    pub name: &'static str,
    /// Its text.
    pub source: &'static str,
    /// Names and uses of `@group(0)`, by binding: parameters and play first.
    pub bindings: &'static [(&'static str, Access)],
    /// Whether it binds a cache as `@group(1)`.
    pub cache: bool,
    /// Fields of its `Params`, a word each (the tables of `embed` are four words each).
    pub params: &'static [&'static str],
}

/// What every kernel with a cache has as `@group(1)`.
pub const CACHE_BINDINGS: [(&str, Access); 2] =
    [("shape", Access::Uniform), ("cache", Access::Write)];

macro_rules! kernel {
    // What another has, but for its bindings.
    ($name:literal, like: $other:ident, $($binding:ident: $access:ident),*) => {
        Kernel {
            name: $name,
            source: include_str!(concat!("../../shaders/", $name, ".wgsl")),
            bindings: &[
                ("params", Access::Uniform),
                ("play", Access::Read),
                $((stringify!($binding), Access::$access)),*
            ],
            ..$other
        }
    };
    ($name:literal, cache: $cache:literal, params: [$($param:literal),* $(,)?], $($binding:ident: $access:ident),*) => {
        Kernel {
            name: $name,
            source: include_str!(concat!("../../shaders/", $name, ".wgsl")),
            bindings: &[
                ("params", Access::Uniform),
                ("play", Access::Read),
                $((stringify!($binding), Access::$access)),*
            ],
            cache: $cache,
            params: &[$($param),*],
        }
    };
}

static EMBED: Kernel = kernel!(
    "embed", cache: false, params: ["width", "stride", "tables", "first", "table"],
    table0: Read, table1: Read, table2: Read, table3: Read, out: Write
);
static EMBED_TEXELS: Kernel = kernel!(
    "embed_texels", like: EMBED,
    table0: Texels, table1: Texels, table2: Texels, table3: Texels, out: Write
);
static PICK: Kernel = kernel!(
    "pick", cache: false, params: ["width", "stride", "x_stride", "x_start"],
    x: Read, out: Write
);
static COMBINE: Kernel = kernel!(
    "combine", cache: false,
    params: ["width", "stride", "a_stride", "a_start", "b_stride", "b_start", "picked", "activation", "pair", "factor"],
    a: Read, b: Read, out: Write
);
static NORM: Kernel = kernel!(
    "norm", cache: false,
    params: [
        "groups", "part", "stride", "x_stride", "x_start", "weight", "bias", "has_weight",
        "has_bias", "epsilon", "offset", "picked",
    ],
    x: Read, vectors: Read, out: Write
);
static NORM_ALONE: Kernel = kernel!(
    "norm_alone", like: NORM,
    x: Read, vectors: Read, out: Write
);
static ROTATE: Kernel = kernel!(
    "rotate", cache: false,
    params: [
        "width", "stride", "x_stride", "x_start", "head_width", "start", "dims", "neighbours",
        "stream",
    ],
    x: Read, frequencies: Read, out: Write
);
static STORE: Kernel = kernel!(
    "store", cache: true,
    params: ["width", "keys_stride", "keys_start", "values_stride", "values_start"],
    keys: Read, values: Read
);
static TURN: Kernel = kernel!(
    "turn", cache: true,
    params: [
        "query_width", "kv_width", "stride", "x_stride", "queries", "keys", "values", "head_width", "dims", "streams",
        "neighbours", "query_weight", "query_bias", "key_weight", "key_bias", "epsilon", "offset",
    ],
    x: Read, frequencies: Read, vectors: Read, out: Write
);
static MATMUL_ROW: Kernel = kernel!(
    "matmul_row", cache: true,
    params: [
        "inputs", "outputs", "first", "end", "picks", "x_stride", "x_start", "stride", "scale", "bias",
        "norm_weight", "norm_bias", "epsilon", "offset",
        "multiply_stride", "multiply_start", "add_stride", "add_start", "add_scale", "add_width", "add_weight",
        "add_bias", "add_epsilon", "add_offset", "store_width", "store_keys", "store_values",
    ],
    x: Read, weight: Texels, vectors: Read, multiply: Read, add: Read, out: Write
);
static MATMUL_ROWS: Kernel = kernel!(
    "matmul_rows", cache: true,
    params: [
        "inputs", "outputs", "first", "end", "picks", "x_stride", "x_start", "stride", "scale", "bias",
        "multiply_stride", "multiply_start", "add_stride", "add_start", "add_scale", "add_width", "add_weight",
        "add_bias", "add_epsilon", "add_offset", "store_width", "store_keys", "store_values",
    ],
    x: Read, weight: Texels, vectors: Read, multiply: Read, add: Read, out: Write
);
static MATMUL_ROW_SPLIT: Kernel = kernel!(
    "matmul_row_split", like: MATMUL_ROW,
    x: Read, weight: Read, vectors: Read, multiply: Read, add: Read, out: Write
);
static MATMUL_ROWS_TILED: Kernel = kernel!(
    "matmul_rows_tiled", like: MATMUL_ROWS,
    x: Read, weight: Read, vectors: Read, multiply: Read, add: Read, out: Write
);
static ATTEND: Kernel = kernel!(
    "attend", cache: true,
    params: [
        "site", "layer", "layers", "heads", "group", "stride", "q_stride", "q_start", "reach",
        "watch", "scale",
    ],
    queries: Read, bias: Read, out: Write, outbox: Write
);
static ATTEND_ALONE: Kernel = kernel!(
    "attend_alone", like: ATTEND,
    queries: Read, bias: Texels, out: Write, outbox: Write
);
static SAMPLE: Kernel = kernel!(
    "sample", cache: false, params: ["vocabulary", "stride", "start"],
    logits: Read, outbox: Write
);

/// All kernels.
pub static KERNELS: [&Kernel; 16] = [
    &EMBED,
    &EMBED_TEXELS,
    &PICK,
    &COMBINE,
    &NORM,
    &NORM_ALONE,
    &ROTATE,
    &STORE,
    &TURN,
    &MATMUL_ROW,
    &MATMUL_ROW_SPLIT,
    &MATMUL_ROWS,
    &MATMUL_ROWS_TILED,
    &ATTEND,
    &ATTEND_ALONE,
    &SAMPLE,
];

/// What kernels are made for. A software adapter runs four lanes at once, one four after the other, and a barrier costs it
/// more than what it saves: few lanes, that share nothing. On hardware thousands of lanes wait for memory at once and a long
/// loop of one lane is what a dispatch takes: sums are shared through workgroup memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tuning {
    /// llvmpipe, SwiftShader, WARP.
    Software,
    /// Everything else.
    Hardware,
}

/// Texels of a row of the texture that a weight lies in.
pub const ACROSS: usize = 2048;

/// Outputs of a weight that lie together; in a buffer a weight with fewer is one tile, of a multiple of 4. Were all outputs one tile, a workgroup
/// would jump by a whole row of outputs at every step: of 4,096 outputs that is 16 KB, and most reads miss.
///
/// So a weight lies as `words[out / tile][inner / P][tile]`, `P` values of neighbouring columns a word (f32 1, halves 2,
/// int8 4), `inner` padded with zeros to a multiple of 4, so that neighbouring outputs read neighbouring words; of int8
/// the scales follow, f32. A matrix of one row is always f32, and lies alone.
///
/// A software adapter reads every word of a buffer for each lane by itself, bounds and all, but the four words of a texel
/// as one. For it a weight lies in a texture, as `texels[out / tile][inner / 4 P][tile]`, `inner` padded to a multiple of
/// 4 `P`: of a texel's four words word `c` holds columns `c`, `c + 4`, ... of its 4 `P`, so that one shift of all four gives
/// four neighbours.
pub const TILE: usize = ROWS_TOGETHER;

/// How a weight lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Laid {
    /// How its numbers are packed.
    pub format: Format,
    /// Rows that lie together in one buffer or texture, a multiple of [`TILE`] or all of them: a weight that is larger than a
    /// binding may be lies in several, each laid out as if it were a weight of its own.
    pub rows: usize,
    /// Whether it lies in textures.
    pub texels: bool,
}

impl Laid {
    /// The rows of each of its buffers or textures, of `out` rows in all.
    pub fn parts(self, out: usize) -> impl Iterator<Item = Range<usize>> {
        (0..out).step_by(self.rows).map(move |first| first..out.min(first + self.rows))
    }
}

/// What a binding of a launch is bound to.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// The memory of a value.
    Value(Value),
    /// A weight, or a part of it.
    Weight(Weight, usize),
    /// These vectors one after the other, f32, each padded to a multiple of 4.
    Vectors(Vec<Weight>),
    /// What is read back.
    Outbox,
    /// Nothing that the shader will read.
    Nothing,
}

/// How many workgroups a play of some rows takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Grid {
    /// A lane for each of this many cells a row.
    Cells(usize),
    /// This many workgroups a row.
    Parts(usize),
    /// This many workgroups side by side, for each so many rows.
    Tiles {
        /// Side by side.
        across: usize,
        /// Rows of each.
        rows: usize,
    },
    /// A workgroup for each row of the play, head and variant.
    Heads(usize),
}

/// Everything about a dispatch that does not change from play to play.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The shader.
    pub kernel: &'static Kernel,
    /// Values of its overrides.
    pub overrides: Vec<(&'static str, f64)>,
    /// Its `Params`, word by word.
    pub params: Vec<u32>,
    /// What its bindings after parameters and play are bound to.
    pub operands: Vec<Operand>,
    /// The cache that it touches.
    pub cache: Option<(Site, usize)>,
    /// Its workgroups.
    pub grid: Grid,
    /// The same in larger tiles, the largest first, for plays whose rows fill a GPU with them.
    pub larger: Vec<Tiling>,
    /// Whether it runs over all rows or the picked ones.
    pub extent: Extent,
    /// Lanes of a workgroup.
    pub lanes: usize,
}

/// Another way to share a launch's work out.
#[derive(Clone, Debug)]
pub struct Tiling {
    /// Values of the shader's overrides.
    pub overrides: Vec<(&'static str, f64)>,
    /// Its workgroups.
    pub grid: Grid,
    /// Lanes of a workgroup.
    pub lanes: usize,
}

impl Tiling {
    /// Whether a play of so many rows, variants counted, makes so many workgroups that all of a large GPU is busy: two for
    /// each of its some 130 processors. (At 64 workgroups smaller tiles were faster, at 1,024 larger ones.)
    fn fills(&self, rows: usize) -> bool {
        const ENOUGH: usize = 256;
        match self.grid {
            Grid::Tiles { across, rows: each } => across * rows.div_ceil(each) >= ENOUGH,
            _ => false,
        }
    }
}

/// Columns from one row of a value's memory to the next: whole fours.
pub fn stride(width: usize) -> usize {
    width.next_multiple_of(4)
}

/// Which of a launch's larger tiles a play takes, if any, and its workgroups, for its rows of this launch's extent.
pub fn workgroups(launch: &Launch, rows: usize, variants: usize) -> (Option<usize>, [u32; 3]) {
    let count = rows * variants;
    let larger = launch.larger.iter().position(|tiling| tiling.fills(count));
    let grid = larger.map_or(launch.grid, |larger| launch.larger[larger].grid);
    let groups = match grid {
        Grid::Cells(cells) => line((count * cells).div_ceil(launch.lanes)),
        Grid::Parts(parts) => line(count * parts),
        Grid::Tiles { across, rows } => [across as u32, count.div_ceil(rows) as u32, 1],
        Grid::Heads(heads) => [rows as u32, heads as u32, variants as u32],
    };
    (larger, groups)
}

/// A line of workgroups, folded where one dimension does not hold it.
fn line(count: usize) -> [u32; 3] {
    const MOST: usize = 65_535;
    let down = count.div_ceil(MOST).max(1);
    [count.div_ceil(down) as u32, down as u32, 1]
}
