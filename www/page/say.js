/** Says steps aloud, politely: at most one sentence in a while, and the last one is never lost. */

import { joinPieces, showPiece } from '../pieces.js';
import { candidatesOf } from '../timeline.js';
import { percent } from '../views/dom.js';

const QUIET_MILLISECONDS = 1500;
/** @typedef {{ name: string, timeline: import('../timeline.js').Timeline|null, isCovered?: boolean }} Told   isCovered: what comes next is to be guessed */

/** @param {Element} region an aria-live region @returns {(text: string) => void} */
export function announcer(region) {
  let last = 0;
  let timer = 0;
  return (text) => {
    clearTimeout(timer);
    const wait = Math.max(0, last + QUIET_MILLISECONDS - Date.now());
    timer = setTimeout(() => {
      last = Date.now();
      if (region.textContent !== text) region.textContent = text;
    }, wait);
  };
}

/** @param {import('../timeline.js').Step} step */
function chosenIn(step) {
  // Stored runs of old may not tell how likely a drawn one was.
  const own = candidatesOf(step).find(({ id }) => id === step.chosen);
  return { piece: showPiece(step).text, p: own ? percent(own.probability) : '?' };
}

/** What a machine is about to choose: nothing where nothing is left. @param {number} position @param {Told} machine */
function nextOf(position, { name, timeline }, t) {
  const step = timeline?.steps[position];
  return step ? [t('say.next', { name, ...chosenIn(step) })] : [];
}

/** What is about to be chosen, of machines whose candidates were uncovered. @param {number} position @param {Told[]} machines */
export const sayNext = (position, machines, t) => machines.flatMap((machine) => nextOf(position, machine, t)).join(' ');

/**
 * What the last step chose, machine by machine, or before the first one what it is about to choose; at the end, what they made of it.
 * @param {number} position
 * @param {Told[]} machines
 * @param {boolean} ended
 * @param {(key: string, values?: object) => string} t
 */
export function sayStep(position, machines, ended, t) {
  const told = machines.flatMap(({ name, timeline, isCovered }) => {
    if (position === 0) return isCovered ? [] : nextOf(0, { name, timeline }, t);
    const step = timeline?.steps[position - 1];
    return step ? [t('say.chose', { name, ...chosenIn(step) })] : [];
  });
  const finished = machines.flatMap(({ name, timeline }) => {
    const text = ended && timeline ? joinPieces(timeline.frame(position)[timeline.architecture === 'encoder' ? 'source' : 'target']) : '';
    return text ? [t('say.done', { name, text })] : [];
  });
  return [t('say.step', { n: position }), ...told, ...finished].join(' ');
}
