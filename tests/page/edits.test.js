/** Painted cells: as text, one by one, in strokes, and as a request has them. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { MOST_EDITS, between, editAt, maskUnder, paint, readEdits, writeEdits } from '../../www/edits.js';
import { Painter } from '../../www/element-paint.js';

const cell = (row, key, block = 'decoder') => ({ block, row, key });
const anyEdit = fc.record({ site: fc.constantFrom('encoder', 'decoder', 'cross'), row: fc.nat(9999), key: fc.nat(9999), visible: fc.boolean() });
const anyEdits = fc.uniqueArray(anyEdit, { maxLength: MOST_EDITS, selector: ({ site, row, key }) => `${site} ${row} ${key}` });
const sorted = (edits) => edits.map((edit) => JSON.stringify([edit.site, edit.row, edit.key, edit.visible])).sort();

test('what was painted is written and read again', () => {
  fc.assert(fc.property(anyEdits, (edits) => { assert.deepEqual(sorted(readEdits(writeEdits(edits))), sorted(edits)); }));
  assert.equal(writeEdits(readEdits('d5.3h4.2sc0.1h')), 'd5.3h4.2sc0.1h');
  assert.deepEqual(readEdits('d5.3h'), [{ site: 'decoder', row: 5, key: 3, visible: false }]);
});

test('what does not fit is nothing', () => {
  for (const text of [null, undefined, '', 'd', '5.3h', 'd5.3', 'x5.3h', 'd5.3hh', 'd12345.1h', 'd-1.2h', 'd5.3h5.3s', 'd1.1h d2.2h', `d${'1.1h'.repeat(3)}`,
    `d${Array.from({ length: MOST_EDITS + 1 }, (_, at) => `${at}.0h`).join('')}`]) assert.deepEqual(readEdits(text), [], String(text));
});

test('a cell that comes back to its rule is painted no more', () => {
  const at = { site: 'decoder', row: 2, key: 1 };
  const once = paint([], at, false, true);
  assert.deepEqual(once, [{ ...at, visible: false }]);
  assert.deepEqual(paint(once, at, true, true), []);
  assert.deepEqual(paint(once, { ...at, key: 9 }, true, false), [...once, { ...at, key: 9, visible: true }]);
  assert.equal(editAt(once, at)?.visible, false);
  assert.equal(editAt(once, { ...at, site: 'cross' }), null);
  const full = Array.from({ length: MOST_EDITS }, (_, row) => ({ site: 'decoder', row, key: 0, visible: false }));
  assert.equal(paint(full, { site: 'decoder', row: 0, key: 5 }, true, false).length, MOST_EDITS, 'no more than an address holds');
});

test('a request has the edits at their attention, and none that its model cannot have', () => {
  const edits = readEdits('e0.1hd2.1h64.0hc0.3h');
  assert.deepEqual(maskUnder(edits, undefined, { sites: ['decoder'], most: 64 }), { decoder: { edits: [{ row: 2, key: 1, visible: false }] } });
  assert.deepEqual(maskUnder(edits, { decoder: { rule: 'prefix:3' } }, { sites: ['encoder', 'decoder', 'cross'], most: 2 }),
    { decoder: { rule: 'prefix:3' }, encoder: { edits: [{ row: 0, key: 1, visible: false }] } });
  assert.equal(maskUnder([], undefined, { sites: ['decoder'], most: 64 }), undefined);
});

test('a pointer that moves fast skips no cell', () => {
  fc.assert(fc.property(fc.nat(60), fc.nat(60), fc.nat(60), fc.nat(60), (row, key, otherRow, otherKey) => {
    const way = between({ row, key }, { row: otherRow, key: otherKey });
    assert.deepEqual([way[0], way.at(-1)], [{ row, key }, { row: otherRow, key: otherKey }]);
    for (let at = 1; at < way.length; at += 1) {
      assert.ok(Math.abs(way[at].row - way[at - 1].row) <= 1 && Math.abs(way[at].key - way[at - 1].key) <= 1);
    }
  }));
});

/** A causal machine of four rows and its painter; `run` computes what was asked for. */
function setUp() {
  const held = { text: '', rule: '', silenced: '', ran: [], asked: [] };
  const painter = new Painter({
    asked: () => ({ edits: held.text, rule: held.rule, silenced: held.silenced }),
    ask: ({ edits, rule, silenced }) => { Object.assign(held, { text: edits, rule, silenced }); held.asked.push(edits); },
  });
  const frame = () => {
    const { ran } = held;
    const visible = (row, key) => (row > 3 ? null : editAt(ran, { site: 'decoder', row, key })?.visible ?? key <= row);
    return { architecture: 'causal', sourceLength: 4, ran, blocks: [{ name: 'decoder', rows: 4, wholeRows: 4, keys: 4, visible }] };
  };
  return { held, painter, frame, run: () => { held.ran = readEdits(held.text); } };
}

