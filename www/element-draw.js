/** Draws a whole machine from one plain object: which views, in which state. */

import { showPiece, showPieces } from './pieces.js';
import { draw as drawCandidates } from './views/candidates.js';
import { draw as drawControls, drawChoice } from './views/controls.js';
import { MOST_EDITS, within } from './edits.js';
import { make, percent, reuse, setAttribute, setAttributes, setText, setVariable } from './views/dom.js';
import { glyph } from './views/glyph.js';
import { setIcon } from './views/icons.js';
import { draw as drawMask } from './views/mask.js';
import { PLACES } from './views/places.js';
import { draw as drawRule, sayMask } from './views/rule.js';
import { draw as drawSave } from './views/save.js';
import { draw as drawSilence } from './views/silence.js';
import { draw as drawStats } from './views/stats.js';
import { draw as drawStatus } from './views/status.js';
import { draw as drawTokens, drawCut, secondOf } from './views/tokens.js';

/** @param {ReturnType<typeof import('./element-parts.js').buildSkeleton>} parts */
export function drawMachine(parts, drawn) {
  const { frame, t, show, machine, architecture } = drawn;
  const name = nameOf(drawn);
  setAttributes(parts.machine, { 'data-architecture': architecture, 'data-phase': machine.phase, 'data-look': show.has('mask'), lang: drawn.lang });
  drawHead(parts, drawn);
  drawAbout(parts.about, drawn);
  setAttribute(parts.notice, 'hidden', machine.notice === null);
  setText(parts.notice, machine.notice === null ? '' : t(`notice.${machine.notice}`));
  const showing = frame !== null;
  hold([parts.read, parts.look], frame);
  setAttribute(parts.read, 'hidden', !showing || !show.has('tokens'));
  setAttribute(parts.look, 'hidden', !showing || !show.has('mask'));
  setAttribute(parts.candidates, 'hidden', !showing || !show.has('candidates'));
  // Who waited here for the run goes on at its heading.
  if (showing && parts.status.matches(':focus')) parts.title.focus();
  setAttribute(parts.status, 'hidden', showing);
  // Seen, but the list of models is still to come.
  const phase = machine.phase === 'idle' && drawn.wanted && !drawn.missing ? 'loading' : machine.phase;
  if (!showing) drawStatus(parts.status, { phase, progress: machine.progress, error: machine.error, missing: drawn.missing, t });
  if (showing && show.has('tokens')) {
    drawTokens(parts.tokens, frame);
    drawCut(parts.cut, frame);
  }
  // Its place is under the matrix; where there is none, under the tokens.
  const verdict = showing && frame.verdict && !show.has('mask') ? verdictOf(frame) : '';
  setAttribute(parts.verdict, 'hidden', verdict === '');
  setText(parts.verdict, verdict);
  if (showing && show.has('mask')) {
    setAttributes(parts.mask, { 'aria-label': [t(frame.view.place === 'reach' ? 'reach.matrix' : 'matrix.label', { name }), frame.painting.on && t('paint.key')].filter(Boolean).join(' '), 'data-painting': frame.painting.on });
    drawMask(parts.mask, frame);
    setText(parts.hint, hintOf(frame));
    setAttribute(parts.hint, 'data-verdict', Boolean(frame.verdict));
    const less = frame.view.hover ? '' : lessOf(frame);
    setAttribute(parts.less, 'hidden', less === '');
    setText(parts.less, less);
    drawPainting(parts, frame);
    const { place, places } = frame.view;
    setAttribute(parts.mask, 'hidden', place !== '' && !PLACES[place].keeps);
    drawSave(parts.save, frame, machine);
    for (const [one, target] of Object.entries(parts.places)) {
      setAttributes(target, { 'aria-label': t(`look.${one}.label`, { name }), hidden: place !== one });
      if (place === one) PLACES[one].draw(target, frame);
    }
    drawChoice(parts.looks, t('look.choose'), ['', ...places].map((one) => choiceOf(one, frame)), place);
  }
  if (showing && show.has('candidates')) drawCandidates(parts.candidates, frame);
  setAttribute(parts.stats, 'hidden', !show.has('stats'));
  drawStats(parts.stats, { stats: frame?.stats ?? null, device: machine.device, parameters: drawn.parameters, view: { t } });
  drawControls(parts.controls, drawn.controls);
}

/** What would tell what is covered can be chosen once that is uncovered. @param {string} look @returns {[string, string, boolean]} */
function choiceOf(look, { covered, view: { t } }) {
  const isOff = covered && Boolean(PLACES[look]?.answers);
  const name = t(`look.${look || 'matrix'}`);
  return [look, isOff ? t('look.covered', { look: name }) : name, isOff];
}

/** What was asked for in the matrix's place, and is covered. */
export const sayVeiled = ({ view: { veiled, t } }) => (veiled ? t('look.veiled', { look: t(`look.${veiled}`) }) : '');

