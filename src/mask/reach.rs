//! What a row can know: its mask, layer after layer.
//!
//! A row's state holds what it held, and what the rows that it sees held one layer before. So a window
//! of `w` reaches further with each layer, and one cell painted open lets a whole column through.

use super::Bits;

/// An attention of each layer of a stack: who sees whom, and with which heads.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// All rows of the stack, in their order; of one variant.
    pub bits: &'a Bits,
    /// `[layer][head]`; a head of gate 0 tells its row nothing. Empty means 1.
    pub gates: &'a [f32],
}

impl Sight<'_> {
    /// The words of the keys that any head of `layer` tells `row` of.
    fn seen(&self, layer: usize, row: usize) -> Vec<u32> {
        let mut seen = vec![0; self.bits.words];
        let mut planes = Vec::new();
        for head in 0..self.bits.heads {
            let at = layer * self.bits.heads + head;
            let plane = self.bits.plane[at];
            if self.gates.get(at) == Some(&0.0) || planes.contains(&plane) {
                continue;
            }
            planes.push(plane);
            unite(&mut seen, self.bits.row(0, layer, head, row));
        }
        seen
    }
}

/// After how many layers each row can hold something of each token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// `[row][token]`: 0 for what it is itself, `None` where it never can.
    pub layers: Vec<Vec<Option<u32>>>,
    /// What each row holds after the last layer, as bits.
    held: Vec<Vec<u32>>,
}

impl Reach {
    /// Rows that hold nothing yet.
    fn nothing(rows: usize, tokens: usize) -> Reach {
        Reach {
            layers: vec![vec![None; tokens]; rows],
            held: vec![vec![0; tokens.div_ceil(32)]; rows],
        }
    }

    /// Rows that hold themselves.
    fn themselves(rows: usize) -> Reach {
        let mut reach = Reach::nothing(rows, rows);
        for row in 0..rows {
            reach.layers[row][row] = Some(0);
            reach.held[row][row / 32] |= 1 << (row % 32);
        }
        reach
    }

    /// After `layer` layers row `row` holds these, too.
    fn learn(&mut self, row: usize, words: &[u32], layer: u32) {
        for (word, (held, new)) in self.held[row].iter_mut().zip(words).enumerate() {
            let mut fresh = new & !*held;
            *held |= new;
            while fresh != 0 {
                self.layers[row][word * 32 + fresh.trailing_zeros() as usize] = Some(layer);
                fresh &= fresh - 1;
            }
        }
    }

    /// Of a stack that attends to itself alone.
    pub fn within(own: Sight) -> Reach {
        let mut reach = Reach::themselves(own.bits.rows);
        for layer in 0..own.bits.layers {
            let before = reach.held.clone();
            for row in 0..own.bits.rows {
                reach.learn(row, &told_by(&before, &own.seen(layer, row)), layer as u32 + 1);
            }
        }
        reach
    }

    /// Of a decoder that looks at a memory, too, after its rows looked at each other: what its rows can hold of themselves,
    /// and of the tokens of which the memory holds something.
    pub fn across(own: Sight, cross: Sight, memory: &Reach) -> (Reach, Reach) {
        let rows = own.bits.rows;
        let tokens = memory.layers.first().map_or(0, Vec::len);
        let (mut target, mut source) = (Reach::themselves(rows), Reach::nothing(rows, tokens));
        for layer in 0..own.bits.layers {
            let (targets, sources) = (target.held.clone(), source.held.clone());
            for row in 0..rows {
                let seen = own.seen(layer, row);
                target.learn(row, &told_by(&targets, &seen), layer as u32 + 1);
                source.learn(row, &told_by(&sources, &seen), layer as u32 + 1);
                source.learn(
                    row,
                    &told_by(&memory.held, &cross.seen(layer, row)),
                    layer as u32 + 1,
                );
            }
        }
        (target, source)
    }
}

/// What the rows among `keys` hold together.
fn told_by(held: &[Vec<u32>], keys: &[u32]) -> Vec<u32> {
    let mut told = vec![0; held.first().map_or(0, Vec::len)];
    for key in ones(keys).filter(|key| *key < held.len()) {
        unite(&mut told, &held[key]);
    }
    told
}

fn unite(words: &mut [u32], more: &[u32]) {
    for (word, more) in words.iter_mut().zip(more) {
        *word |= more;
    }
}

/// The places of all bits that are 1.
fn ones(words: &[u32]) -> impl Iterator<Item = usize> + '_ {
    words.iter().enumerate().flat_map(|(at, word)| {
        (0..32).filter(move |bit| word >> bit & 1 == 1).map(move |bit| at * 32 + bit)
    })
}
