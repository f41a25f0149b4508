/** What a model is trained on: of texts of every length and many draws, what holds whatever the lots are. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { learnsFrom } from '../../www/cost.js';
import { ObjectiveOf } from '../../www/element-objective.js';
import { BY_LOT, lotsOf, MASK, objectiveOf, piecesOf, sentencesOf, sentinel, wayOf, WAYS } from '../../www/objective.js';

const sign = (piece) => ({ piece, special: true });
/** Words that are all different, a sign at either end. */
const words = (count, name = 'w') => Array.from({ length: count }, (_, at) => ({ piece: `${name}${at}`, space: true }));
const textOf = (count, written = 3) => ({ source: piecesOf([sign('[BOS]'), ...words(count), sign('[SEP]')]), target: piecesOf([sign('[BOS]'), ...words(written, 'a'), sign('[EOS]')]), starts: 1 });
/** A decoder of one stack begins its answer with nothing of its own. */
const alone = (count, written) => { const { source, target } = textOf(count, written); return { source, target: target.slice(1), starts: 0 }; };
const LENGTHS = [...Array.from({ length: 40 }, (_, at) => at + 1), 96, 512];
const DRAWS = Array.from({ length: 12 }, (_, at) => at);
const each = (way, check) => { for (const count of LENGTHS) for (const draw of DRAWS) check(objectiveOf(way, textOf(count), lotsOf(7, draw)), textOf(count), `${way}, ${count} words, draw ${draw}`); };
const textsOf = (pieces) => pieces.map(({ text }) => text);
const partOf = ({ parts }, name) => parts.find((part) => part.name === name).columns;
const isOrdinary = ({ special }) => !special;

test('the same seed and draw are the same lots, others are others', () => {
  const all = Object.values(WAYS).flat();
  for (const way of all) assert.deepEqual(objectiveOf(way, textOf(20), lotsOf(3, 1)), objectiveOf(way, textOf(20), lotsOf(3, 1)), way);
  for (const way of all) {
    const differ = (lots) => JSON.stringify(objectiveOf(way, textOf(20), lots)) !== JSON.stringify(objectiveOf(way, textOf(20), lotsOf(3, 0)));
    assert.equal(DRAWS.some((draw) => differ(lotsOf(3, draw + 1))), BY_LOT.includes(way), `${way}, drawn again`);
    assert.equal(DRAWS.some((draw) => differ(lotsOf(4 + draw, 0))), BY_LOT.includes(way), `${way}, another seed`);
  }
  const lots = lotsOf(1, 0);
  const drawn = Array.from({ length: 4000 }, lots);
  assert.ok(drawn.every((lot) => lot >= 0 && lot < 1));
  assert.ok(Math.abs(drawn.reduce((sum, lot) => sum + lot, 0) / drawn.length - 0.5) < 0.02);
});

test('what is shown first is the model’s own way, where its files tell of it and it is none of another architecture', () => {
  const own = (architecture, objective, chosen = '') => wayOf(architecture, objective, chosen);
  for (const [architecture, [usual]] of Object.entries(WAYS)) for (const objective of [undefined, 'masked', 'next-token-of-target', 'classes', 'next token', 'translation']) assert.equal(own(architecture, objective), usual);
  assert.deepEqual([own('encoder', 'replaced tokens'), own('encoder-decoder', 'denoising'), own('encoder-decoder', 'spans'), own('encoder-decoder', 'text to text')], ['replaced', 'noise', 'spans', 'spans']);
  assert.deepEqual([own('encoder', 'replaced tokens', 'masked'), own('encoder', 'replaced tokens', 'noise'), own('causal', 'denoising', 'spans')], ['masked', 'replaced', 'next']);
});

test('a loss is where something is wanted, and what is counted is what there is', () => {
  for (const way of Object.values(WAYS).flat()) {
    each(way, ({ parts, losses, of }, text, name) => {
      const columns = parts.flatMap((part) => part.columns);
      assert.equal(losses, columns.filter(({ loss }) => loss).length, name);
      assert.equal(of, columns.length, name);
      assert.ok(losses > 0, name);
      for (const { wanted, loss } of columns) assert.equal(loss, wanted !== null, name);
      for (const part of parts) if (part.name === 'source') assert.ok(part.columns.every(({ loss }) => !loss), name);
    });
  }
});

