/** Large numbers and sizes, as short as people say them: powers of a thousand. Pure. */

/** @type {Array<[number, string]>} */
const UNITS = [[1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k']];

/** Three digits and a unit: 618 k, 2.40 M. @param {number} number */
export function countOf(number) {
  // 999,700 is 1.00 M, not 1000 k.
  const [unit, name] = UNITS.find(([one]) => number >= one * 0.9995) ?? [1, ''];
  return name ? `${(number / unit).toPrecision(3)} ${name}` : String(number);
}

/** @param {number} bytes */
export function bytesOf(bytes) {
  // As above: 999,600 is 1.0 MB, not 1000 kB.
  if (bytes >= 0.99995e9) return `${(bytes / 1e9).toFixed(2)} GB`;
  if (bytes >= 0.9995e6) return `${(bytes / 1e6).toFixed(1)} MB`;
  return bytes >= 1e4 ? `${Math.round(bytes / 1e3)} kB` : bytes >= 1e3 ? `${(bytes / 1e3).toFixed(1)} kB` : `${bytes} B`;
}
