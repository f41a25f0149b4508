/**
 * A token pointed at in one machine, found again in another: by the characters it spells, or by its place in the
 * answer. Pure, so that machines with different tokenizers can be matched too.
 *
 * @typedef {{ start: number, end: number } | { answer: number } | null} Pointed
 * @typedef {{ stack: 'encoder'|'decoder', position: number }} Spot
 */

/** Whether it was written: what every answer begins with, though some models have words for it, was not. @param {import('./timeline.js').Frame} frame @param {number} at */
const isAnswer = ({ target, starts = 0 }, at) => at >= starts && target[at]?.state === 'answer';

/** @param {import('./timeline.js').Frame} frame @param {Spot|null} spot @returns {Pointed} */
export function pointedBy(frame, spot) {
  if (!spot) return null;
  const wired = frame.architecture === 'encoder-decoder';
  const inTarget = wired ? spot.stack === 'decoder' : spot.position >= frame.source.length;
  if (!inTarget) {
    const { start, end } = frame.source[spot.position] ?? {};
    return typeof start === 'number' && typeof end === 'number' ? { start, end } : null;
  }
  const at = wired ? spot.position : spot.position - frame.source.length;
  if (!isAnswer(frame, at)) return null;
  return { answer: frame.target.slice(0, at).filter((_, before) => isAnswer(frame, before)).length };
}

/** @param {import('./timeline.js').Frame} frame @param {Pointed} pointed @returns {Spot|null} */
export function spotFor(frame, pointed) {
  if (!pointed) return null;
  const wired = frame.architecture === 'encoder-decoder';
  const main = frame.architecture === 'encoder' ? 'encoder' : 'decoder';
  if ('answer' in pointed) {
    const at = frame.target.map((_, index) => index).filter((index) => isAnswer(frame, index))[pointed.answer];
    return at === undefined ? null : { stack: main, position: wired ? at : frame.source.length + at };
  }
  const at = frame.source.findIndex(({ start, end }) => typeof start === 'number' && typeof end === 'number' && start < pointed.end && end > pointed.start);
  return at < 0 ? null : { stack: wired ? 'encoder' : main, position: at };
}

/**
 * The cell that the keyboard comes to; past an edge of its grid the next grid, where there is one.
 * @param {import('./timeline.js').Frame} frame
 * @param {import('./element-paint.js').Cell|null} cell null: it comes into the matrix, at the lit row
 * @param {number} rows @param {number} keys how far it goes
 * @returns {import('./element-paint.js').Cell}
 */
export function nextCell({ blocks, current }, cell, rows, keys) {
  const at = cell ? blocks.findIndex(({ name }) => name === cell.block) : blocks.length - 1;
  const block = blocks[at];
  const next = cell ? { row: cell.row + rows, key: cell.key + keys } : { row: current?.row ?? 0, key: 0 };
  const step = next.row < 0 || next.key < 0 ? -1 : next.row >= block.rows || next.key >= block.keys ? 1 : 0;
  const other = step ? blocks[at + step] : null;
  if (other) return { block: other.name, row: step < 0 ? other.rows - 1 : 0, key: step < 0 ? other.keys - 1 : 0 };
  const within = (value, count) => Math.max(0, Math.min(count - 1, value));
  return { block: block.name, row: within(next.row, block.rows), key: within(next.key, block.keys) };
}
