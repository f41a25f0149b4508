/**
 * The card of a model from elsewhere: what it is, what it can do here, and the controls of what was chosen. One node,
 * made once; the machine that shows the model gets its attributes from `attributes`.
 */

import { factsOf, shortOf } from '../facts.js';
import { calledOf } from '../models.js';
import { join, leftOf, mainOf, sourcesOf } from '../rules.js';
import { NEW_TOKENS, attributesOf, detailsOf, firstChoice, notesOf, rulesOf, trainedRule } from '../tasks.js';
import { drawChoice } from '../views/controls.js';
import { make, reuse, setAttribute, setAttributes, setText, targetOf } from '../views/dom.js';

/** Large enough for the whole card and the machines below it. */
const ROOMY = '(min-width: 60rem) and (min-height: 60rem)';
const NUMBERS = ['at', 'max'];
/** Rules that have a name of their own; others are as they are spelled. */
const NAMED = ['full', 'causal', 'prefix'];

export class Card {
  #parts = build();
  #described;
  #changed;
  /** @type {string|null} what everybody read when it was last asked */
  #heard = null;

  /**
   * @param {object} model
   * @param {(t: (key: string) => string) => string} model.name as it was asked for, in the language of the moment
   * @param {import('../facts.js').Description} model.description
   * @param {string} model.licence
   * @param {() => void} model.changed told when something else is asked of the model
   * @param {() => void} model.closed told when it is put back
   */
  constructor({ name, description, licence, changed, closed }) {
    this.name = name;
    this.licence = licence;
    this.#described = description;
    this.#changed = changed;
    this.choice = firstChoice(description);
    const { node, tasks, back, more } = this.#parts;
    this.node = node;
    more.open = matchMedia(ROOMY).matches;
    back.addEventListener('click', closed);
    for (const event of ['input', 'change']) tasks.addEventListener(event, (happened) => this.#choose(targetOf(happened)));
  }

  get description() { return this.#described; }

  /** Another card is what is looked at now. */
  fold() { this.#parts.more.open = false; }

  get hasOwnText() { return this.choice.text.trim() !== ''; }

  /** What its element is given; `pageText`: the sentence that everybody reads. */
  attributes(pageText) {
    // Words were blanked in a sentence that may be another by now.
    if (pageText !== this.#heard && !this.hasOwnText) this.#forget();
    this.#heard = pageText;
    return attributesOf(this.#described, this.choice, pageText);
  }

  /** What was chosen of one text: words, and a rule that names a place in it. */
  #forget() {
    this.choice.words = null;
    this.choice.rule = leftOf(this.choice.rule);
  }

  /** Words blanked by hand, in the machine itself. @param {number[]|null} words */
  set words(words) { this.choice.words = words; }

  /** Chosen in the machine itself, where there are more. @param {string} rule '' = its own */
  set rule(rule) { this.choice.rule = rule; }

  #choose(field) {
    const { choice: name } = field.dataset;
    const value = NUMBERS.includes(name) ? Number(field.value) : field.value;
    if (!name || this.choice[name] === value) return;
    this.choice[name] = value;
    if (name === 'at') Object.assign(this.choice, detailsOf(this.#described.tasks[value]), { words: null });
    if (name === 'text') this.#forget();
    // A prefix mask of an encoder ends with its first sentence.
    if (mainOf(this.choice.rule) === 'prefix' && !rulesOf(this.#described, this.choice.second.trim() !== '').includes('prefix')) this.choice.rule = join('', sourcesOf(this.choice.rule));
    this.#changed();
  }

  /** @param {(key: string, values?: object) => string} t */
  draw(t) {
    const { node, title, source, short, back, moreSummary, facts, notes } = this.#parts;
    const description = this.#described;
    const from = this.name(t);
    const name = calledOf(description, from, t);
    setText(title, description.name);
    setText(source, from);
    setText(short, `${t(`machine.${description.architecture}`)} · ${shortOf(description, t)}`);
    setText(back, t('open.back'));
    setAttributes(back, { 'data-architecture': description.architecture, 'aria-label': t('open.back.label', { name }) });
    setAttributes(node, { 'aria-label': t('card.label', { name }), 'data-architecture': description.architecture });
    setText(moreSummary, t('card.more'));
    const lines = factsOf(description, this.licence, t);
    reuse(facts, lines.length, () => make('div', {}, make('dt'), make('dd', { dir: 'auto' }))).forEach((line, at) => {
      setText(line.firstElementChild, lines[at][0]);
      setText(line.lastElementChild, lines[at][1]);
    });
    this.#drawTasks(t);
    const said = notesOf(description, this.choice);
    reuse(notes, said.length, () => make('p')).forEach((note, at) => setText(note, t(said[at])));
  }

  #drawTasks(t) {
    const { task, prefix, blank, from, language, second, text, rule, max } = this.#parts;
    const description = this.#described;
    const { choice } = this;
    const chosen = description.tasks[choice.at];
    const says = ({ task: name, trained }) => (trained === 'yes' ? t(`task.${name}`) : t(`card.task.${trained}`, { task: t(`task.${name}`) }));
    drawChoice(task, t('card.task'), description.tasks.map((one, at) => [at, says(one)]), choice.at);
    const prefixes = chosen.prefixes ?? [];
    show(prefix, prefixes.length > 0);
    drawChoice(prefix, t('card.prefix'), [...prefixes.map((one) => [one, one.trim()]), ['', t('card.prefix.none')]], choice.prefix);
    const blanks = chosen.blanks ?? [];
    show(blank, blanks.length > 0);
    drawChoice(blank, t('card.blank'), blanks.map((one) => [one, one]), choice.blank);
    const languages = chosen.languages ?? [];
    const source = chosen.source_language;
    show(from, source !== undefined);
    drawChoice(from, t('card.from'), [['', t('card.from.own', { code: source?.code ?? '' })], ...languages.filter(({ id }) => id !== source?.id).map(({ id, code }) => [String(id), code])], choice.from);
    show(language, languages.length > 0);
    drawChoice(language, t('card.language'), [['', t('card.language.own')], ...languages.map(({ id, code }) => [String(id), code])], choice.language);
    show(second, chosen.pair);
    drawField(second, t('card.second'), t(chosen.task === 'pair' ? 'card.second.hint' : 'card.second.optional'), choice.second);
    drawField(text, t('card.text'), t('card.text.hint'), choice.text);
    const rules = rulesOf(description, choice.second.trim() !== '');
    if (choice.rule && !rules.includes(choice.rule)) rules.push(choice.rule);
    show(rule, rules.length > 0);
    const own = trainedRule(description);
    drawChoice(rule, t('card.mask'), rules.map((one) => [one === own ? '' : one, t(one === own ? 'card.mask.own' : 'card.mask.other', { rule: NAMED.includes(one) ? t(`card.mask.${one}`) : one })]), choice.rule);
    show(max, description.architecture !== 'encoder');
    drawChoice(max, t('card.max'), NEW_TOKENS.map((n) => [n, String(n)]), choice.max);
  }
}

const show = (node, is) => setAttribute(node, 'hidden', !is);

function drawField(label, name, hint, value) {
  const [title, input] = label.children;
  setText(title, name);
  setAttributes(input, { placeholder: hint });
  if (document.activeElement !== input && input.value !== value) input.value = value;
}

/** The card's nodes, by name. @returns {Record<string, any>} */
function build() {
  const title = make('h3');
  const source = make('span', { class: 'source', dir: 'auto' });
  const short = make('span', { class: 'short' });
  const back = make('button', { type: 'button', class: 'plain' });
  const choice = (name) => make('label', { class: 'chooser' }, make('span'), make('select', { 'data-choice': name }));
  const field = (name) => make('label', { class: 'chooser field' }, make('span'),
    make('input', { type: 'text', 'data-choice': name, autocomplete: 'off', spellcheck: 'false', dir: 'auto', maxlength: 2000 }));
  const [task, prefix, blank, from, language, rule, max] = ['at', 'prefix', 'blank', 'from', 'language', 'rule', 'max'].map(choice);
  const [text, second] = ['text', 'second'].map(field);
  const tasks = make('div', { class: 'asks' }, task, prefix, blank, from, language, max, rule, text, second);
  const notes = make('div', { class: 'notes', role: 'status' });
  const moreSummary = make('summary');
  const facts = make('dl', { class: 'facts' });
  const more = make('details', {}, moreSummary, facts);
  const node = make('article', { class: 'card' }, make('header', {}, title, short, source, back), tasks, notes, more);
  return { node, title, source, short, back, task, prefix, blank, from, language, rule, max, text, second, tasks, notes, more, moreSummary, facts };
}
