/** Registers <unmasked-demo>; load this one file to use it. */

import { UnmaskedDemo } from './element.js';

/** The element's name. Who makes one by this constant has it registered before, however modules are bundled. */
export const TAG = 'unmasked-demo';

if (!customElements.get(TAG)) customElements.define(TAG, UnmaskedDemo);
