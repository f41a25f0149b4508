/**
 * A stand-in for the compiled engine (www/pkg/unmasked.js), for work on the page before or without it.
 * Never shipped: only tests/page/serve-mock.mjs serves it. Its numbers are made up, its shapes are the engine's.
 */

const SPECIAL = { pad: 0, bos: 1, sep: 2, eos: 3, mask: 4, cls: 5 };
const SIGNS = ['[PAD]', '[BOS]', '[SEP]', '[EOS]', '[MASK]', '[CLS]'];
const FRENCH = {
  'the children are playing in the garden.': '▁Les|▁enfants|▁jou|ent|▁dans|▁le|▁jardin|.',
  'where is the cat?': '▁Où|▁est|▁le|▁chat|▁?',
};
const LAYERS = 4;
const HEADS = 4;
const LIMIT = 64;
const vocabulary = [...SIGNS];
const idOf = (piece) => {
  const at = vocabulary.indexOf(piece);
  return at >= 0 ? at : vocabulary.push(piece) - 1;
};
const token = (id) => {
  const raw = vocabulary[id];
  return { id, piece: raw.replace(/^▁/u, ''), space: raw.startsWith('▁'), special: id < SIGNS.length };
};
const hash = (...numbers) => {
  let seed = 2166136261;
  for (const number of numbers) seed = Math.imul(seed ^ (number + 0x9e37), 16777619);
  seed ^= seed >>> 13; seed = Math.imul(seed, 0x5bd1e995); seed ^= seed >>> 15;
  return (seed >>> 0) / 2 ** 32;
};
const pause = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });

function fail(what, expected, got) {
  throw Object.assign(new Error(`${what}: expected ${expected}, got ${got}`), { what, expected, got });
}