test('masking: 15% of the words and never a sign; what stood there is wanted', () => {
  const fates = { mask: 0, other: 0, same: 0 };
  each('masked', (made, { source }, name) => {
    const columns = partOf(made, 'all');
    const count = source.filter(isOrdinary).length;
    assert.equal(made.losses, Math.max(1, Math.round(count * 0.15)), name);
    assert.deepEqual(columns.map(({ given, wanted }) => (wanted ?? given).text), textsOf(source), name);
    columns.forEach(({ given, loss, changed }, at) => {
      assert.equal(changed, given.text !== source[at].text, name);
      if (changed) assert.ok(loss && (given === MASK || isOrdinary(given)), name);
      if (source[at].special) assert.ok(!loss, name);
    });
    const { mask, other, same } = made.drawn;
    assert.equal(mask + other + same, made.losses, name);
    assert.equal(mask, columns.filter(({ given }) => given === MASK).length, name);
    assert.equal(same, columns.filter(({ loss, changed }) => loss && !changed).length, name);
    for (const fate of Object.keys(fates)) fates[fate] += made.drawn[fate];
  });
  const all = fates.mask + fates.other + fates.same;
  for (const [fate, share] of [['mask', 0.8], ['other', 0.1], ['same', 0.1]]) assert.ok(Math.abs(fates[fate] / all - share) < 0.03, `${fate} ${fates[fate]} of ${all}`);
});

test('replaced tokens: a loss at every token, and each is called what it is', () => {
  each('replaced', (made, { source }, name) => {
    const columns = partOf(made, 'all');
    assert.equal(made.losses, source.length, name);
    columns.forEach(({ given, wanted, changed }, at) => {
      assert.equal(wanted.sign, given.text === source[at].text ? 'original' : 'replaced', name);
      assert.equal(changed, wanted.sign === 'replaced', name);
      if (source[at].special) assert.ok(!changed, name);
    });
    const count = source.filter(isOrdinary).length;
    assert.equal(columns.filter(({ changed }) => changed).length, count > 1 ? Math.max(1, Math.round(count * 0.15)) : 0, name);
  });
});

test('next token, answer, target: given is shifted by one, and losses are as many as the model is said to learn from', () => {
  for (const [way, architecture, objective, text] of [['next', 'causal', 'next-token', alone], ['answer', 'prefix', 'next-token-of-answer', alone], ['target', 'encoder-decoder', 'next-token-of-target', textOf]]) {
    for (const count of LENGTHS) {
      const { source, target, starts } = text(count, 5);
      const made = objectiveOf(way, { source, target, starts }, lotsOf(1, 0));
      const columns = made.parts.at(-1).columns;
      const sequence = way === 'target' ? target : [...source, ...target];
      assert.deepEqual(textsOf(columns.map(({ given }) => given)), textsOf(sequence).slice(0, -1));
      columns.forEach(({ wanted }, at) => assert.ok(wanted === null || wanted === sequence[at + 1]));
      // As the cost says of the same tokens, at the end of the run.
      const states = (pieces, state) => pieces.map(({ special }) => ({ state: special ? 'special' : state }));
      const frame = /** @type {any} */ ({ source: states(source, 'source'), target: states(target, 'answer'), position: target.length - starts });
      assert.equal(made.losses, learnsFrom(frame, /** @type {any} */ ({ objective })).n, architecture);
      assert.equal(made.losses, { next: count + 2 + 6 - 1, answer: 6, target: 6 }[way]);
    }
  }
  // Two tokens that every answer begins with are given.
  const two = { ...textOf(4, 3), starts: 2 };
  assert.deepEqual(partOf(objectiveOf('target', two, lotsOf(1, 0)), 'target').map(({ loss }) => loss), [false, true, true, true]);
  assert.deepEqual(partOf(objectiveOf('answer', { ...alone(4, 3), starts: 2 }, lotsOf(1, 0)), 'all').map(({ loss }) => loss), [...Array(7).fill(false), true, true]);
});

