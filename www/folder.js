/** Files that a person chose or dropped: which of them make a model folder. */

import { isWanted } from './files.js';
import { CARD } from './licence.js';

/** @typedef {{ path: string, file: File }} Found   path: from the folder that was chosen */

/** What the engine takes, and the card that says whose model it is. */
const isOfModel = (name) => isWanted(name) || name === CARD;
const folderOf = (path) => path.slice(0, path.lastIndexOf('/') + 1);

/**
 * The files that the engine takes and the model's card, of the outermost folder that has a config.json; none where there is no such folder.
 * @param {Found[]} found
 * @returns {{ name: string, files: File[] }}   name: of the folder, '' where files were chosen one by one
 */
export function modelOf(found) {
  const folders = found.filter(({ path }) => path.slice(folderOf(path).length) === 'config.json').map(({ path }) => folderOf(path));
  const [folder] = folders.sort((a, b) => a.split('/').length - b.split('/').length);
  if (folder === undefined) return { name: '', files: [] };
  const files = found.filter(({ path, file }) => folderOf(path) === folder && isOfModel(file.name)).map(({ file }) => file);
  return { name: folder.split('/').at(-2) ?? '', files };
}

/** What a file input holds. @param {HTMLInputElement} input @returns {Found[]} */
export function chosen(input) {
  return [...input.files ?? []].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
}

/** What was dropped: files, and the files of folders, one level down. @param {DataTransfer} data @returns {Promise<Found[]>} */
export async function dropped(data) {
  // The list is empty once the event is over: every entry is taken before the first wait.
  const taken = [...data.items].filter(({ kind }) => kind === 'file').map((item) => ({ entry: item.webkitGetAsEntry(), file: item.getAsFile() }));
  const found = await Promise.all(taken.map(({ entry, file }) => {
    if (entry?.isDirectory) return filesIn(entry);
    return file ? [{ path: file.name, file }] : [];
  }));
  return found.flat();
}

async function filesIn(folder) {
  const reader = folder.createReader();
  const found = [];
  for (;;) {
    // Browsers hand out a hundred entries at a time.
    const entries = await new Promise((resolve, reject) => { reader.readEntries(resolve, reject); });
    if (!entries.length) return Promise.all(found);
    for (const entry of entries) if (entry.isFile && isOfModel(entry.name)) found.push(fileOf(entry, `${folder.name}/${entry.name}`));
  }
}

/** @returns {Promise<Found>} */
async function fileOf(entry, path) {
  return { path, file: await new Promise((resolve, reject) => { entry.file(resolve, reject); }) };
}
