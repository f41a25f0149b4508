/**
 * The panel of open.html: a model from the hub, from an address, from files. What is opened stands beside the page's own
 * machine of its architecture until it is put back, and its card says what it is and what it can be asked for.
 */

import { downloadFolder } from '../download.js';
import { loadEngine } from '../engine.js';
import { chosen, dropped, modelOf } from '../folder.js';
import { pinned, placeOf } from '../hub.js';
import { Keeper, bytesOf, deleteKept, listKept, readKept } from '../kept.js';
import { CARD, licenceOf, readCard } from '../licence.js';
import { calledOf } from '../models.js';
import { make, reuse, setAttribute, setAttributes, setText, targetOf } from '../views/dom.js';
import { sayError } from '../views/status.js';
import { Card } from './card.js';

/**
 * @typedef {object} Page   what the panel needs of the page
 * @property {(key: string, values?: object) => string} t
 * @property {'auto'|'webgpu'|'cpu'} device
 * @property {(architecture: string, model: Opened|null) => void} show
 * @property {(architecture: string) => void} asked
 * @property {(drawn: () => void) => void} onLanguage
 *
 * @typedef {(t: (key: string, values?: object) => string) => string} Say
 *
 * @typedef {object} Opened   a model as the page needs it
 * @property {Say} called   as people call it
 * @property {Say} source   what was asked for
 * @property {File[]} files
 * @property {(text: string|null) => object} attributes   of its element; `text`: what everybody reads
 * @property {() => boolean} readsOwn   whether it reads a text of its own
 * @property {(words: number[]) => void} blanked   words were blanked by hand
 * @property {(rule: string) => void} ruled   its mask was given another rule in the machine itself
 * @property {() => void} settled   its machine has loaded it, or could not
 */

/** Why a person ended what was under way; what merely makes room for the next thing says nothing. */
const CANCELLED = new DOMException('cancelled', 'AbortError');
/** After these nothing of a download is worth its room. */
const IN_VAIN = ['missing', 'length'];
/** Nor where the model itself is refused. A device that has no room for it, or was lost, may take it the next time. */
const FAULTY = ['config', 'weights', 'tokenizer', 'input'];

/** @type {{ phase: 'idle', name: Say, loaded: number, total: number }} */
const IDLE = { phase: 'idle', name: () => '', loaded: 0, total: 0 };

const megabytes = (bytes) => (bytes / 1e6).toFixed(1);

export class Opener {
  /** @type {Page} */
  #page;
  #parts;
  /** @type {AbortController|null} of what is under way */
  #abort = null;
  /** When all that was under way has ended, and without the last of it. @type {Promise<void>} */
  #ended = Promise.resolve();
  #endedBefore = this.#ended;
  /** Which address the last of it is from; null where it is from files. @type {string|null} */
  #source = null;
  /** @type {{ phase: 'idle'|'loading'|'preparing', name: Say, loaded: number, total: number }} */
  #work = IDLE;
  /** What is said below the field, in the language of the moment. @type {{ say?: Say, wrong?: Say }|null} */
  #told = null;
  /** What stands beside the page's own machines. @type {Map<string, { card: Card, engine: import('../engine.js').Engine }>} by architecture */
  #opened = new Map();
  /** @type {import('../kept.js').Kept[]} */
  #kept = [];