/** Puts what the target tells of each sign back into its place. */
function restored(made) {
  const hidden = new Map();
  let name = '';
  for (const { wanted } of partOf(made, 'target')) {
    if (wanted.put) { name = wanted.text; hidden.set(name, []); } else hidden.get(name).push(wanted.text);
  }
  return partOf(made, 'source').flatMap(({ given }) => (given.put ? hidden.get(given.text) : [given.text]));
}

/** What the target tells. */
const restoredAt = (made) => partOf(made, 'target').flatMap(({ wanted }) => (wanted.put ? [] : [wanted.text]));

test('spans: put back into their places, what the target says makes the text whole', () => {
  each('spans', (made, { source }, name) => {
    assert.deepEqual(restored(made), textsOf(source), name);
    const count = source.length - 2;
    const taken = partOf(made, 'target').map(({ wanted }) => wanted).filter(isOrdinary).length;
    assert.equal(taken, Math.min(count, Math.max(Math.round(count * 0.15), count >= 8 ? 3 : count >= 5 ? 2 : 1)), name);
    const signs = partOf(made, 'source').filter(({ given }) => given.put).map(({ given }) => given.text);
    assert.deepEqual(signs, signs.map((_, at) => sentinel(at).text), name);
    assert.equal(signs.length, Math.max(count >= 5 ? 2 : 1, Math.round(taken / 3)), name);
    // Two that touch would be one.
    const given = partOf(made, 'source').map(({ given: one }) => Boolean(one.put));
    assert.ok(given.every((put, at) => !put || !given[at + 1]), name);
    const target = partOf(made, 'target');
    assert.equal(target[0].given.text, '[BOS]');
    assert.equal(target.at(-1).wanted.text, sentinel(signs.length).text, name);
    assert.ok(target.every(({ loss }) => loss), name);
  });
  const taken = Array.from({ length: 100 }, (_, draw) => restoredAt(objectiveOf('spans', textOf(6), lotsOf(1, draw)))).flat();
  assert.deepEqual([...new Set(taken)].sort(), [1, 2, 3, 4, 5, 6].map((at) => `w${at - 1}`), 'any of them, the first and the last, too');
  assert.deepEqual([0, 1, 2, 3, 26].map((at) => sentinel(at).text), ['<X>', '<Y>', '<Z>', '<A>', '<X1>']);
});

test('noise: the whole text is wanted; what is given are its tokens in order, a sign for each span', () => {
  const check = (made, { source }, name) => {
    const body = textsOf(source).slice(1, -1);
    assert.deepEqual(textsOf(partOf(made, 'target').map(({ wanted }) => wanted)), [...body, '[EOS]'], name);
    const given = partOf(made, 'source').map(({ given: one }) => one).slice(1, -1);
    const left = textsOf(given.filter(({ put }) => !put));
    assert.deepEqual(left, body.filter((text) => left.includes(text)), name);
    assert.equal(body.length - left.length, Math.max(1, Math.round(body.length * 0.3)), name);
    assert.ok(given.every(({ put }, at) => !put || !given[at + 1]?.put), name);
    assert.equal(made.sentences, 1, name);
  };
  each('noise', check);
  // Spans of nothing, one after the other, are rare.
  for (let draw = 0; draw < 3000; draw += 1) check(objectiveOf('noise', textOf(2), lotsOf(5, draw)), textOf(2), `2 words, draw ${draw}`);
});

