/** What is asked of each place: of the page's own machines in the state, of models from elsewhere beside it; and what takes it back. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Asked } from '../../www/page/asked.js';
import { defaults } from '../../www/state.js';

const OPENED = 'opened causal';

/** @param {object} [given] */
function begin(given = {}) {
  const state = /** @type {any} */ ({ ...defaults(), ...given });
  return { state, asked: new Asked(state, (place) => place === OPENED) };
}

const full = () => ({
  edits: { encoder: 'e1.2h', causal: 'd2.1s' }, exchange: { encoder: 'e3', causal: 'd2' }, silenced: { causal: 'd1.1' },
  mask: { encoder: 'full+window:2', causal: 'causal+window:3', prefix: 'prefix:4' }, forced: { encoder: '1.5', causal: '0.7' },
});

test('of the page’s own machines the state holds it; where nothing is left it holds nothing', () => {
  const { state, asked } = begin();
  asked.put('causal', { edits: 'd2.1s', look: 'table' });
  asked.put('prefix', { look: 'leak' });
  assert.deepEqual([state.edits, state.look], [{ causal: 'd2.1s' }, { causal: 'table', prefix: 'leak' }]);
  assert.deepEqual(['edits', 'look', 'way'].map((name) => asked.of('causal', /** @type {any} */ (name))), ['d2.1s', 'table', null]);
  asked.put('causal', { edits: '', look: '' });
  assert.deepEqual([state.edits, state.look], [null, { prefix: 'leak' }]);
});

test('of a model from elsewhere the state tells nothing; with another model it is gone', () => {
  const { state, asked } = begin();
  const before = structuredClone(state);
  asked.put(OPENED, { edits: 'd2.1s', silenced: 'd1.1' });
  asked.put(OPENED, { look: 'leak' });
  assert.deepEqual(state, before);
  assert.deepEqual([asked.of(OPENED, 'edits'), asked.of(OPENED, 'silenced'), asked.of(OPENED, 'look'), asked.of('causal', 'edits')], ['d2.1s', 'd1.1', 'leak', null]);
  asked.unread(() => false);
  assert.equal(asked.of(OPENED, 'edits'), 'd2.1s', 'it reads what it read');
  asked.put(OPENED, { exchange: 'd2' });
  asked.unread((place) => place === OPENED);
  assert.deepEqual([asked.of(OPENED, 'edits'), asked.of(OPENED, 'exchange'), asked.of(OPENED, 'silenced'), asked.of(OPENED, 'look')], [null, null, 'd1.1', 'leak']);
  asked.drop(OPENED);
  assert.deepEqual([asked.of(OPENED, 'silenced'), asked.of(OPENED, 'look')], [null, null]);
});

test('another sentence takes back cells, exchanges, choices and what of a rule names a place; heads stay silent', () => {
  const { state, asked } = begin(full());
  asked.forget({ text: 'Another one.' });
  assert.deepEqual(
    [state.edits, state.exchange, state.forced, state.silenced, state.mask],
    [null, null, null, { causal: 'd1.1' }, { encoder: 'full+window:2', causal: 'causal+window:3' }]);
});

test('another quartet takes back everything that is of a model', () => {
  const { state, asked } = begin(full());
  asked.forget({ family: 'de-en' });
  assert.deepEqual([state.edits, state.exchange, state.forced, state.silenced, state.mask], [null, null, null, null, null]);
});

test('another second sentence is the encoder’s alone', () => {
  const { state, asked } = begin(full());
  asked.forget({ pair: 'Un autre.', blanks: null });
  assert.deepEqual(
    [state.edits, state.exchange, state.forced, state.silenced, state.mask?.causal, state.mask?.prefix],
    [{ causal: 'd2.1s' }, { causal: 'd2' }, { causal: '0.7' }, { causal: 'd1.1' }, 'causal+window:3', 'prefix:4']);
});

test('a forced choice is of one run: sampling takes it back, a layer that is looked at does not', () => {
  for (const name of ['temperature', 'topK', 'topP', 'seed']) {
    const { state, asked } = begin(full());
    asked.forget({ [name]: 1 });
    assert.deepEqual([state.forced, state.edits], [null, full().edits], name);
  }
  for (const name of ['blanks', 'fill']) {
    const { state, asked } = begin(full());
    asked.forget({ [name]: null });
    assert.deepEqual(state.forced, { causal: '0.7' }, name);
    const only = begin({ forced: { encoder: '1.5' } });
    only.asked.forget({ [name]: null });
    assert.equal(only.state.forced, null, name);
  }
  const { state, asked } = begin(full());
  asked.forget({ layer: 2, head: 'all', on: ['causal'] });
  assert.deepEqual(state, { ...defaults(), ...full() });
});
