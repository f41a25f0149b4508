/**
 * The leak test: one token is exchanged for another, both texts are read whole, and what moved tells who could know of it.
 * Rows that may not see it stay the same, bit for bit. The states are the engine's, compared here.
 *
 * @typedef {import('./timeline.js').Frame} Frame
 * @typedef {import('./element-point.js').Spot} Spot
 * @typedef {import('./element-point.js').Spot & { masked?: boolean }} Exchange   masked: for [MASK], not for another token of the text
 * @typedef {{ id: number, piece: string, special?: boolean, space?: boolean, position: number, state: string }} Token
 * @typedef {{ name: 'encoder'|'decoder', tokens: Token[], starts?: number[] }} Stack   starts: rows of what every answer begins with
 * @typedef {{ spot: Exchange, token: Token, other: Token, canMask: boolean, stacks: Array<Stack & { moved: number[][] }>, drawn: { before: number, after: number }|null }} Leak
 *   canMask: it can be exchanged for [MASK]; moved: [row][layer], the largest change of a row's state after so many layers;
 *   drawn: what the other rows attend to it, a share of all, on average over layers, heads and rows; asked for of [MASK] alone
 */

const STACKS = /** @type {const} */ ({ e: 'encoder', d: 'decoder' });

/**
 * The token that is exchanged, as attributes and addresses have it: `d3` is row 3 of the decoder, `e2.mask` row 2 of the encoder
 * for [MASK]. @param {string|null|undefined} text @returns {Exchange|null}
 */
export function readSpot(text) {
  const [, letter, position, mask] = /^([ed])(\d{1,4})(\.mask)?$/.exec(text ?? '') ?? [];
  return letter ? { stack: STACKS[letter], position: Number(position), ...mask && { masked: true } } : null;
}

/** @param {Exchange} spot */
export const writeSpot = ({ stack, position, masked }) => `${stack[0]}${position}${masked ? '.mask' : ''}`;

/** Numbers of one text that are asked for at once. */
const MOST = 1_000_000;

/** The tokens that were read in the pass of a frame, stack by stack. @param {Frame} frame @returns {Stack[]} */
export function stacksOf({ architecture, read, source, target, starts = 0, blocks }) {
  if (architecture === 'encoder') return [{ name: 'encoder', tokens: read }];
  const { rows } = blocks[blocks.length - 1];
  const wired = architecture === 'encoder-decoder';
  const first = wired ? 0 : source.length;
  const own = { starts: Array.from({ length: starts }, (_, at) => first + at) };
  if (wired) return [{ name: 'encoder', tokens: source }, { name: 'decoder', tokens: target.slice(0, rows), ...own }];
  return [{ name: 'decoder', tokens: [...source, ...target].slice(0, rows), ...own }];
}

/** What asks the engine for these tokens, as the pass of a frame read them. @param {Frame} frame @param {Stack[]} [stacks] @returns {{ ids: number[], targetIds?: number[] }} */
export function requestOf({ architecture, sourceLength, ...frame }, stacks = stacksOf({ architecture, sourceLength, ...frame })) {
  const [first, second] = stacks.map(({ tokens }) => tokens.map(({ id }) => id));
  if (architecture === 'encoder') return { ids: first };
  if (second) return { ids: first, targetIds: second };
  return { ids: first.slice(0, sourceLength), targetIds: first.slice(sourceLength) };
}

/** @param {Token} token */
const isPlain = ({ state, special }) => state !== 'special' && state !== 'blank' && !special;

/** Something to read, no comma. @param {Token} token */
const isWord = ({ piece }) => /[\p{L}\p{N}]/u.test(piece);

/** The token that is exchanged where nobody chose: the last word of the source, so that there are rows before it and after. @param {Frame} frame @returns {Spot} */
export function firstSpot(frame) {
  const [{ name, tokens }] = stacksOf(frame);
  const words = tokens.map((token, position) => ({ token, position })).slice(0, frame.sourceLength).filter(({ token }) => isPlain(token));
  const word = words.findLast(({ token }) => isWord(token)) ?? words.at(-1);
  return { stack: name, position: word?.position ?? 0 };
}

