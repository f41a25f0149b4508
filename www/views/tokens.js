/**
 * The token strips: one chip a piece. A blank is dashed, the answer is tinted, the newest token is ringed;
 * when a token is pointed at, those it cannot see are hatched, the line under the others says how strongly it looks at them,
 * and the line above a token how strongly that one looks back.
 *
 * @typedef {import('./mask.js').Drawn} Drawn
 */

import { make, part, reuse, setAttribute, setAttributes, setText, setVariable } from './dom.js';
import { continuesWord, escapeText, showPieces } from '../pieces.js';

/** Beyond this many, chips are set smaller. */
const MANY = 28;

/** @param {Element} target @param {Drawn & { canBlank: boolean }} frame */
export function draw(target, frame) {
  const wired = frame.architecture === 'encoder-decoder';
  const strips = wired
    ? [{ stack: 'encoder', tokens: frame.source, label: 'strip.source' }, { stack: 'decoder', tokens: frame.target, label: 'strip.target' }]
    : [{ stack: frame.architecture === 'encoder' ? 'encoder' : 'decoder', tokens: [...frame.source, ...frame.target], label: 'strip.all' }];
  const nodes = reuse(target, strips.length, () => make('div', { class: 'strip', role: 'group' }));
  strips.forEach((strip, at) => drawStrip(nodes[at], frame, strip, at === strips.length - 1, wired));
}

function drawStrip(node, frame, { stack, tokens, label }, last, named) {
  const { view } = frame;
  setAttributes(node, { 'aria-label': view.t(label), 'data-stack': stack, 'data-many': tokens.length > MANY });
  const name = part(node, 'strip-name', () => make('span', { 'aria-hidden': 'true' }));
  setAttribute(name, 'hidden', !named);
  setText(name, named ? view.t(label) : '');
  const shown = showPieces(tokens);
  const row = part(node, 'chips', () => make('div'));
  const sight = sightOf(frame, stack);
  const spaced = shown.some((one) => one.spaceBefore && one.kind !== 'special');
  const chips = reuse(row, tokens.length, () => make('button', { type: 'button', class: 'chip', tabindex: -1 }, make('span', { class: 'piece', dir: 'auto' }), make('i'), make('i', { class: 'back' })));
  chips.forEach((chip, at) => drawChip(chip, frame, { token: tokens[at], shown: shown[at], at, stack, tokens, sight, spaced }));
  const hasStop = chips.some((chip) => chip.tabIndex === 0);
  if (!hasStop && chips.length) chips[0].tabIndex = 0;
  drawTail(node, frame, last);
}

/** Of a second sentence nothing is blanked: it has no place in the text. @param {import('../timeline.js').Shown} token */
const isSecond = ({ state, start }) => state !== 'special' && state !== 'blank' && start === null;

/** What is added to the name of a text that tells to press a word: where there are two sentences, one of the first. @param {Pick<import('../timeline.js').Frame, 'source'>} frame */
export const secondOf = ({ source }) => (source.some(isSecond) ? '.first' : '');

function drawChip(chip, frame, { token, shown, at, stack, tokens, sight, spaced }) {
  const { view, current } = frame;
  const canBlank = frame.canBlank && token.state !== 'special' && !isSecond(token);
  const blank = token.state === 'blank';
  const piece = blank ? view.t('token.blank') : shown.text;
  setText(chip.firstElementChild, blank ? '' : shown.text);
  const joined = spaced && continuesWord(shown) && at > 0 && token.state !== 'special' && tokens[at - 1].state === token.state;
  setAttributes(chip, {
    'data-state': token.state, 'data-kind': shown.kind, 'data-position': at, 'data-stack': stack,
    'data-joined': joined, 'data-forced': token.forced,
    'data-first-answer': token.state !== 'source' && at > 0 && frame.architecture !== 'encoder-decoder' && at === frame.sourceLength && frame.target.length > 0,
    'data-doubted': stack === 'encoder' && (frame.verdict?.replaced?.[at] ?? 0) > 0 && token.state !== 'special',
    'data-now': current !== null && current.stack === stack && current.row === at,
    'data-sight': sight ? sight.at(at) : null, 'data-looks-back': sight ? sight.looksBack(at) : false,
    title: shown.detail || (frame.canBlank && isSecond(token) ? view.t('hint.blank.first') : null),
    'aria-pressed': pressedOf(frame, { canBlank, token, stack, at }),
    'aria-label': view.t(labelOf(frame, { token, stack, at }), { piece }),
  });
  setVariable(chip, '--strength', sight ? sight.strength(at).toFixed(3) : '0');
  setVariable(chip, '--back', sight ? sight.back(at).toFixed(3) : '0');
}

