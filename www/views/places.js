/** What may stand in a matrix's place, each a view of its own: a line for another. The names are those of the attribute `look`. */

import { draw as drawCost } from './cost.js';
import { draw as drawLeak } from './leak.js';
import { draw as drawTable } from './table.js';

/** @typedef {{ style: string, draw: (target: Element, frame: any) => void, needs?: 'engine' }} Place   needs: a stored run has no engine to ask */

/** @type {Record<string, Place>} */
export const PLACES = {
  table: { style: 'tables', draw: drawTable },
  leak: { style: 'leak', draw: drawLeak, needs: 'engine' },
  cost: { style: 'cost', draw: drawCost, needs: 'engine' },
};
