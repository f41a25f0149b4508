/**
 * The clock's controls, for the page's dock and for a single element. Buttons carry data-action; whoever owns the
 * clock listens once.
 *
 * @typedef {{ names: string[], playing: boolean, position: number, available: number, ended: boolean, speed: number,
 *   speeds: number[], layer: number, layers: number, head: number|'all', heads: number,
 *   t: (key: string, values?: object) => string }} Controls
 */

import { make, part, reuse, setAttribute, setAttributes, setText, setVariable } from './dom.js';
import { icon, setIcon } from './icons.js';

/** @param {Element} target @param {Controls} frame */
export function draw(target, frame) {
  const { names, t } = frame;
  setAttributes(target, { 'aria-label': t('clock.label'), hidden: names.length === 0 });
  if (names.length === 0) return;
  button(target, 'restart', frame, 'restart', 'restart', frame.position > 0);
  button(target, 'back', frame, 'step', 'back', frame.position > 0);
  button(target, 'play', frame, 'play', frame.playing ? 'pause' : 'play', frame.available > 0 || !frame.ended);
  button(target, 'step', frame, 'step', 'step', frame.position < frame.available);
  button(target, 'end', frame, 'end', 'end', frame.position < frame.available || !frame.ended);
  drawScrub(target, frame);
  const speed = part(target, 'speed', () => chooser('speed'));
  setAttribute(speed, 'hidden', !names.includes('speed'));
  drawChoice(speed, t('clock.speed'), frame.speeds.map((value) => [value, `${value}×`]), frame.speed);
  const layer = part(target, 'layer', () => chooser('layer'));
  setAttribute(layer, 'hidden', !names.includes('layer'));
  drawChoice(layer, t('settings.layer'), range(frame.layers), frame.layer);
  const head = part(target, 'head-choice', () => chooser('head'));
  setAttribute(head, 'hidden', !names.includes('head'));
  drawChoice(head, t('settings.head'), [...range(frame.heads), ['all', t('settings.head.all')]], frame.head);
}

/** @type {(count: number) => Array<[any, string]>} */
const range = (count) => Array.from({ length: Math.max(1, count) }, (_, at) => [at + 1, String(at + 1)]);

function button(target, action, frame, name, picture, enabled) {
  const node = part(target, `action-${action}`, () => make('button', { type: 'button', class: 'control', 'data-action': action }, icon(picture)));
  setIcon(node, picture);
  const label = frame.t(`clock.${picture}`);
  setAttributes(node, { hidden: !frame.names.includes(name), 'aria-label': label, title: label, 'aria-disabled': enabled ? null : 'true' });
}

function drawScrub(target, { names, position, available, ended, t }) {
  const box = part(target, 'scrub', () => make('label', {}, make('input', { type: 'range', min: 0, step: 1, 'data-action': 'scrub' }), make('output')));
  setAttribute(box, 'hidden', !names.includes('scrub'));
  const [input, output] = box.children;
  // A run that has just begun is behind where the clock stands, and goes on to it.
  const shown = ended ? Math.min(position, available) : position;
  const most = Math.max(1, available, shown);
  setAttributes(input, { max: most, 'aria-label': t('clock.scrub') });
  if (Number(input.value) !== shown) input.value = String(shown);
  setVariable(input, '--done', (shown / most).toFixed(4));
  const text = t(ended ? 'clock.at' : 'clock.at.open', { n: shown, of: available });
  setText(output, text);
  setAttribute(input, 'aria-valuetext', text);
}

function chooser(action) {
  return make('label', { class: 'chooser' }, make('span'), make('select', { 'data-action': action }));
}

/** A labelled menu; only what differs is written. @param {Array<[any, string, boolean?]>} options   the last: whether it cannot be chosen now */
export function drawChoice(label, name, options, value) {
  const [title, select] = label.children;
  setText(title, name);
  reuse(select, options.length, () => make('option')).forEach((option, at) => {
    setAttributes(option, { value: options[at][0], disabled: options[at][2] ?? false });
    setText(option, options[at][1]);
  });
  if (select.value !== String(value)) select.value = String(value);
}
