// Objects that pass work to each other: property look-ups, method calls, little arithmetic.
class Node_ {
  constructor(id) { this.id = id; this.queue = []; this.seen = 0; this.links = []; }
  accept(token) { this.queue.push(token); }
  step() {
    const token = this.queue.shift();
    if (token === undefined) return 0;
    this.seen += token.weight;
    token.hops++;
    if (token.hops < token.limit) this.links[(token.hops + this.seen) % this.links.length].accept(token);
    return 1;
  }
}
class Hub extends Node_ {
  step() { return super.step() + (this.queue.length > 4 ? super.step() : 0); }
}
const nodes = Array.from({ length: 16 }, (_, i) => (i % 4 ? new Node_(i) : new Hub(i)));
nodes.forEach((n, i) => { for (let k = 1; k < 4; k++) n.links.push(nodes[(i * k + k) % nodes.length]); });
for (let i = 0; i < 40; i++) nodes[i % 16].accept({ weight: i % 7, hops: 0, limit: 8000 + i });
let work = 0;
for (let idle = 0; idle < 2;) {
  let done = 0;
  for (const n of nodes) done += n.step();
  work += done;
  idle = done ? 0 : idle + 1;
}
print('steps', work, 'seen', nodes.map((n) => n.seen).join());
