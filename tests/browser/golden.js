/** The reference's numbers (training/ writes them, PyTorch computed them) and how near the engine must come. */
import { readFileSync } from 'node:fs';

/** Where the reference's two best ids lie nearer than this, rounding may decide between them. */
const MARGIN = 1e-3;

/** One quartet, for what a model's weights do not matter to. */
export const MODELS = ['en-fr-encoder', 'en-fr-causal', 'en-fr-prefix', 'en-fr-encoder-decoder'];

/** Every model that ships. @type {Array<{ folder: string, architecture: string }>} */
export const SHIPPED = JSON.parse(readFileSync(new URL('../../www/models/models.json', import.meta.url), 'utf8')).models;

export function golden(model) {
  return JSON.parse(readFileSync(new URL(`../golden/${model}.json`, import.meta.url), 'utf8'));
}

/** The largest difference between two nested lists of numbers of the same shape, and the largest reference. */
export function distance(got, expected, where = '') {
  if (typeof expected === 'number') {
    if (typeof got !== 'number' || !Number.isFinite(got)) throw new Error(`${where}: expected ${expected}, got ${got}`);
    return { difference: Math.abs(got - expected), largest: Math.abs(expected) };
  }
  if (got?.length !== expected.length) {
    throw new Error(`${where}: expected ${expected.length} entries, got ${got?.length ?? got}`);
  }
  let worst = { difference: 0, largest: 0 };
  for (let at = 0; at < expected.length; at += 1) {
    const here = distance(got[at], expected[at], `${where}[${at}]`);
    worst = {
      difference: Math.max(worst.difference, here.difference),
      largest: Math.max(worst.largest, here.largest),
    };
  }
  return worst;
}

/** How many of the reference's greedy ids must be met: up to the first whose margin is too small to tell. */
export function certain(margins) {
  const unsure = margins.findIndex((margin) => margin < MARGIN);
  return unsure < 0 ? margins.length : unsure;
}
