/** Figures, tables and runs of an element, as files. */

import { nameOf } from './element-draw.js';
import { blanksTable, costTable, fileName, leakTable, matrixTable, objectiveTable, reachTable, sceneOf, shownPart, textIn, traceOf, writeCsv } from './save.js';
import { figure, writeFigure } from './views/figure.js';
import { closeSave } from './views/save.js';

/**
 * @typedef {ReturnType<typeof import('./element-frame.js').drawnOf>} Drawn
 * @typedef {import('./machine.js').Machine} Machine
 */

/** How much larger than on the page a picture of pixels is, and how many pixels it may have: phones allow no more. */
const SCALE = 3;
const MOST_PIXELS = 16_000_000;
/** A browser has begun to write a file after so long. */
const WRITTEN_MILLISECONDS = 30_000;

const TYPES = { svg: 'image/svg+xml', csv: 'text/csv;charset=utf-8', json: 'application/json' };

/** The shown matrix, as the text of an SVG file; null where there is none. @param {Drawn} drawn @param {Machine} machine @returns {string|null} */
export function figureOf(drawn, machine) {
  const { frame, lang } = drawn;
  return frame && machine.timeline ? writeFigure(figure(frame, { name: nameOf(drawn), lang, text: textIn(machine.timeline) })) : null;
}

/** The run so far, as a trace; null where there is none. @param {Drawn} drawn @param {Machine} machine @returns {object|null} */
export function recordOf({ frame }, machine) {
  const { timeline, device, verdict, engine, blanked, fills } = machine;
  if (!frame || !timeline) return null;
  return traceOf(timeline, { device, verdict, description: engine?.describe() ?? null, scene: sceneOf({ timeline, blanked, fills }, frame) });
}

/**
 * Saves what was chosen, and closes its menu, which else says why nothing was saved.
 * @param {Element} target the menu's place @param {string} what @param {Drawn} drawn @param {Machine} machine
 * @returns {Promise<string>} what went wrong and nobody was told, since the menu is closed by now; '' = nothing
 */
export async function saveAs(target, what, drawn, machine) {
  try {
    const file = await fileOf(what, drawn, machine);
    if (!file) throw new Error(drawn.t('save.none'));
    hand(file);
    closeSave(target);
    return '';
  } catch (error) {
    const trouble = drawn.t('save.failed', { line: error.message });
    return closeSave(target, trouble) ? '' : trouble;
  }
}

/** @param {string} what @param {Drawn} drawn @param {Machine} machine @returns {Promise<File|null>} */
async function fileOf(what, drawn, machine) {
  const { frame } = drawn;
  if (!frame) return null;
  const named = (/** @type {string} */ of, /** @type {string} */ ending) => fileName(drawn.model?.name ?? frame.architecture, of, ending);
  const make = (/** @type {string|Blob} */ content, /** @type {string} */ of, /** @type {string} */ ending) => new File([content], named(of, ending), { type: TYPES[ending] ?? 'image/png' });
  if (what === 'csv') {
    const { view: { place } } = frame;
    if (place === '' || place === 'table') {
      refuseMany(frame, drawn.t);
      return make(writeCsv(matrixTable(frame)), shownPart(frame.view), 'csv');
    }
    const lines = tableOf(frame, place);
    return lines && make(writeCsv(lines), place, 'csv');
  }
  if (what === 'run') return make(JSON.stringify(recordOf(drawn, machine)), 'run', 'json');
  const svg = figureOf(drawn, machine) ?? '';
  const of = frame.view.place === 'reach' ? `reach-layer${frame.view.layer + 1}` : shownPart(frame.view);
  return make(what === 'png' ? await pixelsOf(svg) : svg, of, what);
}

/** Of what was asked for, the tables that need nothing else. @type {Record<string, (result: any) => import('./save.js').Field[][]>} */
const TABLES = { leak: leakTable, blanks: blanksTable, objective: objectiveTable };

/** What stands in the matrix's place, as a table; null where it has not come. @param {NonNullable<Drawn['frame']>} frame @param {string} place */
function tableOf(frame, place) {
  const { description } = frame;
  if (place === 'cost') return description && costTable(frame, description);
  const { result } = /** @type {any} */ (frame)[place];
  if (!result) return null;
  return place === 'reach' ? reachTable(frame, result) : TABLES[place](result);
}

/** Lines of a table that a spreadsheet opens, and that are made before anybody waits. */
const MOST_LINES = 500_000;

/** @param {NonNullable<Drawn['frame']>} frame @param {Drawn['t']} t */
function refuseMany({ blocks, heads, view: { head } }, t) {
  const n = blocks.reduce((sum, { rows, keys }) => sum + rows * keys, 0) * (head === 'all' ? heads : 1);
  if (n > MOST_LINES) throw new Error(t('save.many', { n, most: MOST_LINES }));
}

/** A picture as pixels. As data, not as a blob: a page that is a file has no origin, and not every browser reads a blob there. @param {string} svg @returns {Promise<Blob>} */
async function pixelsOf(svg) {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  await image.decode();
  const { width, height } = image;
  const scale = Math.min(SCALE, Math.sqrt(MOST_PIXELS / (width * height)));
  const canvas = Object.assign(document.createElement('canvas'), { width: Math.floor(width * scale), height: Math.floor(height * scale) });
  canvas.getContext('2d')?.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error('no picture came of it'))), 'image/png');
  });
}

/** To the browser, which saves it where it saves files. A frame that may not is not told. @param {File} file */
function hand(file) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(file);
  link.download = file.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), WRITTEN_MILLISECONDS);
}