/** What a press turns on and off: a blank; a pin, where there are none; of what neither is, nothing. @returns {string|null} */
function pressedOf({ canBlank: blanks, view: { pinned } }, { canBlank, token, stack, at }) {
  if (!blanks) return String(pinned?.stack === stack && pinned.position === at);
  return canBlank ? String(token.state === 'blank' || token.state === 'filled') : null;
}

/** What is said of a token beside its piece. */
function labelOf({ verdict }, { token, stack, at }) {
  if (stack === 'encoder' && verdict?.replaced?.[at] > 0 && token.state !== 'special') return 'token.doubted.label';
  return `token.${token.forced ? 'forced' : token.state}.label`;
}

/** What the pointed-at token sees in this strip, and who in this strip sees it: in its own stack or by cross-attention. */
function sightOf(frame, stack) {
  const { hover } = frame.view;
  if (!hover) return null;
  const own = hover.stack === stack ? hover.position : -1;
  const out = gridOf(frame, hover.stack, stack);
  const back = gridOf(frame, stack, hover.stack);
  return {
    at: (key) => (key === own ? 'self' : !out ? 'none' : out.visible(hover.position, key) ? 'seen' : 'unseen'),
    strength: (key) => out?.strength(hover.position, key) ?? 0,
    looksBack: (row) => row !== own && Boolean(back?.visible(row, hover.position)),
    back: (row) => (row === own ? 0 : back?.strength(row, hover.position) ?? 0),
  };
}

/** The grid in which rows of one stack look at keys of another, at the chosen layer and head or heads; null where none does. */
function gridOf(frame, rows, keys) {
  const { layer, head } = frame.view;
  const name = rows === keys ? rows : rows === 'decoder' ? 'cross' : null;
  const block = frame.blocks.find((one) => one.name === name);
  if (!block) return null;
  const at = Math.min(layer, (frame.layers[block.name] ?? 1) - 1);
  const visible = (row, key) => row < block.rows && key < block.keys && block.visible(row, key) === true;
  // Of all heads the strongest: a number that one of them has, as a mean would not be.
  const heads = head === 'all' ? Array.from({ length: Math.max(1, frame.heads) }, (_, one) => one) : [head];
  return {
    visible,
    strength: (row, key) => (visible(row, key) ? Math.max(...heads.map((one) => block.attention(at, one, row)?.[key] ?? 0)) : 0),
  };
}

/** After the last chip: a slot for the next token. */
function drawTail(node, frame, last) {
  const slot = part(node, 'slot', () => make('span', { 'aria-hidden': 'true' }));
  setAttribute(slot, 'hidden', !last || frame.architecture === 'encoder' || frame.settled);
  setAttribute(slot, 'data-waiting', frame.waiting);
}

/** What did not fit into the context, struck out under the strips. @param {Element} target */
export function drawCut(target, { truncated, cutText, view }) {
  setAttribute(target, 'hidden', truncated === 0);
  const [count, rest] = [part(target, 'cut', () => make('span')), part(target, 'cut-text', () => make('s', { dir: 'auto' }))];
  setText(count, truncated ? view.t('token.cut', { n: truncated }) : '');
  setText(rest, escapeText(cutText));
  setAttribute(rest, 'title', cutText ? escapeText(cutText) : null);
}

/** A strip of many tokens scrolls within itself: the lit chip stays in view. Asks the observer, who forces no layout. */
export function keepInView(strips) {
  const lit = strips.querySelector('.chip[data-now]');
  if (!lit || !strips.querySelector('.strip[data-many]')) return;
  const once = new IntersectionObserver(([{ boundingClientRect: chip, rootBounds: box }]) => {
    once.disconnect();
    if (!box) return;
    if (chip.bottom > box.bottom) strips.scrollTop += chip.bottom - box.bottom + chip.height;
    else if (chip.top < box.top) strips.scrollTop -= box.top - chip.top + chip.height;
  }, { root: strips });
  once.observe(lit);
}