/**
 * A run that was begun anew has few tokens at first: until it has come to where the clock stands its parts keep the height that
 * they had, and nothing below them moves.
 * @param {HTMLElement[]} held
 */
function hold(held, frame) {
  const isHeld = held.some((one) => one.style.getPropertyValue('--held') !== '');
  if (isHeld && !frame?.waiting) for (const one of held) one.style.removeProperty('--held');
  if (isHeld || !frame?.behind) return;
  const heights = held.map((one) => one.getBoundingClientRect().height);
  held.forEach((one, at) => { if (heights[at] > 0) setVariable(one, '--held', `${heights[at]}px`); });
}

/** A model from elsewhere goes by its family's name, or as the page calls it; one of the quartet by its architecture's. */
export const nameOf = ({ t, model, architecture, called = '' }) => model?.name || called || t(`machine.${architecture}`);

function drawHead(parts, drawn) {
  const { t, show, model, architecture, enlargeable, enlarged } = drawn;
  const name = nameOf(drawn);
  setAttribute(parts.title.parentElement, 'hidden', !show.has('title') || drawn.unknown);
  setText(parts.title, name);
  setAttribute(parts.title, 'title', drawn.called || null);
  // Its name is long enough.
  setAttribute(parts.kin, 'hidden', !model && Boolean(drawn.called));
  setText(parts.kin, t(model ? `machine.${architecture}` : `machine.${architecture}.kin`));
  if (parts.sign.dataset.of !== architecture) {
    parts.sign.dataset.of = architecture;
    parts.sign.replaceChildren(glyph(architecture));
  }
  const label = enlarged ? t('machine.shrink') : t('machine.enlarge', { name });
  setAttributes(parts.enlarge, { hidden: !enlargeable, 'aria-label': label, title: label });
  setIcon(parts.enlarge, enlarged ? 'shrink' : 'enlarge');
}

/** Mask, objective, wiring: the three things in which the machines differ. */
function drawAbout(target, { t, show, model, rule, frame, architecture, unknown }) {
  setAttribute(target, 'hidden', !show.has('about') || unknown);
  const said = {
    mask: sayMask(architecture, rule, { edits: frame ? within(frame.ran, frame.blocks) : [], sources: frame?.sources ?? null, sourceLength: frame?.sourceLength ?? 0, t }),
    objective: t(model?.objective ? `objective.${model.objective}` : `machine.${architecture}.objective`),
    wiring: t(model && architecture === 'encoder' && !model.fills ? 'about.reads' : `machine.${architecture}.wiring`),
  };
  const lines = Object.entries(said);
  reuse(target, lines.length, () => make('div', {}, make('dt'), make('dd'))).forEach((line, at) => {
    const [name, text] = lines[at];
    setText(line.firstElementChild, t(`about.${name}`));
    setText(line.lastElementChild, text);
  });
}

/** The brush, and what became of the mask under it: how many cells, what the choice was before, whether a row sees nothing now. */
function drawPainting(parts, frame) {
  const { painting: { can, on, canUndo, rule, silenced }, before, view: { t, place } } = frame;
  const edits = within(frame.painting.edits, frame.blocks);
  const untrained = frame.untrained || edits.length > 0;
  const [words, undo, reset] = parts.painting.children;
  setAttributes(parts.paintButton, { hidden: !can || place === 'table', 'data-on': on });
  setText(parts.paintButton, t(on ? 'paint.end' : 'paint.start'));
  drawRule(parts.rule, frame);
  drawSilence(parts.rule, frame);
  const brush = on || edits.length > 0 || silenced.length > 0 || canUndo || untrained;
  // Who took the last stroke back goes on where strokes begin.
  if (!brush && parts.painting.contains(parts.painting.getRootNode().activeElement)) parts.paintButton.focus();
  setAttribute(parts.painting, 'hidden', !brush);
  for (const button of [undo, reset]) setAttribute(button, 'hidden', !brush || !can);
  const blind = blindOf(frame);
  // What it was before is what it is now, more often than not.
  const was = !frame.covered && (edits.length || rule || silenced.length) ? before?.chosen : null;
  setText(words, [
    edits.length ? t('paint.count', { n: edits.length }) : on && !rule && !silenced.length && !place ? t('paint.hint') : '',
    edits.length >= MOST_EDITS && t('paint.full'),
    silenced.length && t('silence.count', { n: silenced.length }),
    frame.sources !== null && frame.architecture === 'encoder-decoder' && frame.sources < frame.sourceLength && t('paint.sources', { n: frame.sources }),
    untrained && t('paint.untrained'),
    was && t('paint.before', { piece: showPiece(was).text, p: percent(was.probability) }),
    blind && t('paint.blind', blind),
  ].filter(Boolean).join(' '));
  setText(undo, t('paint.undo'));
  setAttribute(undo, 'aria-disabled', canUndo ? null : 'true');
  setText(reset, t('paint.reset'));
  // What a person painted may lie outside of an answer that became shorter by it.
  const painted = canUndo ? frame.painting.edits : edits;
  setAttribute(reset, 'aria-disabled', painted.length || rule || silenced.length ? null : 'true');
}

