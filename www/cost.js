/**
 * What a model stores, what a step of it costs, and which tokens it learns from. Pure: the numbers are those of the engine's
 * description and of the shown masks.
 *
 * Multiplications are counted as `src/spec/cost.rs` counts them (a test holds the two together): the matrices of the blocks, a
 * score and a weighted sum for every key that a row sees, and the output table; not norms, biases and what turns a token into
 * a row. That file tells of a few lengths, under the model's own mask. Here rows are those of the shown step, each with the keys
 * that its mask shows it.
 *
 * @typedef {import('./timeline.js').Frame} Frame
 * @typedef {import('./timeline.js').Block} Block
 * @typedef {Pick<import('./facts.js').Stack, 'layers'|'distinct_layers'|'heads'|'kv_heads'|'head_width'|'feed_forward_width'|'gated'>} Stack
 * @typedef {object} Description
 * @property {string} architecture
 * @property {number} parameters
 * @property {number} width
 * @property {number} vocabulary
 * @property {Record<string, Stack>} stacks
 * @property {{ tied?: boolean }} stored   tied: undefined where nothing turns rows into tokens
 * @property {Array<{ part: string, parameters: number }>} ledger
 * @property {Array<{ keys: number, multiplications_cached: number, multiplications_recomputed: number, cache_bytes: number }>} cost
 * @property {string} [objective]
 * @property {string} [pretrained_as]
 * @typedef {{ name: 'pass'|'once'|'cached'|'recomputed', rows: number, multiplications: number }} Line
 * @typedef {{ bytes: number, rows: number, source: number, alike: number|null }} Held   of keys and values; alike: as many as if each head had its own
 */

/** Bytes of a number that is held: f32. */
const BYTES = 4;

/** @param {Description} description */
const isWired = ({ stacks }) => Boolean(stacks.encoder && stacks.decoder);

/** @param {Stack} stack */
const queriesOf = ({ heads, head_width: width }) => heads * width;
/** @param {Stack} stack */
const keysOf = ({ kv_heads: heads, head_width: width }) => heads * width;

/**
 * Multiplications of so many rows of a stack that see so many keys in all, those of a source with them.
 * @param {Description} description @param {'encoder'|'decoder'} site @param {number} rows @param {number} seen
 */
export function blocksOf(description, site, rows, seen) {
  const { width, stacks } = description;
  const stack = stacks[site];
  const across = site === 'decoder' && isWired(description) ? 2 * width * queriesOf(stack) : 0;
  const matrices = 2 * width * (queriesOf(stack) + keysOf(stack)) + width * stack.feed_forward_width * (stack.gated ? 3 : 2) + across;
  return stack.layers * (rows * matrices + 2 * seen * queriesOf(stack));
}

/** In the order in which a text passes them. */
const PARTS = ['embeddings', 'self-attention', 'cross-attention', 'feed-forward', 'norms', 'heads'];

/** Parameters by part. @param {Description} description */
export const partsOf = ({ ledger }) => [...ledger].sort((a, b) => PARTS.indexOf(a.part) - PARTS.indexOf(b.part));

/** Numbers of the table that turns a row into the vocabulary's logits: what the engine's own number has beside the blocks'. @param {Description} description */
export function tableOf(description) {
  const [{ keys, multiplications_cached: all }] = description.cost;
  return all - blocksOf(description, description.stacks.decoder ? 'decoder' : 'encoder', 1, isWired(description) ? 2 * keys : keys);
}

/** A source's keys and values for each layer that looks across. @param {Description} description @param {number} rows */
const memoryOf = ({ width, stacks: { decoder } }, rows) => decoder.layers * rows * width * 2 * keysOf(decoder);

/** Bytes of the keys and values of so many rows, and of a source that was read. @param {Description} description @param {number} rows @param {number} source */
export function heldOf({ stacks }, rows, source) {
  const stack = stacks.decoder ?? stacks.encoder;
  return stack.layers * 2 * keysOf(stack) * BYTES * (rows + source);
}

/** Keys that these rows see, taken together; not a number where no mask of one is known. @param {Block|undefined} block @param {number[]} rows */
function seenBy(block, rows) {
  let seen = 0;
  for (const row of block ? rows : []) {
    for (let key = 0; block && key < block.keys; key += 1) {
      const sees = block.visible(row, key);
      if (sees === null) return NaN;
      if (sees) seen += 1;
    }
  }
  return seen;
}

/** @param {number} count */
const all = (count) => Array.from({ length: count }, (_, at) => at);

/**
 * Rows that have to be computed when the last one is new: it, and layer by layer whoever sees one that changed. The others'
 * keys and values are held.
 * @param {Block} block @param {number} layers
 */
