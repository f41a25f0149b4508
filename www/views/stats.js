/** One quiet line under a machine: what this step cost and where it ran. */

import { setAttribute, setText } from './dom.js';

/** @param {Element} target @param {{ stats: import('../timeline.js').Stats|null, device: import('../timeline.js').DeviceInfo|null, parameters: number, view: { t: (key: string, values?: object) => string } }} frame */
export function draw(target, { stats, device, parameters, view }) {
  const parts = [];
  if (parameters) parts.push(view.t('stats.parameters', { n: (parameters / 1e6).toFixed(1) }));
  if (device) parts.push(view.t(device.backend === 'gpu' ? 'stats.gpu' : 'stats.cpu'));
  if (stats) {
    // A stored run may tell no more than its time.
    if (typeof stats.rows_computed === 'number') parts.push(view.t('stats.rows', { n: stats.rows_computed }));
    if (stats.dispatches) parts.push(view.t(device?.backend === 'cpu' ? 'stats.ops' : 'stats.dispatches', { n: stats.dispatches }));
    parts.push(view.t('stats.time', { n: timeOf(stats.milliseconds) }));
  }
  setText(target, parts.join(' · '));
  setAttribute(target, 'title', device ? [device.adapter, reasonOf(device, view.t)].filter(Boolean).join(': ') : null);
}

/**
 * Tenths where the clock knows of them: Firefox's and Safari's count whole milliseconds, a Firefox that hides who one is many
 * at once, and what such a clock did not see was not nothing.
 * @param {number} milliseconds
 */
export function timeOf(milliseconds) {
  if (milliseconds < 0.05) return '≈0';
  return milliseconds < 10 && !Number.isInteger(milliseconds) ? milliseconds.toFixed(1) : String(Math.round(milliseconds));
}

/** Why this device, in the page's language; a stored run may bring a cause that nobody here knows, and its own words. */
export function reasonOf(device, t) {
  const key = `device.${device?.cause}`;
  const said = t(key);
  return said === key ? String(device?.reason ?? '') : said;
}