/** The piece of the lit row, and the attention of it that sees nothing at all; null where each sees something. */
function blindOf({ architecture, blocks, current, read, target, view: { t } }) {
  if (!current) return null;
  const here = blocks.filter(({ name, rows }) => (name === 'encoder') === (current.stack === 'encoder') && current.row < rows);
  const isBlind = ({ keys, visible }) => Array.from({ length: keys }, (_, key) => visible(current.row, key)).every((seen) => seen === false);
  const block = here.find(isBlind);
  if (!block) return null;
  const tokens = architecture === 'encoder-decoder' ? target : [...read, ...target];
  return { row: showPieces(tokens)[current.row]?.text ?? '', where: architecture === 'encoder-decoder' ? t(`paint.blind.${block.name}`) : '' };
}

/** The line under the tokens: what the pointed-at token sees, else what can be done here. */
function hintOf(frame) {
  const said = sightOf(frame);
  if (said) return frame.view.t('sight.token', said);
  const veiled = sayVeiled(frame);
  if (veiled || frame.verdict || frame.unseen) return [veiled, frame.verdict && verdictOf(frame), frame.unseen && frame.view.t(`unseen.${frame.unseen}`)].filter(Boolean).join(' ');
  return frame.canBlank ? frame.view.t(`hint.blank${secondOf(frame)}`) : '';
}

/** Which layer and head are shown where there are fewer than what was asked for: a page asks all its machines for the same. */
export function lessOf({ blocks, layers, heads, view: { asked, t } }) {
  // Cross-attention has the layers of the stack that looks.
  const stacks = blocks.map(({ name }) => name).filter((name) => name !== 'cross');
  const short = stacks.filter((name) => asked.layer > (layers[name] ?? asked.layer));
  const alike = short.length === stacks.length && short.every((name) => layers[name] === layers[short[0]]);
  const said = short.map((name) => [...alike ? [] : [t(`block.${name}`)], t('less.layer', { n: layers[name], of: layers[name] })].join(' '));
  const head = asked.head !== 'all' && asked.head > heads ? [t('less.head', { n: heads, of: heads })] : [];
  return [...alike ? said.slice(0, 1) : said, ...head].join(' · ');
}

/** How many classes are named; the first is the answer. */
const CLASSES = 5;

/** What heads other than the vocabulary's answer, with the logits behind it. */
function verdictOf({ verdict: { pair, classes, labels = [], replaced }, source, view: { t } }) {
  const said = [];
  if (pair) {
    const [no, yes] = pair;
    said.push(t(yes > no ? 'pair.yes' : 'pair.no', { yes: yes.toFixed(1), no: no.toFixed(1) }));
  }
  if (classes) {
    const name = (at) => labels[at] ?? t('classes.number', { n: at });
    const best = classes.map((logit, at) => ({ text: `${name(at)} ${logit.toFixed(1)}`, logit })).sort((a, b) => b.logit - a.logit);
    said.push(t('classes.are', { list: best.slice(0, CLASSES).map(({ text }) => text).join(' · ') }));
  }
  if (replaced) {
    const shown = showPieces(source);
    const doubted = replaced.flatMap((logit, at) => (logit > 0 && source[at]?.state !== 'special' ? [`“${shown[at].text}” ${logit.toFixed(1)}`] : []));
    said.push(doubted.length ? t('replaced.some', { list: doubted.slice(0, 8).join(' · ') }) : t('replaced.none'));
  }
  return said.join(' ');
}

/** How many tokens the pointed-at token sees, and how many see it, over all grids of its stack. */
export function sightOf(frame) {
  const { hover } = frame.view;
  if (!hover) return null;
  const wired = frame.architecture === 'encoder-decoder';
  const tokens = !wired ? [...frame.source, ...frame.target] : hover.stack === 'encoder' ? frame.source : frame.target;
  const shown = showPieces(tokens)[hover.position];
  if (!shown) return null;
  const state = tokens[hover.position].state;
  const count = { sees: 0, of: 0, by: 0 };
  for (const block of frame.blocks) {
    const rowsHere = (block.name === 'encoder') === (hover.stack === 'encoder');
    const keysHere = (block.name !== 'decoder') === (hover.stack === 'encoder');
    for (let key = 0; rowsHere && hover.position < block.rows && key < block.keys; key += 1) {
      count.of += 1;
      if (block.visible(hover.position, key)) count.sees += 1;
    }
    for (let row = 0; keysHere && hover.position < block.keys && row < block.rows; row += 1) {
      if (block.visible(row, hover.position)) count.by += 1;
    }
  }
  return { piece: state === 'blank' ? frame.view.t('token.blank') : shown.text, ...count };
}
