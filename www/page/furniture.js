/** What stands around the machines: their switches, the examples, the legend and the credits. */

import { familyOf } from '../models.js';
import { make, makeSvg, part, reuse, setAttribute, setAttributes, setText } from '../views/dom.js';
import { glyph } from '../views/glyph.js';

/**
 * A switch for each place of the stage.
 * @param {Element} target
 * @param {Array<{ place: string, architecture: string, name: string, on: boolean }>} places
 */
export function drawToggles(target, places, t) {
  setAttribute(target, 'aria-label', t('page.machines'));
  reuse(target, places.length, () => make('button', { type: 'button', class: 'toggle' }, make('i'), make('span'))).forEach((button, at) => {
    const { place, architecture, name, on } = places[at];
    if (button.dataset.architecture !== architecture) button.firstElementChild.replaceWith(glyph(architecture));
    setAttributes(button, {
      'data-architecture': architecture, 'data-place': place, 'aria-pressed': String(on), title: t(on ? 'machine.off' : 'machine.on', { name }),
    });
    setText(button.lastElementChild, name);
  });
}

/**
 * The quartets that the models make, as pairs of name and label: 'en-fr', 'English → French'.
 * @returns {Array<[string, string]>}
 */
export function familiesOf(models, lang, t) {
  if (!models.length) return [];
  const names = new Intl.DisplayNames([lang], { type: 'language', fallback: 'code' });
  const label = ({ id, languages, experimental }) => [
    languages ? `${names.of(languages.source)} → ${names.of(languages.target)}` : id, experimental ? t('settings.family.experimental') : '',
  ].filter(Boolean).join(' ');
  return [...new Map(models.map((model) => [familyOf(model), label(model)]))];
}

/** The example sentences of one quartet, each once. @returns {string[]} */
export function examplesOf(models, family) {
  const own = models.filter((model) => familyOf(model) === family);
  return [...new Set((own.length ? own : models).flatMap((model) => model.examples ?? []))].slice(0, 40);
}

/** Pairs of sentences for an encoder to compare. @returns {Array<{ source: string, target: string }>} */
export function pairsOf(models, family) {
  return models.filter((model) => familyOf(model) === family).flatMap((model) => model.pairs ?? []).slice(0, 20);
}

/**
 * Sentences, then pairs for the encoder; an option's value is its kind and place.
 * @param {HTMLSelectElement} select
 */
export function drawExamples(select, examples, pairs, t) {
  const option = (value, text) => make('option', { value, text });
  const group = make('optgroup', { label: t('page.pairs'), hidden: pairs.length === 0 },
    ...pairs.map(({ source, target }, at) => option(`pair ${at}`, `${source} | ${target}`)));
  if (pairs.length) group.append(option('own', t('page.second.own')));
  select.replaceChildren(option('', t('page.examples')), ...examples.map((example, at) => option(`text ${at}`, example)), group);
  setAttribute(select.parentElement, 'hidden', examples.length === 0);
}

/** How to read a matrix, and whose models and data these are. */
export function drawCredits(target, models, t) {
  const legend = part(target, 'legend', createLegend);
  setAttribute(legend, 'aria-label', t('legend.label'));
  ['attention', 'hidden', 'now', 'painted'].forEach((name, at) => setText(legend.children[at].lastElementChild, t(`legend.${name}`)));
  const credits = part(target, 'sources', () => make('details', {}, make('summary'), make('div')));
  setAttribute(credits, 'hidden', models.length === 0);
  setText(credits.firstElementChild, t('page.credits'));
  const lines = [...new Set(models.map(({ licence, credit }) => [licence, credit].filter(Boolean).join('. ')))].filter(Boolean);
  reuse(credits.lastElementChild, lines.length, () => make('p')).forEach((line, at) => setText(line, lines[at]));
}

function createLegend() {
  const ramp = [0.1, 0.3, 0.5, 0.75, 1].map((strength, at) => makeSvg('rect', { class: 'ramp', x: at * 12, y: 1, width: 11, height: 12, 'fill-opacity': strength }));
  const hatch = [0, 1].map((at) => makeSvg('path', { class: 'hatch', d: `M${1 + at * 12} 13l12 -12` }));
  const entry = (width, ...shapes) => make('li', {}, makeSvg('svg', { viewBox: `0 0 ${width} 14`, 'aria-hidden': 'true' }, ...shapes), make('span'));
  return make('ul', {},
    entry(60, ...ramp),
    entry(26, makeSvg('rect', { class: 'edge', x: 1, y: 1, width: 24, height: 12 }), ...hatch),
    entry(26, makeSvg('rect', { class: 'lit', x: 1.5, y: 1.5, width: 23, height: 11 })),
    entry(15, makeSvg('rect', { class: 'edge', x: 1, y: 1, width: 13, height: 12 }), makeSvg('path', { class: 'painted', d: 'M7 1h7v7z' })));
}
