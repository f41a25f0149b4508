/** The page's end of the worker, with a worker that answers as a test tells it to. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import test, { before, beforeEach } from 'node:test';

/** @type {Array<{ call?: number, abort?: number, method?: string }>} */
const sent = [];
/** @type {EventTarget} */
let worker;

class StandIn extends EventTarget {
  constructor() {
    super();
    worker = this;
  }

  /** As a browser does it: what cannot be cloned is not sent. */
  postMessage(message) { sent.push(structuredClone(message)); }
}

const answer = (data) => worker.dispatchEvent(new MessageEvent('message', { data }));

/** @type {typeof import('../../www/worker-client.js').call} */
let call;
before(async () => {
  const empty = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0);
  Object.assign(globalThis, { Worker: StandIn, fetch: async () => new Response(empty) });
  ({ call } = await import('../../www/worker-client.js'));
});
beforeEach(() => { sent.length = 0; });

test('a call listens to its signal until it is answered, refused or given up, and no longer', async () => {
  const { signal } = new AbortController();
  const listeners = () => getEventListeners(signal, 'abort').length;
  const answered = call('tokenize', {}, { signal });
  assert.equal(listeners(), 1);
  answer({ call: sent[0].call, result: 7 });
  assert.equal(await answered, 7);
  const refused = call('tokenize', {}, { signal });
  answer({ call: sent[1].call, error: { message: 'no' } });
  await assert.rejects(refused, /no/);
  assert.equal(listeners(), 0);

  const abort = new AbortController();
  const given = call('tokenize', {}, { signal: abort.signal });
  abort.abort();
  await assert.rejects(given, { name: 'AbortError' });
  assert.deepEqual(sent.at(-1), { abort: sent[2].call });
  assert.equal(getEventListeners(abort.signal, 'abort').length, 0);
});

test('what cannot be sent fails, and is not waited for', async () => {
  const { signal } = new AbortController();
  const told = [];
  const usage = call('usage', {});
  const { call: last = 0 } = sent[0];
  answer({ call: last, result: {} });
  await usage;
  await assert.rejects(call('forward', { request: { text: () => {} } }, { signal, onProgress: (progress) => told.push(progress) }), { name: 'DataCloneError' });
  answer({ call: last + 1, progress: { loaded: 1 } });
  assert.deepEqual(told, []);
  assert.equal(getEventListeners(signal, 'abort').length, 0);
});
