import assert from 'node:assert/strict';
import test from 'node:test';
import { COLOURS } from '../../www/views/figure.js';
import { LEVELS, SILENT, cellAt, cellPath, cellPaths, gridPath, groundOf, layout, levelOf, rowPath, rowsFor, strengthOf } from '../../www/views/matrix.js';

const tokens = (count) => Array.from({ length: count }, (_, at) => ({ piece: `w${at}`, state: 'source' }));
const block = (name, rows, keys, visible = () => true, wholeRows = rows) => ({
  name, rows, keys, wholeRows, wholeKeys: keys, visible, attention: () => Array.from({ length: keys }, () => 1 / keys),
});
const frame = (architecture, source, target, blocks, ended = true) => ({ architecture, source: tokens(source), read: tokens(source), target: tokens(target), blocks, ended });
const encoder = (count) => frame('encoder', count, 0, [block('encoder', count, count)]);

test('fits its room at 5 and at 60 tokens, readable at both', () => {
  for (const [count, least] of [[5, 20], [60, 3]]) {
    const plan = layout(encoder(count), { width: 300, height: 280 });
    assert.ok(plan.width <= 302 && plan.height <= 282, `${plan.width} x ${plan.height}`);
    assert.ok(plan.cell >= least, `a cell of ${plan.cell}`);
  }
  assert.equal(layout(encoder(5), { width: 300, height: 280 }).every, true);
  assert.equal(layout(encoder(60), { width: 300, height: 280 }).every, false);
});

test('a point finds its cell', () => {
  const plan = layout(encoder(6), { width: 300, height: 300 });
  const [{ x, y }] = plan.blocks;
  assert.deepEqual(cellAt(plan, x + 2.5 * plan.cell, y + 1.5 * plan.cell), { block: 'encoder', row: 1, key: 2 });
  assert.equal(cellAt(plan, x - 1, y), null);
  assert.equal(cellAt(plan, x + 6.5 * plan.cell, y), null);
});

test('the three grids of an encoder-decoder line up', () => {
  const plan = layout(frame('encoder-decoder', 4, 3, [block('encoder', 4, 4), block('cross', 3, 4), block('decoder', 3, 3)]), { width: 300, height: 300 });
  const [top, cross, decoder] = plan.blocks;
  assert.equal(cross.x, top.x);
  assert.equal(decoder.y, cross.y);
  assert.ok(decoder.x > top.x + top.width);
  assert.equal(rowPath(plan, 'decoder', 1).match(/M/g).length, 2, 'a decoder row runs through both of its grids');
  assert.equal(rowPath(plan, 'encoder', 1).match(/M/g).length, 1);
  assert.notEqual(cellPath(plan, { block: 'cross', row: 2, key: 3 }), '');
  assert.equal(cellPath(plan, { block: 'cross', row: 3, key: 3 }), '');
});

test('hidden cells are hatched and never coloured', () => {
  const causal = frame('causal', 3, 0, [block('decoder', 3, 3, (row, key) => key <= row)]);
  const { seen, hidden, levels } = cellPaths(layout(causal, { width: 32, height: 32, bare: true }), () => 0, 0);
  assert.equal(seen.match(/M/g).length, 6);
  assert.equal(hidden.match(/M/g).length, 3);
  assert.equal(levels.join('').match(/M/g).length, 6);
});

test('the ramp rises with the probability', () => {
  const levels = [0, 0.001, 0.05, 0.2, 0.5, 0.9, 1].map(levelOf);
  assert.deepEqual(levels, [...levels].sort((a, b) => a - b));
  assert.deepEqual([levels[0], levels[1], levels.at(-1)], [0, 1, LEVELS]);
  assert.equal(levelOf(NaN), 0);
});

test('a growing run keeps its scale for some steps', () => {
  const at = (rows) => layout(frame('causal', rows, 0, [block('decoder', rows, rows)], false), { width: 300, height: 300 }).cell;
  assert.equal(at(9), at(10));
});

test('a label is smaller than its cell, at every size', () => {
  let labelled = 0;
  for (let count = 3; count <= 70; count += 1) {
    for (const [width, height] of [[264, 230], [264, 252], [300, 280], [340, 340], [620, 620]]) {
      const wired = frame('encoder-decoder', count, 3, [block('encoder', count, count), block('cross', 3, count), block('decoder', 3, 3)]);
      for (const one of [encoder(count), wired]) {
        const plan = layout(one, { width, height });
        if (!plan.every) continue;
        labelled += 1;
        assert.ok(plan.font >= 8 && plan.font <= plan.cell - 1, `${plan.font} in ${plan.cell}`);
      }
    }
  }
  assert.ok(labelled > 100);
});

test('labels, cells and numbers grow with the largest label that is asked for, and never else', () => {
  const room = { width: 900, height: 800 };
  const drawn = encoder(6);
  const usual = layout(drawn, room);
  assert.deepEqual(layout(drawn, { ...room, font: 13.5 }), usual);
  assert.equal(usual.font, 13.5);
  const large = layout(drawn, { ...room, font: 27 });
  assert.equal(large.font, 27);
  assert.ok(large.cell > usual.cell && large.share > usual.share && large.share < 0.5);
  assert.ok(large.width <= 902 && large.height <= 802);
});