test('a stroke makes all that it passes what its first cell was not, and is one step of undo', () => {
  const { held, painter, frame, run } = setUp();
  painter.begin(frame(), cell(3, 0));
  run();
  painter.move(cell(3, 2));
  painter.end();
  assert.equal(held.text, 'd3.0h3.1h3.2h');
  painter.move(cell(1, 0));
  assert.equal(held.text, 'd3.0h3.1h3.2h', 'the pointer is up');
  run();
  painter.begin(frame(), cell(0, 3));
  painter.move(cell(3, 3));
  painter.end();
  assert.deepEqual(sorted(readEdits(held.text)), sorted(readEdits('d3.0h3.1h3.2h0.3s1.3s2.3s')), 'what is seen already is left as it is');
  painter.undo();
  assert.equal(held.text, 'd3.0h3.1h3.2h');
  painter.undo();
  assert.equal(held.text, '');
  assert.equal(painter.canUndo, false);
  painter.undo();
  assert.equal(held.asked.at(-1), '');
});

test('a stroke goes on over what was shown when it began, whatever run comes in meanwhile', () => {
  const { held, painter, frame, run } = setUp();
  painter.begin(frame(), cell(3, 0));
  painter.end();
  const shown = frame();
  painter.begin(shown, cell(3, 1));
  assert.equal(painter.under, shown);
  // The first stroke's run: its cell is hidden there, and was not in what is under the brush.
  run();
  painter.move(cell(3, 0));
  painter.end();
  assert.equal(painter.under, null);
  assert.deepEqual(sorted(readEdits(held.text)), sorted(readEdits('d3.0h3.1h')));
});

test('pressed again before the model has run, a cell comes back', () => {
  const { held, painter, frame } = setUp();
  const press = () => { painter.begin(frame(), cell(2, 1)); painter.end(); };
  press();
  assert.equal(held.text, 'd2.1h');
  press();
  assert.equal(held.text, '');
  press();
  assert.equal(held.text, 'd2.1h');
});

test('a reset is taken back like a stroke; what somebody else painted is not', () => {
  const { held, painter, frame, run } = setUp();
  painter.reset();
  assert.deepEqual(held.asked, []);
  painter.begin(frame(), cell(2, 1));
  painter.end();
  run();
  painter.reset();
  assert.equal(held.text, '');
  painter.undo();
  assert.equal(held.text, 'd2.1h');
  painter.forget();
  assert.equal(painter.canUndo, false);
});

test('another rule takes painted cells along and is one step of undo; so is a dial, however far it is turned', () => {
  const { held, painter, frame, run } = setUp();
  painter.begin(frame(), cell(2, 1));
  painter.end();
  run();
  painter.choose(frame(), 'window');
  assert.deepEqual([held.rule, held.text], ['causal+window:3', '']);
  for (const n of [2, 1, 4]) painter.turn(n);
  painter.rest();
  painter.turn(2);
  assert.equal(held.rule, 'causal+window:2');
  painter.undo();
  assert.equal(held.rule, 'causal+window:4');
  painter.undo();
  assert.equal(held.rule, 'causal+window:3');
  painter.undo();
  assert.deepEqual([held.rule, held.text], ['', 'd2.1h']);
  painter.choose(frame(), 'full');
  painter.reset();
  assert.deepEqual([held.rule, held.text], ['', '']);
  painter.undo();
  assert.equal(held.rule, 'full');
  painter.choose(frame(), '');
  assert.equal(held.rule, '');
});

test('silenced heads are one step of undo, stay while the mask changes, and are heard again by the same button', () => {
  const { held, painter, frame } = setUp();
  const heads = [0, 1].map((head) => ({ site: /** @type {const} */ ('decoder'), layer: 5, head }));
  painter.silence([heads[0]]);
  assert.equal(held.silenced, 'd6.1');
  painter.silence(heads);
  assert.equal(held.silenced, 'd6.1d6.2', 'not all were silent');
  painter.choose(frame(), 'full');
  painter.choose(frame(), '');
  painter.begin(frame(), cell(2, 1));
  painter.end();
  assert.deepEqual([held.text, held.silenced], ['d2.1h', 'd6.1d6.2']);
  painter.silence(heads);
  assert.deepEqual([held.text, held.silenced], ['d2.1h', '']);
  painter.undo();
  assert.equal(held.silenced, 'd6.1d6.2');
  painter.reset();
  assert.deepEqual([held.text, held.silenced], ['', '']);
});

test('a row that is not computed yet cannot be painted, nor can a stroke cross into another attention', () => {
  const { held, painter, frame } = setUp();
  painter.begin(frame(), cell(5, 0));
  painter.move(cell(2, 0));
  painter.end();
  painter.begin(frame(), cell(0, 0, 'cross'));
  assert.equal(held.text, '');
  painter.begin(frame(), cell(1, 0));
  painter.move(cell(2, 0, 'cross'));
  painter.end();
  assert.equal(held.text, 'd1.0h');
});

test('a dial keeps whether a rule of a link looks ahead', () => {
  const { held, painter } = setUp();
  for (const [before, after] of [['window:3', 'window:2'], ['causal+window:3', 'causal+window:2'], ['documents:4+source:1', 'documents:2+source:1'], ['prefix:4', 'prefix:2']]) {
    held.rule = before;
    painter.turn(2);
    painter.rest();
    assert.equal(held.rule, after);
  }
});
