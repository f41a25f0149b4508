/** Registers <unmasked-demo>; load this one file to use it. */

import { UnmaskedDemo } from './element.js';

if (!customElements.get('unmasked-demo')) customElements.define('unmasked-demo', UnmaskedDemo);
