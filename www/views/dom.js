/** Small helpers for views: make once, change only what differs. Text goes in as text, never as markup. */

const SVG = 'http://www.w3.org/2000/svg';

/**
 * @param {string} tag
 * @param {Record<string, any>} [attributes] `text` sets textContent; null and false leave an attribute out
 * @param {...Node} children
 */
export function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function makeSvg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'text') node.textContent = value;
    else setAttribute(node, name, value);
  }
  node.append(...children);
  return node;
}

export function setAttribute(node, name, value) {
  if (value === null || value === undefined || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
    return;
  }
  const text = value === true ? '' : String(value);
  if (node.getAttribute(name) !== text) node.setAttribute(name, text);
}

export function setAttributes(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) setAttribute(node, name, value);
}

export function setText(node, text) {
  const value = String(text);
  if (node.textContent !== value) node.textContent = value;
}

/** A custom property of one node; the content policy allows it through the CSSOM. */
export function setVariable(node, name, value) {
  const text = String(value);
  if (node.style.getPropertyValue(name) !== text) node.style.setProperty(name, text);
}

/** Keeps exactly `count` children of `parent`, making or removing at the end. @returns {any[]} elements of whatever kind */
export function reuse(parent, count, create) {
  while (parent.children.length > count) parent.lastElementChild.remove();
  while (parent.children.length < count) parent.append(create(parent.children.length));
  return [...parent.children];
}

/** What an event happened to. @param {Event} event @returns {any} an element of whatever kind */
export const targetOf = (event) => event.target;

/** The child of a class, made when it is first asked for. */
export function part(parent, name, create) {
  for (const child of parent.children) if (child.classList.contains(name)) return child;
  const child = create();
  child.classList.add(name);
  parent.append(child);
  return child;
}

/** A probability for people: whole per cent, tenths when small. */
export function percent(probability) {
  if (probability >= 0.9995) return '100%';
  // What is near to all is not all.
  if (probability >= 0.995) return `${(probability * 100).toFixed(1)}%`;
  if (probability >= 0.0995) return `${Math.round(probability * 100)}%`;
  if (probability >= 0.0005) return `${(probability * 100).toFixed(1)}%`;
  return '<0.1%';
}