/**
 * The token that is exchanged: the one that was chosen, the last one where its text is shorter by now. What every answer begins
 * with is none: the engine would put it in front again, and all that follows would be one row further on.
 * @param {Frame} frame @param {Exchange|null} chosen null = nobody chose @returns {Exchange}
 */
export function spotIn(frame, chosen) {
  const stack = chosen && stacksOf(frame).find(({ name }) => name === chosen.stack);
  if (!stack) return firstSpot(frame);
  const position = Math.min(chosen.position, stack.tokens.length - 1);
  return stack.starts?.includes(position) ? firstSpot(frame) : { stack: stack.name, position, ...chosen.masked && { masked: true } };
}

/**
 * Another token of the same text, the nearest word of its own part that does not stand beside it: no stranger to it, and nothing
 * is said twice in a row. Where there is none, the nearest of its stack, else one of the other's, or a sign.
 * @param {Stack[]} stacks @param {Spot} spot @returns {Token|null} null where there is no other at all
 */
export function otherThan(stacks, spot) {
  const own = stacks.find(({ name }) => name === spot.stack)?.tokens ?? [];
  const at = spot.position;
  const near = own.map((token, position) => ({ token, far: Math.abs(position - at) })).sort((a, b) => a.far - b.far).map(({ token }) => token);
  const words = near.filter(isPlain);
  const beside = [own[at - 1]?.id, own[at + 1]?.id];
  const others = stacks.flatMap(({ name, tokens }) => (name === spot.stack ? [] : tokens)).filter(isPlain);
  const apart = words.filter(({ id, state }) => !beside.includes(id) && state === own[at]?.state);
  return [...apart.filter(isWord), ...apart, ...words, ...others, ...near].find(({ id }) => id !== own[at]?.id) ?? null;
}

/**
 * What the engine is asked for: a request, and the two texts of it as variants, computed in one batch, so that nothing of
 * one is taken from the other. Layers are asked for in groups, where all at once would be too much.
 * @param {Frame} frame @param {Exchange} spot
 * @param {{ width: number, heads: number, layers: Record<string, number>, special?: { mask?: number|null } }} description
 * @returns {{ token: Token, other: Token, canMask: boolean, weighs: boolean, stacks: Stack[], request: { ids: number[], sourceLength: number, targetIds?: number[] }, variants: object[], groups: number[][] }|null}
 *   weighs: what others attend to it is asked for, too; null: there is no such token, or no other to exchange it for
 */
export function askLeak(frame, spot, { width, heads, layers, special }) {
  const stacks = stacksOf(frame);
  const stack = stacks.find(({ name }) => name === spot.stack);
  const token = stack?.starts?.includes(spot.position) ? undefined : stack?.tokens[spot.position];
  const sign = frame.architecture === 'encoder' ? special?.mask ?? null : null;
  const canMask = sign !== null && token?.id !== sign;
  const weighs = canMask && Boolean(spot.masked);
  const other = token && (weighs ? { id: sign, piece: '[MASK]', special: true, position: spot.position, state: 'blank' } : otherThan(stacks, spot));
  if (!token || !other) return null;
  const changed = stacks.map((own) => ({ ...own, tokens: own.tokens.map((one, at) => (own === stack && at === spot.position ? other : one)) }));
  const rows = Math.max(...stacks.map(({ tokens }) => tokens.length));
  const count = Math.max(...stacks.map(({ name }) => layers[name])) + 1;
  const fit = Math.max(1, Math.floor(MOST / (rows * (width + (weighs ? heads * rows : 0)))));
  const groups = [];
  for (let first = 0; first < count; first += fit) groups.push(Array.from({ length: Math.min(fit, count - first) }, (_, at) => first + at));
  return { token, other, canMask, weighs, stacks, request: { ...requestOf(frame, stacks), sourceLength: frame.sourceLength }, variants: [{}, requestOf(frame, changed)], groups };
}