/** What is told of light and dark, as WCAG has it. */
const channels = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
const over = (under, colour, opacity) => under.map((one, at) => one * (1 - opacity) + colour[at] * opacity);
const bright = (colour) => colour.map((one) => one / 255).map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4)).reduce((sum, one, at) => sum + one * [0.2126, 0.7152, 0.0722][at], 0);
const contrast = (a, b) => (Math.max(bright(a), bright(b)) + 0.05) / (Math.min(bright(a), bright(b)) + 0.05);

test('a number is read on every cell, also of a silent head, on paper and in the dark', () => {
  const DARK = { card: '#1a1c21', ink: '#eceae4', hues: ['#82b4ff', '#ff93b8', '#c0a6ff', '#52d3bf'] };
  const LIGHT = { card: COLOURS.card, ink: COLOURS.ink, hues: ['encoder', 'causal', 'prefix', 'encoder-decoder'].map((name) => COLOURS[name]) };
  for (const { card: paper, ink, hues } of [LIGHT, DARK]) {
    for (const hue of hues.map(channels)) {
      for (let weight = 0.01; weight <= 1; weight += 0.01) {
        for (const isFaint of [false, true]) {
          const card = channels(paper);
          const cell = over(over(card, hue, 0.07), hue, strengthOf(levelOf(weight)));
          const ground = groundOf(weight, isFaint);
          const number = ground === 'strong' || (ground === 'middle' && paper === DARK.card) ? card : channels(ink);
          const found = contrast(number, isFaint ? over(card, cell, SILENT) : cell);
          assert.ok(found >= (isFaint ? 6 : 3.5), `${weight.toFixed(2)} ${isFaint}: ${found.toFixed(1)}`);
        }
      }
    }
  }
});

test('the area of one grid is that of its cells, and of no other', () => {
  const plan = layout(frame('encoder-decoder', 4, 3, [block('encoder', 4, 4), block('cross', 3, 4), block('decoder', 3, 3)]), { width: 300, height: 300 });
  const [, { x, y }] = plan.blocks;
  assert.equal(gridPath(plan, (name) => name === 'cross'), `M${x} ${y}h${4 * plan.cell}v${3 * plan.cell}h-${4 * plan.cell}z`);
  assert.equal(gridPath(plan, () => true).match(/M/g).length, 3);
});

/** An encoder-decoder that read 10 tokens, `made` choices on its way through `length` of them. */
const writing = (made, length, least = 0) => {
  const rows = 1 + Math.min(made, length - 1);
  const grids = [block('encoder', 10, 10), block('cross', rows, 10, undefined, length), block('decoder', rows, rows, undefined, length)];
  return { ...frame('encoder-decoder', 10, rows, grids), position: made, length, view: { least } };
};

test('a long answer that is still to come leaves the first rows their size, and the page stands still while it comes', () => {
  const room = { width: 640, height: 620 };
  const plans = Array.from({ length: 41 }, (_, made) => layout(writing(made, 40), room));
  assert.ok(plans[0].cell >= 20, `a cell of ${plans[0].cell}`);
  assert.ok(plans[40].cell >= 10 && plans[40].blocks[2].height === 40 * plans[40].cell);
  assert.deepEqual([0, 8, 16, 24, 32].map((from) => new Set(plans.slice(from, from + 8).map(({ blocks, cell }) => blocks[2].height / cell))), [9, 17, 25, 33, 40].map((rows) => new Set([rows])));
  for (const [at, { cell, height, width, held, blocks }] of plans.entries()) {
    assert.ok(height <= held && held <= 622 && width <= 642, `${at}: ${width} x ${height} of ${held}`);
    assert.ok(blocks[2].block.rows * cell <= blocks[2].height, `${at} has room for its rows`);
  }
  // Labels grow with the tokens; what is held does not depend on the step otherwise.
  assert.ok(Math.abs(plans[0].held - plans[13].held) < 12);
});

test('a short answer has room for all of it from the first step on', () => {
  const plans = Array.from({ length: 11 }, (_, made) => layout(writing(made, 10), { width: 300, height: 280 }));
  assert.equal(new Set(plans.map(({ cell }) => cell)).size, 1);
  assert.ok(plans.every(({ height, held }) => height === held));
});

test('under a brush there is room for what there was room for, wherever the next run stands', () => {
  assert.deepEqual([writing(0, 9), writing(0, 9, 40), writing(3, 9, 11), writing(9, 9, 40), writing(9, 30, 11)].map((one) => rowsFor(one)), [9, 40, 11, 40, 17]);
  const [bare, held] = [0, 40].map((least) => layout(writing(40, 40, least), { width: 640, height: 620 }));
  const begun = layout({ ...writing(0, 2, 40), ended: false }, { width: 640, height: 620 });
  assert.equal(held.cell, bare.cell);
  assert.equal(begun.cell, bare.cell);
});
