export class Shape {
  constructor(name) { this.name = name; }
  toString() { return this.name; }
}
export const area = (r) => Math.PI * r ** 2;
let calls = 0;
export function counter() { return ++calls; }
