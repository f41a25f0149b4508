/** One machine by itself: its engine is a few answers, some of which a test holds back. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Machine } from '../../www/machine.js';

globalThis.document ??= /** @type {any} */ ({});
Object.assign(globalThis.document, { hidden: false, baseURI: 'http://127.0.0.1/' });

const MASK = 3;
const SIGN = { id: 1, piece: '[SEP]', space: false, special: true, start: null, end: null };
const TOKENS = [...['The', 'cat', 'sleeps'].map((piece, at) => ({ id: 10 + at, piece, space: true, special: false, start: [0, 4, 8][at], end: [3, 7, 14][at] })), SIGN];
const candidates = [5, 6].map((id) => ({ id, piece: `w${id}`, space: true, probability: 0.5, kept: true }));

/** An encoder with a pair head that fills its one blank in one step. */
function encoder() {
  const description = {
    architecture: 'encoder', output_heads: ['vocabulary', 'pair'], tasks: [{ task: 'fill' }], special: { mask: MASK }, max_positions: 64, masks: { encoder: 'full' },
    layers: { encoder: 1, decoder: 0 }, heads: 1, stacks: {},
  };
  /** What is asked of the pair head waits here. @type {Array<() => void>} */
  const held = [];
  return {
    held, device: { backend: 'cpu' }, describe: () => description, free: () => {},
    tokenize: async () => ({ tokens: TOKENS, source_length: TOKENS.length, truncated: 0 }),
    forward: () => new Promise((resolve) => { held.push(() => resolve({ tokens: TOKENS, forward: { heads: { pair: [0, 2] } } })); }),
    generate: ({ ids }) => ({
      header: Promise.resolve({ model: { architecture: 'encoder' }, tokens: ids.map((id, at) => ({ ...TOKENS[at], id })), forward: {} }),
      async* [Symbol.asyncIterator]() {
        const row = ids.indexOf(MASK);
        if (row >= 0) yield { row, chosen: 5, piece: 'w5', space: true, candidates, rows: [] };
      },
    }),
  };
}

const settings = /** @type {any} */ ({ text: 'The cat sleeps', pair: 'Yes', blanks: [1], fill: 'parallel', maxNewTokens: 40, candidates: 10 });
/** Until so many passes of the pair head were asked for. */
async function asked(engine, count) {
  for (let tries = 0; engine.held.length < count && tries < 100; tries += 1) await new Promise((resolve) => { setTimeout(resolve); });
  assert.equal(engine.held.length, count);
}

test('a candidate that is chosen before the verdict has come does not lose it', async () => {
  const machine = new Machine(() => {});
  const engine = machine.engine = encoder();
  const run = machine.run(settings);
  await asked(engine, 1);
  assert.equal(machine.phase, 'done');
  const forced = machine.force(0, candidates[1]);
  engine.held[0]();
  await run;
  assert.equal(machine.verdict, null, 'what was under way is of another turn');
  await asked(engine, 2);
  engine.held[1]();
  await forced;
  assert.deepEqual(machine.verdict?.pair, [0, 2]);
  assert.equal(machine.timeline?.steps[0].chosen, 6);
  await machine.force(0, candidates[0]);
  assert.equal(engine.held.length, 2, 'it is there: nothing is asked again');
});

test('a blank for which [MASK] was chosen is filled', async () => {
  const machine = new Machine(() => {});
  const engine = machine.engine = encoder();
  const { generate } = engine;
  const requests = /** @type {any[]} */ ([]);
  engine.generate = (request) => { requests.push(request); return generate(request); };
  const sign = { id: MASK, piece: '[MASK]' };
  await machine.run({ ...settings, pair: undefined, blanks: [0, 1] });
  await machine.force(0, sign);
  assert.deepEqual([requests[1].ids, requests[1].blanks], [[MASK, MASK, 12, 1], [1]]);
  await machine.run({ ...settings, pair: undefined });
  await machine.force(0, sign);
  assert.deepEqual([requests.length, machine.phase, machine.timeline?.steps[0].chosen], [3, 'done', MASK], 'nothing is left to be asked for');
});

test('a stored run has nothing of the run before it', async () => {
  const machine = new Machine(() => {});
  const engine = machine.engine = encoder();
  const run = machine.run({ ...settings, rule: 'causal' });
  await asked(engine, 1);
  engine.held[0]();
  await run;
  assert.ok(machine.verdict && machine.settings && machine.blanked.length);
  machine.show({ model: { architecture: 'causal' }, tokens: TOKENS, steps: [] });
  assert.deepEqual([machine.verdict, machine.settings, machine.blanked, machine.cutText], [null, null, [], '']);
});

/** What writes, of a source of four tokens; it keeps what it is asked for. @param {Record<string, string>} masks */
function writer(masks) {
  const asked = /** @type {any[]} */ ([]);
  const description = { architecture: masks.cross ? 'encoder-decoder' : 'causal', output_heads: ['vocabulary'], tasks: [], special: { eos: 9 }, max_positions: 64, masks, layers: { encoder: 1, decoder: 1 }, heads: 1, stacks: {} };
  const grids = Object.fromEntries(Object.keys(masks).map((site) => [site, [[[[1]]]]]));
  const rows = { rows: TOKENS.map(() => '1111'), rule: '', trained_rule: '', trained: true };
  return {
    asked, device: { backend: 'cpu' }, describe: () => description, free: () => {}, tokenize: async () => ({ tokens: TOKENS, source_length: TOKENS.length, truncated: 0 }),
    maskPicture: async () => ({ encoder: rows }),
    forward: async (request) => { asked.push(request); return { forward: { logits: request.watch.rows.map(() => [0, 0, 9]) } }; },
    generate: (request) => {
      asked.push(request);
      return {
        header: Promise.resolve({ model: { architecture: description.architecture }, tokens: TOKENS, source_length: TOKENS.length, target: [SIGN], forward: { attention: grids } }),
        async* [Symbol.asyncIterator]() { yield { row: 0, chosen: 5, piece: 'w5', space: true, candidates, rows: [], attention: grids }; },
      };
    },
  };
}