export function renewed({ rows, visible }, layers) {
  const fresh = new Set([rows - 1]);
  for (let layer = 0; layer < layers; layer += 1) {
    const reached = all(rows).filter((row) => !fresh.has(row) && [...fresh].some((key) => visible(row, key)));
    if (!reached.length) break;
    for (const row of reached) fresh.add(row);
  }
  return [...fresh].sort((a, b) => a - b);
}

/**
 * The shown step: what it costs with everything held that may be, and where every row is computed again.
 * @param {Frame} frame @param {Description} description
 * @returns {{ lines: Line[], held: Held|null }|null} held: null of what keeps nothing; null: no mask is known yet
 */
export function stepOf(frame, description) {
  const { blocks, architecture, read } = frame;
  const [encoder, cross, decoder] = ['encoder', 'cross', 'decoder'].map((site) => blocks.find(({ name }) => name === site));
  const head = description.stored.tied === undefined ? 0 : tableOf(description);
  /** @type {{ lines: Line[], held: Held|null }} */
  let step = { lines: [], held: null };
  if (architecture === 'encoder' && encoder) {
    const asked = read.filter(({ state }) => state === 'blank').length;
    step.lines = [{ name: 'pass', rows: encoder.rows, multiplications: blocksOf(description, 'encoder', encoder.rows, seenBy(encoder, all(encoder.rows))) + asked * head }];
  } else if (decoder) {
    const isFirst = Math.min(frame.position, frame.length - 1) <= 0;
    const writing = (rows) => blocksOf(description, 'decoder', rows.length, seenBy(decoder, rows) + seenBy(cross, rows)) + head;
    const fresh = isFirst ? all(decoder.rows) : renewed(decoder, description.stacks.decoder.layers);
    const source = encoder?.rows ?? 0;
    const once = encoder ? blocksOf(description, 'encoder', source, seenBy(encoder, all(source))) + memoryOf(description, source) : 0;
    step = {
      lines: [
        ...encoder ? [/** @type {Line} */ ({ name: 'once', rows: source, multiplications: once })] : [],
        { name: 'cached', rows: fresh.length, multiplications: writing(fresh) },
        { name: 'recomputed', rows: source + decoder.rows, multiplications: once + writing(all(decoder.rows)) },
      ],
      held: keptOf(description, decoder.rows, source),
    };
  }
  return step.lines.length && step.lines.every(({ multiplications }) => !Number.isNaN(multiplications)) ? step : null;
}

/** @param {Description} description @param {number} rows @param {number} source @returns {Held} */
function keptOf(description, rows, source) {
  const { heads, kv_heads: kept } = description.stacks.decoder;
  const bytes = heldOf(description, rows, source);
  return { bytes, rows, source, alike: kept < heads ? bytes * heads / kept : null };
}

/** Which tokens an objective, as the engine names it, has its loss on; of others it is not told. @type {Record<string, 'masked'|'next'|'answer'|'target'>} */
const LEARNS = {
  masked: 'masked', 'next-token': 'next', 'next-token-of-answer': 'answer', 'next-token-of-target': 'target',
  'next token': 'next', 'blank infilling': 'answer', translation: 'target', denoising: 'target', spans: 'target', 'text to text': 'target',
};
/** The share of an encoder's tokens that its training asked for (training/objectives.py). */
export const MASKED = 0.15;

/**
 * From which of the shown tokens the model would learn, were this text one to train on.
 * @param {Frame} frame @param {Description} description
 * @returns {{ kind: 'masked'|'next'|'answer'|'target', n: number, of: number, words: number, marks: Array<'yes'|'maybe'|'no'> }|null}
 *   words: tokens of which a share is drawn; null: its files do not say
 */
export function learnsFrom({ source, target, position }, { objective, pretrained_as: before }) {
  const kind = before ? undefined : LEARNS[objective ?? ''];
  const tokens = [...source, ...target];
  if (!kind || !tokens.length) return null;
  const isLearnt = {
    masked: ({ state }) => (state === 'special' ? 'no' : 'maybe'),
    next: (_, at) => (at > 0 ? 'yes' : 'no'),
    // What an answer begins with is given.
    answer: (_, at) => (at >= tokens.length - position ? 'yes' : 'no'),
    target: (_, at) => (at >= tokens.length - position ? 'yes' : 'no'),
  }[kind];
  const marks = tokens.map(isLearnt);
  const words = marks.filter((mark) => mark !== 'no').length;
  return { kind, n: kind === 'masked' ? Math.round(words * MASKED) : words, of: tokens.length, words, marks };
}
