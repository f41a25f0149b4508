/**
 * Two blanks, apart and together. An encoder guesses each blank as if it did not know what stands in the other; filled in one
 * after the other, the second one knows. The engine gives the logits and the likeliest tokens, apart with their
 * probabilities; a softmax of its logits, in f64 and over the whole vocabulary, gives the rest. Draws nothing.
 *
 * @typedef {import('./timeline.js').Frame} Frame
 * @typedef {{ id: number, piece: string, space?: boolean, probability: number }} Guess
 * @typedef {{ guess: Guess, shares: number[], best: Guess, before: number, bits: number }} Given
 *   a guess of the first blank; filled in: what each shown guess of the second has, the likeliest of all, what that one had before,
 *   and how far the second's distribution moved
 * @typedef {{ rows: number[], count: number, at: number, vocabulary: number, seconds: Guess[], given: Given[], bits: number, chosen: number }} Two
 *   rows: where the two blanks stand; at: the place of the first among all `count` blanks; seconds: guesses of the second blank
 *   while both are blank; bits: the mean over the given, each by its probability; chosen: which of the given is told in words
 */

/** Guesses that are shown of each blank. */
export const GUESSES = 4;

/** Where a run's blanks stand, also those that are filled by now. @param {Pick<Frame, 'source'>} frame */
export const blanksOf = ({ source }) => source.filter(({ state }) => state === 'blank' || state === 'filled').map(({ position }) => position);

/**
 * The two blanks that are shown: of many, the one at which the run is and the next one in the text.
 * @param {Pick<Frame, 'source'|'current'>} frame @returns {{ rows: number[], count: number, at: number }|null} null: there are no two
 */
export function pairOf(frame) {
  const all = blanksOf(frame);
  if (all.length < 2) return null;
  const at = Math.max(0, Math.min(all.indexOf(frame.current?.row ?? -1), all.length - 2));
  return { rows: all.slice(at, at + 2), count: all.length, at };
}

/** The logarithm of each token's probability: a softmax in f64. @param {ArrayLike<number>} logits @param {number} [temperature] */
export function logShares(logits, temperature = 1) {
  let most = -Infinity;
  for (let id = 0; id < logits.length; id += 1) most = Math.max(most, logits[id]);
  let sum = 0;
  for (let id = 0; id < logits.length; id += 1) sum += Math.exp((logits[id] - most) / temperature);
  const whole = Math.log(sum);
  return Float64Array.from(logits, (logit) => (logit - most) / temperature - whole);
}

/** How far a distribution is from the one before, in bits: the Kullback-Leibler divergence. @param {Float64Array} after @param {Float64Array} before both as logarithms */
export function bitsBetween(after, before) {
  let sum = 0;
  after.forEach((share, id) => { if (share > -Infinity) sum += Math.exp(share) * (share - before[id]); });
  // Of two that are the same, rounding may leave a trace below 0.
  return Math.max(0, sum / Math.LN2);
}

/** The likeliest pair of those that are shown, filled in one after the other. @param {Two} two @returns {{ row: number, column: number }} */
export function likeliest({ given }) {
  const all = given.flatMap(({ guess, shares }, row) => shares.map((share, column) => ({ row, column, p: guess.probability * share })));
  return all.reduce((best, one) => (one.p > best.p ? one : best));
}

/**
 * Asks the engine: one run of a step a blank, both blank; then one batch, a variant a guess of the first.
 * @param {import('./engine.js').Engine} engine
 * @param {import('./engine.js').Request & { ids: number[] }} base the text with its blanks, and the temperature at which the run's candidates are likely, too
 * @param {{ rows: number[], count: number, at: number }} pair
 * @param {() => boolean} isWanted whether it still is, between two passes
 * @returns {Promise<Two|null>} null: it is wanted no more
 */
export async function readBlanks(engine, base, pair, isWanted) {
  const { rows } = pair;
  const watch = { layers: [0], heads: [0], what: ['logits'] };
  /** @type {any[]} */
  const steps = [];
  for await (const step of engine.generate({ ...base, blanks: rows, fill: 'parallel', candidates: GUESSES, watch: { ...watch, rows } })) {
    if (!isWanted()) return null;
    steps.push(step);
  }
  const [first, second] = rows.map((row) => steps.find((step) => step.row === row));
  const variants = first.candidates.map(({ id }) => ({ ids: base.ids.with(rows[0], id) }));
  const swept = await engine.sweep({ ...base, watch: { ...watch, rows: [rows[1]] } }, variants);
  if (!isWanted()) return null;
  const temperature = base.sampling?.temperature;
  const before = logShares(second.logits, temperature);
  const after = swept.variants.map(({ logits }) => logShares(logits[0], temperature));
  const best = after.map((shares) => shares.reduce((most, share, id) => (share > shares[most] ? id : most), 0));
  const names = await namesOf(engine, best, second.candidates);
  const given = after.map((shares, at) => ({
    guess: plain(first.candidates[at]),
    shares: second.candidates.map(({ id }) => Math.exp(shares[id])),
    best: { ...names[at], probability: Math.exp(shares[best[at]]) },
    before: Math.exp(before[best[at]]),
    bits: bitsBetween(shares, before),
  }));
  return { ...pair, vocabulary: before.length, seconds: second.candidates.map(plain), given, bits: meanBits(given), chosen: given[0].guess.id };
}

/** @returns {Guess} */
const plain = ({ id, piece, space, probability }) => ({ id, piece, space, probability });

/** Each counts as much as it is likely. @param {Given[]} given */
function meanBits(given) {
  const whole = given.reduce((sum, { guess }) => sum + guess.probability, 0);
  return given.reduce((sum, { guess, bits }) => sum + guess.probability * bits, 0) / whole;
}

/**
 * Pieces of tokens: of those that are no candidates only a text that holds them tells.
 * @param {import('./engine.js').Engine} engine @param {number[]} ids @param {Guess[]} known
 * @returns {Promise<Array<{ id: number, piece: string, space?: boolean }>>}
 */
async function namesOf(engine, ids, known) {
  const others = [...new Set(ids)].filter((id) => known.every((one) => one.id !== id));
  const { tokens } = others.length ? await engine.forward({ ids: others, watch: { what: [] } }) : { tokens: [] };
  const all = [...known, ...tokens];
  return ids.map((id) => {
    const { piece, space } = all.find((one) => one.id === id);
    return { id, piece, space };
  });
}