/** Words into one or two pieces, with offsets; a rare character as bytes. */
function spell(text) {
  const tokens = [];
  for (const match of text.matchAll(/[\p{L}\p{N}'’]+|[^\s]/gu)) {
    const start = match.index;
    const lead = start === 0 || text[start - 1] === ' ' ? '▁' : '';
    const word = match[0];
    if (/\p{Extended_Pictographic}/u.test(word)) {
      for (const byte of new TextEncoder().encode(word)) {
        tokens.push({ piece: `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`, start, end: start + word.length });
      }
    } else if (word.length > 7) {
      tokens.push({ piece: lead + word.slice(0, 5), start, end: start + 5 });
      tokens.push({ piece: word.slice(5), start: start + 5, end: start + word.length });
    } else tokens.push({ piece: lead + word, start, end: start + word.length });
  }
  return tokens.map(({ piece, start, end }) => ({ ...token(idOf(piece)), start, end }));
}

/** One row of attention: a diagonal-ish or first-token-ish or spread head, by layer and head. */
function weights(layer, head, row, visible, anchor) {
  const kind = (layer + head + 2) % 4;
  const scores = visible.map((seen, key) => {
    if (!seen) return 0;
    const near = Math.exp(-Math.abs(key - anchor) / (kind === 0 ? 0.6 : 2.2));
    const noise = 0.15 * hash(layer, head, row, key);
    if (kind === 1) return near * 0.5 + noise + (key === 0 ? 1.2 : 0);
    if (kind === 3) return 0.12 + noise;
    return near + noise * 0.6;
  });
  const sum = scores.reduce((a, b) => a + b, 0) || 1;
  return scores.map((score) => score / sum);
}

const grid = (rows, see, anchor) => Array.from({ length: LAYERS }, (_, layer) => Array.from({ length: HEADS }, (__, head) => (
  rows.map((row) => weights(layer, head, row, see(row), anchor(row))))));
const bits = (seen) => seen.map((yes) => (yes ? '1' : '0')).join('');

export class WasmEngine {
  static async load(files, options) {
    const file = files.find(({ name }) => name === 'config.json') ?? fail('model folder', 'config.json', 'nothing');
    const config = JSON.parse(new TextDecoder().decode(file.bytes));
    await pause(60);
    return new WasmEngine(config, options.device);
  }

  constructor(config, device) {
    this.config = config;
    this.wanted = device;
    this.architecture = config.architecture;
  }

  device() {
    if (this.wanted === 'webgpu') return { backend: 'gpu', adapter: 'google swiftshader', software: true, reason: 'asked for' };
    return { backend: 'cpu', adapter: 'wasm SIMD', software: false, reason: 'the only WebGPU adapter is software (google swiftshader), which is slower' };
  }

  describe() {
    const wired = this.architecture === 'encoder-decoder';
    const encoder = this.architecture === 'encoder';
    return {
      family: 'unmasked', architecture: this.architecture, parameters: wired ? 2_661_440 : 2_350_080, vocabulary: 3000,
      width: 160, layers: { encoder: encoder || wired ? LAYERS : 0, decoder: encoder ? 0 : LAYERS }, heads: HEADS, kv_heads: HEADS,
      head_width: 40, feed_forward_width: 640, max_positions: LIMIT, activation: 'gelu', norm: 'layer', positions: 'learned',
      special: SPECIAL, output_heads: encoder ? ['tokens', 'pair'] : ['tokens'],
      tasks: encoder ? [{ task: 'fill', trained: 'yes', pair: false }, { task: 'pair', trained: 'yes', pair: true }] : [{ task: 'translate', trained: 'yes', pair: false }],
      masks: encoder ? { encoder: 'full' } : wired ? { encoder: 'full', decoder: 'causal', cross: 'full' }
        : { decoder: this.architecture === 'prefix' ? 'prefix:N' : 'causal' },
      languages: { source: 'en', target: 'fr' }, objective: '', ledger: [],
    };
  }

  tokenize(text) {
    const sign = (id) => ({ ...token(id), start: null, end: null });
    const words = spell(text);
    const room = this.architecture === 'encoder' ? LIMIT - 2 : LIMIT / 2;
    const kept = words.slice(0, room);
    const first = this.architecture === 'encoder' ? [sign(SPECIAL.cls)] : this.architecture === 'encoder-decoder' ? [] : [sign(SPECIAL.bos)];
    const last = this.architecture === 'encoder-decoder' ? sign(SPECIAL.eos) : sign(SPECIAL.sep);
    const tokens = [...first, ...kept, last];
    return { tokens, source_length: tokens.length, truncated: words.length - kept.length };
  }

  #header(request) {
    const parts = request.ids ? { tokens: request.ids.map(token), source_length: request.sourceLength ?? request.ids.length, truncated: 0 }
      : this.tokenize(request.text);
    if (request.text?.includes('explode')) throw new WebAssembly.RuntimeError('unreachable');
    if (request.text?.includes('broken')) fail('mock sentence', 'no trouble', 'trouble');
    const wired = this.architecture === 'encoder-decoder';
    const given = request.targetIds ?? [];
    const tokens = [...parts.tokens.map(({ id, start, end }) => ({ ...token(id), start, end })), ...(wired ? [] : given.map(token))];
    const target = wired ? [token(SPECIAL.bos), ...given.map(token)] : undefined;
    const all = (n) => Array.from({ length: n }, () => true);
    const header = {
      version: 1, model: { family: 'unmasked', architecture: this.architecture, parameters: this.describe().parameters },
      device: this.device(), tokens, source_length: parts.source_length, truncated: parts.truncated, target, forward: { mask: {} },
    };
    const n = tokens.length;
    if (wired || this.architecture === 'encoder') {
      const rows = [...tokens.keys()];
      header.forward.mask.encoder = rows.map(() => '1'.repeat(n));
      if (wired) header.forward.attention = { encoder: grid(rows, () => all(n), (row) => row) };
    }
    return header;
  }

  async forward(request) {
    const header = this.#header(request);
    const rows = [...header.tokens.keys()];
    header.forward.attention = { encoder: grid(rows, () => rows.map(() => true), (row) => row) };
    return header;
  }

  async begin(request) {
    await pause(10);
    const header = this.#header(request);
    const text = (request.text ?? '').trim().toLowerCase();
    const answer = FRENCH[text]?.split('|').map(idOf) ?? spell(text).map(({ piece, space }) => idOf((space ? '▁' : '') + [...piece].reverse().join('')));
    this.run = {
      request, header, at: 0,
      answer: [...answer, SPECIAL.eos].slice(request.targetIds?.length ?? 0).slice(0, request.maxNewTokens),
      sequence: header.tokens.map(({ id }) => id), target: header.target?.map(({ id }) => id),
      blanks: request.blanks ?? header.tokens.flatMap(({ id }, at) => (id === SPECIAL.mask ? [at] : [])),
    };
    return header;
  }

  async next() {
    const { run } = this;
    await pause(this.wanted === 'webgpu' ? 120 : 15);
    if (this.architecture === 'encoder') return this.#fill(run);
    if (run.at >= run.answer.length) return undefined;
    const chosen = run.answer[run.at];
    const wired = this.architecture === 'encoder-decoder';
    const own = wired ? run.target : run.sequence;
    const row = own.length - 1;
    const rows = run.at === 0 && !(run.request.targetIds?.length) ? [...own.keys()] : [row];
    const prefix = this.architecture === 'prefix' ? run.header.source_length : 0;
    const see = (q) => Array.from({ length: row + 1 }, (_, key) => key <= q || (q < prefix && key < prefix));
    const start = wired ? 0 : run.header.source_length - 1;
    const step = this.#step(row, chosen, rows, run.at);
    step.attention.decoder = grid(rows, see, (q) => (wired ? q : q > start ? q - start : q));
    step.mask.decoder = rows.map((q) => bits(see(q)));
    if (wired) {
      const n = run.sequence.length;
      step.attention.cross = grid(rows, () => Array.from({ length: n }, () => true), (q) => Math.min(n - 1, q));
      step.mask.cross = rows.map(() => '1'.repeat(n));
    }
    own.push(chosen);
    run.at += 1;
    return step;
  }

  #fill(run) {
    if (run.at >= run.blanks.length) return undefined;
    const row = run.blanks[run.at];
    const rows = [...run.sequence.keys()];
    const fills = ['▁garden', '▁park', '▁house', '▁street', '▁water', '▁school', '▁room', '▁car', '▁kitchen', '▁city'].map(idOf);
    const step = this.#step(row, fills[run.at % fills.length], run.at === 0 || run.request.fill === 'confidence' ? rows : [], run.at, fills);
    if (step.rows.length) {
      step.attention.encoder = grid(rows, () => rows.map(() => true), (q) => q);
      step.mask.encoder = rows.map(() => '1'.repeat(rows.length));
    }
    run.at += 1;
    return step;
  }

  #step(row, chosen, rows, at, others = ['▁des', '▁un', '▁la', 's', '▁joue', '▁petit', '▁jeune', '▁avec', '▁dans', ','].map(idOf)) {
    const top = 0.42 + 0.5 * hash(row, chosen, at);
    let left = 1 - top;
    const ids = [chosen, ...others.filter((id) => id !== chosen)].slice(0, this.run.request.candidates ?? 10);
    const topK = this.run.request.sampling?.topK || Infinity;
    const candidates = ids.map((id, index) => {
      const probability = index === 0 ? top : left * (0.3 + 0.2 * hash(id, at));
      if (index > 0) left -= probability;
      return { ...token(id), probability, kept: index < topK };
    });
    return {
      row, chosen, piece: token(chosen).piece, space: token(chosen).space, candidates, rows, attention: {}, mask: {},
      stats: { dispatches: 23, submits: 1, readbacks: 1, rows_computed: rows.length, milliseconds: 1 + 3 * hash(at, row) },
    };
  }

  free() { this.run = null; }
}

export default async function init({ module_or_path: response }) {
  await (await response)?.arrayBuffer?.();
}
