/** The bar's settings: layer, head, sampling, fill, device, badge. Drawn from one plain object; tells of changes. */

import { make, part, setAttribute, setAttributes, setText, targetOf } from '../views/dom.js';
import { drawChoice } from '../views/controls.js';
import { icon } from '../views/icons.js';
import { reasonOf } from '../views/stats.js';

/**
 * @param {Element} target
 * @param {{ state: import('../state.js').PageState, layers: number, heads: number, chosen: { layer: number, head: number|'all' }, hasEncoder: boolean,
 *   families: Array<[string, string]>|null, family: string, device: object|null, t: (key: string, values?: object) => string }} frame
 *   families: the quartets there are, each with its name; null = not known yet
 */
export function drawSettings(target, { state, layers, heads, chosen, hasEncoder, families, family, device, t }) {
  const choose = (name) => part(target, `set-${name}`, () => make('label', { class: 'chooser' }, make('span'), make('select', { 'data-setting': name })));
  /** @type {(count: number) => Array<[any, string]>} */
  const range = (count) => Array.from({ length: Math.max(1, count) }, (_, at) => [at + 1, String(at + 1)]);
  const quartet = choose('family');
  setAttributes(quartet, { hidden: families !== null && families.length < 2, 'data-waiting': families === null });
  drawChoice(quartet, t('settings.family'), families ?? [], family);
  drawChoice(choose('layer'), t('settings.layer'), range(layers), chosen.layer);
  drawChoice(choose('head'), t('settings.head'), [...range(heads), ['all', t('settings.head.all')]], chosen.head);
  drawSampling(part(target, 'sampling', createPop), state, t);
  const fill = choose('fill');
  setAttribute(fill, 'hidden', !hasEncoder);
  drawChoice(fill, t('settings.fill'), ['parallel', 'confidence'].map((name) => [name, t(`settings.fill.${name}`)]), state.fill);
  drawBadge(part(target, 'badge', createPop), state, device, t);
}

function createPop() {
  return make('details', { class: 'pop' }, make('summary', {}, make('span'), make('b'), icon('chevron')), make('div', { class: 'panel' }));
}

/** How the next token is chosen, on one line. */
export function saySampling({ temperature, topK, topP, seed }, t) {
  if (temperature === 0) return `${t('settings.sampling')} ${t('settings.sampling.greedy')}`;
  return [`${t('settings.temperature')} ${temperature}`, topK && `${t('settings.topk')} ${topK}`, topP < 1 && `${t('settings.topp')} ${topP}`, `${t('settings.seed')} ${seed}`].filter(Boolean).join(' · ');
}

function drawSampling(pop, state, t) {
  const [summary, panel] = pop.children;
  const greedy = state.temperature === 0;
  setText(summary.children[0], t('settings.sampling'));
  setText(summary.children[1], greedy ? t('settings.sampling.greedy') : `T ${state.temperature}`);
  const dial = (name, attributes, label, value, shown) => {
    const line = part(panel, `dial-${name}`, () => make('label', { class: 'dial' }, make('span'), make('input', { ...attributes, 'data-setting': name }), make('output')));
    const [title, input, output] = line.children;
    setText(title, label);
    // The greedy choice asks none of the others; what they are set to is kept for when they count again.
    const idle = greedy && name !== 'temperature';
    setAttributes(line, { 'data-idle': idle, title: idle ? t('settings.idle') : null });
    // An address may ask for more than a dial goes to at first: it reaches as far from then on.
    if (attributes.type === 'range' && Number(input.max) < value) input.max = String(value);
    if (document.activeElement !== input && input.value !== String(value)) input.value = String(value);
    setText(output, shown);
    setAttribute(output, 'hidden', shown === '');
    if (attributes.type === 'range') setAttribute(input, 'aria-valuetext', shown);
  };
  dial('temperature', { type: 'range', min: 0, max: 2, step: 0.1 }, t('settings.temperature'), state.temperature, greedy ? t('settings.temperature.zero') : state.temperature.toFixed(1));
  dial('topK', { type: 'range', min: 0, max: 50, step: 1 }, t('settings.topk'), state.topK, state.topK === 0 ? t('settings.off') : String(state.topK));
  dial('topP', { type: 'range', min: 0.01, max: 1, step: 0.01 }, t('settings.topp'), state.topP, state.topP >= 1 ? t('settings.off') : state.topP.toFixed(2));
  dial('seed', { type: 'number', min: 0, max: 999999999, step: 1 }, t('settings.seed'), state.seed, '');
}

/** What runs, on which adapter, and why; and the choice of another. */
function drawBadge(pop, state, device, t) {
  const [summary, panel] = pop.children;
  setAttributes(pop, { 'data-backend': device?.backend ?? null });
  setText(summary.children[0], badgeText(device, t));
  setText(summary.children[1], shortReasonOf(device, t));
  const choice = part(panel, 'set-device', () => make('label', { class: 'chooser' }, make('span'), make('select', { 'data-setting': 'device' })));
  drawChoice(choice, t('settings.device'), ['auto', 'webgpu', 'cpu'].map((name) => [name, t(`settings.device.${name}`)]), state.device);
  setText(part(panel, 'adapter', () => make('p')), device ? device.adapter ?? '' : '');
  setText(part(panel, 'reason', () => make('p', { dir: 'auto' })), device ? reasonOf(device, t) : t('page.badge.wait'));
  const lacks = part(panel, 'lacks', () => make('p'));
  setAttribute(lacks, 'hidden', !device?.lacks?.length);
  setText(lacks, device?.lacks?.length ? t('device.lacks', { names: device.lacks.join(', ') }) : '');
  setText(part(panel, 'private', () => make('p')), t('help.private'));
}

function badgeText(device, t) {
  if (!device) return t('page.badge.wait');
  if (device.backend !== 'gpu') return t('badge.cpu');
  return t(device.software ? 'badge.gpu.software' : 'badge.gpu', { adapter: device.adapter });
}

/** Why it is the CPU, in as few words as always have room; of a GPU its name says it. */
function shortReasonOf(device, t) {
  const key = `badge.cpu.${device?.cause}`;
  const said = t(key);
  return device?.backend !== 'cpu' || said === key ? '' : said;
}

const PARSE = {
  layer: Number, head: (text) => (text === 'all' ? 'all' : Number(text)), family: String, fill: String, device: String,
  temperature: Number, topK: Number, topP: Number,
  seed: (text) => Math.max(0, Math.min(999_999_999, Math.trunc(Number(text)) || 0)),
};

/** @param {HTMLElement} target @param {(changes: object) => void} changed */
export function wireSettings(target, changed) {
  const tell = (event) => {
    const name = event.target.dataset?.setting;
    if (name) changed({ [name]: PARSE[name](event.target.value) });
  };
  target.addEventListener('input', tell);
  // While it is typed into, a field holds what is typed; left or confirmed, it says what is used.
  for (const name of ['change', 'focusout']) {
    target.addEventListener(name, (event) => {
      const input = targetOf(event);
      if (input.type === 'number') input.value = String(PARSE[input.dataset.setting](input.value));
    });
  }
  document.addEventListener('pointerdown', (event) => closeOthers(target, event.target));
  target.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => {
    const open = targetOf(event).closest?.('details[open]');
    if (event.key !== 'Escape' || !open) return;
    open.open = false;
    open.querySelector('summary').focus();
    event.stopPropagation();
  });
  target.addEventListener('toggle', (event) => { if (targetOf(event).open) closeOthers(target, event.target); }, true);
}

function closeOthers(target, inside) {
  for (const open of target.querySelectorAll('details[open]')) if (!open.contains(inside)) open.open = false;
}
