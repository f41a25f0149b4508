/**
 * What tests do inside the engine's worker: lose its GPU, crash it, take its memory or its adapter away. Nothing of this
 * is in the page: a test reaches the worker as a debugger does.
 */

/** Starts the worker (any call does) and gives it; the page is the one of `pages/engine.html`. */
export async function startWorker(page) {
  await page.evaluate(() => window.unmasked.usage());
  return page.workers()[0];
}

/** Keeps the GPU devices that are opened from here on, so that `loseDevice` finds them: code for the worker. */
export const keeping = () => {
  const ask = GPUAdapter.prototype.requestDevice;
  self.opened = [];
  GPUAdapter.prototype.requestDevice = async function requestDevice(descriptor) {
    const device = await ask.call(this, descriptor);
    self.opened.push(device);
    return device;
  };
};

/** The same in a worker that is there. */
export const keepDevices = (worker) => worker.evaluate(keeping);

/** Destroys the device opened last. */
export const loseDevice = (worker) => worker.evaluate(() => self.opened.at(-1).destroy());

/** Ends the worker as a trap of the compiled engine does. */
export async function crash(worker) {
  const gone = worker.waitForEvent('close');
  await worker.evaluate(() => { setTimeout(() => { throw new WebAssembly.RuntimeError('unreachable, made up by a test'); }); });
  await gone;
}

/** Whatever is made while `self.full` is true finds no memory; `self.full = n` refuses the next n things only. */
export const limitMemory = (worker) => worker.evaluate(() => {
  const { pushErrorScope, popErrorScope } = GPUDevice.prototype;
  const filters = [];
  self.full = false;
  GPUDevice.prototype.pushErrorScope = function push(filter) {
    filters.push(filter);
    return pushErrorScope.call(this, filter);
  };
  GPUDevice.prototype.popErrorScope = async function pop() {
    const refuse = filters.pop() === 'out-of-memory' && self.full;
    if (refuse && typeof self.full === 'number') self.full -= 1;
    const outcome = await popErrorScope.call(this);
    return refuse ? new GPUOutOfMemoryError('made up by a test') : outcome;
  };
});

/** Adapters that browsers give on other machines, as code for the worker; each by the cause that the engine reports. */
export const ADAPTERS = {
  'no-adapter': () => { GPU.prototype.requestAdapter = async () => null; },
  refused: () => {
    GPUAdapter.prototype.requestDevice = async () => { throw new DOMException('made up by a test', 'OperationError'); };
  },
  limits: () => {
    const { get } = Object.getOwnPropertyDescriptor(GPUAdapter.prototype, 'limits');
    Object.defineProperty(GPUAdapter.prototype, 'limits', {
      get() {
        return new Proxy(get.call(this), {
          get: (limits, name) => (name === 'maxStorageBuffersPerShaderStage' ? 4 : limits[name]),
        });
      },
    });
  },
  'no-webgpu': () => { Object.defineProperty(navigator, 'gpu', { value: undefined }); },
};

/** An adapter that offers no optional feature. */
export const featureless = () => {
  Object.defineProperty(GPUAdapter.prototype, 'features', { get: () => new Set() });
};
