/** Two runs of one question, the second under another mask: what changed by it. Pure. */

import { logShares } from './blanks.js';
import { candidatesOf } from './timeline.js';

/** The logarithm of 0.0005: what is less likely is shown as no more than that, views/dom.js says `<0.1%`. */
const LEAST = Math.log(0.0005);
/** Numbers that are brought back at once. */
const MOST = 4_000_000;

/** What was asked, whatever its mask: runs of one question can be compared. @param {import('./machine.js').Settings} settings */
export function questionOf({ text, pair, blanks, fill, sampling, language, sourceLanguage }) {
  return JSON.stringify([text, pair, blanks, fill, sampling, language, sourceLanguage]);
}

/**
 * The candidates that a step had in the run before, by their ids, and which of them the model chose there; null where more than the
 * mask is another: what it read, or what had been chosen until then.
 * @param {import('./timeline.js').Timeline} plain
 * @param {import('./timeline.js').Timeline} timeline
 * @param {number} at the step
 * @param {boolean} isAlone whether steps know nothing of each other: an encoder that fills all blanks from one pass
 * @returns {{ chosen: import('./timeline.js').Candidate|null, of: Map<number, number>, isWhole: boolean }|null}
 *   isWhole: whether those that are missing are known, too: to be less likely than can be shown
 */
export function before(plain, timeline, at, isAlone) {
  const step = timeline.steps[at];
  if (!step) return null;
  const ids = (run) => run.header.tokens.map(({ id }) => id).join();
  const isAnew = (/** @type {import('./timeline.js').Step} */ { own }) => own !== undefined;
  // Where blanks are filled from one pass, what comes after a choice of a person was read anew with it, be it the model's own.
  const until = (run) => run.steps.slice(0, at).map((one) => `${one.row} ${one.chosen} ${isAlone && isAnew(one)}`).join();
  const isApart = isAlone && ![plain, timeline].some((run) => run.steps.slice(0, at).some(isAnew));
  const was = isApart ? plain.steps.find(({ row }) => row === step.row) : plain.steps[at];
  if (was?.row !== step.row || ids(plain) !== ids(timeline) || !isApart && until(plain) !== until(timeline)) return null;
  const candidates = candidatesOf(was);
  const shares = plain.shares?.[plain.steps.indexOf(was)];
  return {
    chosen: candidates.find(({ id }) => id === (was.own ?? was.chosen)) ?? null, isWhole: shares !== undefined,
    of: new Map([...shares ?? [], ...candidates.map(({ id, probability }) => /** @type {[number, number]} */ ([id, probability]))]),
  };
}

/** Whether a choice that was forced in the run before is none of this one: a link to this one brings another run before. @param {import('./timeline.js').Timeline} plain @param {import('./timeline.js').Timeline} timeline */
export const isTakenBack = (plain, timeline) => plain.steps.some(({ forced, chosen }, at) => forced && timeline.steps[at]?.chosen !== chosen);

/**
 * What asks for the logits of a run's steps: what another mask makes likely need not have been among its candidates. What writes
 * has read all of it in one pass; an encoder reads anew each time that it knows more.
 * @param {import('./timeline.js').Timeline} run under the model's own mask, where no row sees what is written after it
 * @param {number} vocabulary
 * @returns {Array<{ request: { ids: number[], sourceLength?: number, targetIds?: number[] }, steps: number[], rows: number[] }>} rows: ascending
 */
export function askShares(run, vocabulary) {
  const { header, steps, architecture } = run;
  const isEncoder = architecture === 'encoder';
  const length = architecture === 'encoder-decoder' ? header.tokens.length : header.source_length ?? header.tokens.length;
  const source = { ids: header.tokens.slice(0, length).map(({ id }) => id), sourceLength: length };
  const most = Math.max(1, Math.floor(MOST / vocabulary));
  /** @type {Array<{ pass: number, steps: number[] }>} */
  const asked = [];
  let pass = 0;
  steps.forEach(({ rows }, at) => {
    if (isEncoder && rows?.length) pass = at;
    const last = asked.at(-1);
    if (last && last.pass === pass && last.steps.length < most) last.steps.push(at);
    else asked.push({ pass, steps: [at] });
  });
  return asked.map(({ pass: first, steps: some }) => ({
    request: isEncoder ? { ids: run.filledIds(first) } : { ...source, targetIds: run.answerIds(some[some.length - 1]) },
    steps: some, rows: some.map((at) => steps[at].row).sort((a, b) => a - b),
  }));
}

/** How likely each token is, of all those that are likely enough to be shown. @param {number[]} logits @param {number} [temperature] @returns {Map<number, number>} */
export function sharesOf(logits, temperature) {
  const likely = /** @type {Map<number, number>} */ (new Map());
  logShares(logits, temperature).forEach((share, id) => { if (share >= LEAST) likely.set(id, Math.exp(share)); });
  return likely;
}
