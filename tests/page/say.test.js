import assert from 'node:assert/strict';
import test from 'node:test';
import { translator } from '../../www/i18n/index.js';
import { sayNext, sayStep } from '../../www/page/say.js';
import { Timeline } from '../../www/timeline.js';

const t = translator('en');
const token = (id, piece) => ({ id, piece, space: true, special: false });
const step = (row, id, piece, probability) => ({ row, chosen: id, piece, space: true, candidates: [{ id, piece, space: true, probability }] });

/** Two tokens that were read and two that were written, or filled in. */
function run(architecture, rows) {
  return Timeline.fromTrace({ model: { architecture }, tokens: [token(1, 'big'), token(2, 'cat')], source_length: 2, steps: [step(rows[0], 5, 'gros', 0.42), step(rows[1], 6, 'chat', 0.9)] });
}

test('a step says what each machine chose; one that has no such step says nothing', () => {
  const machines = [{ name: 'A', timeline: run('causal', [1, 2]) }, { name: 'B', timeline: null }, { name: 'C', timeline: run('encoder', [1, 0]) }];
  assert.equal(sayStep(1, machines, false, t), 'Step 1. A: gros, 42%. C: gros, 42%.');
  assert.equal(sayStep(0, machines, false, t), 'Step 0. A is about to choose gros, 42%. C is about to choose gros, 42%.');
});

test('at the end each says what it made: a decoder its answer, an encoder its sentence', () => {
  const machines = [{ name: 'A', timeline: run('causal', [1, 2]) }, { name: 'C', timeline: run('encoder', [1, 0]) }];
  assert.equal(sayStep(2, machines, true, t), 'Step 2. A: chat, 90%. C: chat, 90%. A is done: gros chat C is done: chat gros');
});

test('what is uncovered is said as what comes next, whatever the step', () => {
  const machines = [{ name: 'A', timeline: run('causal', [1, 2]) }, { name: 'B', timeline: null }];
  assert.equal(sayNext(1, machines, t), 'A is about to choose chat, 90%.');
  assert.equal(sayNext(2, machines, t), '', 'nothing is left');
});