/** The largest change of each row: 0 where every number is the same, bit for bit. @param {number[][]} before @param {number[][]} after [row][width] */
export function largest(before, after) {
  return before.map((row, at) => row.reduce((most, value, column) => {
    const other = after[at][column];
    // Two zeros of different sign are not the same bits.
    const change = Object.is(value, other) ? 0 : Math.max(Number.MIN_VALUE, Math.abs(value - other));
    return change > most || Number.isNaN(change) ? change : most;
  }, 0));
}

/**
 * What the other rows attend to one token, added up, and how many weights that is.
 * @param {Array<number[][][]|null>} attention [layer][head][row][key], null where a layer was not asked for @param {number} position
 */
export function weightsOf(attention, position) {
  const weights = attention.flatMap((heads) => (heads ?? []).flatMap((rows) => rows.filter((_, row) => row !== position).map((keys) => keys[position])));
  return { sum: weights.reduce((sum, weight) => sum + weight, 0), n: weights.length };
}

/**
 * @param {import('./engine.js').Engine} engine @param {object} how masks and heads of the run, and what else it was asked with
 * @param {Frame} frame @param {Exchange} spot
 * @param {() => boolean} isWanted whether it still is, between two passes
 * @returns {Promise<Leak|null>} null: there is nothing to exchange it for, or it is wanted no more
 */
export async function readLeak(engine, how, frame, spot, isWanted) {
  const asked = askLeak(frame, spot, engine.describe());
  if (!asked) return null;
  const { request, variants, groups, token, other, canMask, weighs, stacks } = asked;
  const moved = stacks.map(({ tokens }) => tokens.map(() => /** @type {number[]} */ ([])));
  const drawn = [0, 0];
  let weights = 0;
  const watch = weighs ? { heads: 'all', what: ['hidden', 'attention'] } : { heads: [0], what: ['hidden'] };
  for (const layers of groups) {
    if (!isWanted()) return null;
    const { variants: texts } = await engine.sweep({ ...request, ...how, watch: { ...watch, layers, rows: 'all' } }, variants);
    const [one, two] = texts;
    stacks.forEach(({ name }, at) => (one.hidden[name] ?? []).forEach((rows, layer) => {
      largest(rows, two.hidden[name][layer]).forEach((change, row) => moved[at][row].push(change));
    }));
    if (!weighs) continue;
    texts.forEach(({ attention }, at) => {
      const { sum, n } = weightsOf(attention[spot.stack] ?? [], spot.position);
      drawn[at] += sum;
      if (at === 0) weights += n;
    });
  }
  return {
    spot, token, other, canMask,
    stacks: stacks.map((stack, at) => ({ ...stack, moved: moved[at] })),
    drawn: weights ? { before: drawn[0] / weights, after: drawn[1] / weights } : null,
  };
}

/** How many of these rows moved, and how far the farthest. @param {number[][]} rows */
export function movedOf(rows) {
  const most = rows.map((layers) => layers.reduce((one, layer) => (layer > one || Number.isNaN(layer) ? layer : one), 0));
  return { of: rows.length, n: most.filter((change) => change !== 0).length, most: most.reduce((one, change) => Math.max(one, change), 0) };
}

/** A change, as short as a cell. @param {number} change */
export function sayChange(change) {
  if (change === 0) return '0';
  if (change >= 99.5) return change.toFixed(0);
  if (change < 0.00095) return change.toExponential(0);
  // What rounds up to .10 is written like it.
  const text = change >= 0.995 ? change.toPrecision(2) : change >= 0.095 ? change.toFixed(2) : change.toPrecision(1);
  return text.replace(/^0\./, '.');
}
