/**
 * WebKit, which is Safari's engine, as WebKitGTK has it: driven by its own WebDriver over plain HTTP, on a screen that
 * nobody sees. Playwright drives a WebKit of its own making only.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';

/** Screenshots and navigations of WebKitGTK now and then have no answer: whoever waits is told. */
const ANSWER_MILLISECONDS = 60_000;
const START_MILLISECONDS = 20_000;
const DONE_MILLISECONDS = 90_000;

const soon = () => new Promise((later) => { setTimeout(later, 100); });

/** Asks again and again until something is so. @param {() => Promise<any>} get */
export async function until(get, wanted, what, milliseconds = 10_000) {
  const end = Date.now() + milliseconds;
  for (;;) {
    const got = await get();
    if (wanted(got)) return got;
    if (Date.now() > end) assert.fail(`${what}: it stayed ${JSON.stringify(got)}`);
    await soon();
  }
}

async function freePort() {
  const server = createServer();
  await new Promise((listening) => { server.listen(0, '127.0.0.1', () => listening(undefined)); });
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  await new Promise((closed) => { server.close(closed); });
  return port;
}

/** A browser with one window. */
export async function launch() {
  const port = await freePort();
  // In a container's root nothing else would start; nothing foreign is loaded here.
  const env = { ...process.env, WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: '1', LIBGL_ALWAYS_SOFTWARE: '1' };
  const screen = ['--auto-servernum', '--server-args', '-screen 0 1500x1000x24'];
  // A group of its own: the driver's browser, and the screen, end with it.
  const driver = spawn('xvfb-run', [...screen, 'WebKitWebDriver', `--port=${port}`], { env, stdio: 'ignore', detached: true });
  const end = () => { try { process.kill(-/** @type {number} */ (driver.pid)); } catch { /* it ended by itself */ } };
  const call = async (method, path, body) => {
    const signal = AbortSignal.timeout(ANSWER_MILLISECONDS);
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, signal, body: body && JSON.stringify(body) });
    const { value } = await response.json();
    if (!response.ok) throw new Error(`${method} ${path}: ${value.error}: ${value.message}`);
    return value;
  };
  try {
    await until(() => call('GET', '/status').then(({ ready }) => ready, () => false), Boolean, 'WebKitWebDriver is ready', START_MILLISECONDS);
    const { sessionId } = await call('POST', '/session', { capabilities: {} });
    const inSession = (method, path, body) => call(method, `/session/${sessionId}${path}`, body);
    await inSession('POST', '/window/rect', { x: 0, y: 0, width: 1440, height: 940 });
    return windowOf(inSession, end);
  } catch (error) {
    end();
    throw error;
  }
}

function windowOf(call, end) {
  /** What a function says inside the page, of arguments that are plain data. */
  const evaluate = (work, ...args) => call('POST', '/execute/sync', { script: `return (${work}).apply(null, arguments)`, args });
  return {
    evaluate,
    goto: (url) => call('POST', '/url', { url }),
    keys: (...keys) => call('POST', '/actions', { actions: [{ type: 'key', id: 'keys', actions: keys.flatMap((value) => [{ type: 'keyDown', value }, { type: 'keyUp', value }]) }] }),
    point: (x, y, ...press) => call('POST', '/actions', { actions: [{ type: 'pointer', id: 'mouse', parameters: { pointerType: 'mouse' }, actions: [
      { type: 'pointerMove', x: Math.round(x), y: Math.round(y), duration: 20 }, ...press.map((type) => ({ type, button: 0 }))] }] }),
    /** Waits until every machine of the page has computed its run, or one gave up. */
    async done() {
      const phases = () => evaluate(() => [...document.querySelectorAll('unmasked-demo')].map(({ error, phase }) => (phase === 'error' ? `error: ${error.message}` : phase)));
      const over = (now) => now.some((phase) => phase.startsWith('error')) || (now.length > 0 && now.every((phase) => phase === 'done'));
      const now = await until(phases, over, 'machines', DONE_MILLISECONDS);
      assert.deepEqual(now, now.map(() => 'done'));
    },
    async close() {
      await call('DELETE', '').catch(() => {});
      end();
    },
  };
}
