/**
 * The shown matrix as a figure of its own: an SVG that needs no style sheet and no page, in the colours of paper whatever the
 * theme. It is drawn as on the page, and its classes become attributes.
 *
 * @typedef {import('./mask.js').Drawn} Drawn
 * @typedef {{ name: string, lang: string, text: string }} Told   text: the sentence that was read
 */

import { make, makeSvg } from './dom.js';
import { draw as drawMask } from './mask.js';
import { estimate, layout } from './matrix.js';
import { drawnCells } from './reach.js';
import { sayChosen, sayReach } from './rule.js';
import { within } from '../edits.js';
import { escapeText, joinPieces } from '../pieces.js';
import { layerOf } from '../save.js';

/** Those of tokens.css on a light page; a test holds them together. */
export const COLOURS = {
  card: '#ffffff', ink: '#1b1c20', 'ink-soft': '#585a63', 'ink-faint': '#676972', line: '#e5e2da', 'line-strong': '#c9c5ba', hatch: '#a8a395', now: '#b45309',
  encoder: '#1f5fbf', causal: '#b02a5c', prefix: '#6b46b8', 'encoder-decoder': '#0b7468',
};
const FONTS = 'Inter, "Segoe UI", Roboto, "Helvetica Neue", Arial, "PingFang SC", "Noto Sans SC", "Noto Sans CJK SC", "Microsoft YaHei", sans-serif';

/** How large a matrix may be, by how many there are. @type {Array<[number, number]>} */
const SIDES = [[1, 640], [4, 420], [12, 320], [Infinity, 200]];
const MARGIN = 20;
const GAP = 24;
/** Words below need so much, however small the matrix is. */
const LEAST_WIDTH = 400;
const FONT = 12.5;
const LINE = 18;
/** The whole text is in the description. */
const MOST_LINES = 4;

