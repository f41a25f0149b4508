/**
 * What a person asks a model from elsewhere for, and what that means for the machine that shows it. Pure.
 *
 * @typedef {import('./facts.js').Description} Description
 * @typedef {{ at: number, text: string, second: string, prefix: string, blank: string, language: string, from: string, rule: string, max: number,
 *   words: number[]|null }} Choice   at: which of its tasks; text: of its own, '' = the page's; words: blanked by hand
 */

export const NEW_TOKENS = [10, 20, 40, 80, 160];

/** What is asked for before anybody chose. @param {Description} description @returns {Choice} */
export function firstChoice({ tasks }) {
  return { at: 0, text: '', second: '', max: 40, words: null, rule: '', ...detailsOf(tasks[0]) };
}

/** A task's own choices, when it is chosen. @param {import('./facts.js').Task} [task] */
export function detailsOf(task) {
  return { prefix: task?.prefixes?.[0] ?? '', blank: task?.blanks?.[0] ?? '', language: '', from: '' };
}

/** The masks that its rows may be given: its own, and those that make sense beside it. @param {Description} description @param {boolean} pair */
export function rulesOf({ architecture }, pair) {
  if (architecture === 'encoder') return pair ? ['full', 'causal', 'prefix'] : ['full', 'causal'];
  return architecture === 'encoder-decoder' ? [] : ['causal', 'prefix'];
}

/** The rule that it was trained with. @param {Description} description */
export function trainedRule({ architecture }) {
  return architecture === 'encoder' ? 'full' : architecture;
}

/** What is said of what was chosen: of its training first. @param {Description} description @param {Choice} choice @returns {string[]} keys */
export function notesOf(description, choice) {
  const task = description.tasks[choice.at];
  const notes = [`task.${task.task}.${task.trained}`];
  if (choice.rule && choice.rule !== trainedRule(description)) {
    notes.push(choice.rule === description.pretrained_as ? 'task.mask.pretrained' : 'task.mask.untrained');
  }
  return notes;
}

/**
 * The attributes of its element.
 * @param {Description} description
 * @param {Choice} choice
 * @param {string|null} pageText the sentence that everybody reads
 */
export function attributesOf(description, choice, pageText) {
  const task = description.tasks[choice.at];
  const own = choice.text.trim() === '' ? pageText : choice.text;
  const pair = task.pair && choice.second.trim() !== '' ? choice.second : null;
  // Nothing is blanked unasked where something else than filling is asked for.
  const blanks = choice.words?.join(' ') ?? (task.task === 'fill' ? null : '');
  return {
    text: own === null ? null : withBlank(`${own.trim() && choice.prefix}${own}`, task.blanks ?? [], choice.blank),
    pair, blanks: description.architecture === 'encoder' ? blanks : null,
    mask: choice.rule && choice.rule !== trainedRule(description) ? choice.rule : null,
    language: choice.language || null,
    sourcelanguage: choice.from || null,
    max: description.architecture === 'encoder' ? null : choice.max,
  };
}

/** A text keeps the blank that it has; one without gets one at its end. */
function withBlank(text, blanks, blank) {
  if (!blank || text.trim() === '' || blanks.some((known) => text.includes(known))) return text;
  return `${text.trimEnd()} ${blank}`;
}
