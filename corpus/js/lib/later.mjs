export default 'loaded when asked';
export { counter as again_ } from './shapes.mjs';
import { counter } from './shapes.mjs';
export const again = counter();