test('how much of the source is seen changes nothing where there is none, or no more than that: nothing is asked twice, nothing is compared', async () => {
  const wired = { encoder: 'full', decoder: 'causal', cross: 'full' };
  const plain = { text: 'The cat sleeps', blanks: null, fill: 'parallel', maxNewTokens: 40, candidates: 10 };
  for (const [masks, rule, mask, runs] of /** @type {Array<[Record<string, string>, string, any, number]>} */ ([
    [{ decoder: 'causal' }, 'source:3', undefined, 1], [{ decoder: 'causal' }, 'full+source:3', { decoder: { rule: 'full' } }, 3],
    [wired, 'source:9999', undefined, 1], [wired, 'source:4', undefined, 1], [wired, 'source:3', { cross: { rule: 'padding:3' } }, 3],
  ])) {
    const machine = new Machine(() => {});
    const engine = /** @type {any} */ (machine).engine = writer(masks);
    await machine.run(/** @type {any} */ ({ ...plain, rule }));
    for (let tries = 0; tries < 9; tries += 1) await new Promise((resolve) => { setTimeout(resolve); });
    assert.deepEqual([engine.asked[0].mask, engine.asked.length], [mask, runs], rule);
    assert.equal(machine.before(0) !== null, runs > 1, rule);
    assert.equal(machine.timeline?.rule, rule, 'what was asked for is told');
  }
});

test('what the model’s own mask made of all candidates is asked for once, whether it was on the screen or not', async () => {
  const machine = new Machine(() => {});
  const engine = /** @type {any} */ (machine).engine = writer({ decoder: 'causal' });
  const rest = async () => { for (let tries = 0; tries < 9; tries += 1) await new Promise((resolve) => { setTimeout(resolve); }); };
  const plain = /** @type {any} */ ({ text: 'The cat sleeps', blanks: null, fill: 'parallel', maxNewTokens: 40, candidates: 10 });
  await machine.run(plain);
  await machine.run({ ...plain, rule: 'full' });
  await rest();
  const [, , { mask, gates, ids, watch }, ...others] = engine.asked;
  assert.deepEqual([mask, gates, ids, watch, others], [undefined, undefined, [10, 11, 12, 1], { layers: [0], heads: [0], rows: [0], what: ['logits'] }, []]);
  const told = machine.before(0);
  assert.deepEqual([told?.isWhole, told?.of.get(5), told?.of.get(2)?.toFixed(4), told?.of.get(0)], [true, 0.5, '0.9998', undefined]);
  await machine.run({ ...plain, rule: 'window:2' });
  await rest();
  assert.deepEqual([engine.asked.length, machine.before(0)?.isWhole], [4, true]);
});

test('what asks for all candidates stops where another run begins, and what goes wrong with it is no fault of the run', async () => {
  const machine = new Machine(() => {});
  const engine = /** @type {any} */ (machine).engine = writer({ decoder: 'causal' });
  // A row a pass, and three of them.
  const describe = { ...engine.describe(), vocabulary: 4_000_000 };
  const { generate } = engine;
  const passes = /** @type {Array<{ answer: (value: any) => void, fail: (error: Error) => void }>} */ ([]);
  Object.assign(engine, {
    describe: () => describe, forward: () => new Promise((answer, fail) => { passes.push({ answer, fail }); }),
    generate: (request) => ({ ...generate(request), async* [Symbol.asyncIterator]() { for (const row of [3, 4, 5]) yield { row, chosen: 5, piece: 'w5', candidates, rows: [], attention: { decoder: [[[[1]]]] } }; } }),
  });
  const rest = async () => { for (let tries = 0; tries < 9; tries += 1) await new Promise((resolve) => { setTimeout(resolve); }); };
  const plain = /** @type {any} */ ({ text: 'The cat sleeps', blanks: null, fill: 'parallel', maxNewTokens: 40, candidates: 10 });
  await machine.run(plain);
  await machine.run({ ...plain, rule: 'full' });
  await rest();
  assert.equal(passes.length, 1);
  const before = machine.plain;
  await machine.run({ ...plain, text: 'Another', rule: 'full' });
  await rest();
  passes[0].answer({ forward: { logits: [[0, 0, 9]] } });
  await rest();
  assert.deepEqual([passes.length, before?.shares, machine.plain === before], [2, null, false], 'the second one is of the new run');
  passes[1].fail(new Error('lost'));
  await rest();
  assert.deepEqual([passes.length, machine.phase, machine.error, machine.plain?.shares, machine.before(0)?.isWhole], [2, 'done', null, null, false]);
  // It is asked again with the next mask.
  await machine.run({ ...plain, text: 'Another', rule: 'window:2' });
  await rest();
  for (let at = 2; at < 5; at += 1) { passes[at].answer({ forward: { logits: [[0, 0, 9]] } }); await rest(); }
  assert.deepEqual([passes.length, machine.plain?.shares?.length, machine.before(0)?.isWhole], [5, 3, true]);
});
