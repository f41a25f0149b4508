/** What is said aloud of the machines: once for each step and each change, and nothing before there is anything. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { translator } from '../../www/i18n/index.js';
import { Aloud } from '../../www/page/aloud.js';
import { Timeline } from '../../www/timeline.js';

const t = translator('en');
const token = (id, piece) => ({ id, piece, space: true, special: false });
const step = (row, id, piece) => ({ row, chosen: id, piece, space: true, candidates: [{ id, piece, space: true, probability: 0.5 }] });
const run = (...pieces) => Timeline.fromTrace({ model: { architecture: 'causal' }, tokens: [token(1, 'big'), token(2, 'cat')], source_length: 2, steps: pieces.map((piece, at) => step(at + 1, at + 5, piece)) });

/** A page of one machine. */
function begin({ timeline = null, position = 0 } = {}) {
  const said = [];
  const demo = { timeline, phase: timeline ? 'done' : 'loading', isCovered: false, reveal() { this.isCovered = false; } };
  const stage = { at: position, ended: true, renewed: false };
  const aloud = new Aloud(/** @type {any} */ ({
    demos: new Map([['causal', demo]]), nameOf: () => 'C', position: () => stage.at, available: () => demo.timeline?.available ?? 0,
    ended: () => stage.ended, renewed: () => stage.renewed, say: (text) => said.push(text), t: () => t,
  }), position);
  return { aloud, demo, stage, take: () => said.splice(0) };
}

test('a step is said when the clock comes to it, once; of another run only once that is there', () => {
  const { aloud, stage, take } = begin({ timeline: run('gros', 'chat') });
  aloud.moved();
  assert.deepEqual(take(), [], 'the page opens there');
  stage.at = 1;
  aloud.moved();
  aloud.moved();
  aloud.runs();
  assert.deepEqual(take(), ['Step 1. C: gros, 50%.']);
  Object.assign(stage, { at: 2, renewed: true });
  aloud.moved();
  assert.deepEqual(take(), []);
  stage.renewed = false;
  aloud.runs();
  assert.deepEqual(take(), ['Step 2. C: chat, 50%. C is done: gros chat']);
});

test('what a change comes to is said where the clock stands, not what the page began with', () => {
  const { aloud, demo, stage, take } = begin();
  aloud.runs();
  demo.timeline = run('gros');
  demo.phase = 'done';
  aloud.runs();
  assert.deepEqual(take(), [], 'nobody changed anything yet');
  demo.timeline = Object.assign(run('vieux'), { question: 'another' });
  stage.ended = false;
  aloud.runs();
  assert.deepEqual(take(), [], 'it is not there yet');
  stage.ended = true;
  aloud.runs();
  aloud.runs();
  assert.deepEqual(take(), ['Step 0. C is about to choose vieux, 50%.']);
  Object.assign(demo, { timeline: null, phase: 'empty' });
  aloud.runs();
  assert.deepEqual(take(), [t('machine.empty')]);
});

test('what is uncovered is said as it is seen; where nothing was covered nothing is', () => {
  const { aloud, demo, take } = begin({ timeline: run('gros') });
  aloud.reveal();
  assert.deepEqual(take(), []);
  demo.isCovered = true;
  aloud.reveal();
  assert.deepEqual(take(), ['C is about to choose gros, 50%.']);
});
