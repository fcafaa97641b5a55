import { counter } from './shapes.mjs';
export const title = (s) => s.replace(/\b\w/g, (c) => c.toUpperCase()) + ` #${counter()}`;
export const reverse = (s) => [...s].reverse().join('');
