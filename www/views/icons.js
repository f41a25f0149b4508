/** Icons, drawn on a grid of 24. */

import { makeSvg } from './dom.js';

const PATHS = {
  play: 'M8 5.5v13l10.5-6.5z',
  pause: 'M7.5 5.5h3.2v13H7.5zM13.3 5.5h3.2v13h-3.2z',
  step: 'M6.5 6v12l8-6zM16 6h2v12h-2z',
  back: 'M17.5 6v12l-8-6zM6 6h2v12H6z',
  restart: 'M12 5a7 7 0 1 1-6.7 9h2.1a5 5 0 1 0 .9-4.6L11 12H4.5V5.500l2.3 2.4A7 7 0 0 1 12 5z',
  end: 'M5 6v12l7-6zM12.500 6v12l7-6zM19.500 6h1.600v12h-1.600z',
  enlarge: 'M5 5h6v1.800H8.100l3.300 3.300-1.300 1.300L6.800 8.100V11H5zM19 19h-6v-1.800h2.900l-3.300-3.300 1.300-1.300 3.300 3.300V13H19z',
  shrink: 'M11 11H5V9.200h2.900L4.600 5.900l1.300-1.300 3.300 3.300V5H11zM13 13h6v1.800h-2.900l3.300 3.300-1.300 1.300-3.300-3.300V19H13z',
  light: 'M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM11.200 3h1.600v3h-1.600zM11.200 18h1.600v3h-1.600zM3 11.200h3v1.600H3zM18 11.200h3v1.600h-3zM5.100 6.200l1.100-1.100 2.100 2.100-1.100 1.100zM15.700 16.800l1.100-1.100 2.100 2.100-1.100 1.100zM17.800 5.100l1.100 1.100-2.100 2.100-1.100-1.100zM7.200 15.700l1.100 1.100-2.100 2.100-1.100-1.100z',
  dark: 'M13.500 3.500a8.500 8.500 0 1 0 7 12.300A7 7 0 0 1 13.500 3.500z',
  auto: 'M12 3.500a8.500 8.500 0 1 1 0 17 8.500 8.500 0 0 1 0-17zm0 1.800v13.400a6.700 6.700 0 0 0 0-13.400z',
  help: 'M11 16.800h2V19h-2zM12 5c2.400 0 4 1.400 4 3.500 0 1.600-.9 2.400-1.900 3.200-.8.600-1.200 1-1.200 1.900v.7H11v-.9c0-1.600.9-2.400 1.800-3.100.8-.6 1.200-1 1.200-1.800 0-1-.8-1.600-2-1.600-1.300 0-2.100.8-2.200 2H7.800C7.900 6.600 9.600 5 12 5z',
  present: 'M4 5h16v11h-7v1.800h3v1.700H8v-1.700h3V16H4zM5.800 6.800v7.400h12.400V6.800z',
  chevron: 'M7 9.500l5 5 5-5 1.200 1.200L12 16.900l-6.200-6.200z',
};

/** @param {keyof typeof PATHS} name */
export function icon(name) {
  return makeSvg('svg', { class: 'icon', viewBox: '0 0 24 24', 'aria-hidden': 'true', focusable: 'false' }, makeSvg('path', { d: PATHS[name] }));
}

export function setIcon(node, name) {
  const path = node.querySelector('path');
  if (path.getAttribute('d') !== PATHS[name]) path.setAttribute('d', PATHS[name]);
}
