/** The element's attributes: what a change of each asks for, and each as a property. */

/** What a changed attribute asks for: another model, another run, or only another drawing. */
export const WORK = {
  architecture: 'model', model: 'model', device: 'model', family: 'model', trace: 'model', scene: 'model',
  text: 'text', pair: 'text', blanks: 'text', fill: 'run', forced: 'run', mask: 'run', edits: 'run', silenced: 'run', language: 'run', sourcelanguage: 'run', temperature: 'run', topk: 'run', topp: 'run', seed: 'run', max: 'run',
  view: 'draw', look: 'draw', exchange: 'draw', way: 'draw', controls: 'draw', layer: 'draw', head: 'draw', lang: 'draw', theme: 'draw', enlarged: 'draw', enlargeable: 'draw', covered: 'draw',
  autoplay: 'draw', start: 'draw',
};

/** Of these it is told whether they are there, not what they say. */
export const FLAGS = ['autoplay', 'enlarged', 'enlargeable', 'covered'];
const FALLBACKS = { architecture: 'causal', device: 'auto' };

/** Every attribute is also a property. @param {typeof HTMLElement} type the element's class */
export function defineProperties(type) {
  for (const name of Object.keys(WORK)) {
    if (name in HTMLElement.prototype && name !== 'lang') continue;
    const isFlag = FLAGS.includes(name);
    const fallback = FALLBACKS[name] ?? '';
    Object.defineProperty(type.prototype, name, {
      configurable: true,
      enumerable: true,
      get() { return isFlag ? this.hasAttribute(name) : this.getAttribute(name) || fallback; },
      set(value) {
        if (isFlag) this.toggleAttribute(name, Boolean(value));
        else if (value === null || value === undefined) this.removeAttribute(name);
        else this.setAttribute(name, String(value));
      },
    });
  }
}

/** What a page set before the class was there lies in front of its properties: it is set once more, on them. */
export function upgrade(element) {
  for (const name of [...Object.keys(WORK), 'files']) {
    if (!Object.hasOwn(element, name)) continue;
    const value = element[name];
    delete element[name];
    element[name] = value;
  }
}
