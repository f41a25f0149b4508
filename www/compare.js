/** Two runs of one question, the second under another mask: what changed by it. Pure. */

import { candidatesOf } from './timeline.js';

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
 * @returns {{ chosen: import('./timeline.js').Candidate|null, of: Map<number, number> }|null}
 */
export function before(plain, timeline, at, isAlone) {
  const step = timeline.steps[at];
  if (!step) return null;
  const ids = (run) => run.header.tokens.map(({ id }) => id).join();
  const until = (run) => run.steps.slice(0, at).map(({ row, chosen, own }) => `${row} ${chosen} ${own}`).join();
  // What comes after a forced choice was read anew with it.
  if ([plain, timeline].some((run) => run.steps.slice(0, at).some(({ own }) => own !== undefined))) isAlone = false;
  const was = isAlone ? plain.steps.find(({ row }) => row === step.row) : plain.steps[at];
  if (was?.row !== step.row || ids(plain) !== ids(timeline) || !isAlone && until(plain) !== until(timeline)) return null;
  const candidates = candidatesOf(was);
  return { chosen: candidates.find(({ id }) => id === (was.own ?? was.chosen)) ?? null, of: new Map(candidates.map(({ id, probability }) => [id, probability])) };
}
