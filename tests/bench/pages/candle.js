/** candle, compiled from `tests/bench/candle/`, on the same checkpoints, one thread, f32, with stamps around every token. */
import init, { Matmul, Model } from '/__candle__/unmasked_bench_candle.js';

await init({ module_or_path: fetch('/__candle__/unmasked_bench_candle_bg.wasm') });

const models = new Map();

async function modelOf(name) {
  if (!models.has(name)) {
    const file = (path) => fetch(`/__bench_models__/${name}/${path}`);
    const [config, weights] = [await file('config.json'), await file('model.safetensors')];
    models.set(name, Model.load(await config.text(), new Uint8Array(await weights.arrayBuffer())));
  }
  return models.get(name);
}

async function sample({ model: name, ids: prompt, tokens }) {
  const model = await modelOf(name);
  const start = performance.now();
  const ids = [...model.start(Uint32Array.from(prompt))];
  const stamps = [performance.now() - start];
  if (name === 'bert') return { first_ms: stamps[0], tokens: ids.length, ids };
  while (ids.length < tokens) {
    ids.push(model.step());
    stamps.push(performance.now() - start);
  }
  const record = { first_ms: stamps[0], tokens: ids.length, ids };
  if (stamps.length > 1) record.tokens_per_s = (stamps.length - 1) / (stamps.at(-1) - stamps[0]) * 1e3;
  return record;
}

const SAMPLE = 100; // milliseconds at least
const matmuls = new Map();

function matmul({ shape, count }) {
  const key = String(shape);
  if (!matmuls.has(key)) {
    const made = new Matmul(...shape, count);
    made.play();
    matmuls.set(key, made);
  }
  const made = matmuls.get(key);
  // As in ours.js: what was measured before is not to be felt.
  made.play();
  const start = performance.now();
  let plays = 0;
  let spent;
  do {
    made.play();
    plays += 1;
    spent = performance.now() - start;
  } while (spent < SAMPLE);
  return { gflops: plays * 2 * shape.reduce((a, b) => a * b) * count / spent / 1e6 };
}

window.bench = { sample, matmul, free: () => { for (const made of matmuls.values()) made.free(); matmuls.clear(); } };
document.documentElement.dataset.ready = 'true';