  /** @param {HTMLElement} panel @param {Page} page */
  constructor(panel, page) {
    this.#page = page;
    this.#parts = build(panel);
    this.#wire();
    page.onLanguage(() => this.#draw());
    this.#draw();
    this.#list();
  }

  #wire() {
    const { form, address, cancel, files, folder, chooseFiles, chooseFolder, kept } = this.#parts;
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#openAddress(address.value);
    });
    cancel.addEventListener('click', () => this.#abort?.abort(CANCELLED));
    chooseFiles.addEventListener('click', () => files.click());
    chooseFolder.addEventListener('click', () => folder.click());
    for (const input of [files, folder]) {
      input.addEventListener('change', () => {
        const found = chosen(input);
        input.value = '';
        if (found.length) this.#openFound(found);
      });
    }
    kept.addEventListener('click', (event) => {
      const { action, source } = targetOf(event).dataset;
      if (action === 'open') { address.value = source; this.#openAddress(source); }
      if (action === 'delete') this.#delete(source);
    });
    this.#wireDrop();
  }

  /** Anywhere on the page; without this a browser would leave the page and show the file. */
  #wireDrop() {
    const carriesFiles = (event) => event.dataTransfer?.types.includes('Files') ?? false;
    const mark = (on) => setAttribute(document.documentElement, 'data-drop', on);
    // Both: where the page moves under a pointer at rest, the new element is only told of by `dragenter`.
    for (const type of /** @type {const} */ (['dragenter', 'dragover'])) {
      addEventListener(type, (event) => {
        if (!carriesFiles(event)) return;
        event.preventDefault();
        mark(true);
      });
    }
    addEventListener('dragleave', (event) => { if (event.relatedTarget === null) mark(false); });
    addEventListener('drop', (event) => {
      mark(false);
      if (!carriesFiles(event) || !event.dataTransfer) return;
      event.preventDefault();
      dropped(event.dataTransfer).then((found) => this.#openFound(found), (error) => this.#tell({ wrong: wrongOf(error) }));
    });
  }

  #openAddress(text) {
    return this.#do(async (signal, before) => {
      const place = placeOf(text);
      const { source } = place;
      this.#source = source;
      this.#parts.address.value = source;
      const named = () => source;
      this.#prepare(named);
      await before;
      signal.throwIfAborted();
      const kept = await readKept(source, signal);
      signal.throwIfAborted();
      this.#work = { phase: 'loading', name: named, loaded: 0, total: 0 };
      this.#draw();
      if (kept) return this.#enter(named, kept, signal);
      const keeper = await Keeper.open(source).catch(() => null);
      try {
        const files = await this.#download(place, keeper, signal);
        await this.#enter(named, files, signal);
        if (keeper === null || !await keeper.finish(files)) this.#told = { say: (t) => t('open.room', { name: source }) };
      } catch (error) {
        // What broke off goes on another time. A model that is none is not worth its room.
        const ended = signal.aborted ? signal.reason === CANCELLED : IN_VAIN.includes(error.trouble) || FAULTY.includes(error.kind);
        if (ended) await keeper?.discard();
        throw error;
      } finally {
        await this.#list();
      }
    });
  }

  /** A model's files with its card, where it has one. */
  async #download(place, keeper, signal) {
    const token = this.#parts.token.value.trim() || undefined;
    const { files, commit } = await downloadFolder(place, {
      signal, token, keeper,
      onProgress: ({ loaded, total }) => { Object.assign(this.#work, { loaded, total }); this.#drawWork(); },
    });
    const card = await readCard(pinned(place, commit), { token, signal });
    return card ? [...files, card] : files;
  }

  #openFound(found) {
    return this.#do(async (signal, before) => {
      const { name, files } = modelOf(found);
      if (!files.length) return this.#tell({ wrong: (t) => t('open.error.folder') });
      const named = (t) => name || t('open.files.name');
      this.#prepare(named);
      await before;
      signal.throwIfAborted();
      return this.#enter(named, files, signal, (t) => (name ? t('open.folder.name', { name }) : named(t)));
    });
  }

  /**
   * One thing at a time: what is asked for next ends what is under way, and waits until that has ended. It could else
   * delete what is being kept of the same model.
   * @param {(signal: AbortSignal, before: Promise<void>) => Promise<any>} work
   */
  async #do(work) {
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    this.#told = null;
    this.#source = null;
    this.#endedBefore = this.#ended;
    const under = work(abort.signal, this.#ended);
    this.#after(under);
    try {
      await under;
    } catch (error) {
      if (this.#abort === abort) this.#told = abort.signal.aborted ? { say: (t) => t('open.cancelled') } : { wrong: wrongOf(error) };
    }
    if (this.#abort !== abort) return;
    this.#abort = null;
    this.#work = IDLE;
    this.#draw();
  }

  /** What begins from now on waits for it, too. @param {Promise<any>} under */
  #after(under) {
    // Also for what was under way before: it may have failed before it had waited.
    this.#ended = Promise.allSettled([this.#ended, under]).then(() => {});
  }

  /** @param {Say} name */
  #prepare(name) {
    this.#work = { ...this.#work, phase: 'preparing', name };
    this.#draw();
  }

  /**
   * The engine says what the files are; the machine of that architecture shows them.
   * @param {Say} name @param {File[]} all @param {AbortSignal} signal @param {Say} [from]   where they come from, within a sentence
   */
  async #enter(name, all, signal, from = name) {
    this.#prepare(name);
    const licence = await licenceOf(all);
    const files = all.filter((file) => file.name !== CARD);
    const engine = await loadEngine(files, { device: this.#page.device, signal });
    if (signal.aborted) engine.free();
    signal.throwIfAborted();
    const description = engine.describe();
    const { architecture } = description;
    const card = new Card({ name, description, licence, changed: () => { this.#page.asked(architecture); this.#draw(); }, closed: () => this.#close(architecture) });
    this.#page.show(architecture, {
      called: (t) => calledOf(description, name(t), t), source: name, files, attributes: (text) => card.attributes(text), readsOwn: () => card.hasOwnText, blanked: (words) => { card.words = words; }, ruled: (rule) => { card.rule = rule; this.#draw(); },
      // Once a machine holds the same engine the panel need not. One that is off or out of sight holds none: the panel
      // keeps it ready until the model is put back.
      settled: () => engine.free(),
    });
    this.#remove(architecture);
    for (const other of this.#opened.values()) other.card.fold();
    this.#opened.set(architecture, { card, engine });
    this.#parts.opened.append(card.node);
    this.#told = { say: (t) => t('open.done', { machine: t(`machine.${architecture}`), from: from(t) }) };
  }

  /** The card goes, and what its engine holds. */
  #remove(architecture) {
    const before = this.#opened.get(architecture);
    before?.card.node.remove();
    before?.engine.free();
    this.#opened.delete(architecture);
  }

  #close(architecture) {
    this.#remove(architecture);
    this.#page.show(architecture, null);
    this.#draw();
    this.#parts.address.focus();
  }

  /** What is under way with the same model is cancelled, and has ended before: it would go on keeping what comes. */
  async #delete(source) {
    const isUnderWay = this.#source === source;
    if (isUnderWay) this.#abort?.abort(CANCELLED);
    const gone = (isUnderWay ? this.#ended : this.#endedBefore).then(() => deleteKept(source));
    this.#after(gone);
    await gone;
    this.#tell({ say: (t) => t('open.deleted', { name: source }) });
    await this.#list();
    this.#parts.address.focus();
  }

  async #list() {
    this.#kept = await listKept().catch(() => []);
    this.#draw();
  }

  #tell(told) {
    this.#told = told;
    this.#draw();
  }

  #draw() {
    const { t } = this.#page;
    const { panel, title, hint, address, open, chooseFiles, chooseFolder, tokenSummary, tokenLabel, tokenHint, opened } = this.#parts;
    setText(title, t('open.title'));
    setText(hint, t('open.hint'));
    setAttributes(panel, { 'aria-label': t('open.title') });
    setAttributes(address, { 'aria-label': t('open.address') });
    setText(open, t('open.open'));
    setText(chooseFiles, t('open.files'));
    setText(chooseFolder, t('open.folder'));
    setText(tokenSummary, t('open.token'));
    setText(tokenLabel, t('open.token.label'));
    setText(tokenHint, t('open.token.hint'));
    this.#drawWork();
    this.#drawTold();
    setAttribute(opened, 'hidden', this.#opened.size === 0);
    for (const { card } of this.#opened.values()) card.draw(t);
    this.#drawKept();
  }

  #drawWork() {
    const { t } = this.#page;
    const { address, work, bar, amount, cancel } = this.#parts;
    const { phase, loaded, total } = this.#work;
    const name = this.#work.name(t);
    // Who cancelled goes on where another model is asked for.
    if (phase === 'idle' && cancel.matches(':focus')) address.focus();
    setAttribute(work, 'hidden', phase === 'idle');
    setText(cancel, t('open.cancel'));
    setAttributes(bar, { 'aria-label': t('open.loading', { name }), max: total || null, value: phase === 'loading' && total ? Math.min(loaded, total) : null });
    setText(amount, phase === 'preparing' ? t('open.preparing', { name })
      : total ? t('machine.loading.bytes', { loaded: megabytes(loaded), total: megabytes(total) })
        : loaded ? t('machine.loading.some', { loaded: megabytes(loaded) }) : t('open.asking', { name }));
  }

  #drawTold() {
    const { t } = this.#page;
    const { told, wrong } = this.#parts;
    setText(told, this.#told?.say?.(t) ?? '');
    setText(wrong, this.#told?.wrong?.(t) ?? '');
  }

  #drawKept() {
    const { t } = this.#page;
    const { keptBox: box, keptSummary: summary, keptHint, kept: list } = this.#parts;
    setText(keptHint, t('open.kept.hint'));
    setAttribute(box, 'hidden', this.#kept.length === 0);
    const all = this.#kept.reduce((sum, one) => sum + bytesOf(one), 0);
    setText(summary, t('open.kept', { n: this.#kept.length, size: megabytes(all) }));
    const line = () => make('li', {}, make('button', { type: 'button', class: 'plain name', 'data-action': 'open' }), make('span'),
      make('button', { type: 'button', class: 'plain', 'data-action': 'delete' }));
    reuse(list, this.#kept.length, line).forEach((item, at) => {
      const kept = this.#kept[at];
      const [name, size, remove] = item.children;
      setText(name, kept.source);
      setAttributes(name, { 'data-source': kept.source, title: t(kept.whole ? 'open.kept.open' : 'open.kept.continue', { name: kept.source }) });
      setAttribute(item, 'data-unfinished', !kept.whole);
      const bytes = megabytes(bytesOf(kept));
      setText(size, [kept.whole ? `${bytes} MB` : t('open.kept.unfinished', { size: bytes }), kept.commit?.slice(0, 7), kept.date.slice(0, 10)].filter(Boolean).join(' · '));
      setText(remove, t('open.delete'));
      setAttributes(remove, { 'data-source': kept.source, 'aria-label': t('open.delete.label', { name: kept.source }) });
    });
  }
}

/** What went wrong, as a sentence. @returns {Say} */
function wrongOf(error) {
  return (t) => (error.trouble ? sayError(error, t) : t('open.error', { message: sayError(error, t) }));
}

/** The panel's nodes, by name. @param {HTMLElement} panel @returns {Record<string, any>} */
function build(panel) {
  const title = make('h2');
  const hint = make('p', { class: 'hint' });
  const address = make('input', { type: 'text', id: 'address', autocomplete: 'off', spellcheck: 'false', autocapitalize: 'off', inputmode: 'url', maxlength: 2000, placeholder: 'hub:owner/name', required: true });
  const open = make('button', { type: 'submit', class: 'solid' });
  const form = make('form', {}, address, open);
  const chooseFiles = make('button', { type: 'button', class: 'outlined' });
  const chooseFolder = make('button', { type: 'button', class: 'outlined' });
  const files = make('input', { type: 'file', multiple: true, hidden: true, 'data-choose': 'files' });
  const folder = make('input', { type: 'file', webkitdirectory: true, hidden: true, 'data-choose': 'folder' });
  const tokenSummary = make('summary');
  const tokenLabel = make('span');
  const token = make('input', { type: 'password', autocomplete: 'off', maxlength: 400 });
  const tokenHint = make('p');
  const tokenBox = make('details', { class: 'token' }, tokenSummary, make('label', {}, tokenLabel, token), tokenHint);
  const bar = make('progress');
  const amount = make('span');
  const cancel = make('button', { type: 'button', class: 'outlined' });
  const work = make('div', { class: 'work', hidden: true }, bar, amount, cancel);
  const told = make('p', { class: 'told', role: 'status' });
  const wrong = make('p', { class: 'wrong', role: 'alert', dir: 'auto' });
  const opened = make('div', { class: 'opened', hidden: true });
  const keptSummary = make('summary');
  const keptHint = make('p');
  const kept = make('ul', { class: 'kept' });
  const keptBox = make('details', { class: 'keeping', hidden: true }, keptSummary, keptHint, kept);
  panel.append(make('div', { class: 'ways' }, title, form, make('div', { class: 'local' }, chooseFiles, chooseFolder, files, folder)),
    hint, work, told, wrong, make('div', { class: 'more' }, tokenBox, keptBox), opened);
  panel.hidden = false;
  return { panel, title, hint, address, open, form, chooseFiles, chooseFolder, files, folder, tokenSummary, tokenLabel, token, tokenHint, bar, amount, cancel, work, told, wrong, opened, keptBox, keptSummary, keptHint, kept };
}