test('noise: sentences change places, each with its own order; a stop within a word is none', () => {
  const story = piecesOf([sign('[BOS]'), ...['I', ' am', ' 3', '.', '5', ' m', ' tall', '.', ' You', ' are', ' not', '.', ' Why', '?'].map((text) => ({ piece: text.trim(), space: text.startsWith(' ') })), sign('[SEP]')]);
  const sentences = sentencesOf(story.slice(1, -1));
  assert.deepEqual(sentences.map((one) => textsOf(one).join('')), ['Iam3.5mtall.', 'Youarenot.', 'Why?']);
  assert.deepEqual(sentencesOf(piecesOf(['你', '好', '。', '再', '见', '！'].map((piece) => ({ piece })))).map(({ length }) => length), [3, 3]);
  for (let draw = 0; draw < 200; draw += 1) {
    const made = objectiveOf('noise', { source: story, target: [], starts: 0 }, lotsOf(2, draw));
    assert.equal(made.sentences, 3);
    const left = partOf(made, 'source').map(({ given }) => given).filter(isOrdinary);
    const order = left.map((piece) => sentences.findIndex((one) => one.includes(piece))).filter((one, at, all) => one !== all[at - 1]);
    assert.equal(new Set(order).size, order.length, 'none is torn');
    if (order.length === 3) assert.notDeepEqual(order, [0, 1, 2]);
    assert.deepEqual(partOf(made, 'target').map(({ wanted }) => wanted.text || wanted.sign), [...textsOf(story.slice(1, -1)), 'end']);
    assert.equal(partOf(made, 'target')[0].given.sign, 'start');
  }
});

test('a text of signs alone, or of nothing, is no loss and no fault', () => {
  for (const source of [[], piecesOf([sign('[CLS]'), sign('[SEP]')])]) {
    for (const way of Object.values(WAYS).flat()) {
      const { losses, of } = objectiveOf(way, { source, target: [], starts: 0 }, lotsOf(1, 0));
      assert.ok(losses <= of, way);
      if (!['next', 'replaced'].includes(way)) assert.equal(losses, 0, way);
    }
  }
});

test('of an encoder it is the text as it was written, not its blanks; chosen ways and draws are kept, and told once', async () => {
  const token = (id, special = false) => ({ id, piece: `w${id}`, special, space: true, position: 0, state: 'source', forced: false });
  let told = 0;
  const asked = new ObjectiveOf(() => { told += 1; });
  const machine = /** @type {any} */ ({
    canRun: true, isEncoder: true, parts: { tokens: [{ id: 0, piece: '[CLS]' }, ...[5, 6, 7].map((id) => ({ id, piece: `w${id}`, space: true })), { id: 1, piece: '[SEP]' }] },
    timeline: { length: 1, header: { model: {} }, signs: { specials: new Set([0, 1, 4]) }, frame: () => ({ source: [token(0, true), token(5), token(4, true), token(7), token(1, true)], target: [], starts: 0 }) },
  });
  const follow = async () => { asked.follow(/** @type {any} */ ({ architecture: 'encoder' }), machine, '1 0'); await new Promise((resolve) => { setTimeout(resolve); }); };
  await follow();
  assert.equal(asked.result, null, 'it is not shown');
  asked.show(true);
  await follow();
  const stood = ({ parts: [{ columns }] }) => columns.map(({ given, wanted }) => (wanted?.text ? wanted : given).text);
  assert.deepEqual(stood(asked.result), ['[CLS]', 'w5', 'w6', 'w7', '[SEP]']);
  const before = told;
  await follow();
  assert.equal(told, before, 'nothing has changed');
  asked.choose('replaced');
  assert.ok(asked.waiting);
  await follow();
  assert.equal(asked.result.way, 'replaced');
  const first = JSON.stringify(asked.result);
  const draws = new Set();
  for (let draw = 0; draw < 8; draw += 1) {
    asked.choose('');
    await follow();
    draws.add(JSON.stringify(asked.result));
  }
  assert.ok([...draws].some((one) => one !== first), 'drawn again it is another');
  // Of files that tell of another way it is that one; of a stored run, too.
  for (const told of [{ engine: { describe: () => ({ objective: 'replaced tokens' }) } }, { timeline: { ...machine.timeline, header: { model: { objective: 'replaced tokens' } } } }]) {
    const other = new ObjectiveOf(() => {});
    other.show(true);
    other.follow(/** @type {any} */ ({ architecture: 'encoder' }), { ...machine, ...told }, '1 0');
    await new Promise((resolve) => { setTimeout(resolve); });
    assert.equal(other.result?.way, 'replaced');
  }
});