/** @param {Drawn} plain @param {Told} told @returns {SVGElement} */
export function figure(plain, told) {
  const frame = drawnCells(plain);
  const heads = frame.view.head === 'all' ? Array.from({ length: Math.max(1, frame.heads) }, (_, head) => head) : [frame.view.head];
  const side = SIDES.find(([most]) => heads.length <= most)?.[1] ?? 0;
  const panels = heads.map((head) => panel(frame, head, side, heads.length > 1));
  const columns = Math.ceil(Math.sqrt(heads.length));
  const [wide, high] = [panels[0].width + GAP, panels[0].height + GAP];
  const inner = Math.max(LEAST_WIDTH, columns * wide - GAP);
  panels.forEach(({ node }, at) => node.setAttribute('transform', `translate(${MARGIN + (at % columns) * wide} ${MARGIN + Math.floor(at / columns) * high})`));
  const [title, facts, text] = said(frame, told);
  const lines = [...wrap(title, inner).map((line) => ({ line, weight: 650, fill: COLOURS.ink })), ...[facts, text].filter(Boolean).flatMap((one) => cut(wrap(one, inner))).map((line) => ({ line, weight: null, fill: COLOURS['ink-soft'] }))];
  const under = MARGIN + Math.ceil(heads.length / columns) * high;
  const [width, height] = [inner + 2 * MARGIN, under + lines.length * LINE + MARGIN - LINE / 2].map(Math.ceil);
  const svg = makeSvg('svg', { viewBox: `0 0 ${width} ${height}`, width, height, lang: told.lang, role: 'img', 'aria-labelledby': 'title description', 'font-family': FONTS },
    makeSvg('title', { id: 'title', text: title }),
    makeSvg('desc', { id: 'description', text: [facts, text, frame.view.t(frame.view.place === 'reach' ? 'reach.how' : 'save.figure.how')].filter(Boolean).join(' ') }),
    makeSvg('defs', {}, makeSvg('pattern', { id: 'hatch', width: 5, height: 5, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' },
      makeSvg('path', { d: 'M2.5 0v5', stroke: COLOURS.hatch, 'stroke-width': 1 }))),
    makeSvg('rect', { width, height, fill: COLOURS.card }),
    ...panels.map(({ node }) => node),
    makeSvg('g', { 'font-size': FONT }, ...lines.map(({ line, weight, fill }, at) => makeSvg('text', { x: MARGIN, y: under + at * LINE, 'font-weight': weight, fill, text: line }))));
  return spelled(svg);
}

/** The file's text. @param {SVGElement} svg */
export const writeFigure = (svg) => `<?xml version="1.0" encoding="UTF-8"?>\n${new XMLSerializer().serializeToString(svg)}\n`;

/** Signs that no XML file may hold, whoever typed them: their names, or nothing. @param {SVGElement} svg */
function spelled(svg) {
  for (const node of svg.querySelectorAll('title, desc, text')) {
    const text = escapeText(node.textContent ?? '').replace(/[\uFFFE\uFFFF]/g, '');
    if (text !== node.textContent) node.textContent = text;
  }
  return svg;
}

/** One head's matrix. */
function panel(frame, head, side, isMany) {
  const shown = { ...frame, view: { ...frame.view, head, width: side, height: side, least: 0, hover: null, cell: null } };
  const holder = make('div');
  drawMask(holder, shown);
  const drawn = /** @type {any} */ (holder.querySelector('svg'));
  const plan = layout(shown, { width: side, height: side });
  const isSilent = holder.querySelector('figure[data-silent]') !== null;
  const top = isMany ? LINE : 0;
  const title = isMany ? [makeSvg('text', { y: FONT, 'font-size': FONT, fill: COLOURS['ink-soft'], 'text-decoration': isSilent ? 'line-through' : null, text: frame.view.t('head.number', { n: head + 1 }) })] : [];
  const cells = makeSvg('g', top ? { transform: `translate(0 ${top})` } : {}, ...[...drawn.children].flatMap((node) => (node.tagName === 'path' ? pathOf(node, plan, frame.architecture) : textsOf(node))));
  return { node: makeSvg('g', {}, ...title, cells), width: plan.width, height: plan.height + top };
}

/** @type {(hue: string) => Record<string, object>} */
const paintOf = (hue) => ({
  seen: { fill: hue, 'fill-opacity': 0.07 }, level: { fill: hue }, hidden: { fill: 'url(#hatch)' }, silent: { fill: COLOURS.card }, ahead: { stroke: COLOURS.line, 'stroke-dasharray': '2 3' },
  painted: { fill: COLOURS.now }, edge: { stroke: COLOURS['line-strong'] }, now: { stroke: COLOURS.now, 'stroke-linejoin': 'round' },
});

/** A path with what its class says of it; none where it draws nothing, or is of a pointer. */
function pathOf(node, plan, architecture) {
  const name = node.getAttribute('class');
  const paint = paintOf(COLOURS[architecture])[name];
  const d = name === 'hidden' ? hiddenPath(plan) : node.getAttribute('d');
  if (!paint || !d) return [];
  const own = Object.fromEntries(['fill-opacity', 'stroke-width'].filter((key) => node.hasAttribute(key)).map((key) => [key, node.getAttribute(key)]));
  return [makeSvg('path', { d, fill: 'none', ...paint, ...own })];
}

/** The hidden cells as areas: those that are neighbours in a row are one. */
function hiddenPath({ blocks, cell }) {
  let d = '';
  for (const { block, x, y } of blocks) {
    for (let row = 0; row < block.rows; row += 1) {
      for (let key = 0, from = 0; key <= block.keys; key += 1) {
        if (key < block.keys && block.visible(row, key) === false) continue;
        if (key > from) d += `M${x + from * cell} ${y + row * cell}h${(key - from) * cell}v${cell}h-${(key - from) * cell}z`;
        from = key + 1;
      }
    }
  }
  return d;
}

const INKS = { numbers: COLOURS.ink, 'row-labels': COLOURS['ink-soft'], 'key-labels': COLOURS['ink-soft'], 'block-names': COLOURS['ink-faint'] };

/** Words and numbers. Where the middle of a line is differs from program to program: it is a shift here. */
function textsOf(group) {
  const texts = [...group.children].map((node) => {
    const kept = Object.fromEntries(['x', 'y', 'transform', 'text-anchor', 'font-size'].filter((key) => node.hasAttribute(key)).map((key) => [key, node.getAttribute(key)]));
    const isNow = node.hasAttribute('data-now') && group.getAttribute('class') === 'row-labels';
    const fill = isNow ? COLOURS.now : node.getAttribute('data-ground') === 'strong' ? COLOURS.card : node.hasAttribute('data-special') ? COLOURS['ink-faint'] : null;
    return makeSvg('text', { ...kept, dy: node.hasAttribute('dominant-baseline') ? '0.35em' : null, fill, 'font-weight': isNow ? 650 : null, 'text-decoration': node.hasAttribute('data-silent') ? 'line-through' : null, text: node.textContent });
  });
  return texts.length ? [makeSvg('g', { fill: INKS[group.getAttribute('class')] }, ...texts)] : [];
}

/** What it is, what is not as the model was trained, and the text. */
function said(frame, { name, text }) {
  const { view: { t, layer, head, place }, painting, ruled, blocks, unseen, position } = frame;
  const depths = blocks.map((block) => layerOf(frame, block.name, layer) + 1);
  const isOne = depths.every((one) => one === depths[0]);
  const layers = isOne ? t('save.figure.layer', { n: depths[0] }) : blocks.map((block, at) => `${t(`block.${block.name}`)}: ${t('save.figure.layer', { n: depths[at] })}`).join(', ');
  const title = [name, layers, place === 'reach' ? t('look.reach') : t(head === 'all' ? 'save.figure.heads' : 'head.number', { n: Number(head) + 1 }), t('clock.at.open', { n: position })].join(' · ');
  const edits = within(painting.edits, blocks);
  const facts = [
    ruled && t('save.figure.rule', { rule: sayChosen(ruled, frame.architecture, t) }), ruled?.n && t('save.figure.reach', { reach: sayReach(frame, ruled, ruled.n) }), frame.sources !== null && frame.sources < frame.sourceLength && t('save.figure.reach', { reach: t('mask.source.far', { n: frame.sources, of: frame.sourceLength }) }), edits.length && t('paint.count', { n: edits.length }),
    painting.silenced.length && t('silence.count', { n: painting.silenced.length }), unseen && t(`unseen.${unseen}`),
  ].filter(Boolean).join(' ');
  return [title, facts, t('save.figure.text', { text: (text || joinPieces(frame.source)).trim() })];
}

/** Lines that are no wider than there is room: cut between words, where there are such. @param {string} text @param {number} width */
export function wrap(text, width) {
  const most = width / FONT;
  const lines = [''];
  // A character of Chinese may stand at any line's beginning.
  for (const part of text.match(/\s+|[\u2E80-\u9FFF\uF900-\uFAFF\uFF00-\uFFEF]|[^\s\u2E80-\u9FFF\uF900-\uFAFF\uFF00-\uFFEF]+/gu) ?? []) {
    for (const piece of estimate(part) > most ? part : [part]) {
      if (estimate(lines[lines.length - 1] + piece) > most) lines.push('');
      if (lines[lines.length - 1] !== '' || piece.trim() !== '') lines[lines.length - 1] += piece;
    }
  }
  return lines.map((line) => line.trim()).filter(Boolean);
}

/** @param {string[]} lines */
const cut = (lines) => (lines.length > MOST_LINES ? [...lines.slice(0, MOST_LINES - 1), `${lines[MOST_LINES - 1].slice(0, -1)}…`] : lines);
