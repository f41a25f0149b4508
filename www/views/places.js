/** What may stand in a matrix's place, each a view of its own: a line for another. The names are those of the attribute `look`. */

import { draw as drawBlanks, sayBlanks } from './blanks.js';
import { draw as drawCost } from './cost.js';
import { draw as drawLeak, sayLeak } from './leak.js';
import { draw as drawObjective, sayObjective } from './objective.js';
import { draw as drawReach, say as sayReach } from './reach.js';
import { draw as drawTable } from './table.js';

/**
 * @typedef {object} Place
 * @property {string} style   its class
 * @property {(target: Element, frame: any) => void} draw
 * @property {'engine'|'fill'} [needs]   a stored run has no engine to ask; 'fill': an encoder that fills blanks
 * @property {boolean} [answers]   it tells what would be chosen
 * @property {boolean} [keeps]   the matrix stays, with other cells, and this stands under it
 * @property {(frame: any) => string} [say]   what is said aloud when what was asked for has come
 */

/** @type {Record<string, Place>} */
export const PLACES = {
  table: { style: 'tables', draw: drawTable },
  reach: { style: 'reach', draw: drawReach, needs: 'engine', keeps: true, say: (frame) => (frame.reach.result ? sayReach(frame) : '') },
  leak: { style: 'leak', draw: drawLeak, needs: 'engine', say: ({ leak: { result }, view: { t } }) => (result ? sayLeak(result, t).join(' ') : t('leak.none')) },
  blanks: { style: 'blanks', draw: drawBlanks, needs: 'fill', answers: true, say: ({ blanks: { result }, specials, view: { t } }) => (result ? sayBlanks(result, specials, t).join(' ') : '') },
  cost: { style: 'cost', draw: drawCost, needs: 'engine' },
  objective: { style: 'objective', draw: drawObjective, answers: true, say: ({ objective: { result }, view: { t } }) => (result ? sayObjective(result, t) : '') },
};
